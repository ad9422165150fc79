"""The pictures of `ranef.check`, drawn from its panels: residuals, their spread, quantiles, autocorrelations, influence."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from ranef.inference.diagnostics import Check
from ranef.report.charts import MOST_POINTS, Picture
from ranef.report.svg import BOTTOM, TOP, Panel, span
from ranef.table import Table

MOST_EFFECTS = 6  # random effects with a quantile plot
MOST_QUANTILES = 400
MOST_BARS = 20

Array = NDArray[np.float64]


def check_pictures(check: Check) -> list[Picture]:
    """The pictures that there are panels for."""
    return [picture for make in (_linearity, _spread, _quantiles, _serial, _simulated, _influence) for picture in make(check)]


def _linearity(check: Check) -> Iterator[Picture]:
    caption = "Residuals against fitted values. The line is a local trend with a 95 % band: it should stay near zero."
    yield from _scattered(check, "linearity", "residual", "Residual", "Residuals against fitted values", caption, 0.0)


def _spread(check: Check) -> Iterator[Picture]:
    caption = "Spread of the residuals. The local trend should be level."
    yield from _scattered(check, "scale", "sqrt_abs_residual", "√|standardised residual|", "Spread of the residuals", caption, None)


def _scattered(
    check: Check, name: str, column: str, label: str, title: str, caption: str, reference: float | None
) -> Iterator[Picture]:
    if name not in check.panels:
        return
    fitted, values = _numbers(check.panels[name], "fitted", column)
    trend = check.panels.get(f"{name}_trend")
    panel = Panel(span(fitted), span(values), "Fitted value", label, title, f"{len(values):,} rows, {_range(values)}.")
    scatter(panel, fitted, values)
    if reference is not None:
        panel.line(panel.x, (reference, reference), "zero")
    if trend is not None:
        x, middle, low, high = _numbers(trend, "x", "trend", "lower", "upper")
        panel.band(x, low.clip(*panel.y), high.clip(*panel.y), 1)
        panel.line(x, middle, "trend", 1)
    yield Picture(panel.render(), caption + counted(values))


def _quantiles(check: Check) -> Iterator[Picture]:
    if "qq_residuals" in check.panels:
        yield _quantile_plot(check.panels["qq_residuals"], "Standardised residual", "residuals")
    names = [name for name in check.panels if name.startswith("qq_ranef:")]
    for name in names[:MOST_EFFECTS]:
        group, _, term = name.removeprefix("qq_ranef:").rpartition(":")
        yield _quantile_plot(check.panels[name], f"{term} of {group}", f"random effects of {group}: {term}")


def _quantile_plot(table: Table, label: str, what: str) -> Picture:
    theoretical, sample, lower, upper = _numbers(table, "theoretical", "sample", "lower", "upper")
    shown = _even(theoretical)
    theoretical, sample, lower, upper = (values[shown] for values in (theoretical, sample, lower, upper))
    outside = int(np.count_nonzero((sample < lower) | (sample > upper)))
    panel = Panel(
        span(theoretical), span(sample, lower, upper), "Normal quantile", label, f"Normal quantile plot of the {what}",
        f"{len(sample):,} ordered values; {outside} are outside of the 95 % band.",
    )  # fmt: skip
    panel.band(theoretical, lower, upper)
    panel.points(theoretical, sample, 2.0)
    caption = f"Normal quantiles of the {what}. The band holds all points at once in 95 % of data from the model."
    return Picture(panel.render(), caption)


def _even(theoretical: Array) -> NDArray[np.intp]:
    """Which of the ordered values to show: all, or some that lie evenly along the axis."""
    if len(theoretical) <= MOST_QUANTILES:
        return np.arange(len(theoretical))
    ends = np.linspace(theoretical[0], theoretical[-1], MOST_QUANTILES)
    return np.unique(np.searchsorted(theoretical, ends).clip(0, len(theoretical) - 1))


def _serial(check: Check) -> Iterator[Picture]:
    if "acf" not in check.panels:
        return
    lag, acf, lower, upper = _numbers(check.panels["acf"], "lag", "acf", "lower", "upper")
    panel = Panel(
        (0.4, lag.max() + 0.6), span(acf, lower, upper, np.zeros(1)), "Lag", "Autocorrelation", "Autocorrelation of the residuals",
        f"Lags 1 to {lag.max():.0f}; the strongest is {acf[np.argmax(np.abs(acf))]:.2f}.",
    )  # fmt: skip
    panel.band(lag, lower, upper)
    panel.lines([((a, a), (0.0, b)) for a, b in zip(lag, acf, strict=True)], "bar")
    panel.line(panel.x, (0.0, 0.0), "zero")
    panel.points(lag, acf, 2.8)
    caption = "Autocorrelation of the residuals within series, and the band that holds all lags in 95 % of data from the model."
    yield Picture(panel.render(), caption)


def _simulated(check: Check) -> Iterator[Picture]:
    if "quantile" not in check.panels:
        return
    rank, residual = _numbers(check.panels["quantile"], "predicted_rank", "scaled_residual")
    panel = Panel(
        span(rank), (-0.03, 1.03), "Rank of the prediction", "Quantile residual", "Simulated quantile residuals",
        f"{len(rank):,} rows; under the model the residuals are uniform between 0 and 1 everywhere.",
    )  # fmt: skip
    scatter(panel, rank, residual)
    for level in (0.25, 0.5, 0.75):
        panel.line(panel.x, (level, level), "zero")
    trend = check.panels.get("quantile_trend")
    if trend is not None:
        x, *quartiles = _numbers(trend, "x", "q25", "q50", "q75")
        places, at = np.unique(x, return_inverse=True)  # predictions that are equal have one rank
        for values in quartiles:
            panel.line(places, np.bincount(at, values) / np.bincount(at), "trend", 1)
    caption = "Simulated quantile residuals with their quartiles, which should follow the dashed lines."
    yield Picture(panel.render(), caption + counted(rank))


def _influence(check: Check) -> Iterator[Picture]:
    for name in [name for name in check.panels if name == "influence" or name.startswith("influence:")][:1]:
        table = check.panels[name]
        distance = np.asarray(table["cooks_distance"], dtype=float)
        known = np.flatnonzero(np.isfinite(distance))
        if not len(known):
            return
        order = known[np.argsort(distance[known], kind="stable")][-MOST_BARS:]
        levels = [str(table["level"][i]) for i in order]
        panel = Panel(
            (0.0, span(distance)[1]), (-0.7, len(order) - 0.3), "Cook's distance", "", "Influence of the levels",
            f"The largest is {distance[order[-1]]:.3g}, of {levels[-1]}.",
            height=TOP + BOTTOM + max(13 * len(order), 60), y_names=levels,
        )  # fmt: skip
        panel.intervals(np.zeros(len(order)), distance[order], range(len(order)))
        panel.points(distance[order], range(len(order)), 2.8)
        few = f" The {len(order)} largest are shown." if len(order) < len(known) else ""
        yield Picture(panel.render(), f"Influence of leaving out one level at a time on the fixed effects.{few}")


def scatter(panel: Panel, x: Array, y: Array) -> None:
    """Points, or hexagons where there are many."""
    if len(x) <= MOST_POINTS:
        panel.points(x, y, 2.4 if len(x) <= 400 else 1.7)
    else:
        panel.hexagons(x, y)


def counted(x: Array) -> str:
    return f" {len(x):,} rows are counted in hexagons." if len(x) > MOST_POINTS else ""


def _range(values: Array) -> str:
    return f"from {values.min():.3g} to {values.max():.3g}"


def _numbers(table: Table, *names: str) -> list[Array]:
    """Columns as numbers, in the rows where all of them are finite."""
    columns = [np.asarray(table[name], dtype=float) for name in names]
    known = np.isfinite(np.array(columns)).all(axis=0)
    return [column[known] for column in columns]
