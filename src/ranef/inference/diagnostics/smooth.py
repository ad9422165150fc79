"""The trend of a cloud of points: what the eye should see, computed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ranef.covariance.base import Array

GRID = 50
SPAN = 2.0 / 3.0  # share of the points that each local line uses, as in lowess
BINS = 2000  # more points are first averaged with their neighbours
Z = 1.959963984540054


@dataclass(frozen=True, eq=False)
class Trend:
    x: Array  # (g,)
    y: Array
    lower: Array  # pointwise 95 %
    upper: Array


def trend(x: Array, y: Array, span: float = SPAN) -> Trend:
    """Local straight lines with tricube weights at 50 places, Cleveland (1979), J. Am. Stat. Assoc. 74, 829-836.

    The places are quantiles of x, so that they lie where the points are. The band is l(x)' l(x) s^2 with l the weights of the
    smoother and s^2 from the differences of neighbours, Gasser, Sroka and Jennen-Steinmetz (1986). Less than four different x
    give their means.
    """
    order = np.argsort(x, kind="stable")
    x, y = _averaged(x[order]), _averaged(y[order])
    places = np.unique(x)
    if len(places) > GRID:
        places = np.unique(x[np.linspace(0, len(x) - 1, GRID).astype(np.intp)])
    spread = _noise(y)
    if len(places) < 4:
        parts = [y[x == place] for place in places]
        found = [(float(part.mean()), 1.0 / np.sqrt(len(part))) for part in parts]
    else:
        found = [_line(x, y, float(place), span) for place in places]
    values, size = np.array([f[0] for f in found]), np.array([f[1] for f in found]) * spread
    return Trend(places, values, values - Z * size, values + Z * size)


def _line(x: Array, y: Array, place: float, span: float) -> tuple[float, float]:
    """The local line at a place, and the norm of its weights."""
    n = len(x)
    k = max(3, int(np.ceil(span * n)))
    start = int(np.clip(np.searchsorted(x, place) - k // 2, 0, n - k)) if k < n else 0
    own, values = x[start : start + k], y[start : start + k]
    width = max(place - own[0], own[-1] - place)
    if width <= 0:
        return float(values.mean()), 1.0 / np.sqrt(len(values))
    weight = np.clip(1.0 - (np.abs(own - place) / (width * 1.0001)) ** 3, 0.0, None) ** 3
    total, at = weight.sum(), own - place
    center = (weight @ at) / total
    slope_size = weight @ (at - center) ** 2
    lean = center * (at - center) / slope_size if slope_size > 1e-12 * total * width**2 else np.zeros(len(at))
    smoother = weight * (1.0 / total - lean)
    return float(smoother @ values), float(np.linalg.norm(smoother))


def _averaged(sorted_values: Array) -> Array:
    """Means of about equally many neighbours, where there are more than `BINS` values."""
    n = len(sorted_values)
    if n <= BINS:
        return sorted_values
    starts = np.linspace(0, n, BINS + 1).astype(np.intp)
    return np.add.reduceat(sorted_values, starts[:-1]) / np.diff(starts)


def _noise(y: Array) -> float:
    """Standard deviation of y about a smooth mean; y in the order of x."""
    return float(np.sqrt(np.mean(np.diff(y) ** 2) / 2.0)) if len(y) > 1 else 0.0
