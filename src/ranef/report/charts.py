"""The pictures of the report: residuals against fitted values, a normal quantile plot, and the random effects in order."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ranef.errors import ModelError
from ranef.report.svg import TOP, Panel, span

if TYPE_CHECKING:
    from ranef.fit.fit import Fit

MOST_POINTS = 1500
MOST_NAMES = 40  # levels with a name beside their interval
MOST_LEVELS = 120

Array = NDArray[np.float64]


def residual_charts(fit: Fit) -> list[tuple[str, str]]:
    """(caption, svg) of the two residual plots; none for a model that was loaded without its rows."""
    try:
        scaled = np.asarray(fit.residuals("pearson"), dtype=float) / fit.sigma
        fitted = np.asarray(fit.fittedvalues, dtype=float)
    except ModelError:
        return []
    return [_against_fitted(fitted, scaled), _quantiles(scaled)]


def caterpillars(fit: Fit) -> list[tuple[str, str]]:
    """(caption, svg) for each random effect: conditional means in order, with 95 % intervals."""
    table = fit.ranef()
    group, term = np.asarray(table["group"], dtype=object), np.asarray(table["term"], dtype=object)
    pairs = list(dict.fromkeys(zip(group, term, strict=True)))
    columns = [np.asarray(table[name]) for name in ("level", "estimate", "std_error")]
    return [_caterpillar(g, t, *(column[(group == g) & (term == t)] for column in columns)) for g, t in pairs]


def _against_fitted(fitted: Array, scaled: Array) -> tuple[str, str]:
    shown = thinned(np.argsort(fitted, kind="stable"), MOST_POINTS)
    panel = Panel(span(fitted), span(scaled), "Fitted value", "Scaled residual", "Scaled residuals against fitted values")
    panel.line(panel.x, (0.0, 0.0), "zero")
    panel.points(fitted[shown], scaled[shown])
    centres, means = _running_mean(fitted, scaled)
    panel.line(centres, means)
    few = f" {len(shown):,} of {len(fitted):,} points are shown." if len(shown) < len(fitted) else ""
    return f"Residuals against fitted values. The line is a running mean: it should stay near zero.{few}", panel.render()


def _quantiles(scaled: Array) -> tuple[str, str]:
    from scipy.special import ndtri

    n = len(scaled)
    ordered = np.sort(scaled)
    normal = ndtri((np.arange(1, n + 1) - 0.5) / n)
    shown = thinned(np.arange(n), MOST_POINTS // 3)
    panel = Panel(span(normal), span(scaled), "Normal quantile", "Scaled residual", "Normal quantile plot of the scaled residuals")
    low, high = max(panel.x[0], panel.y[0]), min(panel.x[1], panel.y[1])
    panel.line((low, high), (low, high), "zero")
    panel.points(normal[shown], ordered[shown])
    return "Normal quantiles. Points on the line: residuals are as a normal distribution has them.", panel.render()


def _caterpillar(group: str, term: str, level: Array, estimate: Array, error: Array) -> tuple[str, str]:
    order = thinned(np.argsort(estimate, kind="stable"), MOST_LEVELS)
    half = 1.959964 * error[order].astype(float)
    middle = estimate[order].astype(float)
    named = len(order) <= MOST_NAMES
    names = [_short(str(name)) for name in level[order]] if named else []
    row = 13 if named else 4
    panel = Panel(
        span([*(middle - half), *(middle + half), 0.0]), (-0.7, len(order) - 0.3), f"{term} of {group}", "" if named else group,
        f"Random effects of {group}: {term}", height=TOP + 40 + max(row * len(order), 90),
        left=18 + max(36, 6 * max((len(name) for name in names), default=0)), y_names=names,
    )  # fmt: skip
    panel.line((0.0, 0.0), panel.y, "zero")
    panel.intervals(middle - half, middle + half, range(len(order)))
    panel.points(middle, range(len(order)), 2.8 if named else 1.6)
    few = f" {len(order)} of {len(level):,} levels, evenly spaced in that order." if len(order) < len(level) else ""
    return f"{group}: {term}, in order, with 95 % intervals given the estimated parameters.{few}", panel.render()


def thinned(order: NDArray[np.intp], most: int) -> NDArray[np.intp]:
    """At most `most` of them, evenly spaced, the first and the last included."""
    return order if len(order) <= most else order[np.linspace(0, len(order) - 1, most).astype(int)]


def _running_mean(x: Array, y: Array, parts: int = 25) -> tuple[Array, Array]:
    """Means of x and y in slices of equal size along x, smoothed over three neighbours."""
    order = np.argsort(x, kind="stable")
    pieces = np.array_split(order, max(1, min(parts, len(x) // 8)))
    centres, means = (np.array([values[piece].mean() for piece in pieces]) for values in (x, y))
    padded = np.pad(means, 1, mode="edge")
    return centres, (padded[:-2] + padded[1:-1] + padded[2:]) / 3.0


def _short(name: str) -> str:
    return name if len(name) <= 14 else name[:13] + "…"
