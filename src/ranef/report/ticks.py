"""Round numbers for an axis, and how they are written."""

from __future__ import annotations

import math
from collections.abc import Sequence

MOST_DIGITS = 7


def ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Round numbers between low and high, about as many as asked."""
    raw = (high - low) / about
    unit = 10.0 ** math.floor(math.log10(raw))
    step = next(unit * m for m in (1, 2, 2.5, 5, 10) if unit * m >= raw * 0.999)
    first = math.ceil(low / step)
    return [round(k * step, 12 - math.floor(math.log10(step))) for k in range(first, math.floor(high / step) + 1)]


def labels(places: Sequence[float]) -> list[str]:
    """The numbers with the decimals that tell them apart, the same for all; powers of ten where they would be long."""
    decimals = max((_decimals(place) for place in places), default=0)
    texts = [f"{place:.{decimals}f}" for place in places]
    if any(len(text) > MOST_DIGITS + 2 for text in texts):
        texts = [f"{place:.4g}" for place in places]
    return [text.replace("-", "\N{MINUS SIGN}") for text in texts]


def _decimals(value: float) -> int:
    written = f"{value:.6g}"
    return 99 if "e" in written else len(written.partition(".")[2])
