"""Transforms that learn something from the data of the fit (a mean, knots, a recurrence) and keep it for new data.

One registry: a name leads to `fit(values, arguments) -> state` and `apply(values, state) -> columns`. The state is plain JSON data.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ranef.design import Array
from ranef.schema.polynomials import apply_polynomial, fit_polynomial, raw_powers
from ranef.schema.splines import apply_bspline, apply_cardinal, apply_natural, fit_bspline, fit_cardinal, fit_natural, place_knots

State = dict[str, Any]
Arguments = Mapping[str, Any]


class TransformError(Exception):
    """The arguments or the data do not suit the transform; the caller adds where in the formula."""


@dataclass(frozen=True)
class Stateful:
    """`parameters` are those after the values, with their defaults, in the order in which they may be given by position."""

    parameters: Mapping[str, Any]
    fit: Callable[[Array, Arguments], State]
    apply: Callable[[Array, State], Array]


def _fit_scale(values: Array, given: Arguments) -> State:
    """R's `scale`: subtract the mean, divide by the standard deviation (n - 1); uncentred, by the root mean square."""
    centre = _switch(given, "center", lambda: float(values.mean()))
    left = values - centre
    divisor = _switch(given, "scale", lambda: float(np.sqrt(left @ left / max(1, len(left) - 1))), otherwise=1.0)
    if not divisor > 0:
        raise TransformError("the values are constant, so they cannot be divided by their standard deviation")
    return {"center": centre, "scale": divisor}


def _switch(given: Arguments, name: str, compute: Callable[[], float], otherwise: float = 0.0) -> float:
    """An argument that is True (compute), False (do nothing) or a number."""
    asked = given[name]
    if isinstance(asked, bool):
        return compute() if asked else otherwise
    return number(given, name)


def _apply_scale(values: Array, state: State) -> Array:
    return (values - state["center"]) / state["scale"]


def _fit_poly(values: Array, given: Arguments) -> State:
    degree = count(given, "degree", least=1)
    if given["raw"]:
        return {"raw": degree}
    distinct = len(np.unique(values))
    if degree >= distinct:
        raise TransformError(f"a polynomial of degree {degree} needs more than {degree} distinct values; there are {distinct}")
    return fit_polynomial(values, degree)


def _apply_poly(values: Array, state: State) -> Array:
    return raw_powers(values, state["raw"]) if "raw" in state else apply_polynomial(values, state)


def _fit_bs(values: Array, given: Arguments) -> State:
    degree, intercept = count(given, "degree", least=1), bool(given["intercept"])
    boundary = _boundary(values, given)
    inner = _inner_knots(values, given, boundary, spent=degree + (1 if intercept else 0))
    return fit_bspline(inner, boundary, degree=degree, intercept=intercept)


def _fit_ns(values: Array, given: Arguments) -> State:
    intercept = bool(given["intercept"])
    boundary = _boundary(values, given)
    inner = _inner_knots(values, given, boundary, spent=1 + (1 if intercept else 0))
    return fit_natural(inner, boundary, intercept=intercept)


def _fit_cr(values: Array, given: Arguments) -> State:
    centred = _constraint(given)
    boundary = _boundary(values, given)
    inner = _inner_knots(values, given, boundary, spent=1 if centred else 2)
    return fit_cardinal(values, [boundary[0], *inner, boundary[1]], centred=centred)


def _constraint(given: Arguments) -> bool:
    if given["constraints"] not in ("center", "none", None):
        raise TransformError('\'constraints\' is "center" or "none"')
    return given["constraints"] == "center"


def _boundary(values: Array, given: Arguments) -> tuple[float, float]:
    asked = given["Boundary.knots"]
    ends = [float(values.min()), float(values.max())] if asked is None else sorted(numbers(given, "Boundary.knots"))
    if len(ends) != 2 or not ends[0] < ends[1]:
        raise TransformError("a spline needs two different boundary knots" + ("; the values are constant" if asked is None else ""))
    return ends[0], ends[1]


def _inner_knots(values: Array, given: Arguments, boundary: tuple[float, float], spent: int) -> list[float]:
    """The knots that were given, or as many as `df` leaves after the `spent` ones."""
    if given["knots"] is not None:
        inner = sorted(numbers(given, "knots"))
        if inner and not boundary[0] < inner[0] <= inner[-1] < boundary[1]:
            raise TransformError(f"inner knots must lie between the boundary knots {boundary[0]:g} and {boundary[1]:g}")
        return inner
    if given["df"] is None:
        return []
    inner = place_knots(values, count(given, "df", least=spent) - spent, boundary)
    if inner and (inner[0] <= boundary[0] or inner[-1] >= boundary[1] or len(set(inner)) < len(inner)):
        raise TransformError(
            f"so many values are equal that the quantiles for df = {given['df']} coincide; give fewer df, or knots"
        )
    return inner


def numbers(given: Arguments, name: str) -> list[float]:
    asked = given[name] if isinstance(given[name], list) else [given[name]]
    if not all(isinstance(item, int | float) and np.isfinite(item) for item in asked):
        raise TransformError(f"{name!r} must be finite numbers")
    return [float(item) for item in asked]


def number(given: Arguments, name: str) -> float:
    found = numbers(given, name)
    if len(found) != 1:
        raise TransformError(f"{name!r} must be one number")
    return found[0]


def count(given: Arguments, name: str, *, least: int) -> int:
    asked = number(given, name)
    if not asked.is_integer() or not least <= asked <= 1000:
        raise TransformError(f"{name!r} must be a whole number from {least} to 1000, not {asked:g}")
    return int(asked)


SPLINE = {"df": None, "knots": None}

STATEFUL: dict[str, Stateful] = {
    "scale": Stateful({"center": True, "scale": True}, _fit_scale, _apply_scale),
    "center": Stateful({}, lambda values, given: _fit_scale(values, {"center": True, "scale": False}), _apply_scale),
    "standardize": Stateful({}, lambda values, given: _fit_scale(values, {"center": True, "scale": True}), _apply_scale),
    "poly": Stateful({"degree": 1, "raw": False}, _fit_poly, _apply_poly),
    "bs": Stateful(SPLINE | {"degree": 3, "intercept": False, "Boundary.knots": None}, _fit_bs, apply_bspline),
    "ns": Stateful(SPLINE | {"intercept": False, "Boundary.knots": None}, _fit_ns, apply_natural),
    "cr": Stateful(SPLINE | {"constraints": "center", "Boundary.knots": None}, _fit_cr, apply_cardinal),
}
