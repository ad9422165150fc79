"""Axes to draw into, the user's or new ones, with captions and legends that cover nothing."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np

from ranef.errors import ModelError
from ranef.plot.style import GREY

Size = tuple[float, float] | None
SINGLE = (4.6, 3.4)  # inches
PANEL = (2.9, 2.5)
SMALL = 7.0  # points, of captions
ASPECT = 0.58  # average width of a character over the size of its font


def one(ax: Any, size: Size, default: tuple[float, float] = SINGLE) -> Any:
    """The user's Axes, or those of a new figure.

    Raises ModelError for several Axes where one is drawn into.
    """
    if ax is not None:
        found = np.ravel(np.asarray(ax, dtype=object))
        if len(found) != 1:
            raise ModelError(f"This picture has one panel, and ax= has {len(found)} Axes.", hint="Give one of them.")
        return found[0]
    return _figure(size or default).subplots()


def several(
    ax: Any,
    count: int,
    size: Size,
    *,
    columns: int | None = None,
    panel: tuple[float, float] = PANEL,
    alone: tuple[float, float] = SINGLE,
) -> Any:
    """(count,) array of Axes: the user's, in order, or a grid in a new figure, without empty panels.

    `panel` is the size of one of several, `alone` of a single one.

    Raises ModelError for another number of Axes.
    """
    if ax is not None:
        found = np.ravel(np.asarray(ax, dtype=object))
        if len(found) != count:
            raise ModelError(f"This picture has {count} panel{'s' * (count > 1)}, and ax= has {len(found)} Axes.")
        return found
    width = columns or (count if count <= 3 else 2 if count == 4 else 3 if count <= 9 else 4)
    height = math.ceil(count / width)
    figure = _figure(size or (alone if count == 1 else (max(panel[0] * width, 3.4), panel[1] * height)))
    grid = figure.subplots(height, width, squeeze=False).ravel()
    for spare in grid[count:]:
        spare.remove()
    return grid[:count]


def _figure(size: tuple[float, float]) -> Any:
    from matplotlib import pyplot

    return pyplot.figure(figsize=size, layout="constrained")


def caption(ax: Any, *sentences: str) -> None:
    """Small grey sentences below the Axes, or below the whole figure where it is ours and has no others; the layout makes room."""
    said, figure = " ".join(sentence for sentence in sentences if sentence), ax.get_figure(root=True)
    if not said:
        return
    if _only([ax]):
        _below_all(figure, said)
        return
    room = ax.get_position().width * figure.get_size_inches()[0] + 0.3
    below = ("axes fraction", lambda renderer: _below(ax, renderer))
    lines, where = wrapped(said, room), {"xycoords": below, "textcoords": "offset points", "va": "top", "ha": "left"}
    note = ax.annotate(lines, (0.0, 0.0), (0.0, -4.0), **where)
    note.set(fontsize=SMALL, color=GREY, gid="caption", annotation_clip=False)


def caption_all(axes: Sequence[Any], *sentences: str) -> None:
    """A caption of all panels: below the figure, or below the first panel where the figure has others."""
    said = " ".join(sentence for sentence in sentences if sentence)
    if said and _only(axes):
        _below_all(axes[0].get_figure(root=True), said)
    else:
        caption(axes[0], said)


def _only(axes: Sequence[Any]) -> bool:
    """Is there nothing else in the figure, and does its layout make room for what is added?"""
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    figure = axes[0].get_figure(root=True)
    others = [one for one in figure.axes if one.get_label() != "<colorbar>"]
    return len(others) == len(axes) and isinstance(figure.get_layout_engine(), ConstrainedLayoutEngine)


def _below_all(figure: Any, said: str) -> None:
    lines = wrapped(said, figure.get_size_inches()[0] - 0.15)
    figure.supxlabel(lines, x=0.01, ha="left", fontsize=SMALL, color=GREY, gid="caption")


def wrapped(words: str, inches: float, size: float = SMALL) -> str:
    """The words in lines that are about so long in letters of this size."""
    return textwrap.fill(words, max(12, int(72.0 * inches / (size * ASPECT))), break_long_words=False)


def _below(ax: Any, renderer: Any) -> Any:
    from matplotlib.transforms import Bbox

    return Bbox.union([box for box in (ax.xaxis.get_tightbbox(renderer), ax.get_window_extent(renderer)) if box is not None])


def legend(ax: Any, title: str | None = None, *, over: Sequence[Any] = ()) -> None:
    """A legend above the Axes, where it cannot cover data; above all panels where `over` names them and the figure is theirs."""
    handles, labels = ax.get_legend_handles_labels()
    if not handles:
        return
    figure = ax.get_figure(root=True)
    how = {
        "borderaxespad": 0.3,
        "handlelength": 2.6,
        "columnspacing": 1.2,
        "handletextpad": 0.5,
        "alignment": "left",
        "borderpad": 0.0,
    }
    if len(over) > 1 and len(over) == len(figure.axes):
        figure.legend(
            handles, labels, title=title, loc="outside upper left", ncols=_fitting(labels, figure.get_size_inches()[0]), **how
        )
        return
    room = 0.95 * (ax.get_position().width * figure.get_size_inches()[0]) / 0.775
    ax.legend(handles, labels, title=title, loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=_fitting(labels, room), **how)


def _fitting(labels: Sequence[str], inches: float) -> int:
    """How many columns of entries fit side by side: all in one row, or columns of one width."""
    size, extra = 8.0 * ASPECT, 40.0
    room, widest = 72.0 * inches, size * max(map(len, labels)) + extra
    if size * sum(map(len, labels)) + extra * len(labels) <= room:
        return len(labels)
    return max(1, min(len(labels), int(room / widest)))


def level_ticks(ax: Any, names: Sequence[str], which: str = "x") -> None:
    """Names of levels at 0, 1, 2, ... turned where they would overlap; only some where there is no room for all."""
    most = 36 if which == "y" else 18
    short = [name if len(name) <= most else name[: most - 1] + "…" for name in map(str, names)]
    if which == "y":
        ax.set_yticks(range(len(short)), short)
        return
    room = ax.get_position().width * ax.get_figure(root=True).get_size_inches()[0] * 72.0 / max(len(short), 1)
    shown = range(0, len(short), max(1, math.ceil(10.0 / max(room, 1e-3))))
    ax.set_xticks(shown, [short[i] for i in shown])
    if room < 8.0 * 0.62 * max(map(len, short), default=0) + 4.0:
        ax.tick_params(axis="x", labelrotation=90 if room < 14.0 else 45)
        for label in ax.get_xticklabels():
            label.set(ha="center" if room < 14.0 else "right", rotation_mode="anchor" if room >= 14.0 else "default")


def rows_fit(ax: Any, count: int, points: float = 7.5) -> bool:
    """Is there room for so many names one below the other?"""
    height = ax.get_position().height * ax.get_figure(root=True).get_size_inches()[1]
    return bool(72.0 * height >= points * count)


def zero_line(ax: Any, at: float = 0.0, *, vertical: bool = False) -> None:
    draw = ax.axvline if vertical else ax.axhline
    draw(at, color=GREY, linewidth=0.8, linestyle=(0, (4, 3)), zorder=0.5)
