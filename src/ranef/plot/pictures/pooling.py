"""Partial pooling in small panels: the data of some levels, with three lines each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ranef.errors import ModelError
from ranef.inference.clusters import groupings
from ranef.inference.pooling import pooling as pooled
from ranef.inference.views.columns import column
from ranef.plot import crowd, labels
from ranef.plot.figures import Size, caption_all, several
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
def pooling(fit: Fit, group: str | None = None, *, most: int = 12, ax: Any = None, size: Size = None) -> Any:
    """The rows of some levels with the lines of no, partial and complete pooling: a panel for each level.

    For models with a random intercept, or an intercept and the slope of one numeric covariate. The levels are chosen evenly in
    the order of the coefficient that varies most by itself. Raises ModelError for other models.

    Examples
    --------
    >>> import ranef
    >>> m = ranef.lmm("Reaction ~ Days + (Days | Subject)", ranef.datasets.load("sleepstudy"))
    >>> axes = ranef.plot.pooling(m)
    """
    table = pooled(fit, group)
    name, x = str(table["group"][0]), _covariate(fit, table)
    chosen = _chosen(table, most)
    axes = several(ax, len(chosen), size, columns=min(4, len(chosen)), panel=(1.65, 1.55))
    y, codes = fit.model.design.y, groupings(fit)[name].codes
    place = y if x is None else np.asarray(column(fit, x).numbers)
    levels = list(groupings(fit)[name].levels)
    for axis, level in zip(axes, chosen, strict=True):
        rows = np.flatnonzero(codes == levels.index(level))
        at = np.arange(1.0, len(rows) + 1.0) if x is None else place[rows]
        crowd.points(axis, at, y[rows], color=GREY)
        _lines(axis, table, level, at, x)
        axis.set_title(labels.text(level), fontsize=8.0)
    _frame(axes, fit, x)
    caption_all(axes, f"{labels.many(len(chosen), 'levels')} of {name}, by size of their own estimate. ",
                "Broken: no pooling. Solid: partial pooling. Dotted: complete pooling.")  # fmt: skip
    return axes


def _covariate(fit: Fit, table: Table) -> str | None:
    names = list(dict.fromkeys(table["term"]))
    if names == ["(Intercept)"]:
        others = [name for name in fit.model.design.names if name != "(Intercept)"]
        if not others:
            return None
    elif len(names) == 2 and names[0] == "(Intercept)":
        others = [name for name in fit.model.design.names if name not in ("(Intercept)", names[1])]
        if not others and column(fit, names[1]).numbers is not None:
            return names[1]
    raise ModelError(
        "The lines of these levels are not straight lines in one covariate.",
        hint="plot.shrinkage draws the coefficients, plot.trajectories the predicted lines.",
    )


def _chosen(table: Table, most: int) -> list[Any]:
    """Levels, evenly spaced in the order of their last coefficient without pooling."""
    term = list(dict.fromkeys(table["term"]))[-1]
    keep = np.flatnonzero((np.asarray(table["term"]) == term) & np.isfinite(np.asarray(table["no_pooling"], dtype=float)))
    order = keep[np.argsort(np.asarray(table["no_pooling"], dtype=float)[keep], kind="stable")]
    return [table["level"][i] for i in order[crowd.sampled(len(order), most)]]


def _lines(ax: Any, table: Table, level: Any, at: Any, x: str | None) -> None:
    ends = np.array([at.min(), at.max()]) if np.ptp(at) > 0 else np.array([at[0] - 0.5, at[0] + 0.5])
    rows = [i for i in range(len(table)) if table["level"][i] == level]
    for way, (color, dash, label) in WAYS.items():
        coefficient = {table["term"][i]: float(table[f"{way}_pooling"][i]) for i in rows}
        value = coefficient["(Intercept)"] + (0.0 * ends if x is None else coefficient[x] * ends)
        ax.plot(ends, value, color=color, linestyle=dash, linewidth=1.5, label=label, zorder=3)


def _frame(axes: Any, fit: Fit, x: str | None) -> None:
    limits = np.array([[*axis.get_xlim(), *axis.get_ylim()] for axis in axes])
    for axis in axes:
        axis.set(xlim=(limits[:, 0].min(), limits[:, 1].max()), ylim=(limits[:, 2].min(), limits[:, 3].max()))
        axis.locator_params(axis="x", nbins=4, steps=[1, 2, 5, 10])
        axis.locator_params(axis="y", nbins=4)
    width = len({axis.get_position().x0 for axis in axes})
    for place, axis in enumerate(axes):
        axis.tick_params(labelleft=place % width == 0, labelbottom=place + width >= len(axes))
    rows = -(-len(axes) // width)
    axes[(rows - 1) // 2 * width].set_ylabel(labels.response(fit))
    bottom = axes[(rows - 1) * width :]
    bottom[(len(bottom) - 1) // 2].set_xlabel(labels.with_unit(fit, x) if x else "Row of the level")
