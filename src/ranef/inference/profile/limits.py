"""Where the profile of a surface reaches a given height: Newton's method for the constrained problem, a bracket where it fails.

On the profile the gradient vanishes in all coordinates but the tested one. From a point near it, the quadratic model gives at once
the way back to the profile and the way along it to the height that is sought: Venzon and Moolgavkar (1988), Applied Statistics 37,
87-94. Steps start at the optimum, or at the last point found, and end after four or five evaluations. Where the model is not
convex, or the steps do not settle, the height is bracketed: at each trial value all others are minimised from the nearest solution.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ranef.covariance.base import Array
from ranef.inference.profile.surface import Slice, Surface
from ranef.optim.newton import descend
from ranef.optim.problem import Evaluation
from ranef.optim.trace import Trace

LIMIT = 25  # Newton steps
CLOSE = 1e-6  # height and decrement from which one more step of second order is exact
FLAT = 1e-8  # a scaled eigenvalue below this is zero: the direction is not identified
ASTRAY = 0.5  # a decrement above which the other parameters are minimised before the next step
REACH = 3.0  # a step may triple the distance from the optimum
HEIGHT = 1e-7  # of the bracketed solution: a few 1e-8 of a standard error
TRIALS = 80
TOLERABLE = 1e-4  # a decrement of a minimisation that ended without convergence
GAIN = 1e-8  # of the value, that three iterations of a minimisation must bring; below it they move in the rounding
BETTER = 1e-5  # a point this far below the optimum is a better optimum


class Lower(Exception):
    """A point of the surface lies below what was taken for its minimum."""


class Unreachable(Exception):
    """The height is not reached, or not found."""


@dataclass(frozen=True, eq=False)
class Point:
    """A point of the profile; `bounded` says that the height is not reached before the end of the parameter's range."""

    v: Array
    value: float
    bounded: bool = False


@dataclass(frozen=True, eq=False)
class Model:
    """The profile near a point: slope and curvature along it, how far the point is above it, the ways back to it and along it."""

    slope: float
    curvature: float
    decrement: float
    back: Array  # (d,) zero at the axis
    along: Array  # (d,) one at the axis


def model_at(at: Evaluation, axis: int) -> Model | None:
    """None where the other parameters are not at a minimum to second order."""
    assert at.gradient is not None and at.hessian is not None
    free = np.flatnonzero(np.arange(len(at.theta)) != axis)
    H, g = at.hessian[np.ix_(free, free)], at.gradient[free]
    unit = 1.0 / np.sqrt(np.maximum(np.abs(H.diagonal()), 1e-12))
    values, vectors = np.linalg.eigh(H * unit * unit[:, None])
    if len(values) and values[0] < -FLAT:
        return None
    inverse = np.divide(1.0, values, out=np.zeros_like(values), where=values > FLAT)
    solve = unit[:, None] * (vectors * inverse) @ vectors.T * unit
    cross = at.hessian[axis, free]
    back, along = np.zeros(len(at.theta)), np.zeros(len(at.theta))
    back[free], along[free], along[axis] = -solve @ g, -solve @ cross, 1.0
    return Model(
        float(at.gradient[axis] + cross @ back[free]), float(at.hessian[axis, axis] + cross @ along[free]),
        -0.5 * float(g @ back[free]), back, along,
    )  # fmt: skip


def reach(surface: Surface, start: Evaluation, height: float, side: int, origin: float) -> Point:
    """The point of the profile with the value `height` below (-1) or above (+1) `origin`, the tested parameter's estimate.

    Raises Unreachable, and Lower where a better optimum is met.
    """
    bound = surface.bounds[0] if side < 0 else surface.bounds[1]
    try:
        return _newton(surface, start, height, side, origin, bound)
    except _Stuck as stuck:
        return _bracket(surface, start, height, side, bound, stuck.end)


class _Stuck(Exception):
    def __init__(self, end: Point | None = None) -> None:
        self.end = end  # the point at the bound, if it has been found


def _newton(surface: Surface, at: Evaluation, height: float, side: int, origin: float, bound: float) -> Point:
    axis, close = surface.axis, CLOSE if at.exact else CLOSE / 1e3
    end: Point | None = None
    inside, outside = origin, np.inf * side
    for _ in range(LIMIT):
        at, model = _on_profile(surface, at, end)
        u, missing = float(at.theta[axis]), height - (at.value - model.decrement)
        step = _along(model, missing, side)
        if step is None:
            raise _Stuck(end)
        if model.decrement <= close and abs(missing) <= close and u != origin:
            return Point(at.theta + model.back + step * model.along, height)
        inside, outside = (u, outside) if missing > 0.0 else (inside, u)
        target = u + step if u == origin else u + side * max(min(side * step, REACH * abs(u - origin)), -REACH * abs(u - origin))
        if side * (target - bound) >= 0.0:
            if end is None:
                end = _end(surface, at.theta, bound)
                if end.value <= height:
                    return Point(end.v, end.value, bounded=True)
            target = (u + bound) / 2.0
        if side * (target - inside) <= 0.0 or side * (target - outside) >= 0.0:
            target = (inside + outside) / 2.0 if np.isfinite(outside) else inside + side * abs(step)
        at = _evaluated(surface, at.theta + model.back + (target - u) * model.along, at.theta)
    raise _Stuck(end)


def _on_profile(surface: Surface, at: Evaluation, end: Point | None) -> tuple[Evaluation, Model]:
    """The point, brought back to the profile where it went astray, and the model there."""
    model = model_at(at, surface.axis)
    if model is not None and model.decrement > ASTRAY:
        at = minimised(surface, at.theta, float(at.theta[surface.axis]))
        model = model_at(at, surface.axis)
    if model is None or model.decrement > ASTRAY:
        raise _Stuck(end)
    return at, model


def _along(model: Model, missing: float, side: int) -> float | None:
    """The step that makes up for what is missing: the root of slope d + curvature d^2 / 2 = missing on the right branch."""
    inside = model.slope**2 + 2.0 * model.curvature * missing
    if inside < 0.0:
        return None
    bottom = model.slope + side * float(np.sqrt(inside))
    return 2.0 * missing / bottom if side * bottom > 0.0 else None


def _evaluated(surface: Surface, v: Array, old: Array) -> Evaluation:
    """The surface at v; where it is not defined, nearer to the old point."""
    for _ in range(8):
        at = surface.evaluate(v)
        if np.isfinite(at.value):
            return at
        v = (v + old) / 2.0
    raise _Stuck


def minimised(surface: Surface, v: Array, u: float) -> Evaluation:
    """The minimum over all other parameters with the tested one held at u, from v. Raises _Stuck where there is none."""
    if len(v) == 1:
        return surface.evaluate(np.array([u]))
    piece, values = Slice(surface, u), [np.inf] * 3

    def settled(at: Evaluation) -> bool:
        values.append(at.value)
        return bool(values[-4] - at.value < GAIN)

    found = descend(Trace(piece), np.delete(v, surface.axis), settled)  # type: ignore[arg-type]
    if found.at.value < surface.lowest - BETTER:
        raise Lower(f"{found.at.value:.6f}")
    if not np.isfinite(found.at.value) or not (found.converged or found.decrement < TOLERABLE):
        raise _Stuck
    return surface.evaluate(piece.lift(found.at.theta))


def _end(surface: Surface, v: Array, bound: float) -> Point:
    at = minimised(surface, v, bound)
    return Point(at.theta, at.value)


def _bracket(surface: Surface, start: Evaluation, height: float, side: int, bound: float, end: Point | None) -> Point:
    """Expand until the height is enclosed, then close in by the Illinois rule on the square root of the rise."""
    axis, origin = surface.axis, float(start.theta[surface.axis])
    inner, outer = (origin, start.theta, start.value), None
    if end is not None:
        outer = (bound, end.v, end.value)
    size = _first_step(start, axis, height)
    try:
        for _ in range(TRIALS):
            if outer is not None:
                return _close_in(surface, inner, outer, height)
            u = inner[0] + side * size
            last = side * (u - bound) >= 0.0
            at = minimised(surface, inner[1], bound if last else u)
            if at.value >= height:
                outer = (float(at.theta[axis]), at.theta, at.value)
            elif last:
                return Point(at.theta, at.value, bounded=True)
            else:
                inner, size = (u, at.theta, at.value), size * 1.6
    except _Stuck:
        pass
    raise Unreachable


def _first_step(start: Evaluation, axis: int, height: float) -> float:
    model = model_at(start, axis)
    if model is not None and model.curvature > 0.0:
        return 0.5 * float(np.sqrt(2.0 * max(height - start.value, 1e-3) / model.curvature))
    return 0.1 * max(abs(float(start.theta[axis])), 0.1)


def _close_in(surface: Surface, inner: tuple[float, Array, float], outer: tuple[float, Array, float], height: float) -> Point:
    low, high = inner, outer
    weights = [1.0, 1.0]
    for _ in range(TRIALS):
        a, b = (low[2] - height) * weights[0], (high[2] - height) * weights[1]
        share = min(max(-a / (b - a), 0.02), 0.98) if b > a else 0.5
        u = low[0] + share * (high[0] - low[0])
        at = minimised(surface, low[1], u)
        if abs(at.value - height) <= HEIGHT * (1.0 + 1e-3 * abs(height)) or abs(high[0] - low[0]) <= 1e-12 * (abs(u) + 1e-300):
            return Point(at.theta, at.value)
        if at.value < height:
            low, weights = (u, at.theta, at.value), [1.0, 0.5 * weights[1]]
        else:
            high, weights = (u, at.theta, at.value), [0.5 * weights[0], 1.0]
    raise Unreachable
