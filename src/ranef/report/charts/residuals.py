"""Residuals against fitted values, their spread, and their normal quantile plot; for large data in hexagons."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ranef.errors import ModelError
from ranef.report.charts import MOST_POINTS, Picture
from ranef.report.svg import Panel, span

if TYPE_CHECKING:
    from ranef.fit.fit import Fit

MOST_QUANTILES = 400

Array = NDArray[np.float64]


def residual_pictures(fit: Fit) -> list[Picture]:
    """Three pictures; none for a model that was loaded without its rows."""
    try:
        scaled = np.asarray(fit.residuals("pearson"), dtype=float) / fit.sigma
        fitted = np.asarray(fit.fittedvalues, dtype=float)
    except ModelError:
        return []
    if not np.ptp(scaled):
        return []
    return [_against_fitted(fitted, scaled), _spread(fitted, scaled), quantiles(scaled, "Scaled residual", "scaled residuals")]


def _against_fitted(fitted: Array, scaled: Array) -> Picture:
    panel = Panel(
        span(fitted), span(scaled), "Fitted value", "Scaled residual", "Residuals against fitted values",
        f"{len(fitted):,} scaled residuals between {scaled.min():.2f} and {scaled.max():.2f}, with a running mean.",
    )  # fmt: skip
    scatter(panel, fitted, scaled)
    panel.line(panel.x, (0.0, 0.0), "zero")
    panel.line(*running_mean(fitted, scaled), series=1)
    return Picture(panel.render(), f"Residuals against fitted values. The running mean should stay near zero.{counted(fitted)}")


def _spread(fitted: Array, scaled: Array) -> Picture:
    root = np.sqrt(np.abs(scaled))
    panel = Panel(
        span(fitted), (0.0, span(root)[1]), "Fitted value", "√|scaled residual|", "Spread of the residuals against fitted values",
        "Square roots of the absolute scaled residuals, with a running mean.",
    )  # fmt: skip
    scatter(panel, fitted, root)
    panel.line(*running_mean(fitted, root), series=1)
    return Picture(panel.render(), f"Spread of the residuals. The running mean should be level.{counted(fitted)}")


def quantiles(values: Array, label: str, what: str) -> Picture:
    """Ordered values against normal quantiles, with a pointwise 95 % band from the distribution of normal order statistics."""
    from scipy.special import betaincinv, ndtri

    n = len(values)
    ordered, rank = np.sort(values), np.arange(1, n + 1)
    normal = ndtri((rank - 0.5) / n)
    centre, scale = float(np.mean(values)), float(np.std(values)) or 1.0
    shown = _even(normal)
    low, high = (centre + scale * ndtri(betaincinv(rank[shown], n + 1 - rank[shown], tail)) for tail in (0.025, 0.975))
    panel = Panel(
        span(normal), span(ordered, low, high), "Normal quantile", label, f"Normal quantile plot of the {what}",
        f"{n:,} ordered values against the quantiles of a normal distribution, with a 95 % band.",
    )  # fmt: skip
    panel.band(normal[shown], low, high)
    ends = np.array([normal[0], normal[-1]])
    panel.line(ends, centre + scale * ends, "zero")
    panel.points(normal[shown], ordered[shown], 2.0)
    return Picture(panel.render(), f"Normal quantiles of the {what}. If they are normal, 95 % of the points are within the band.")


def _even(normal: Array) -> NDArray[np.intp]:
    """Which of the ordered values to show: all, or some that lie evenly along the axis, and the ends."""
    n = len(normal)
    if n <= MOST_QUANTILES:
        return np.arange(n)
    places = np.searchsorted(normal, np.linspace(normal[0], normal[-1], MOST_QUANTILES)).clip(0, n - 1)
    return np.unique(np.concatenate([places, np.arange(20), np.arange(n - 20, n)]))


def scatter(panel: Panel, x: Array, y: Array) -> None:
    """Points, or hexagons where there are many."""
    if len(x) <= MOST_POINTS:
        panel.points(x, y, 2.4 if len(x) <= 400 else 1.7)
    else:
        panel.hexagons(x, y)


def counted(x: Array) -> str:
    return f" {len(x):,} rows are counted in hexagons." if len(x) > MOST_POINTS else ""


def running_mean(x: Array, y: Array, parts: int = 25) -> tuple[Array, Array]:
    """Means of x and y in slices of equal size along x, smoothed over three neighbours."""
    order = np.argsort(x, kind="stable")
    pieces = np.array_split(order, max(1, min(parts, len(x) // 8)))
    centres, means = (np.array([values[piece].mean() for piece in pieces]) for values in (x, y))
    padded = np.pad(means, 1, mode="edge")
    return centres, (padded[:-2] + padded[1:-1] + padded[2:]) / 3.0
