"""A few lines of SVG: axes, points, lines and intervals, in the colours of the page around them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape

import numpy as np
from numpy.typing import NDArray

Numbers = Sequence[float] | NDArray[np.float64]

WIDTH, HEIGHT = 340, 250
LEFT, RIGHT, TOP, BOTTOM = 54, 12, 12, 40


@dataclass
class Panel:
    """One chart: give it marks in the units of the data, then `render`. Coordinates become whole tenths of a pixel."""

    x: tuple[float, float]
    y: tuple[float, float]
    x_label: str
    y_label: str
    alt: str
    height: int = HEIGHT
    left: int = LEFT
    y_names: Sequence[str] | None = None  # names at y = 0, 1, 2, ... instead of numbers
    marks: list[str] = field(default_factory=list)

    def points(self, x: Numbers, y: Numbers, size: float = 2.4) -> None:
        dots = "".join(f'<circle cx="{self._x(a)}" cy="{self._y(b)}" r="{size}"/>' for a, b in zip(x, y, strict=True))
        self.marks.append(f'<g class="dot">{dots}</g>')

    def line(self, x: Numbers, y: Numbers, style: str = "trend") -> None:
        path = " ".join(f"{self._x(a)},{self._y(b)}" for a, b in zip(x, y, strict=True))
        self.marks.append(f'<polyline class="{style}" points="{path}"/>')

    def intervals(self, low: Numbers, high: Numbers, y: Numbers) -> None:
        paths = "".join(f"M{self._x(a)} {self._y(c)}H{self._x(b)}" for a, b, c in zip(low, high, y, strict=True))
        self.marks.append(f'<path class="bar" d="{paths}"/>')

    def render(self) -> str:
        body = "".join([self._grid(), *self.marks])
        return (
            f'<svg viewBox="0 0 {WIDTH} {self.height}" role="img" aria-label="{escape(self.alt, quote=True)}">'
            f"<title>{escape(self.alt)}</title>{body}{self._labels()}</svg>"
        )

    def _grid(self) -> str:
        bottom, right = self.height - BOTTOM, WIDTH - RIGHT
        out = [f'<path class="axis" d="M{self.left} {TOP}V{bottom}H{right}"/>']
        for tick in ticks(*self.x):
            at = self._x(tick)
            out += [f'<path class="grid" d="M{at} {TOP}V{bottom}"/>', write(at, bottom + 15, label(tick))]
        names = [(tick, label(tick)) for tick in ticks(*self.y)] if self.y_names is None else list(enumerate(self.y_names))
        for place, name in names:
            at = self._y(place)
            out += [f'<path class="grid" d="M{self.left} {at}H{right}"/>'] if self.y_names is None else []
            out.append(write(self.left - 5, round(at + 3.5, 1), name, "end"))
        return "".join(out)

    def _labels(self) -> str:
        middle = (TOP + self.height - BOTTOM) / 2
        below = write((self.left + WIDTH - RIGHT) / 2, self.height - 6, self.x_label)
        return f'{below}<g transform="translate(12 {middle}) rotate(-90)">{write(0, 0, self.y_label)}</g>'

    def _x(self, value: float) -> float:
        low, high = self.x
        return round(self.left + (WIDTH - RIGHT - self.left) * (value - low) / (high - low), 1)

    def _y(self, value: float) -> float:
        low, high = self.y
        return round(self.height - BOTTOM - (self.height - BOTTOM - TOP) * (value - low) / (high - low), 1)


def span(values: Numbers, margin: float = 0.05) -> tuple[float, float]:
    """The range of the values with a margin; never empty."""
    low, high = float(min(values)), float(max(values))
    pad = margin * (high - low) or max(abs(low), 1.0) * margin
    return low - pad, high + pad


def ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Round numbers between low and high, about as many as asked."""
    raw = (high - low) / about
    unit = 10.0 ** math.floor(math.log10(raw))
    step = next(unit * m for m in (1, 2, 2.5, 5, 10) if unit * m >= raw * 0.999)
    first = math.ceil(low / step)
    return [round(k * step, 12 - math.floor(math.log10(step))) for k in range(first, math.floor(high / step) + 1)]


def write(x: float, y: float, words: str, anchor: str = "middle") -> str:
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}">{escape(words)}</text>'


def label(value: float) -> str:
    text = f"{value:.6g}"
    return text.replace("-", "\N{MINUS SIGN}")
