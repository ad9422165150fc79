"""The pictures of the report, as inline SVG. Each module draws what the package computed, and returns pictures with captions."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

STYLE = files("ranef.report").joinpath("svg.css").read_text(encoding="utf-8")
COLOURS = (
    "svg{--ink:#1d2024;--soft:#5a6169;--line:#dfe1e4;--c0:#2266ab;--c1:#c2510a;--c2:#0b7a5b;--c3:#a33b83;--c4:#8a6d00;--c5:#5b4fb5;"
    "background:#fff}"
)
MOST_POINTS = 1200  # beyond, points are counted in hexagons


@dataclass(frozen=True)
class Picture:
    """An SVG element and what is written below it."""

    svg: str
    caption: str

    @property
    def standalone(self) -> str:
        """The SVG with its own style, for a file."""
        return self.svg.replace("<title>", f"<style>{COLOURS}{STYLE}</style><title>", 1)


def thinned(order: NDArray[np.intp], most: int) -> NDArray[np.intp]:
    """At most `most` of them, evenly spaced, the first and the last included."""
    return order if len(order) <= most else order[np.linspace(0, len(order) - 1, most).astype(int)]
