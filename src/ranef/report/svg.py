"""A chart in SVG: axes, points, lines, bands, intervals and hexagons, in the colours of the page around it.

The marks are given in the units of the data. A chart has a title and a description for readers who do not see it, and at most some
hundreds of marks: what is more is counted in hexagons first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from html import escape

import numpy as np
from numpy.typing import NDArray

from ranef.report.ticks import labels, ticks

Numbers = Sequence[float] | NDArray[np.float64]

WIDTH, HEIGHT = 360, 260
RIGHT, TOP, BOTTOM = 14, 10, 42
CHARACTER = 5.9  # width of a character of an axis label
LONGEST_NAME = 26  # characters of a name at the axis
SERIES = 6  # colours
RADIUS = 6.5  # of a hexagon
SHADES = 6
SHAPES = ("M{x} {y}m-{r} 0a{r} {r} 0 1 0 {d} 0a{r} {r} 0 1 0 -{d} 0z", "M{x} {y}m-{r} -{r}h{d}v{d}h-{d}z",
          "M{x} {y}m0 -{r}l{r} {d}h-{d}z", "M{x} {y}m0 -{d}l{d} {d}l-{d} {d}l-{d} -{d}z")  # fmt: skip


@dataclass
class Panel:
    """One chart: give it marks in the units of the data, then `render`. Coordinates become tenths of a pixel."""

    x: tuple[float, float]
    y: tuple[float, float]
    x_label: str
    y_label: str
    title: str
    description: str = ""
    height: int = HEIGHT
    y_names: Sequence[str] = ()  # names at y = 0, 1, 2, ... instead of numbers
    legend: Sequence[str] = ()  # names of the series
    swatches: bool = False  # squares in the legend, for areas
    marks: list[str] = field(default_factory=list)

    @cached_property
    def _y_ticks(self) -> list[tuple[float, str]]:
        if self.y_names:
            return [(float(place), short(name)) for place, name in enumerate(self.y_names)]
        places = ticks(*self.y)
        return list(zip(places, labels(places), strict=True)) if self.y_label else []

    @cached_property
    def left(self) -> float:
        widest = max((len(name) for _, name in self._y_ticks), default=0)
        return round((30 if self.y_label else 10) + CHARACTER * widest, 1)

    @cached_property
    def top(self) -> float:
        return TOP + 17 * len(self._legend_rows)

    def points(self, x: Numbers, y: Numbers, size: float = 2.4, series: int = 0, style: str = "dot") -> None:
        shape = SHAPES[series % len(SHAPES)]
        d = "".join(shape.format(x=self._x(a), y=self._y(b), r=size, d=round(2 * size, 1)) for a, b in zip(x, y, strict=True))
        self.marks.append(f'<path class="{style} c{series % SERIES}" d="{d}"/>')

    def line(self, x: Numbers, y: Numbers, style: str = "trend", series: int = 0) -> None:
        path = " ".join(f"{self._x(a)},{self._y(b)}" for a, b in zip(x, y, strict=True))
        self.marks.append(f'<polyline class="{style} c{series % SERIES}" points="{path}"/>')

    def lines(self, pairs: Sequence[tuple[Numbers, Numbers]], style: str = "thin", series: int = 0) -> None:
        """Many lines in one mark."""
        d = "".join(
            "M" + "L".join(f"{self._x(a)} {self._y(b)}" for a, b in zip(x, y, strict=True)) for x, y in pairs if len(x) > 1
        )  # fmt: skip
        self.marks.append(f'<path class="{style} c{series % SERIES}" d="{d}"/>')

    def band(self, x: Numbers, low: Numbers, high: Numbers, series: int = 0) -> None:
        """The area between two curves over x."""
        self.area([*x, *list(x)[::-1]], [*high, *list(low)[::-1]], series)

    def area(self, x: Numbers, y: Numbers, series: int = 0) -> None:
        """The inside of a closed curve."""
        path = " ".join(f"{self._x(a)},{self._y(b)}" for a, b in zip(x, y, strict=True))
        self.marks.append(f'<polygon class="band c{series % SERIES}" points="{path}"/>')

    def intervals(self, low: Numbers, high: Numbers, y: Numbers, series: int = 0, style: str = "bar") -> None:
        """Horizontal bars from low to high."""
        d = "".join(f"M{self._x(a)} {self._y(c)}H{self._x(b)}" for a, b, c in zip(low, high, y, strict=True))
        self.marks.append(f'<path class="{style} c{series % SERIES}" d="{d}"/>')

    def boxes(self, low: Numbers, high: Numbers, y: float, half: float) -> None:
        """Filled boxes side by side, one a series, `half` below and above y."""
        top, tall = self._y(y + half), round(self._y(y - half) - self._y(y + half), 1)
        for k, (a, b) in enumerate(zip(low, high, strict=True)):
            wide = round(max(self._x(b) - self._x(a), 0.0), 1)
            self.marks.append(f'<rect class="box c{k % SERIES}" x="{self._x(a)}" y="{top}" width="{wide}" height="{tall}"/>')

    def hexagons(self, x: NDArray[np.float64], y: NDArray[np.float64]) -> None:
        """Points counted in hexagons; the more points, the stronger the colour."""
        across, down = self._pixels(x, y)
        centres, counts = hexagonal(across, down, RADIUS)
        shade = np.ceil(SHADES * np.log1p(counts) / np.log1p(counts.max())).astype(int)
        w, h = round(RADIUS * 0.866, 2), RADIUS / 2
        hexagon = f"l{w} {h}v{RADIUS}l-{w} {h}l-{w} -{h}v-{RADIUS}z"
        for k in np.unique(shade):
            d = "".join(f"M{a:.1f} {b - RADIUS:.1f}{hexagon}" for a, b in centres[shade == k])
            self.marks.append(f'<path class="hex c0" fill-opacity="{0.12 + 0.8 * k / SHADES:.2f}" d="{d}"/>')

    def render(self) -> str:
        body = "".join([self._grid(), *self.marks, self._labels(), self._legend()])
        told = f"<desc>{escape(self.description)}</desc>" if self.description else ""
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {self.height}" role="img" '
            f'aria-label="{escape(" ".join([self.title + ".", self.description]).strip(), quote=True)}">'
            f"<title>{escape(self.title)}</title>{told}{body}</svg>"
        )

    def _grid(self) -> str:
        bottom, right = self.height - BOTTOM, WIDTH - RIGHT
        out = []
        places = ticks(*self.x)
        for tick, name in zip(places, labels(places), strict=True):
            at = self._x(tick)
            out += [f'<path class="grid" d="M{at} {self.top}V{bottom}"/>', write(at, bottom + 16, name)]
        for tick, name in self._y_ticks:
            at = self._y(tick)
            out += [] if self.y_names else [f'<path class="grid" d="M{self.left} {at}H{right}"/>']
            out.append(write(self.left - 6, round(at + 3.7, 1), name, "end"))
        out.append(f'<path class="axis" d="M{self.left} {bottom}H{right}"/>')
        return "".join(out)

    def _labels(self) -> str:
        middle = (self.top + self.height - BOTTOM) / 2
        below = write((self.left + WIDTH - RIGHT) / 2, self.height - 7, short(self.x_label, 52), style="label")
        if not self.y_label:
            return below
        side = write(0, 0, short(self.y_label, 34), style="label")
        return f'{below}<g transform="translate(11 {middle}) rotate(-90)">{side}</g>'

    @cached_property
    def _legend_rows(self) -> list[list[tuple[int, str, float]]]:
        """(series, name, x) by row."""
        rows: list[list[tuple[int, str, float]]] = []
        at = float(WIDTH)
        for k, full in enumerate(self.legend):
            name = short(full)
            wide = 24 + CHARACTER * len(name)
            if at + wide > WIDTH - RIGHT:
                rows.append([])
                at = 12.0
            rows[-1].append((k, name, at))
            at += wide + 10
        return rows

    def _legend(self) -> str:
        out = []
        for row, entries in enumerate(self._legend_rows):
            for k, name, at in entries:
                y = TOP + 17 * row
                mark = SHAPES[1 if self.swatches else k % len(SHAPES)].format(x=round(at + 6, 1), y=y, r=4, d=8)
                out.append(f'<path class="key c{k % SERIES}" d="{mark}"/>{write(round(at + 15, 1), y + 4, name, "start")}')
        return "".join(out)

    def _x(self, value: float) -> float:
        low, high = self.x
        return round(self.left + (WIDTH - RIGHT - self.left) * (float(value) - low) / (high - low), 1)

    def _y(self, value: float) -> float:
        low, high = self.y
        bottom = self.height - BOTTOM
        return round(bottom - (bottom - self.top) * (float(value) - low) / (high - low), 1)

    def _pixels(self, x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        across = self.left + (WIDTH - RIGHT - self.left) * (x - self.x[0]) / (self.x[1] - self.x[0])
        bottom = self.height - BOTTOM
        return across, bottom - (bottom - self.top) * (y - self.y[0]) / (self.y[1] - self.y[0])


def hexagonal(x: NDArray[np.float64], y: NDArray[np.float64], radius: float) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Centres (m, 2) and counts (m,) of the hexagons of a honeycomb with points in them.

    The centres are two rectangular lattices; a point belongs to the nearest (Carr et al. 1987).
    """
    wide, tall = radius * 3**0.5, radius * 3.0
    candidates = []
    for shift in (0.0, 0.5):
        centre = np.column_stack([(np.round(x / wide - shift) + shift) * wide, (np.round(y / tall - shift) + shift) * tall])
        candidates.append((centre, (centre[:, 0] - x) ** 2 + (centre[:, 1] - y) ** 2))
    (first, near), (second, far) = candidates
    nearest = np.where((near <= far)[:, None], first, second).round(6)
    return np.unique(nearest, axis=0, return_counts=True)


def span(*values: Numbers, margin: float = 0.05) -> tuple[float, float]:
    """The range of the values with a margin; never empty."""
    finite = [v[np.isfinite(v)] for v in (np.asarray(part, dtype=float) for part in values)]
    low = min((float(v.min()) for v in finite if len(v)), default=0.0)
    high = max((float(v.max()) for v in finite if len(v)), default=1.0)
    pad = margin * (high - low) or max(abs(low), 1.0) * margin
    return low - pad, high + pad


def write(x: float, y: float, words: str, anchor: str = "middle", style: str = "") -> str:
    kind = f' class="{style}"' if style else ""
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}"{kind}>{escape(words)}</text>'


def short(name: str, most: int = LONGEST_NAME) -> str:
    return name if len(name) <= most else name[: most - 1] + "…"
