"""Fisher's information about the covariances of the random effects: tr P V_d P V_e for each pair of directions.

Exact where an engine gives h and e; elsewhere from d/d omega_e tr P V_d = -tr P V_e P V_d, by differences of the exact traces.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ranef.core.criterion import Criterion
from ranef.core.layout import Layout
from ranef.core.pieces import Pieces
from ranef.covariance.base import Array, Covariance
from ranef.covariance.roots import lower_root

Index = NDArray[np.intp]

STEP = 1e-4  # of a variance: the error of a central difference is about its square, the rounding 1e-14 over it
FARTHER = 10.0  # times the step of the forward difference, whose error is about the third power


def omega_of(layout: Layout, factors: list[Array]) -> Array:
    """(K,) the free entries of Lambda Lambda' of each block, in the order of the directions."""
    f, a, b = layout.directions
    omegas = [lam @ lam.T for lam in factors]
    return np.array([omegas[i][j, k] for i, j, k in zip(f, a, b, strict=True)])


def natural_directions(layout: Layout, theta: Array) -> Array:
    """(K, l) a basis of the covariances that the structures allow: the identity, unless entries are tied (`id`).

    Where the structure is not linear, this is the tangent space: second derivatives are left out (the linear variant).
    """
    K = len(layout.directions[0])
    if K == layout.size:
        return np.eye(K)
    columns, at = [], 0
    for _, part in layout.parts:
        rows, cols = np.nonzero(np.tril(part.covariance.support()))
        own = np.zeros((K, part.covariance.size))
        own[at : at + len(rows)] = _tangent(part.covariance, theta[part.theta], rows, cols)
        at += len(rows)
        columns.append(own)
    return np.hstack(columns)


def _tangent(covariance: Covariance, theta: Array, rows: Index, columns: Index) -> Array:
    """(entries, q) d omega / d theta up to the scale of its columns, at theta or, where it vanishes, at the start."""
    if covariance.size == len(rows):
        return np.eye(len(rows))
    for at in (theta, covariance.start()):
        found = covariance.gradient(at)[:, rows, columns].T
        size = np.linalg.norm(found, axis=0)
        if np.all(size > 0) and np.linalg.matrix_rank(found / size) == covariance.size:
            break
    return found / np.where(size > 0, size, 1.0)


def expected_traces(criterion: Criterion, factors: list[Array], pieces: Pieces) -> Array:
    """(K, K) tr P V_d P V_e."""
    if pieces.h is None:
        return _differenced(criterion, factors)
    assert pieces.e is not None and pieces.F is not None
    flat = pieces.F[:, :-1, :-1].reshape(len(pieces.h), -1)
    return pieces.h - 2.0 * pieces.e + flat @ flat.T


def _differenced(criterion: Criterion, factors: list[Array]) -> Array:
    """Each effect is moved by a share of its own variance, or of 1 / rows per level where that is larger.

    An entry off the diagonal is moved together with its two variances, so that the covariance stays positive semi-definite.
    """
    f, a, b = criterion.layout.directions
    here = _traces(criterion, factors)
    slopes, scales = np.empty((len(f), len(here))), np.empty(len(f))
    diagonal: dict[tuple[int, int], Array] = {}
    for d in np.argsort(a != b, kind="stable"):  # variances first
        i, j, k = f[d], a[d], b[d]
        v = np.zeros(criterion.layout.blocks[i].width)
        v[[j, k]] = [_size(criterion, factors, i, j), _size(criterion, factors, i, k)]
        slope, scales[d] = _slope(criterion, factors, here, i, np.outer(v, v)), v[j] * v[k]
        if j == k:
            diagonal[i, j] = slope
        else:
            slope = slope - diagonal[i, j] - diagonal[i, k]
        slopes[d] = slope / scales[d]
    return -(slopes + slopes.T) / 2


def _size(criterion: Criterion, factors: list[Array], f: int, a: int) -> float:
    smallest = criterion.layout.blocks[f].levels / criterion.gram.nobs
    return float(np.sqrt(max(np.sum(factors[f][a] ** 2), smallest)))


def _traces(criterion: Criterion, factors: list[Array]) -> Array:
    """(K,) tr P V_d."""
    pieces = criterion.engine.pieces(factors, 1)
    assert pieces.t is not None and pieces.F is not None
    return np.asarray(pieces.t - np.trace(pieces.F[:, :-1, :-1], axis1=1, axis2=2))


def _slope(criterion: Criterion, factors: list[Array], here: Array, f: int, direction: Array) -> Array:
    """(K,) derivative of tr P V_d as the direction is added to Omega_f: by central differences, or forward from the boundary."""
    omega = factors[f] @ factors[f].T

    def at(step: float) -> Array:
        values, vectors = np.linalg.eigh(omega + step * direction)
        root = lower_root(vectors * np.sqrt(np.clip(values, 0.0, None)))
        return _traces(criterion, [*factors[:f], root, *factors[f + 1 :]])

    if np.linalg.eigvalsh(omega - STEP * direction)[0] >= 0.0:
        return (at(STEP) - at(-STEP)) / (2.0 * STEP)
    step = FARTHER * STEP
    return (-11.0 * here + 18.0 * at(step) - 9.0 * at(2.0 * step) + 2.0 * at(3.0 * step)) / (6.0 * step)
