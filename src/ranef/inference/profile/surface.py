"""-2 log L as a function of all parameters, one of them the tested one; with first and second derivatives.

With tau = log sigma (in standardised units), s = y'Py and V = I + Z Lambda Lambda'Z',

    D(tau, theta) = log|V| + n (2 tau + log 2 pi) + exp(-2 tau) s(theta)

and with beta_j held at b, s(theta, b) is that of the response y - b x_j on the other columns; the columns of the Gram blocks are
mapped, no row is read again. A `Surface` is D in the coordinates in which the tested parameter is the one at `axis`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from scipy.linalg import LinAlgError

from ranef.core.block import Block
from ranef.core.criterion import Engine
from ranef.core.dense import Dense
from ranef.core.gram import Gram
from ranef.core.layout import Layout
from ranef.core.pieces import Pieces
from ranef.core.plain import Plain
from ranef.core.single import Single
from ranef.covariance.base import Array
from ranef.optim.problem import Evaluation

FARTHEST = 300.0  # |tau| beyond which exp(-2 tau) says nothing


@dataclass(frozen=True, eq=False)
class Joint:
    """D at v = (tau, theta)."""

    engine: Engine
    layout: Layout
    nobs: int
    constant: float

    def evaluate(self, v: Array, *, engine: Engine | None = None) -> Evaluation:
        """Value, gradient and Hessian (average information where second traces are too dear); infinite where D is not defined."""
        tau, theta = float(v[0]), v[1:]
        if abs(tau) > FARTHEST:
            return Evaluation(v, np.inf)
        try:
            pieces = (engine or self.engine).pieces(self.layout.factors(theta), 2)
        except (LinAlgError, np.linalg.LinAlgError):
            return Evaluation(v, np.inf)
        weight, s = float(np.exp(-2.0 * tau)), pieces.gls.pwrss
        value = pieces.logdet_u + self.nobs * (2.0 * tau + float(np.log(2.0 * np.pi))) + weight * s + self.constant
        slope, curvature, drop = self._by_direction(pieces, weight)
        J = self.layout.jacobian(theta)
        gradient, hessian = np.empty(len(v)), np.empty((len(v), len(v)))
        gradient[0], gradient[1:] = 2.0 * self.nobs - 2.0 * weight * s, J @ slope
        hessian[0, 0] = 4.0 * weight * s
        hessian[0, 1:] = hessian[1:, 0] = 2.0 * (J @ drop)
        hessian[1:, 1:] = J @ curvature @ J.T + self.layout.curvature(theta, slope)
        return Evaluation(v, value, gradient, hessian, pieces.h is not None)

    def _by_direction(self, pieces: Pieces, weight: float) -> tuple[Array, Array, Array]:
        """dD/domega, d2D/domega2, and the fall -exp(-2 tau) ds/domega."""
        assert pieces.t is not None and pieces.F is not None and pieces.y is not None
        F = pieces.F
        drop = weight * F[:, -1, -1]
        middle = weight * (pieces.y - F[:, :-1, -1] @ F[:, :-1, -1].T)
        return pieces.t - drop, middle if pieces.h is None else 2.0 * middle - pieces.h, drop


@dataclass(frozen=True, eq=False)
class Surface:
    """D in coordinates v of which v[axis] is the tested parameter, within `bounds`; `user` brings it to the user's scale."""

    function: Callable[[Array], Evaluation]
    optimum: Array  # (d,)
    axis: int
    bounds: tuple[float, float]
    user: Callable[[float], float]
    lowest: float  # D at the optimum

    def evaluate(self, v: Array) -> Evaluation:
        return self.function(v)


@dataclass(frozen=True, eq=False)
class Slice:
    """A surface at a fixed value of the tested parameter: a problem for the optimizers."""

    blocks: ClassVar[tuple[()]] = ()  # theta is no stretch of factors

    surface: Surface
    at: float

    def evaluate(self, theta: Array, order: int) -> Evaluation:
        full = self.surface.evaluate(self.lift(theta))
        if full.gradient is None or full.hessian is None:
            return Evaluation(theta, full.value)
        free = np.arange(len(theta) + 1) != self.surface.axis
        return Evaluation(theta, full.value, full.gradient[free], full.hessian[np.ix_(free, free)], full.exact)

    def lift(self, theta: Array) -> Array:
        return np.insert(theta, self.surface.axis, self.at)


def scaled_by_sigma(joint: Joint, axis: int) -> Callable[[Array], Evaluation]:
    """D with the relative standard deviation theta at `axis` written as u exp(-tau): u is the absolute one."""

    def function(v: Array) -> Evaluation:
        share = float(np.exp(-np.clip(v[0], -FARTHEST, FARTHEST)))
        u, inner = float(v[axis]), v.copy()
        inner[axis] = u * share
        at = joint.evaluate(inner)
        if at.gradient is None or at.hessian is None:
            return replace(at, theta=v)
        map_ = np.eye(len(v))
        map_[axis, axis], map_[axis, 0] = share, -u * share
        hessian = map_.T @ at.hessian @ map_
        hessian[0, 0] += at.gradient[axis] * u * share
        hessian[0, axis] -= at.gradient[axis] * share
        hessian[axis, 0] -= at.gradient[axis] * share
        return Evaluation(v, at.value, map_.T @ at.gradient, hessian, at.exact)

    return function


def with_coefficient(joint: Joint, w: Array) -> Callable[[Array], Evaluation]:
    """D of v = (tau, theta, b) with w'gamma = b held, w (r,): the response is y - b x, the other columns are orthogonal to w."""
    r = len(w)
    along = w / (w @ w)
    across = np.linalg.svd(w[None])[2][1:].T  # (r, r-1)

    def function(v: Array) -> Evaluation:
        b, inner = float(v[-1]), v[:-1]
        columns = np.zeros((r + 1, r))
        columns[:r, : r - 1], columns[:r, -1], columns[r, -1] = across, -b * along, 1.0
        at = joint.evaluate(inner, engine=mapped(joint.engine, columns))
        if at.gradient is None or at.hessian is None:
            return replace(at, theta=v)
        slope, cross, curvature = _coefficient_derivatives(joint, inner, w, b)
        gradient, hessian = np.append(at.gradient, slope), np.empty((len(v), len(v)))
        hessian[:-1, :-1], hessian[-1, :-1], hessian[:-1, -1], hessian[-1, -1] = at.hessian, cross, cross, curvature
        return Evaluation(v, at.value, gradient, hessian, at.exact)

    return function


def _coefficient_derivatives(joint: Joint, v: Array, w: Array, b: float) -> tuple[float, Array, float]:
    """dD/db, d2D/db d(tau, theta), d2D/db2: s(theta, b) = s(theta) + (b - w'gamma)^2 / var, with var = w'(X'V^-1X)^-1 w."""
    pieces = joint.engine.pieces(joint.layout.factors(v[1:]), 1)
    assert pieces.F is not None
    xi = np.linalg.solve(pieces.gls.lower, w)
    var, off, weight = float(xi @ xi), b - float(w @ pieces.gls.gamma), float(np.exp(-2.0 * v[0]))
    slope = 2.0 * weight * off / var
    unit = xi / np.sqrt(var)
    fixed = np.einsum("a,dab,b->d", unit, pieces.F[:, :-1, :-1], unit)
    mixed = pieces.F[:, -1, :-1] @ unit
    by_direction = 2.0 * weight / np.sqrt(var) * (mixed - off / np.sqrt(var) * fixed)
    return slope, np.append(-2.0 * slope, joint.layout.jacobian(v[1:]) @ by_direction), 2.0 * weight / var


def mapped(engine: Engine, columns: Array) -> Engine:
    """The engine of the columns [X y] times `columns` (r+1, c), the last of which is the response."""
    if isinstance(engine, Single):
        return replace(engine, E=engine.E @ columns, rest=columns.T @ engine.rest @ columns)
    if isinstance(engine, Dense):
        q = engine.offsets[-1]
        right = np.asfortranarray(np.hstack([engine.right[:, :q], engine.right[:, q:] @ columns]))
        return replace(engine, right=right, rest=columns.T @ engine.rest @ columns)
    assert isinstance(engine, Block | Plain)
    old = engine.system.gram if isinstance(engine, Block) else engine.gram
    gram = replace(old, ww=columns.T @ old.ww @ columns, zw=tuple(zw @ columns for zw in old.zw))
    return _mapped_block(engine, gram, columns) if isinstance(engine, Block) else Plain(gram)


def _mapped_block(engine: Block, gram: Gram, columns: Array) -> Block:
    system, structured = engine.system, engine.structured
    stages = tuple(replace(stage, zw=stage.zw @ columns) for stage in system.stages)
    rest = columns.T @ system.rest @ columns
    system = replace(system, gram=gram, stages=stages, slopes=system.slopes @ columns, rest=rest)
    if structured is not None:
        D, slopes = structured.D, structured.slopes @ columns
        structured = replace(structured, gram=gram, D=(D[0] @ columns, D[1] @ columns), slopes=slopes, rest=rest)
    return Block(system, structured)
