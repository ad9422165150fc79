"""Trajectories: the lines of the levels, and that of the population with its band."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from ranef.errors import ModelError
from ranef.inference.clusters import groupings, top_grouping
from ranef.inference.views.columns import column
from ranef.inference.views.spread import spread
from ranef.means.lines import SEVERAL, axis_of, level_lines, population_lines
from ranef.plot import crowd, labels
from ranef.plot.axis import line_places, places_of
from ranef.plot.figures import Size, caption, legend, level_ticks, one
from ranef.plot.picture import picture
from ranef.plot.style import GREY, INK, SERIES, series
from ranef.table import Table

if TYPE_CHECKING:
    from ranef.fit.fit import Fit


FEW = 20  # values of x that get a box each where there are too many points


@picture
def trajectories(
    fit: Fit, x: str | None = None, group: str | None = None, *, by: str | None = None, points: bool = True, level: float = 0.95,
    most: int = crowd.MOST_LINES, ax: Any = None, size: Size = None,
) -> Any:  # fmt: skip
    """The predicted line of each level of a grouping factor, and the population's with its confidence band.

    Parameters
    ----------
    x
        The predictor to draw against: the numeric one with a random slope unless given; a factor gives lines between its levels.
    group
        The grouping factor whose levels have lines; by default the one that contains all others, else that with fewest levels.
    by
        A factor of the fixed part that divides lines, band and colours.
    points
        Whether the observations are drawn, too: as boxes or hexagons where they are too many.
    most
        Of more levels than this, some are drawn.

    Examples
    --------
    >>> import ranef
    >>> m = ranef.lmm("Reaction ~ Days + (Days | Subject)", ranef.datasets.load("sleepstudy"))
    >>> ax = ranef.plot.trajectories(m)
    """
    ax = one(ax, size)
    x = axis_of(fit) if x is None else x
    group = _group(fit) if group is None else top_grouping(fit, group).name
    families = () if by is None else (by,)
    if points:
        _data(ax, fit, x, by)
    count, shown = (0, 0) if group is None else _levels(ax, fit, x, group, families, most)
    _population(ax, fit, x, families, level)
    ax.set(xlabel=labels.with_unit(fit, x), ylabel=labels.response(fit))
    legend(ax, by)
    thin = f"Thin lines: predictions for the levels of {group}." if group else ""
    caption(
        ax,
        f"Thick line: population mean with {labels.level(level)} band.",
        thin,
        crowd.said(shown, count, "levels", "evenly chosen"),
    )
    return ax


def _group(fit: Fit) -> str | None:
    groups = {name: one for name, one in groupings(fit).items() if not name.startswith(SEVERAL)}
    if not groups:
        return None
    try:
        return top_grouping(fit).name
    except ModelError:
        return min(groups.values(), key=lambda one: one.size).name


def _data(ax: Any, fit: Fit, x: str, by: str | None) -> None:
    place, factor = places_of(fit, x), None if by is None else column(fit, by).as_levels()
    y = fit.model.design.y
    if len(y) > crowd.MOST_POINTS and len(np.unique(place)) <= FEW:
        values, codes = np.unique(place, return_inverse=True)
        crowd.boxes(
            ax, spread(y, codes, values), values, 0.3 * float(np.min(np.diff(values), initial=1.0)), color=GREY, front=False
        )
        return
    if factor is None or factor.codes is None or len(y) > crowd.MOST_POINTS:
        crowd.points(ax, place, y, color=GREY)
        return
    for code in range(len(factor.levels)):  # type: ignore[arg-type]
        mark = series(code)
        crowd.points(ax, place[factor.codes == code], y[factor.codes == code], color=mark["color"], marker=mark["marker"])


def _levels(ax: Any, fit: Fit, x: str, group: str, families: Sequence[str], most: int) -> tuple[int, int]:
    from matplotlib.collections import LineCollection

    size = groupings(fit)[group].size
    chosen = crowd.sampled(size, most)
    table = level_lines(fit, x, group, families, only=chosen.tolist())
    place, numbering = line_places(fit, table, x), _family(fit, table, families)
    cells = np.asarray([hash((a, b)) for a, b in zip(table["level"], numbering, strict=True)])
    edges = np.flatnonzero(np.diff(cells, prepend=cells[0] - 1, append=cells[-1] + 1))
    lines = [np.stack([place[a:b], np.asarray(table["estimate"], float)[a:b]], axis=1) for a, b in pairwise(edges)]
    colors = [SERIES[numbering[a] % len(SERIES)] for a in edges[:-1]]
    alpha = 0.7 if len(lines) <= 20 else 0.4
    ax.add_collection(LineCollection(lines, colors=colors, linewidths=0.8, alpha=alpha, zorder=2.2, gid="levels"))
    ax.autoscale_view()
    return size, len(chosen)


def _population(ax: Any, fit: Fit, x: str, families: Sequence[str], level: float) -> None:
    table = population_lines(fit, x, families, level=level)
    place, numbering = line_places(fit, table, x), _family(fit, table, families)
    names = table[families[0]] if families else None
    for code in dict.fromkeys(numbering):
        rows = np.flatnonzero(np.asarray(numbering) == code)
        color, dash = (SERIES[code % len(SERIES)], series(code)["linestyle"]) if families else (INK, "-")
        low, high, middle = (np.asarray(table[name], dtype=float)[rows] for name in ("conf_low", "conf_high", "estimate"))
        ax.fill_between(place[rows], low, high, color=color, alpha=0.2, linewidth=0, zorder=2.4)
        label = labels.text(names[rows[0]]) if names is not None else None
        ax.plot(place[rows], middle, color=color, linestyle=dash, linewidth=2.4, zorder=3, label=label)
    if column(fit, x).numbers is None:
        level_ticks(ax, [labels.text(level) for level in column(fit, x).levels])  # type: ignore[union-attr]


def _family(fit: Fit, table: Table, families: Sequence[str]) -> list[int]:
    if not families:
        return [0] * len(table)
    levels = column(fit, families[0]).as_levels().levels
    assert levels is not None
    place = {str(level): at for at, level in enumerate(levels)}
    return [place[str(level)] for level in table[families[0]]]
