"""Partial pooling in small panels: the data of some levels, with three lines each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ranef.inference.clusters import groupings
from ranef.inference.pooling import pooling as pooled
from ranef.inference.views.columns import column
from ranef.means.lines import axis_of, pooled_lines
from ranef.plot import crowd, labels
from ranef.plot.axis import line_places, places_of
from ranef.plot.figures import Size, caption_all, level_ticks, several
from ranef.plot.picture import picture
from ranef.plot.style import BLUE, GREY, INK, VERMILLION

if TYPE_CHECKING:
    from ranef.fit.fit import Fit
    from ranef.table import Table

WAYS = {
    "no": (VERMILLION, (0, (5, 2)), "no pooling"),
    "partial": (BLUE, "-", "partial pooling"),
    "complete": (INK, (0, (1, 1.5)), "complete pooling"),
}


@picture
def pooling(fit: Fit, group: str | None = None, x: str | None = None, *, most: int = 12, ax: Any = None, size: Size = None) -> Any:
    """The rows of some levels with the lines of no, partial and complete pooling: a panel for each level.

    The levels are chosen evenly in the order of the last of their coefficients, by itself. `x` is the predictor to draw against, as
    in `trajectories`; a model without predictors has level lines.

    Examples
    --------
    >>> import ranef
    >>> m = ranef.lmm("Reaction ~ Days + (Days | Subject)", ranef.datasets.load("sleepstudy"))
    >>> axes = ranef.plot.pooling(m)
    """
    table = pooled(fit, group)
    name, x = str(table["group"][0]), _axis(fit) if x is None else x
    grouping = groupings(fit)[name]
    levels = list(grouping.levels)
    chosen = [levels.index(level) for level in _chosen(table, most)]
    axes = several(ax, len(chosen), size, columns=min(4, len(chosen)), panel=(1.65, 1.55))
    lines, y = pooled_lines(fit, x, name, only=chosen), fit.model.design.y
    for axis, code in zip(axes, chosen, strict=True):
        rows = np.flatnonzero(grouping.codes == code)
        at = np.arange(1.0, len(rows) + 1.0) if x is None else places_of(fit, x)[rows]
        crowd.points(axis, at, y[rows], color=GREY)
        own = [i for i in range(len(lines)) if lines["level"][i] == levels[code]]
        _lines(axis, lines, own, at if x is None else line_places(fit, lines, x)[own])
        axis.set_title(labels.text(levels[code]), fontsize=8.0)
    _frame(axes, fit, x)
    caption_all(axes, f"{labels.many(len(chosen), 'levels')} of {name}, by size of their own estimate.",
                "Broken: no pooling. Solid: partial pooling. Dotted: complete pooling.")  # fmt: skip
    return axes


def _axis(fit: Fit) -> str | None:
    """None for a model whose fixed part is an intercept."""
    return axis_of(fit) if set(fit.model.design.names) - {"(Intercept)"} else None


def _chosen(table: Table, most: int) -> list[Any]:
    """Levels, evenly spaced in the order of their last coefficient without pooling."""
    term = list(dict.fromkeys(table["term"]))[-1]
    keep = np.flatnonzero((np.asarray(table["term"]) == term) & np.isfinite(np.asarray(table["no_pooling"], dtype=float)))
    order = keep[np.argsort(np.asarray(table["no_pooling"], dtype=float)[keep], kind="stable")]
    return [table["level"][i] for i in order[crowd.sampled(len(order), most)]]


def _lines(ax: Any, lines: Table, own: list[int], at: Any) -> None:
    at = np.array([at.min() - 0.4, at.max() + 0.4]) if len(own) == 1 else at
    for way, (color, dash, label) in WAYS.items():
        value = np.asarray(lines[f"{way}_pooling"], dtype=float)[own]
        value = np.repeat(value, 2) if len(own) == 1 else value
        ax.plot(at, value, color=color, linestyle=dash, linewidth=1.5, label=label, zorder=3)


def _frame(axes: Any, fit: Fit, x: str | None) -> None:
    limits = np.array([[*axis.get_xlim(), *axis.get_ylim()] for axis in axes])
    for axis in axes:
        axis.set(xlim=(limits[:, 0].min(), limits[:, 1].max()), ylim=(limits[:, 2].min(), limits[:, 3].max()))
        axis.locator_params(axis="y", nbins=4)
        found = None if x is None else column(fit, x).levels
        if found is None:
            axis.locator_params(axis="x", nbins=4, steps=[1, 2, 5, 10])
        else:
            level_ticks(axis, [labels.text(level) for level in found])
    width = len({axis.get_position().x0 for axis in axes})
    for place, axis in enumerate(axes):
        axis.tick_params(labelleft=place % width == 0, labelbottom=place + width >= len(axes))
    rows = -(-len(axes) // width)
    axes[(rows - 1) // 2 * width].set_ylabel(labels.response(fit))
    bottom = axes[(rows - 1) * width :]
    bottom[(len(bottom) - 1) // 2].set_xlabel(labels.with_unit(fit, x) if x else "Row of the level")
