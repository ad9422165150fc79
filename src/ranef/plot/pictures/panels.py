"""The panels of a check of a model, each drawn from one Table of `Check.panels`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ranef.design import Array
from ranef.plot import crowd, labels
from ranef.plot.figures import level_ticks, zero_line
from ranef.plot.style import BLUE, GREY, PALE, VERMILLION
from ranef.table import Table

MOST_NAMES = 24
Panels = Mapping[str, Table]


def draw(ax: Any, name: str, panels: Panels) -> tuple[str, str]:
    """Draw the panel called `name`; returns its title, and the predictor, factor or effect that it is about."""
    kind, _, detail = name.partition(":")
    words, method = KINDS[kind]
    method(ax, panels[name], panels.get(f"{kind}_trend:{detail}" if detail else f"{kind}_trend"))
    return words, ": ".join(detail.rsplit(":", 1)) if kind == "qq_ranef" else detail


def known(name: str) -> bool:
    return name.partition(":")[0] in KINDS


def _numbers(table: Table, *names: str) -> list[Array]:
    return [np.asarray(table[name], dtype=float) for name in names]


def _cloud(ax: Any, table: Table, trend: Table | None) -> None:
    (x_name, y_name), zero = list(table.columns)[:2], "residual" in table
    x, y = _numbers(table, x_name, y_name)
    crowd.points(ax, x, y)
    if zero:
        zero_line(ax)
    if trend is not None:
        place, middle, low, high = _numbers(trend, "x", "trend", "lower", "upper")
        ax.fill_between(place, low, high, color=VERMILLION, alpha=0.18, linewidth=0, zorder=2.5)
        ax.plot(place, middle, color=VERMILLION, zorder=3)
    ax.set(xlabel=AXES.get(x_name, x_name), ylabel=AXES.get(y_name, y_name))


def _quantiles(ax: Any, table: Table, _: Table | None) -> None:
    x_name, y_name = list(table.columns)[:2]
    x, y, low, high = _numbers(table, x_name, y_name, "lower", "upper")
    ax.fill_between(x, low, high, color=PALE, alpha=0.6, linewidth=0)
    ax.plot([x[0], x[-1]], [x[0], x[-1]], color=GREY, linewidth=0.9)
    out = (y < low) | (y > high)
    size = 10.0 if len(x) <= 150 else 5.0
    ax.scatter(x[~out], y[~out], s=size, color=BLUE, linewidths=0, zorder=2)
    ax.scatter(x[out], y[out], s=2.0 * size, color=VERMILLION, marker="^", linewidths=0, zorder=3)
    ax.set(xlabel=AXES.get(x_name, x_name), ylabel=AXES.get(y_name, y_name))


def _correlations(ax: Any, table: Table, _: Table | None) -> None:
    lag, value, low, high = _numbers(table, "lag", "acf", "lower", "upper")
    edges = np.concatenate([[lag[0] - 0.5], lag + 0.5])
    ax.stairs(high, edges, baseline=low, fill=True, color=PALE, alpha=0.6)
    zero_line(ax)
    ax.vlines(lag, 0.0, value, color=BLUE, linewidth=1.5)
    ax.plot(lag, value, "o", color=BLUE, markersize=4.0)
    ax.set(xlabel="Lag", ylabel="Autocorrelation")
    ax.xaxis.get_major_locator().set_params(integer=True)


def _needles(ax: Any, table: Table, _: Table | None) -> None:
    at, (value, limit) = np.arange(len(table)), _numbers(table, "cooks_distance", "threshold")
    ax.vlines(at, 0.0, value, color=BLUE, linewidth=1.0 if len(at) <= 60 else 0.5)
    zero_line(ax, float(limit[0]))
    names = [labels.text(level) for level in table["level"]]
    if len(at) <= MOST_NAMES:
        level_ticks(ax, names)
    else:
        top = [i for i in np.argsort(np.nan_to_num(value))[-3:] if value[i] > limit[i]]
        for i in top:
            ax.annotate(names[i], (at[i], value[i]), (3, 1), textcoords="offset points", fontsize=7.0)
        ax.set_xlabel(f"{len(at):,} in order")
    ax.set(ylabel="Cook's distance", ylim=(0.0, None))


def _bars(column: str, label: str) -> Callable[[Any, Table, Table | None], None]:
    def bars(ax: Any, table: Table, _: Table | None) -> None:
        first = next(iter(table.columns))
        (value,) = _numbers(table, column)
        at = np.arange(len(value))
        ax.barh(at, value, height=0.6, color=BLUE)
        level_ticks(ax, [labels.text(name) for name in table[first]], "y")
        ax.set(xlabel=label, ylim=(len(at) - 0.4, -0.6))
        ax.tick_params(axis="y", length=0)
        if column == "inflation":
            zero_line(ax, 1.0, vertical=True)

    return bars


def _spread(ax: Any, table: Table, _: Table | None) -> None:
    (sd,) = _numbers(table, "sd")
    at = np.arange(len(sd))
    many = len(sd) > MOST_NAMES
    order = np.argsort(sd, kind="stable") if many else at
    ax.plot(at, sd[order], "o", color=BLUE, markersize=4.0 if not many else 2.0)
    zero_line(ax, 1.0)
    if many:
        ax.set(xlabel=f"{len(sd):,} levels in order", xticks=[])
    else:
        level_ticks(ax, [labels.text(level) for level in table["level"]])
    ax.set(ylabel="SD of residuals", ylim=(0.0, None))


def _components(ax: Any, table: Table, _: Table | None) -> None:
    (share,) = _numbers(table, "share")
    names = [f"{group} {component}" for group, component in zip(table["group"], table["component"], strict=True)]
    ax.bar(np.arange(len(share)), share, color=BLUE, width=0.6)
    level_ticks(ax, names)
    ax.set(ylabel="Share of the variance", ylim=(0.0, 1.02))


def _scaled(ax: Any, table: Table, trend: Table | None) -> None:
    x, y = _numbers(table, "predicted_rank", "scaled_residual")
    crowd.points(ax, x, y)
    for height in (0.25, 0.5, 0.75):
        zero_line(ax, height)
    if trend is not None:
        for name in ("q25", "q50", "q75"):
            ax.plot(*_numbers(trend, "x", name), color=VERMILLION, linewidth=1.2, zorder=3)
    ax.set(xlabel="Rank of the prediction", ylabel="Quantile residual", ylim=(-0.03, 1.03))


def _simulated(ax: Any, table: Table, _: Table | None) -> None:
    crowd.histogram(ax, *_numbers(table, "simulated"))
    ax.axvline(1.0, color=VERMILLION, linewidth=1.4)
    ax.set(xlabel="Variance: simulated / observed", yticks=[])


AXES = {
    "fitted": "Fitted value", "residual": "Residual", "x": "Value", "sqrt_abs_residual": "√|standardised residual|",
    "theoretical": "Normal quantile", "sample": "Observed", "expected": "Expected", "observed": "Observed",
}  # fmt: skip
KINDS: dict[str, tuple[str, Callable[[Any, Table, Table | None], None]]] = {
    "linearity": ("Linearity", _cloud),
    "scale": ("Constant variance", _cloud),
    "spread": ("Spread", _spread),
    "qq_residuals": ("Normal residuals", _quantiles),
    "qq_ranef": ("Normal effects", _quantiles),
    "acf": ("Independence", _correlations),
    "influence": ("Influence", _needles),
    "collinearity": ("Collinearity", _bars("inflation", "Inflation of the standard error")),
    "re_pca": ("Dimensions", _components),
    "quantile": ("Quantile residuals", _scaled),
    "quantile_conditional": ("Given random effects", _scaled),
    "qq_uniform": ("Simulated distribution", _quantiles),
    "dispersion": ("Dispersion", _simulated),
}
