"""What every picture function does beside drawing: keep to the style, and fold labels that are too long for their axes."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import numpy as np

from ranef.arguments import checked
from ranef.errors import ModelError
from ranef.plot.figures import ASPECT, wrapped
from ranef.plot.style import style

P = ParamSpec("P")
R = TypeVar("R")


def picture(draw: Callable[P, R]) -> Callable[P, R]:
    """The function with its drawing done in the style of the package. Its answer is Axes, or an array of them."""

    asked = checked(draw)

    @functools.wraps(draw)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> R:
        _check(draw.__name__, args, kwargs)
        with style():
            made = asked(*args, **kwargs)
            for ax in np.ravel(np.asarray(made, dtype=object)):
                fold_labels(ax)
            return made

    return drawn


def _check(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Raises ModelError for a picture of nothing, for Axes that are none and for a size that is no pair of inches."""
    if len(args) and args[0] is None and name != "power":
        raise ModelError(f"plot.{name}() has nothing to draw: its first argument is None.")
    axes = kwargs.get("ax")
    if axes is not None and not all(hasattr(ax, "plot") for ax in np.ravel(np.asarray(axes, dtype=object))):
        raise ModelError(f"ax must be matplotlib Axes, or an array of them, not {type(axes).__name__}.")
    size = kwargs.get("size") if name != "power" else None  # of a cluster
    if size is not None and not (
        isinstance(size, tuple | list) and len(size) == 2 and all(isinstance(x, int | float) and x > 0 for x in size)
    ):
        raise ModelError(f"size={size!r} must be the width and height in inches, such as (6, 4).")


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
