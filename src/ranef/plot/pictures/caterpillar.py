"""Caterpillars: random effects in order, with their intervals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import ndtri

from ranef.design import Array
from ranef.fit.effects import factor_named, factors
from ranef.plot import crowd, labels
from ranef.plot.figures import Size, caption_all, level_ticks, rows_fit, several, zero_line
from ranef.plot.picture import picture
from ranef.plot.style import BLUE, GREY, INK, PALE

if TYPE_CHECKING:
    from ranef.fit.fit import Fit

MOST_NAMES = 60


@picture
def caterpillar(
    fit: Fit, group: str | None = None, term: str | None = None, *, level: float = 0.95, ax: Any = None, size: Size = None
) -> Any:
    """Predicted random effects in order, with intervals: a panel for each effect of each grouping factor, or of those named.

    Intervals that exclude zero are dark with a filled mark, others pale with an open one. Up to sixty levels have their names;
    of more than four hundred some are drawn, evenly spaced in their order. The intervals take the parameters as known.

    Examples
    --------
    >>> import ranef
    >>> m = ranef.lmm("Reaction ~ Days + (Days | Subject)", ranef.datasets.load("sleepstudy"))
    >>> axes = ranef.plot.caterpillar(m)
    """
    panels = _panels(fit, group, term)
    tall = max(_height(len(factor.levels)) for factor, _ in panels)
    axes = several(ax, len(panels), size, panel=(3.2, tall), alone=(4.6, tall if tall > 2.6 else 3.0))
    table = fit.ranef()
    notes = [_panel(axis, table, factor, name, float(ndtri(0.5 * (1.0 + level)))) for axis, (factor, name) in zip(axes, panels)]
    for axis, (factor, name) in zip(axes, panels, strict=True):
        axis.set_title(f"{factor.name}: {name}" if len(panels) > 1 else "")
    some = next((note for note in notes if note), "")
    caption_all(axes, f"{labels.level(level)} intervals given the estimated parameters; dark ones exclude zero.", some)
    return axes if len(panels) > 1 else axes[0]


def _panels(fit: Fit, group: str | None, term: str | None) -> list[tuple[Any, str]]:
    from ranef.errors import ModelError

    chosen = factors(fit) if group is None else (factor_named(fit, group),)
    panels = [(factor, name) for factor in chosen for name in factor.names if term is None or name == term]
    if not panels:
        what = "The model has no random effects." if term is None else f"There is no random effect {term!r}."
        known = ", ".join(f"{name} of {factor.name}" for factor in chosen for name in factor.names)
        raise ModelError(what, hint=f"There are: {known}." if known else None)
    return panels


def _height(levels: int) -> float:
    return max(2.2, 0.9 + 0.16 * levels) if levels <= MOST_NAMES else 2.6


def _panel(ax: Any, table: Any, factor: Any, name: str, z: float) -> str:
    keep = (np.asarray(table["group"]) == factor.name) & (np.asarray(table["term"]) == name)
    estimate, error = (np.asarray(table[column], dtype=float)[keep] for column in ("estimate", "std_error"))
    order = np.argsort(estimate, kind="stable")
    order = order[crowd.sampled(len(order), crowd.MOST_LEVELS)]
    middle, half = estimate[order], z * error[order]
    if len(factor.levels) <= MOST_NAMES and rows_fit(ax, len(factor.levels)):
        _named(ax, middle, half)
        level_ticks(ax, [labels.text(factor.levels[i]) for i in order], "y")
        ax.set(xlabel=f"Deviation of {name}" if name != "(Intercept)" else "Deviation of the intercept", ylabel=factor.name)
        ax.margins(y=0.02)
        zero_line(ax, vertical=True)
        return ""
    _crowded(ax, middle, half)
    zero_line(ax)
    ax.set(xlabel=f"{factor.name}, {len(estimate):,} levels in order", ylabel=name, xticks=[])
    return crowd.said(len(order), len(estimate), f"levels of {factor.name}")


def _named(ax: Any, middle: Array, half: Array) -> None:
    at, clear = np.arange(len(middle)), np.abs(middle) > half
    for which, color, face in ((~clear, GREY, "white"), (clear, BLUE, BLUE)):
        ax.hlines(at[which], (middle - half)[which], (middle + half)[which], color=color, linewidth=1.1)
        ax.plot(middle[which], at[which], "o", color=color, markerfacecolor=face, markersize=3.6, zorder=3)


def _crowded(ax: Any, middle: Array, half: Array) -> None:
    at, clear = np.linspace(0.0, 1.0, len(middle)), np.abs(middle) > half
    for which, color in ((~clear, PALE), (clear, BLUE)):
        ax.vlines(at[which], (middle - half)[which], (middle + half)[which], color=color, linewidth=0.5)
    ax.plot(at, middle, color=INK, linewidth=1.2, zorder=3)
    ax.set_xlim(-0.01, 1.01)
