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
from ranef.covariance.unstructured import lower_root

Index = NDArray[np.intp]

STEP = 1e-4  # of a variance: the error of a central difference is about its square, the rounding 1e-14 over it


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
        moved = covariance.jacobian(at) @ covariance.factor(at).T
        found = (moved + moved.swapaxes(1, 2))[:, rows, columns].T
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
    """An entry off the diagonal is moved together with its two variances, so that the covariance stays positive semi-definite."""
    f, a, b = criterion.layout.directions
    place = {(i, j): d for d, (i, j, k) in enumerate(zip(f, a, b, strict=True)) if j == k}
    slopes = np.array([_slope(criterion, factors, i, j, k) for i, j, k in zip(f, a, b, strict=True)])
    for d, (i, j, k) in enumerate(zip(f, a, b, strict=True)):
        if j != k:
            slopes[d] -= slopes[place[i, j]] + slopes[place[i, k]]
    return -(slopes + slopes.T) / 2


def _slope(criterion: Criterion, factors: list[Array], f: int, a: int, b: int) -> Array:
    """(K,) change of tr P V_d as (e_a + e_b)(e_a + e_b)' (or e_a e_a') is added to Omega_f."""
    lam = factors[f]
    v = np.zeros(len(lam))
    v[[a, b]] = 1.0
    size = float(np.sum((lam[a] + lam[b] if a != b else lam[a]) ** 2))
    block = criterion.layout.blocks[f]
    delta = STEP * max(size, block.levels / criterion.gram.nobs)

    def at(steps: float) -> Array:
        omega = lam @ lam.T + steps * delta * np.outer(v, v)
        values, vectors = np.linalg.eigh(omega)
        root = lower_root(vectors * np.sqrt(np.clip(values, 0.0, None)))
        moved = [*factors[:f], root, *factors[f + 1 :]]
        pieces = criterion.engine.pieces(moved, 1)
        assert pieces.t is not None and pieces.F is not None
        return pieces.t - np.trace(pieces.F[:, :-1, :-1], axis1=1, axis2=2)

    inside = np.linalg.eigvalsh(lam @ lam.T - delta * np.outer(v, v))[0] >= 0.0
    if inside:
        return (at(1.0) - at(-1.0)) / (2.0 * delta)
    return (-3.0 * at(0.0) + 4.0 * at(1.0) - at(2.0)) / (2.0 * delta)
