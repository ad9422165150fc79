"""Newton's method for many problems of one shape at once: saddle-free steps, each with a backtracking line search of its own.

Step coordinates along eigenvectors of the Hessian (scaled to a diagonal of one) are divided by the size of the eigenvalue, so that
they lead down also where it is negative, and never stop at a saddle.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Index = NDArray[np.intp]

LIMIT = 40  # evaluations
DECREMENT = 1e-4  # half the squared length of a Newton step at which a problem is solved: the step itself is in `Minima.value`
POOR = 1e-3  # and at which it counts as solved at the last evaluation
FLAT = 1e-6  # the smallest size of an eigenvalue of the scaled Hessian
PUSH = 0.1  # the least move along a direction of negative curvature
REACH, SIZE = 4.0, 0.25  # a step moves no entry further than REACH (SIZE + largest entry)
SHORTER, SUFFICIENT = 0.35, 1e-4


class Evaluated(Protocol):
    @property
    def value(self) -> Array: ...

    @property
    def gradient(self) -> Array: ...

    @property
    def hessian(self) -> Array: ...


@dataclass(frozen=True, eq=False)
class Minima:
    theta: Array  # (b, q)
    value: Array  # (b,)
    done: NDArray[np.bool_]  # (b,)


def minimise_many(evaluate: Callable[[Index, Array], Evaluated], starts: Array) -> Minima:
    """`evaluate(rows, theta)` answers for the problems `rows` at theta (len(rows), q); `starts` is (b, q)."""
    b = len(starts)
    theta, value = starts.copy(), np.full(b, np.inf)
    step, length, slope = np.zeros_like(starts), np.zeros(b), np.zeros(b)
    decrement, active = np.full(b, np.inf), np.arange(b)
    for _ in range(LIMIT):
        trial = theta[active] + length[active, None] * step[active]
        at = evaluate(active, trial)
        better = at.value <= value[active] + SUFFICIENT * length[active] * slope[active] + 1e-12 * np.abs(at.value)
        length[active[~better]] *= SHORTER
        new = active[better]
        theta[new], value[new] = trial[better], at.value[better]
        step[new], decrement[new], slope[new] = newton(at.gradient[better], at.hessian[better])
        furthest = np.abs(step[new]).max(axis=1)
        room = REACH * (SIZE + np.abs(theta[new]).max(axis=1))
        length[new] = np.minimum(1.0, room / np.maximum(furthest, 1e-300))
        active = active[(decrement[active] > DECREMENT) & (length[active] > 1e-9)]
        if not len(active):
            break
    done = decrement <= POOR
    return Minima(theta, value - np.where(done, decrement, 0.0), done)


def newton(gradient: Array, hessian: Array) -> tuple[Array, Array, Array]:
    """(b, q) steps, (b,) decrements (infinite where there is negative curvature), (b,) slopes along the steps."""
    unit = 1.0 / np.sqrt(np.maximum(np.abs(np.diagonal(hessian, axis1=1, axis2=2)), 1e-12))
    values, vectors = np.linalg.eigh(hessian * unit[:, :, None] * unit[:, None, :])
    z = -np.einsum("bqp,bq->bp", vectors, gradient * unit) / np.maximum(np.abs(values), FLAT)
    down = values < -FLAT
    z = np.where(down, np.where(z < 0, -1.0, 1.0) * np.maximum(np.abs(z), PUSH), z)
    decrement = 0.5 * np.einsum("bp,bp->b", z**2, np.abs(values))
    step = unit * np.einsum("bqp,bp->bq", vectors, z)
    slope = np.minimum(np.einsum("bq,bq->b", gradient, step), 0.0)
    return step, np.where(down.any(axis=1), np.inf, decrement), slope
