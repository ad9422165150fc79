"""Refits of two models to the same simulated data, for quantities that compare them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ranef.design import Array
from ranef.errors import ModelError, RanefError
from ranef.fit.rows import needs_rows
from ranef.fit.simulate import responses_of
from ranef.inference.ratios import quantile
from ranef.progress import Meter

if TYPE_CHECKING:
    from ranef.fit.fit import Fit

Statistic = Callable[["Fit", "Fit"], Array]


@dataclass(frozen=True, eq=False)
class Draws:
    values: Array  # (n, s), NaN where a refit failed
    seed: int

    @property
    def failures(self) -> int:
        return int(np.count_nonzero(np.isnan(self.values).any(axis=1)))


def together(first: Fit, second: Fit, statistic: Statistic, n: int, seed: int) -> Draws:
    """Both models refitted to data from the one with more parameters."""
    larger = first if first.npar >= second.npar else second
    pairs = ((y, y) for y in _responses(larger, n, seed))
    return _draws(pairs, first, second, statistic, n, seed)


def apart(first: Fit, second: Fit, statistic: Statistic, n: int, seed: int) -> Draws:
    """Each model refitted to data of its own: they were fitted to different rows."""
    pairs = zip(_responses(first, n, seed), _responses(second, n, seed + 1), strict=True)
    return _draws(pairs, first, second, statistic, n, seed)


def percentiles(draws: Array, level: float) -> tuple[Array, Array]:
    """Limits by column; NaN without draws."""
    quantile(level)
    if not len(draws):
        return np.full(draws.shape[1], np.nan), np.full(draws.shape[1], np.nan)
    low = np.nanquantile(draws, 0.5 * (1.0 - level), axis=0, method="lower")  # draws may be infinite, so nothing between them
    return low, np.nanquantile(draws, 0.5 * (1.0 + level), axis=0, method="higher")


def limits_note(draws: Draws) -> str:
    if not len(draws.values):
        return "No intervals were asked for."
    failed = f", {draws.failures} of which failed" if draws.failures else ""
    made = f"{len(draws.values)} pairs of refits{failed}; seed {draws.seed}"
    return f"Intervals are percentiles of a parametric bootstrap ({made})."


def _responses(fit: Fit, n: int, seed: int) -> Iterator[Array]:
    """n responses (rows,), made when they are asked for: those of `simulate`."""
    if n < 0 or int(n) != n:
        raise ModelError(f"n={n!r} must be a number of refits, or 0 for none.")
    needs_rows(fit, "simulate()")
    draw, rng = responses_of(fit, "new"), np.random.default_rng(seed)
    return (draw(rng) for _ in range(n))


def _draws(pairs: Iterable[tuple[Array, Array]], first: Fit, second: Fit, statistic: Statistic, n: int, seed: int) -> Draws:
    out, meter = np.full((n, len(statistic(first, second))), np.nan), Meter("intervals", "pairs of refits", n)
    try:
        for i, (left, right) in enumerate(pairs):
            meter.show(i)
            with suppress(RanefError):
                out[i] = statistic(first.refit(left), second.refit(right))
    finally:
        meter.close()
    return Draws(out, seed)
