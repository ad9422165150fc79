"""Square roots of covariance matrices that may be singular."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import lapack

Array = NDArray[np.float64]
SINGULAR = 1e-9  # a pivot, of a matrix with ones on its diagonal


def lower_root(factor: Array) -> Array:
    """Lower-triangular L with non-negative diagonal and L L' = factor factor', also where that is singular.

    It is R' of the QR decomposition of factor', up to signs.
    """
    if factor.shape == (1, 1):
        return np.abs(factor)
    k, columns = factor.shape
    own = lapack.dgeqrf(factor.T)[0].T  # R', and Q on the other side of the diagonal
    if columns != k:
        square = np.zeros((k, k))
        square[:, : min(k, columns)] = own[:, :k]
        own = square
    return own * np.where(own.diagonal() < 0, _below(k, -1.0), _below(k, 1.0))


def filled_from_the_left(lower: Array) -> Array:
    """The root of the same matrix whose columns begin in rows as far up as they can: lower-triangular, the zero columns last.

    Where a pivot is zero, the entries to its right may be rotated at will; in this root none is left.
    """
    out, basis = np.zeros_like(lower), np.zeros_like(lower)
    found = 0
    for i, row in enumerate(lower):
        along = basis @ row
        rest = row - along @ basis
        size = float(np.linalg.norm(rest))
        if size > SINGULAR * float(np.linalg.norm(row)):
            basis[found], along[found] = rest / size, size
            found += 1
        out[i] = along
    return out


@cache
def _below(k: int, value: float) -> Array:
    """The lower triangle of a k x k matrix full of a value."""
    return np.tril(np.full((k, k), value))


def cholesky(matrix: Array) -> Array:
    """Lower-triangular L with L L' = matrix, positive semi-definite to rounding."""
    lower, info = lapack.dpotrf(matrix, lower=1, clean=1)
    if info == 0:
        return np.asarray(lower)
    values, vectors = np.linalg.eigh(matrix)
    return lower_root(vectors * np.sqrt(np.clip(values, 0.0, None)))


def cholesky_slopes(matrix: Array, slopes: Array) -> tuple[Array, Array]:
    """L (k, k) and its derivatives (q, k, k) from those of the matrix: dL = L low(L^-1 dC L^-T), low halving the diagonal.

    Where the matrix is singular, L^-1 is the pseudo-inverse. Smith (1995), J. Comput. Graph. Statist. 4, 134-147.
    """
    lower = cholesky(matrix)
    if lower.diagonal().min(initial=1.0) > SINGULAR:
        inverse = np.asarray(lapack.dtrtri(lower, lower=1)[0])
    else:
        inverse = np.linalg.pinv(lower, rcond=SINGULAR)
    inner = inverse @ slopes @ inverse.T
    inner = np.tril(inner) - inner * (0.5 * np.eye(len(lower)))
    return lower, lower @ inner
