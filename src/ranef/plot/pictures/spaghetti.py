"""The data before any model: a line for each level."""

from __future__ import annotations

from typing import Any

import numpy as np

from ranef.design import Array
from ranef.errors import ModelError
from ranef.fit.fit import Fit
from ranef.inference.diagnostics.smooth import trend
from ranef.inference.views.columns import Values, column, crossed, frame_column, outermost
from ranef.inference.views.spread import spread
from ranef.means.lines import axis_of
from ranef.plot import crowd, labels
from ranef.plot.figures import Size, caption, legend, level_ticks, one
from ranef.plot.picture import picture
from ranef.plot.style import GREY, INK, SERIES, series

FEW = 20  # values of x at which means are taken one by one


@picture
def spaghetti(
    data: Any, y: str | None = None, x: str | None = None, group: str | None = None, *, by: str | None = None, mean: bool = True,
    most: int = crowd.MOST_LINES, ax: Any = None, size: Size = None,
) -> Any:  # fmt: skip
    """What was observed, joined within each level of `group`, with the mean over the rows.

    Parameters
    ----------
    data
        A data frame and the names of `y`, `x` and `group`; or a fit, which knows them.
    by
        A factor with a colour and a mean line for each level.
    mean
        Whether the mean is drawn: at each x where these are few, else a smooth line.
    most
        Of more levels than this, some are drawn.

    Examples
    --------
    >>> import ranef
    >>> data = ranef.datasets.load("sleepstudy")
    >>> ax = ranef.plot.spaghetti(data, "Reaction", "Days", "Subject")
    """
    response, at, groups, factor, words = _columns(data, y, x, group, by)
    ax = one(ax, size)
    place = at.numbers if at.numbers is not None else _codes(at)
    colours = np.zeros(len(response), dtype=np.intp) if factor is None else _codes(factor).astype(np.intp)
    count, shown = _lines(ax, (response, place, colours), groups, most, colored=factor is not None)
    if mean:
        for code in np.unique(colours[colours >= 0]):
            _mean(ax, place[colours == code], response[colours == code], None if factor is None else (int(code), factor))
    if at.levels is not None:
        level_ticks(ax, [labels.text(level) for level in at.levels])
    ax.set(xlabel=words[1], ylabel=words[0])
    legend(ax, by)
    caption(ax, f"A thin line for each level of {groups.name}." if shown == count else "",
            crowd.said(shown, count, f"levels of {groups.name}", "evenly chosen"), "Thick line: mean." if mean else "")  # fmt: skip
    return ax


def _columns(data: Any, y: Any, x: Any, group: Any, by: Any) -> tuple[Array, Values, Values, Values | None, tuple[str, str]]:
    if isinstance(data, Fit):
        x, group = x or axis_of(data), group or outermost(data, None).name
        factor = None if by is None else column(data, by).as_levels()
        words = (labels.response(data), labels.with_unit(data, x))
        return data.model.design.y, column(data, x), column(data, group).as_levels(), factor, words
    if y is None or x is None or group is None:
        raise ModelError("A data frame needs the names of its columns.", hint='spaghetti(data, "y", "time", "subject")')
    found = frame_column(data, y)
    if found.numbers is None:
        raise ModelError(f"{y!r} is no number.")
    words = (labels.of_column(data, y), labels.of_column(data, x))
    factor = None if by is None else frame_column(data, by).as_levels()
    return found.numbers, frame_column(data, x), frame_column(data, group).as_levels(), factor, words


def _codes(values: Values) -> Array:
    assert values.codes is not None
    return values.codes.astype(float)


def _lines(ax: Any, what: tuple[Array, Array, Any], groups: Values, most: int, *, colored: bool) -> tuple[int, int]:
    from matplotlib.collections import LineCollection

    y, place, colours = what
    factors = [groups] if not colored else [groups, Values("by", levels=np.arange(colours.max() + 1), codes=colours)]
    cells, codes = crossed(factors)
    assert groups.levels is not None
    chosen = {groups.levels[k] for k in crowd.sampled(len(groups.levels), most)}
    lines, shades = [], []
    for code, cell in enumerate(cells):
        if cell[0] in chosen:
            rows = np.flatnonzero((codes == code) & np.isfinite(y) & np.isfinite(place))
            rows = rows[np.argsort(place[rows], kind="stable")]
            lines.append(np.stack([place[rows], y[rows]], axis=1))
            shades.append(SERIES[int(cell[1]) % len(SERIES)] if colored else GREY)
    alpha = 0.75 if len(lines) <= 12 else 0.5 if len(lines) <= 30 else 0.32
    ax.add_collection(LineCollection(lines, colors=shades, linewidths=0.8, alpha=alpha, gid="levels"))
    ax.autoscale_view()
    return len(groups.levels), len(chosen)


def _mean(ax: Any, x: Array, y: Array, which: tuple[int, Values] | None) -> None:
    mark = {"color": INK, "marker": "o", "linestyle": "-"} if which is None else series(which[0])
    name = None if which is None or which[1].levels is None else labels.text(which[1].levels[which[0]])
    known = np.isfinite(x) & np.isfinite(y)
    values, codes = np.unique(x[known], return_inverse=True)
    if len(values) <= FEW:
        table = spread(y[known], codes, values)
        ax.plot(table["level"], table["mean"], **mark, linewidth=2.2, markersize=4.5, zorder=4, label=name)
        return
    line = trend(x[known], y[known], span=0.4)
    ax.plot(line.x, line.y, color=mark["color"], linestyle=mark["linestyle"], linewidth=2.2, zorder=4, label=name)
