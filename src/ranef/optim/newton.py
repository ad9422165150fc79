"""Newton's method with exact second derivatives: from one start down to a local optimum.

No bounds: the sign of a column of a factor is not identified, so a column may pass through zero and come out reflected. Where the
Hessian is positive definite the step is Newton's; elsewhere each eigenvalue is replaced by its absolute value, so that negative
curvature leads away from saddles and false zeros (Gill, Murray and Wright 1981, section 4.4). Steps are limited in units of the
parameters' own size, and shortened by the cubic through the values and slopes at both ends when they do not pay.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy.linalg import lapack

from ranef.optim.problem import Array, Evaluation, Problem, Step

EPS = float(np.finfo(float).eps)
DECREMENT = 1e-10  # g'H^-1 g / 2, in units of the deviance
FLAT = 1e-9  # a scaled eigenvalue below this is zero: the direction is not identified
REACH = 4.0  # longest first step, relative to the size of the parameters
LIMIT = 100  # iterations from one start
SUFFICIENT = 1e-4


@dataclass
class Trace:
    """What all searches of one call share: the count of evaluations and the path."""

    problem: Problem
    evaluations: int = 0
    path: list[Step] = field(default_factory=list)

    def evaluate(self, theta: Array, order: int, note: str = "") -> Evaluation:
        self.evaluations += 1
        at = self.problem.evaluate(theta, order)
        size = None if at.gradient is None else float(np.abs(at.gradient).max(initial=0.0))
        self.path.append(Step(self.evaluations, tuple(theta.tolist()), at.value, size, note))
        return at


@dataclass(frozen=True, eq=False)
class Model:
    """The quadratic model at a point: the step that it proposes, the decrease that it promises, and its curvature."""

    step: Array
    decrement: float
    saddle: bool  # some direction curves downwards


@dataclass(frozen=True, eq=False)
class Descent:
    at: Evaluation
    converged: bool
    saddle: bool  # negative curvature was met on the way
    decrement: float


def descend(trace: Trace, at: Evaluation, *, reach: float = REACH, limit: int = LIMIT) -> Descent:
    """Follow Newton steps from `at` (evaluated to order 2) until the decrement vanishes."""
    saddle = False
    for _ in range(limit):
        model = propose(at)
        saddle = saddle or model.saddle
        if not model.saddle and model.decrement <= max(DECREMENT, 4.0 * EPS * abs(at.value)):
            return Descent(at, True, saddle, model.decrement)
        nearer = _search(trace, at, model.step, reach)
        if nearer is None:
            return Descent(at, False, saddle, model.decrement)
        at = nearer
    return Descent(at, False, saddle, propose(at).decrement)


def propose(at: Evaluation) -> Model:
    """The modified Newton step of an evaluation to order 2."""
    g, H = at.gradient, at.hessian
    assert g is not None and H is not None
    diagonal = np.abs(H.diagonal())
    unit = 1.0 / np.sqrt(np.maximum(diagonal, 1e-12 / (1.0 + at.theta**2)))
    slope = g * unit
    scaled = H * unit * unit[:, None]
    factor, step, info = lapack.dposv(scaled, -slope)
    if info == 0 and factor.diagonal().min() > 1e-4:
        return Model(step * unit, -0.5 * float(slope @ step), False)
    values, vectors = np.linalg.eigh(scaled)
    return _bent(values, vectors, slope, unit)


def _bent(values: Array, vectors: Array, slope: Array, unit: Array) -> Model:
    """The step with absolute eigenvalues; along negative curvature it has at least unit length, or saddles would hold it."""
    along = vectors.T @ slope
    size = np.maximum(np.abs(values), FLAT)
    step = -along / size
    downward = values < -FLAT
    short = downward & (np.abs(step) < 1.0)
    step[short] = np.where(along[short] > 0, -1.0, 1.0)
    flat = np.abs(values) <= FLAT
    step[flat] = np.clip(step[flat], -1.0, 1.0)
    decrement = 0.5 * float(np.abs(along * step).sum())
    return Model((vectors @ step) * unit, decrement, bool(downward.any()))


def _search(trace: Trace, at: Evaluation, step: Array, reach: float) -> Evaluation | None:
    """A point along the step that pays, evaluated to order 2; None when there is none down to rounding."""
    assert at.gradient is not None and at.hessian is not None
    relative = float(np.abs(step).max()) / (0.25 + float(np.abs(at.theta).max()))
    length = min(1.0, reach / relative) if relative > 0 else 1.0
    noise = 8.0 * EPS * abs(at.value)
    for _ in range(30):
        slope = length * float(at.gradient @ step)
        bend = length**2 * float(step @ at.hessian @ step)
        promised = -(slope + 0.5 * min(bend, 0.0))
        trial = trace.evaluate(at.theta + length * step, 2)
        gain = at.value - trial.value
        if gain >= SUFFICIENT * promised - noise:
            return trial
        length *= _shorter(at, trial, length * step)
    return None


def _shorter(at: Evaluation, trial: Evaluation, step: Array) -> float:
    """The minimiser of the cubic through values and slopes at both ends, kept within [0.1, 0.5]."""
    if not np.isfinite(trial.value) or trial.gradient is None or at.gradient is None:
        return 0.1
    first, last = float(at.gradient @ step), float(trial.gradient @ step)
    mean = first + last - 3.0 * (trial.value - at.value)
    root = mean * mean - first * last
    if root < 0.0:
        return 0.25
    bottom = last - first + 2.0 * np.sqrt(root)
    return min(0.5, max(0.1, 1.0 - (last + np.sqrt(root) - mean) / bottom)) if bottom > 0.0 else 0.25
