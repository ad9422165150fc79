"""How far a variance that was estimated as zero could be from zero, by the likelihood.

At zero the criterion rises linearly with the variance, so that no curvature says how sure the estimate is. Along each parameter
of the vanished random effects, the others held, the criterion itself does: the limit is where it has risen by the square of the
quantile.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.optimize import brentq

from ranef.core.solution import Solution
from ranef.design import Array

DOUBLINGS = 20  # from a relative standard deviation of 0.1: beyond them a criterion counts as flat
ZERO = 1e-6  # a theta of this size is a vanished one


def farthest(solution: Solution, jacobian: Array, drop: float) -> float:
    """The largest |jacobian t| over the parameters, each moved by itself until the criterion has risen by `drop`.

    `jacobian` (r, q) are the derivatives of a root that is zero at the optimum, and linear in theta there.
    """
    lengths = np.linalg.norm(jacobian, axis=0)
    moves = [lengths[i] * _move(solution, i, drop) for i in np.flatnonzero(lengths).tolist()]
    return max(moves, default=0.0)


def farthest_theta(solution: Solution, drop: float) -> Iterator[Array]:
    """theta with one of its vanished entries moved until the criterion has risen by `drop`, for each of them."""
    for i in np.flatnonzero(np.abs(solution.theta) <= ZERO).tolist():
        move = _move(solution, i, drop)
        out = solution.theta.copy()
        out[i] += move if np.isfinite(move) else 0.1 * 2.0**DOUBLINGS
        yield out


def _move(solution: Solution, i: int, drop: float) -> float:
    """How far parameter i can move; infinite where the criterion does not rise so far."""
    criterion, direction = solution.criterion, np.zeros(len(solution.theta))
    direction[i] = 1.0
    base = criterion.evaluate(solution.theta, 0).value

    def rise(t: float) -> float:
        return criterion.evaluate(solution.theta + t * direction, 0).value - base - drop

    step = 0.1
    for _ in range(DOUBLINGS):
        if rise(step) > 0.0:
            return float(brentq(rise, 0.0, step, rtol=1e-6))
        step *= 2.0
    return float("inf")
