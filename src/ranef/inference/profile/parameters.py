"""The parameters of a model, and for each the surface in whose coordinates it is one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from ranef.core.layout import Block, Layout, Part
from ranef.core.solution import Solution
from ranef.covariance.base import Array
from ranef.covariance.diagonal import Diagonal
from ranef.covariance.identity import Identity
from ranef.covariance.unstructured import Unstructured
from ranef.inference.profile.coordinates import Turned, turned
from ranef.inference.profile.surface import Joint, Surface, scaled_by_sigma, with_coefficient
from ranef.optim.problem import Evaluation

if TYPE_CHECKING:
    from ranef.fit.fit import Fit


@dataclass(frozen=True, eq=False)
class Axis:
    """A parameter and the surface in whose coordinates it is one."""

    effect: str
    group: str | None
    term: str
    make: Callable[[], Surface]


def axes(fit: Fit, solution: Solution) -> tuple[Axis, ...]:
    """Fixed effects, then the variance parameters in the order of `varcorr`."""
    design, criterion = fit.model.design, solution.criterion
    out = [Axis("fixed", None, design.names[j], partial(_coefficient, solution, j)) for j in criterion.gram.standard.kept]
    for f, part in criterion.layout.parts:
        if not isinstance(part.covariance, Unstructured | Diagonal | Identity):
            continue
        term = design.terms[part.term]
        group, names, k = term.group.name, term.names, term.width
        out += [Axis("ran_pars", group, f"sd__{names[i]}", partial(_deviation, solution, f, part, i)) for i in range(k)]
        if isinstance(part.covariance, Unstructured):
            pairs = combinations(range(k), 2)
            out += [
                Axis("ran_pars", group, f"cor__{names[i]}.{names[j]}", partial(_correlation, solution, f, part, i, j))
                for i, j in pairs
            ]
    if criterion.scale is not None:
        return tuple(replace(axis, make=partial(_held, axis.make)) for axis in out)
    out.append(Axis("ran_pars", "Residual", "sd__Observation", partial(_residual, solution)))
    return tuple(out)


def _held(make: Callable[[], Surface]) -> Surface:
    """The surface at the known sigma: without its first coordinate."""
    full = make()
    tau = full.optimum[:1]

    def function(v: Array) -> Evaluation:
        at = full.function(np.append(tau, v))
        if at.gradient is None or at.hessian is None:
            return replace(at, theta=v)
        return replace(at, theta=v, gradient=at.gradient[1:], hessian=at.hessian[1:, 1:])

    return replace(full, function=function, optimum=full.optimum[1:], axis=full.axis - 1)


def _lowest(solution: Solution) -> float:
    return solution.criterion.value(solution.pieces)


def _joint(solution: Solution, layout: Layout) -> Joint:
    criterion = solution.criterion
    return Joint(criterion.engine, layout, criterion.nu, criterion.constant)


def _tau(solution: Solution) -> float:
    criterion = solution.criterion
    if criterion.scale is not None:
        return float(np.log(criterion.scale))
    return 0.5 * float(np.log(solution.pieces.gls.pwrss / criterion.nu))


def _residual(solution: Solution) -> Surface:
    unit = solution.criterion.gram.standard.unit
    v = np.append(_tau(solution), solution.theta)
    function = _joint(solution, solution.criterion.layout).evaluate
    return Surface(function, v, 0, (-np.inf, np.inf), lambda u: unit * float(np.exp(u)), _lowest(solution))


def _coefficient(solution: Solution, j: int) -> Surface:
    standard = solution.criterion.gram.standard
    w, unit, shift = solution.to_user[j], standard.unit, float(standard.shift[j])
    v = np.concatenate([[_tau(solution)], solution.theta, [w @ solution.pieces.gls.gamma]])
    function = with_coefficient(_joint(solution, solution.criterion.layout), w)
    return Surface(function, v, len(v) - 1, (-np.inf, np.inf), lambda u: unit * u + shift, _lowest(solution))


def _deviation(solution: Solution, f: int, part: Part, i: int) -> Surface:
    gram = solution.criterion.gram
    S, unit, layout, theta = gram.z_map(f)[part.columns, part.columns], gram.standard.unit, gram.layout, solution.theta
    at, factor = part.theta.start, 1.0 / S[i, i]
    if isinstance(part.covariance, Unstructured):
        w = np.asarray(np.linalg.inv(S)[i : i + 1])
        layout, theta = _in_coordinates(solution, f, part, turned(w))
        factor = float(np.linalg.norm(w))
    elif isinstance(part.covariance, Diagonal):
        at += i
    v = np.append(_tau(solution), theta)
    v[1 + at] *= np.exp(v[0])
    function = scaled_by_sigma(_joint(solution, layout), 1 + at)
    return Surface(function, v, 1 + at, (0.0, np.inf), lambda u: unit * factor * u, _lowest(solution))


def _correlation(solution: Solution, f: int, part: Part, i: int, j: int) -> Surface:
    S = solution.criterion.gram.z_map(f)[part.columns, part.columns]
    covariance = turned(np.asarray(np.linalg.inv(S)[[i, j]]))
    layout, theta = _in_coordinates(solution, f, part, covariance)
    v = np.append(_tau(solution), theta)
    axis = 1 + part.theta.start + covariance.place
    function = _joint(solution, layout).evaluate
    return Surface(function, v, axis, (-np.pi / 2, np.pi / 2), lambda u: float(np.sin(u)), _lowest(solution))


def _in_coordinates(solution: Solution, f: int, part: Part, covariance: Turned) -> tuple[Layout, Array]:
    """The layout with the covariance of one part replaced, and theta in it."""
    old = solution.criterion.layout
    theta = solution.theta.copy()
    theta[part.theta] = covariance.of_factor(solution.factors[f][part.columns, part.columns])
    parts = tuple(replace(p, covariance=covariance) if p is part else p for p in old.blocks[f].parts)
    blocks: list[Block] = list(old.blocks)
    blocks[f] = replace(blocks[f], parts=parts)
    return Layout(tuple(blocks), old.size), theta
