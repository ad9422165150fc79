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
ASPECT = 0.5  # average width of a character over the size of its font


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


def several(ax: Any, count: int, size: Size, *, columns: int | None = None, panel: tuple[float, float] = PANEL) -> Any:
    """(count,) array of Axes: the user's, in order, or a grid in a new figure, without empty panels.

    Raises ModelError for another number of Axes.
    """
    if ax is not None:
        found = np.ravel(np.asarray(ax, dtype=object))
        if len(found) != count:
            raise ModelError(f"This picture has {count} panel{'s' * (count > 1)}, and ax= has {len(found)} Axes.")
        return found
    width = columns or (count if count <= 3 else 2 if count == 4 else 3 if count <= 9 else 4)
    height = math.ceil(count / width)
    figure = _figure(size or ((panel[0] * width if width > 1 else SINGLE[0]), panel[1] * height if count > 1 else SINGLE[1]))
    grid = figure.subplots(height, width, squeeze=False).ravel()
    for spare in grid[count:]:
        spare.remove()
    return grid[:count]


def _figure(size: tuple[float, float]) -> Any:
    from matplotlib import pyplot

    return pyplot.figure(figsize=size, layout="constrained")


def caption(ax: Any, *sentences: str) -> None:
    """Small grey sentences below the Axes, wrapped to their width; the layout makes room for them."""
    said = " ".join(sentence for sentence in sentences if sentence)
    if not said:
        return
    size = 7.0
    figure = ax.get_figure(root=True)
    room = ax.get_position().width * figure.get_size_inches()[0] + 0.3
    lines = textwrap.fill(said, max(24, int(room * 72.0 / (size * ASPECT))))
    below = ("axes fraction", lambda renderer: _below(ax, renderer))
    note = ax.annotate(lines, (0.0, 0.0), (0.0, -4.0), xycoords=below, textcoords="offset points", va="top", ha="left")
    note.set(fontsize=size, color=GREY, gid="caption", annotation_clip=False)


def _below(ax: Any, renderer: Any) -> Any:
    from matplotlib.transforms import Bbox

    return Bbox.union([box for box in (ax.xaxis.get_tightbbox(renderer), ax.get_window_extent(renderer)) if box is not None])


def caption_all(axes: Sequence[Any], *sentences: str) -> None:
    """A caption of all panels: below the first of the lowest row."""
    said = " ".join(sentence for sentence in sentences if sentence)
    figure = axes[0].get_figure(root=True)
    if not said:
        return
    if len(axes) == 1 or len(axes) != len(figure.axes):
        return caption(axes[-1 if len(axes) == 1 else 0], said)
    size = 7.0
    lines = textwrap.fill(said, max(24, int(figure.get_size_inches()[0] * 72.0 / (size * ASPECT)) - 4))
    figure.supxlabel(lines, x=0.01, ha="left", fontsize=size, color=GREY, gid="caption")
    return None


def legend(ax: Any, title: str | None = None, *, columns: int | None = None) -> None:
    """A legend above the Axes, where it cannot cover data."""
    handles, labels = ax.get_legend_handles_labels()
    if not handles:
        return
    if columns is None:
        columns = _fitting(ax, [title or "", *labels], len(handles))
    drawn = ax.legend(
        handles, labels, title=title, loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=columns, borderaxespad=0.3, borderpad=0.0,
        handlelength=2.2, columnspacing=1.2, handletextpad=0.5, alignment="left",
    )  # fmt: skip
    drawn.set_in_layout(True)


def _fitting(ax: Any, labels: list[str], count: int) -> int:
    """How many entries fit side by side."""
    room = ax.get_position().width * ax.get_figure(root=True).get_size_inches()[0] * 72.0
    entry = 8.0 * ASPECT * max(len(label) for label in labels[1:]) + 42.0
    return max(1, min(count, int(room / entry)))


def level_ticks(ax: Any, names: Sequence[str], which: str = "x") -> None:
    """Names of levels at 0, 1, 2, ... turned where they would overlap."""
    short = [name if len(name) <= 18 else name[:17] + "…" for name in map(str, names)]
    if which == "y":
        ax.set_yticks(range(len(short)), short)
        return
    ax.set_xticks(range(len(short)), short)
    room = ax.get_position().width * ax.get_figure(root=True).get_size_inches()[0] * 72.0 / max(len(short), 1)
    if room < 8.0 * 0.62 * max(map(len, short), default=0) + 4.0:
        ax.tick_params(axis="x", labelrotation=90 if room < 14.0 else 45)
        for label in ax.get_xticklabels():
            label.set(ha="center" if room < 14.0 else "right", rotation_mode="anchor" if room >= 14.0 else "default")


def zero_line(ax: Any, at: float = 0.0, *, vertical: bool = False) -> None:
    draw = ax.axvline if vertical else ax.axhline
    draw(at, color=GREY, linewidth=0.8, linestyle=(0, (4, 3)), zorder=0.5)
