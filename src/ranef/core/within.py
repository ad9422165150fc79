"""What the random columns of one factor leave of [X y]'[X y]: the sums of squares within its levels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import lapack

from ranef.core.gram import Gram
from ranef.core.leftover import leftover
from ranef.covariance.base import Array

NULL = 1e-12  # an eigenvalue of Z_j'Z_j below this share of the largest is rounding
CERTAIN = 1e-7  # a pivot above this share of its diagonal element tells that a tile has full rank
MANY = 200  # tiles from which on a Cholesky over all at once is faster than eigenvectors of each


def tile_roots(C: Array) -> tuple[Array, Array]:
    """L with L L' = C and its left inverse on the range of C, both (U, k, k), for C of any rank."""
    if C.shape[1] == 1:
        root = np.sqrt(C)
        return root, np.divide(1.0, root, out=np.zeros_like(root), where=root > 0)
    if len(C) == 1:
        lower, failed = lapack.dpotrf(C[0], lower=1)
        if not failed and (lower.diagonal() ** 2 > CERTAIN * C[0].diagonal()).all():
            return lower[None], lapack.dtrtri(lower, lower=1)[0][None]
    if len(C) < MANY:
        return _spectral_roots(C)
    lower, inverse, good = _cholesky(C)
    if not good.all():
        lower[~good], inverse[~good] = _spectral_roots(C[~good])
    return lower, inverse


def _spectral_roots(C: Array) -> tuple[Array, Array]:
    values, vectors = np.linalg.eigh(C)
    values = np.where(values > NULL * values[:, -1:], values, 0.0)
    root = np.sqrt(values)[:, None, :]
    inverse = np.divide(1.0, root, out=np.zeros_like(root), where=root > 0)
    return vectors * root, np.swapaxes(vectors * inverse, 1, 2)


def _cholesky(C: Array) -> tuple[Array, Array, NDArray[np.bool_]]:
    """Triangular L and L^-1 of all tiles at once, and where no pivot came near zero (elsewhere they mean nothing)."""
    k = C.shape[1]
    lower, inverse, good = np.zeros_like(C), np.zeros_like(C), np.ones(len(C), dtype=bool)
    for b in range(k):
        pivot = C[:, b, b] - np.einsum("ul,ul->u", lower[:, b, :b], lower[:, b, :b])
        good &= pivot > CERTAIN * C[:, b, b]
        lower[:, b, b] = np.sqrt(np.where(good, pivot, 1.0))
        for a in range(b + 1, k):
            lower[:, a, b] = (C[:, a, b] - np.einsum("ul,ul->u", lower[:, a, :b], lower[:, b, :b])) / lower[:, b, b]
        inverse[:, b, b] = 1.0 / lower[:, b, b]
        inverse[:, b, :b] = -np.einsum("ul,ulc->uc", lower[:, b, :b], inverse[:, :b, :b]) * inverse[:, b, b, None]
    return lower, inverse, good


def regressions(gram: Gram, f: int) -> tuple[Array, Array]:
    """(m, k, r+1) C_j^+ D_j, the regressions of [X y] on Z_j in the levels of block f, and (r+1, r+1) W_0, what they leave."""
    _, left_inverse = tile_roots(gram.zz[f])
    E = left_inverse @ gram.zw[f]
    flat = E.reshape(-1, E.shape[2])
    slopes = np.swapaxes(left_inverse, 1, 2) @ E
    return slopes, leftover(gram, f, gram.ww - flat.T @ flat, lambda: slopes)
