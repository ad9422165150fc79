"""Orthogonal polynomials on a set of points, by their three-term recurrence.

p_0 = 1, p_1 = x - a_0, p_{j+1} = (x - a_j) p_j - (n_j / n_{j-1}) p_{j-1},   a_j = sum(x p_j^2) / n_j,  n_j = sum(p_j^2)

(Kennedy and Gentle 1980, Statistical Computing, 8.5; the basis that R's `poly` returns). The columns are p_j / sqrt(n_j),
orthonormal on the points of the fit; the a_j and n_j are all that new points need. The points are first mapped to [-1, 1], for
precision.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ranef.design import Array


def fit_polynomial(points: Array, degree: int) -> dict[str, Any]:
    """The recurrence for these points, as plain numbers: shift, stretch, a (degree,), norm2 (degree + 1,)."""
    low, high = float(points.min()), float(points.max())
    shift, stretch = (low + high) / 2, (high - low) / 2 or 1.0
    x = (points - shift) / stretch
    a, norm2 = [], [float(len(x))]
    before, current = np.zeros_like(x), np.ones_like(x)
    for j in range(degree):
        a.append(float(x @ current**2 / norm2[j]))
        ratio = norm2[j] / norm2[j - 1] if j else 0.0
        before, current = current, (x - a[j]) * current - ratio * before
        norm2.append(float(current @ current))
    return {"shift": shift, "stretch": stretch, "a": a, "norm2": norm2}


def apply_polynomial(points: Array, state: dict[str, Any]) -> Array:
    """(n, degree) orthonormal columns at any points; NaN stays NaN."""
    x = (points - state["shift"]) / state["stretch"]
    a, norm2 = state["a"], state["norm2"]
    out = np.empty((len(x), len(a)), order="F")
    before, current = np.zeros_like(x), np.ones_like(x)
    for j in range(len(a)):
        ratio = norm2[j] / norm2[j - 1] if j else 0.0
        before, current = current, (x - a[j]) * current - ratio * before
        out[:, j] = current / np.sqrt(norm2[j + 1])
    return out


def raw_powers(points: Array, degree: int) -> Array:
    """(n, degree) x, x^2, ..."""
    return np.asfortranarray(points[:, None] ** np.arange(1, degree + 1))


def polynomial_slopes(points: Array, state: dict[str, Any]) -> Array:
    """(n, degree) derivatives of the columns of `apply_polynomial`, by the differentiated recurrence."""
    x = (points - state["shift"]) / state["stretch"]
    a, norm2 = state["a"], state["norm2"]
    out = np.empty((len(x), len(a)), order="F")
    before, current = np.zeros_like(x), np.ones_like(x)
    slope_before, slope = np.zeros_like(x), np.zeros_like(x)
    for j in range(len(a)):
        ratio = norm2[j] / norm2[j - 1] if j else 0.0
        slope_before, slope = slope, current + (x - a[j]) * slope - ratio * slope_before
        before, current = current, (x - a[j]) * current - ratio * before
        out[:, j] = slope / (np.sqrt(norm2[j + 1]) * state["stretch"])
    return out


def power_slopes(points: Array, degree: int) -> Array:
    """(n, degree) 1, 2 x, 3 x^2, ..."""
    powers = np.arange(degree)
    return np.asfortranarray((powers + 1.0) * points[:, None] ** powers)
