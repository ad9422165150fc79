"""How far a variance that was estimated as zero could be from zero, by the likelihood.

At zero the criterion rises linearly with the variance, so that no curvature says how sure the estimate is. Along each parameter
of the vanished random effects, the others held, the criterion itself does: the limit is where it has risen by the square of the
quantile.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import brentq

from ranef.core.solution import Solution
from ranef.design import Array

STEPS = 60  # doublings before a criterion counts as flat


def farthest(solution: Solution, jacobian: Array, drop: float) -> float:
    """The largest |jacobian t| over the parameters, each moved by itself until the criterion has risen by `drop`.

    `jacobian` (r, q) are the derivatives of a root that is zero at the optimum, and linear in theta there.
    """
    lengths = np.linalg.norm(jacobian, axis=0)
    moves = [lengths[i] * _move(solution, i, drop) for i in np.flatnonzero(lengths)]
    return max(moves, default=0.0)


def _move(solution: Solution, i: int, drop: float) -> float:
    criterion, direction = solution.criterion, np.zeros(len(solution.theta))
    direction[i] = 1.0
    base = criterion.evaluate(solution.theta, 0).value

    def rise(t: float) -> float:
        return criterion.evaluate(solution.theta + t * direction, 0).value - base - drop

    step = 0.1
    for _ in range(STEPS):
        if rise(step) > 0.0:
            return float(brentq(rise, 0.0, step, rtol=1e-6))
        step *= 2.0
    return float("inf")
