"""Many points and many levels without a black blot: small and see-through marks, then hexagons; then some of the levels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ranef.arguments import check_count
from ranef.design import Array
from ranef.plot.style import BLUE, GREY, INK
from ranef.table import Table

MOST_POINTS = 4000  # above, hexagons
MOST_LEVELS = 400  # intervals drawn one by one
MOST_LINES = 60
MOST_BARS = 61  # edges of a histogram


def points(ax: Any, x: Array, y: Array, *, color: str = BLUE, marker: str = "o", pale: bool = False) -> str:
    """Draw the points, `pale` behind something else; returns what a caption should say about it, which may be nothing."""
    good = np.isfinite(x) & np.isfinite(y)
    x, y, n = x[good], y[good], int(good.sum())
    if n > MOST_POINTS:
        return _hexagons(ax, x, y)
    size, alpha = (14.0, 0.75) if n <= 150 else (9.0, 0.55) if n <= 600 else (5.0, 0.35)
    ax.scatter(x, y, s=size, color=color, alpha=0.6 * alpha if pale else alpha, linewidths=0, marker=marker, zorder=2)
    return ""


def _hexagons(ax: Any, x: Array, y: Array) -> str:
    from matplotlib.colors import LinearSegmentedColormap, LogNorm

    shades = LinearSegmentedColormap.from_list("ranef_counts", ["#dbe9f4", "#7fb2d6", "#0072B2", "#00314d"])
    cells = ax.hexbin(x, y, gridsize=(46, 26), mincnt=1, cmap=shades, norm=LogNorm(), linewidths=0.1, zorder=1)
    most = int(cells.get_array().max())
    return f"{len(x):,} points, counted in hexagons; the darkest holds {most:,}."


def sampled(count: int, most: int) -> NDArray[np.intp]:
    """At most `most` of the places 0, ..., count - 1, evenly spaced, the first and the last included."""
    check_count("most", most, 1, "levels to draw")
    return np.arange(count) if count <= most else np.unique(np.linspace(0, count - 1, most).round().astype(np.intp))


def said(shown: int, count: int, noun: str, how: str = "evenly spaced in that order") -> str:
    """The sentence of a caption where some of many are drawn."""
    return f"{shown:,} of {count:,} {noun} are drawn, {how}." if shown < count else ""


def boxes(ax: Any, table: Table, at: Any, width: float, *, color: str = GREY, ink: str = INK, front: bool = True) -> None:
    """Boxes of the quartiles in a table of `ranef.inference.views.spread`."""
    names = ("med", "q1", "q3", "whislo", "whishi")
    columns = ("median", "quarter", "three_quarters", "minimum", "maximum")
    stats = [{**{n: row[c] for n, c in zip(names, columns, strict=True)}, "fliers": []} for row in table]
    ax.bxp(
        stats, positions=at, widths=width, showfliers=False, medianprops={"color": ink, "linewidth": 1.6}, manage_ticks=False,
        boxprops={"color": color}, whiskerprops={"color": color}, capprops={"color": color}, zorder=3 if front else 1,
    )  # fmt: skip


def histogram(ax: Any, values: Array, *, density: bool = False) -> Any:
    """Bars of the counts (or densities) of finite values, and returns their heights; one bar where all are alike."""
    heights, _, _ = ax.hist(
        values, bins=_edges(values), density=density, color=BLUE, alpha=0.45, edgecolor="white", linewidth=0.3
    )  # fmt: skip
    return heights


def _edges(values: Array) -> Array:
    middle, size = float(np.mean(values)), float(np.max(np.abs(values)))
    if not np.ptp(values) > 1e-9 * size:
        half = 0.05 * size or 0.5
        return np.array([middle - half, middle + half])
    found = np.histogram_bin_edges(values, "auto")
    return found if len(found) <= MOST_BARS else np.linspace(found[0], found[-1], MOST_BARS)
