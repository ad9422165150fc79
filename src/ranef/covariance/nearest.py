"""The member of a correlation structure nearest to a given correlation matrix: least squares over its entries.

For starting values, which need not be exact; a matrix that is a member gives its own parameters to rounding, since Gauss and
Newton's method then converges quadratically.
"""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray

from ranef.covariance.correlation import Correlation
from ranef.covariance.jets import Jet

Array = NDArray[np.float64]
Index = NDArray[np.intp]

SIZES = (0.0, 0.5, -0.5, 1.5, -1.5, 3.0, -3.0)  # added to the parameters of the start
TRIED = 3  # descents, from the best of these
MOST, FAR = 60, 12.0  # iterations; |x| beyond which a correlation is at its bound to rounding
HELD, FLAT = 2.0, 1e-12  # distance from the start, and squared length of a derivative that says nothing
GOOD = 1e-16  # mean squared error at which no other start is tried


def nearest(correlation: Correlation, target: Array, weights: Array) -> Array:
    """(c,) x that minimises sum of weights (C(x) - target)^2 over the entries below the diagonal."""
    if not correlation.size:
        return np.zeros(0)
    rows, columns = np.nonzero(np.tril(correlation.support(), -1))
    if not len(rows):
        return correlation.start()
    root = np.sqrt(weights[rows, columns])
    goal, places = target[rows, columns], (rows, columns)
    starts = sorted(_starts(correlation), key=lambda x: _promise(*_residual(correlation, goal, root, places, x)))
    best, least = correlation.start(), np.inf
    for start in starts[:TRIED]:
        x, error = _descend(correlation, goal, root, places, start)
        if error < least:
            best, least = x, error
        if least <= GOOD * len(rows):
            break
    return _held(correlation, best, root, (rows, columns), least)


def _starts(correlation: Correlation) -> list[Array]:
    """All combinations of the sizes for one or two parameters, the same size for more."""
    c = correlation.size
    grid = itertools.product(SIZES, repeat=c) if c <= 2 else ((size,) * c for size in SIZES)
    return [correlation.start() + np.array(sizes) for sizes in grid]


def _promise(r: Array, J: Array) -> tuple[bool, float]:
    """The smaller the better: starts from where there is no way to go are last."""
    return not bool(np.any(J)), float(r @ r)


def _held(correlation: Correlation, x: Array, root: Array, places: tuple[Index, Index], error: float) -> Array:
    """x, not far from the start where the matrix is no member, or the parameters do not matter: a start must be able to leave."""
    slopes = root[:, None] * correlation.matrix(Jet.variables(x))[places].first.T
    flat = np.einsum("ea,ea->a", slopes, slopes) < FLAT
    far = flat if error <= GOOD * len(root) else np.ones(len(x), dtype=bool)
    start = correlation.start()
    return np.where(far, np.clip(x, start - HELD, start + HELD), x)


def _descend(correlation: Correlation, target: Array, root: Array, places: tuple[Index, Index], x: Array) -> tuple[Array, float]:
    """Levenberg's and Marquardt's method."""
    damping, now = 1e-3, _residual(correlation, target, root, places, x)
    for _ in range(MOST):
        r, J = now
        A, slope = J.T @ J, J.T @ r
        step = -np.linalg.solve(
            A + damping * (A.diagonal().max() * 1e-3 + 1e-12) * np.eye(len(A)) + damping * np.diag(A.diagonal()), slope
        )
        trial = np.clip(x + step, -FAR, FAR)
        new = _residual(correlation, target, root, places, trial)
        if new[0] @ new[0] <= r @ r:
            moved, x, now, damping = np.abs(trial - x).max(), trial, new, damping / 10.0
            if moved <= 1e-14 * (1.0 + np.abs(x).max()):
                break
        else:
            damping *= 10.0
            if damping > 1e8:
                break
    return x, float(now[0] @ now[0])


def _residual(correlation: Correlation, target: Array, root: Array, places: tuple[Index, Index], x: Array) -> tuple[Array, Array]:
    """Weighted differences (e,) and their derivatives (e, c)."""
    found = correlation.matrix(Jet.variables(x))[places]
    return root * (found.value - target), root[:, None] * found.first.T
