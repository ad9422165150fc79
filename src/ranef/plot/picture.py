"""What every picture function does beside drawing: keep to the style, and fold labels that are too long for their axes."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import numpy as np

from ranef.plot.figures import ASPECT, wrapped
from ranef.plot.style import style

P = ParamSpec("P")
R = TypeVar("R")


def picture(draw: Callable[P, R]) -> Callable[P, R]:
    """The function with its drawing done in the style of the package. Its answer is Axes, or an array of them."""

    @functools.wraps(draw)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> R:
        with style():
            made = draw(*args, **kwargs)
            for ax in np.ravel(np.asarray(made, dtype=object)):
                fold_labels(ax)
            return made

    return drawn


def fold_labels(ax: Any) -> None:
    """Break labels and the title of the Axes where they are longer than the axes will be; units go into a line of their own."""
    width, height = (ax.get_position().size * ax.get_figure(root=True).get_size_inches()).tolist()
    names = max((len(label.get_text()) for label in ax.get_yticklabels()), default=0) * 8.0 * ASPECT / 72.0
    width -= max(0.0, names - 0.6)
    for text, room in ((ax.xaxis.label, width + 0.2), (ax.yaxis.label, 0.95 * height), (ax._left_title, width + 0.2)):
        text.set_text(_folded(text.get_text(), room, text.get_fontsize()))


def _folded(words: str, inches: float, size: float) -> str:
    if "\n" in words or len(words) * ASPECT * size <= 72.0 * inches:
        return words
    first, opening, unit = words.partition(" (")
    lines = [first, f"({unit}"] if opening and not words.startswith("(") else [words]
    return "\n".join(wrapped(line, inches, size) for line in lines)
