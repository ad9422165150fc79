"""Newton's method with exact second derivatives: from one start down to a local optimum.

No bounds: the sign of a column of a factor is not identified, so a column may pass through zero and come out reflected. Where the
Hessian is positive definite the step is Newton's; elsewhere each eigenvalue is replaced by its absolute value, so that negative
curvature leads away from saddles and false zeros (Gill, Murray and Wright 1981, section 4.4). Steps are limited in units of the
parameters' own size, and when they do not pay they are made straight in the covariances (see `straight`), or shortened by the cubic
through the values and slopes at both ends.
An average information matrix in place of the Hessian is positive definite and takes the same road, in more steps.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from scipy.linalg import lapack

from ranef.optim.problem import Array, Evaluation
from ranef.optim.straight import straight
from ranef.optim.trace import Trace, largest

EPS = float(np.finfo(float).eps)
DECREMENT = 1e-10  # g'H^-1 g / 2, in units of the deviance
DECREMENT_DEAR = 1e-8  # the same where the exact Hessian is dear: the last step, which is still taken, leaves about the square
DECREMENT_CLOSE, CLOSE = 1e-7, 1e-5  # the same for a step that is, relative to theta, so short that the Hessian hardly changes
ROUNDING = 1e-6  # values are not trusted to tell differences below this, where gradients still can
FLAT = 1e-9  # a scaled eigenvalue below this is zero: the direction is not identified
SADDLE = 1e-6  # a negative eigenvalue nearer to zero is rounding
LEVEL = (
    1e-3  # a curvature below this, per squared size of the parameter, is none: steps must not follow what rounding makes of zero
)
IDENTIFIED = 1e-6  # a scaled eigenvalue above this is trusted for the last step
NOTHING = 1e-13  # a last step below this share of the largest parameter is rounding
ZERO = 1e-9  # a parameter below this share of the largest, after the last step, is zero
NEAR = 1e-4  # a decrement below this makes the exact Hessian worth its price: the next step is likely the last
REACH = 4.0  # the longest step relative to the size of the parameters
FALL = 0.9  # a decrement that does not fall below this share of the least one has not fallen
PATIENCE = 6  # steps as short as rounding in a row, none of which brings the decrement down, after which the rest of it is rounding
CAREFUL = 0.5  # the same where the criterion is not convex: longer steps jump over optima
LIMIT = 200  # iterations from one start
WALL = 0.25  # a rise by more than this share of the promised decrease suggests a curved valley,
WORTHWHILE = 0.1  # for which a step straight in the covariances must bring this share
SUFFICIENT = 1e-4  # share of the promised decrease that a step must bring (Armijo)
SIZE = 0.25  # added to the size of the parameters, so that zeros can be left

Known = Callable[[Evaluation], bool]


@dataclass(frozen=True, eq=False)
class Model:
    """The quadratic model at a point: the step that it proposes, the decrease that it promises, and whether it curves downwards."""

    step: Array
    decrement: float
    saddle: bool


@dataclass(frozen=True, eq=False)
class Descent:
    """Where the way down ended: `converged`, or `merged` into an optimum that was known before."""

    at: Evaluation
    decrement: float
    converged: bool = False
    merged: bool = False
    saddle: bool = False  # negative curvature was met on the way


def descend(trace: Trace, start: Array, known: Known | None = None, note: str = "") -> Descent:
    """Follow Newton steps until the decrement vanishes, or `known` says that the optimum ahead is an old one."""
    at = trace.evaluate(start, 2, note)
    if at.hessian is None or not np.isfinite(at.value):
        return Descent(at, np.inf)
    saddle, dear = False, not at.exact
    best: Descent | None = None
    idle = 0
    for _ in range(LIMIT):
        if trace.evaluations > trace.most:
            break
        model = propose(at)
        saddle = saddle or model.saddle
        if at.unfinished and not model.saddle and model.decrement <= _enough(at, model):
            at = trace.evaluate(at.theta, 3)
            model = propose(at)
        enough = _enough(at, model) if dear and at.exact else DECREMENT
        if not model.saddle and model.decrement <= max(enough, 4.0 * EPS * abs(at.value)):
            return Descent(polished(at, model), model.decrement, converged=True, saddle=saddle)
        if known is not None and known(at):
            return Descent(at, model.decrement, merged=True, saddle=saddle)
        best, idle = _least(best, Descent(at, model.decrement, converged=not model.saddle, saddle=saddle), idle)
        if best is not None and idle == PATIENCE:
            return best
        nearer = _search(trace, at, model)
        if nearer is None:
            return best or Descent(at, model.decrement, saddle=saddle)
        at = nearer
    return best or Descent(at, propose(at).decrement, saddle=saddle)


def _least(best: Descent | None, here: Descent, idle: int) -> tuple[Descent | None, int]:
    """The end with the least decrement among those as short as rounding, and how many steps have brought nothing since.

    In a curved valley the decrement rises with each step along the valley and falls with the next one across.
    """
    if best is not None and here.at.value < best.at.value - ROUNDING:
        best = None
    if here.converged and here.decrement < (FALL * best.decrement if best is not None else ROUNDING):
        return here, 0
    return best, idle + 1


def _enough(at: Evaluation, model: Model) -> float:
    """The decrement that may be left to the last step, with the exact Hessian, where that is dear."""
    return DECREMENT_CLOSE if (np.abs(model.step) <= CLOSE * np.abs(at.theta)).all() else DECREMENT_DEAR


def propose(at: Evaluation) -> Model:
    """The modified Newton step of an evaluation to order 2."""
    g, H = at.gradient, at.hessian
    assert g is not None and H is not None
    unit = units(at)
    slope = g * unit
    scaled = H * unit * unit[:, None]
    factor, step, info = lapack.dposv(scaled, -slope)
    if info == 0 and factor.diagonal().min() > 1e-4:
        return Model(step * unit, -0.5 * float(slope @ step), False)
    values, vectors, _ = lapack.dsyevd(scaled)
    return _bent(values, vectors, slope, unit)


def polished(at: Evaluation, model: Model) -> Evaluation:
    """The end of the last Newton step, which is too short to be worth an evaluation but doubles the correct digits of theta.

    The value moves by less than `DECREMENT`, and by the quadratic model exactly as written here. What is left of a parameter that
    goes to zero is set to zero. Where the step is rounding, the evaluation stays what it is.
    """
    g, H = at.gradient, at.hessian
    assert g is not None and H is not None
    size = largest(at.theta)
    if largest(model.step) <= NOTHING * size and np.abs(at.theta).min(initial=1.0) > ZERO * (1.0 + size):
        return at
    unit = units(at)
    values, vectors, _ = lapack.dsyevd(H * unit * unit[:, None])
    along = vectors.T @ (g * unit)
    step = unit * (vectors @ np.where(values > IDENTIFIED, -along / np.maximum(values, IDENTIFIED), 0.0))
    theta = at.theta + step
    theta[np.abs(theta) < ZERO * (1.0 + largest(theta))] = 0.0
    return replace(at, theta=theta, value=at.value + 0.5 * float(g @ step), gradient=g + H @ step)


def units(at: Evaluation) -> Array:
    """(q,) the scale of each parameter: what makes the diagonal of the Hessian one."""
    assert at.hessian is not None
    return 1.0 / np.sqrt(np.maximum(np.abs(at.hessian.diagonal()), LEVEL / (1.0 + at.theta * at.theta)))


def _bent(values: Array, vectors: Array, slope: Array, unit: Array) -> Model:
    """The step with absolute eigenvalues; along negative curvature it has at least unit length, or saddles would hold it."""
    along = vectors.T @ slope
    step = -along / np.maximum(np.abs(values), FLAT)
    downward = values < -SADDLE
    short = downward & (np.abs(step) < 1.0)
    step[short] = np.where(along[short] > 0, -1.0, 1.0)
    flat = (values <= FLAT) & ~downward
    if flat.any():
        step[flat] = np.where(np.abs(along[flat]) > DECREMENT, np.clip(step[flat], -1.0, 1.0), 0.0)
    return Model((vectors @ step) * unit, 0.5 * float(np.abs(along * step).sum()), bool(downward.any()))


def _search(trace: Trace, at: Evaluation, model: Model) -> Evaluation | None:
    """A point along the step that pays, evaluated to order 2 or 3; None when there is none down to rounding."""
    assert at.gradient is not None and at.hessian is not None
    theta, step = at.theta, model.step
    reach = (CAREFUL if model.saddle else REACH) * (SIZE + largest(theta))
    longest = largest(step)
    length = 1.0 if longest <= reach else float(reach / longest)
    slope = float(at.gradient @ step)
    bend = min(float(step @ at.hessian @ step), 0.0) if model.saddle else 0.0
    slack = ROUNDING if not model.saddle and model.decrement < ROUNDING else 8.0 * EPS * abs(at.value)
    order = 3 if model.decrement <= NEAR and not at.unfinished else 2
    for tried in range(40):
        trial = trace.evaluate(theta + length * step, order)
        promised = -length * (slope + 0.5 * length * bend)
        if at.value - trial.value >= SUFFICIENT * promised - slack:
            return trial
        if not tried and not model.saddle and trial.value - at.value > WALL * promised:
            other = straight(trace.problem.blocks, theta, length * step)
            turned = None if other is None else trace.evaluate(other, order)
            if turned is not None and at.value - turned.value >= WORTHWHILE * promised:
                return turned
        length *= _shorter(at, trial, length * step)
    return None


def _shorter(at: Evaluation, trial: Evaluation, step: Array) -> float:
    """The minimiser of the cubic through values and slopes at both ends, kept within [0.1, 0.5]."""
    if trial.gradient is None or at.gradient is None or not np.isfinite(trial.value):
        return 0.1
    first, last = float(at.gradient @ step), float(trial.gradient @ step)
    mean = first + last - 3.0 * (trial.value - at.value)
    inside = mean * mean - first * last
    if inside < 0.0:
        return 0.25
    root = inside**0.5
    bottom = last - first + 2.0 * root
    return min(0.5, max(0.1, 1.0 - (last + root - mean) / bottom)) if bottom > 0.0 else 0.25
