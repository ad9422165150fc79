"""Regression splines whose knots are kept for new data: B-splines, natural splines, cardinal natural cubic splines.

B-splines and natural splines are those of R's `splines` package (`bs`, `ns`): inner knots at quantiles (type 7) of the points
inside the boundary, the natural spline with zero second derivative at the boundary knots and linear beyond them. See de Boor
(1978), A Practical Guide to Splines, IX-XI, and Hastie and Tibshirani (1990), Generalized Additive Models, 2.7.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ranef.design import Array

if TYPE_CHECKING:
    from scipy.interpolate import BSpline

State = dict[str, Any]


def place_knots(points: Array, count: int, boundary: tuple[float, float]) -> list[float]:
    """`count` inner knots at equally spaced quantiles of the points within the boundary."""
    inside = points[(points >= boundary[0]) & (points <= boundary[1])]
    return [float(knot) for knot in np.quantile(inside, np.arange(1, count + 1) / (count + 1))]


def fit_bspline(inner: list[float], boundary: tuple[float, float], *, degree: int, intercept: bool) -> State:
    return {"knots": list(inner), "boundary": list(boundary), "degree": degree, "intercept": intercept}


def apply_bspline(points: Array, state: State) -> Array:
    """(n, k) B-splines; the polynomial pieces at the ends are continued beyond the boundary."""
    basis = _bspline(state["knots"], state["boundary"], state["degree"])
    return np.asfortranarray(basis(points)[:, 0 if state["intercept"] else 1 :])


def fit_natural(inner: list[float], boundary: tuple[float, float], *, intercept: bool) -> State:
    return {"knots": list(inner), "boundary": list(boundary), "intercept": intercept}


def apply_natural(points: Array, state: State) -> Array:
    """(n, k) natural cubic splines: B-splines rotated off the two directions that bend at the boundary."""
    basis = _bspline(state["knots"], state["boundary"], 3)
    first = 0 if state["intercept"] else 1
    low, high = state["boundary"]
    values = basis(np.clip(points, low, high))
    for edge, outside in ((low, points < low), (high, points > high)):
        if outside.any():
            values[outside] += np.outer(points[outside] - edge, basis(edge, nu=1))
    bends = basis(np.array([low, high]), nu=2)[:, first:]
    rotation = np.linalg.qr(bends.T, mode="complete").Q[:, 2:]
    return np.asfortranarray(values[:, first:] @ rotation)


def fit_cardinal(points: Array, knots: list[float], *, centred: bool) -> State:
    """Cardinal splines have one column a knot, 1 there and 0 at the others (Wood 2017, Generalized Additive Models, 5.3.1).

    They sum to one, so beside an intercept they are centred: the direction in which the mean over the points moves is rotated out.
    """
    state: State = {"knots": sorted(knots), "means": None}
    if centred:
        state["means"] = [float(mean) for mean in apply_cardinal(points, state).mean(axis=0)]
    return state


def apply_cardinal(points: Array, state: State) -> Array:
    """(n, k) cardinal natural cubic splines, linear beyond the outer knots."""
    from scipy.interpolate import CubicSpline

    knots = np.array(state["knots"])
    spline = CubicSpline(knots, np.eye(len(knots)), bc_type="natural")
    values = spline(np.clip(points, knots[0], knots[-1]))
    for edge, outside in ((knots[0], points < knots[0]), (knots[-1], points > knots[-1])):
        if outside.any():
            values[outside] += np.outer(points[outside] - edge, spline(edge, nu=1))
    if state["means"] is not None:
        values = values @ np.linalg.qr(np.array(state["means"])[:, None], mode="complete").Q[:, 1:]
    return np.asfortranarray(values)


def bspline_slopes(points: Array, state: State) -> Array:
    """(n, k) derivatives of the columns of `apply_bspline`."""
    basis = _bspline(state["knots"], state["boundary"], state["degree"])
    return np.asfortranarray(basis(points, nu=1)[:, 0 if state["intercept"] else 1 :])


def natural_slopes(points: Array, state: State) -> Array:
    """(n, k) derivatives of the columns of `apply_natural`: constant beyond the boundary knots."""
    basis = _bspline(state["knots"], state["boundary"], 3)
    first = 0 if state["intercept"] else 1
    low, high = state["boundary"]
    bends = basis(np.array([low, high]), nu=2)[:, first:]
    rotation = np.linalg.qr(bends.T, mode="complete").Q[:, 2:]
    return np.asfortranarray(basis(np.clip(points, low, high), nu=1)[:, first:] @ rotation)


def cardinal_slopes(points: Array, state: State) -> Array:
    """(n, k) derivatives of the columns of `apply_cardinal`: constant beyond the outer knots."""
    from scipy.interpolate import CubicSpline

    knots = np.array(state["knots"])
    values = CubicSpline(knots, np.eye(len(knots)), bc_type="natural")(np.clip(points, knots[0], knots[-1]), nu=1)
    if state["means"] is not None:
        values = values @ np.linalg.qr(np.array(state["means"])[:, None], mode="complete").Q[:, 1:]
    return np.asfortranarray(values)


def _bspline(inner: list[float], boundary: list[float], degree: int) -> BSpline:
    """All B-splines of one knot sequence, as the columns of one vector-valued spline."""
    from scipy.interpolate import BSpline

    low, high = boundary
    knots = np.concatenate([np.full(degree + 1, low), np.sort(inner), np.full(degree + 1, high)])
    return BSpline(knots, np.eye(len(knots) - degree - 1), degree, extrapolate=True)
