"""Refits of two models to the same simulated data, for quantities that compare them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ranef.design import Array
from ranef.errors import ModelError, RanefError
from ranef.inference.ratios import quantile

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
    responses = _responses(larger, n, seed)
    return Draws(
        _values(lambda i: statistic(first.refit(responses[i]), second.refit(responses[i])), n, statistic(first, second)), seed
    )


def apart(first: Fit, second: Fit, statistic: Statistic, n: int, seed: int) -> Draws:
    """Each model refitted to data of its own: they were fitted to different rows."""
    left, right = _responses(first, n, seed), _responses(second, n, seed + 1)
    return Draws(_values(lambda i: statistic(first.refit(left[i]), second.refit(right[i])), n, statistic(first, second)), seed)


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


def _responses(fit: Fit, n: int, seed: int) -> Array:
    """(n, rows)."""
    if n < 0 or int(n) != n:
        raise ModelError(f"n={n!r} must be a number of refits, or 0 for none.")
    if n == 0:
        return np.zeros((0, fit.nobs))
    simulated = fit.simulate(n, seed=seed)
    names = simulated.keys() if isinstance(simulated, dict) else getattr(simulated, "column_names", None) or simulated.columns
    return np.array([np.asarray(simulated[name]) for name in names])


def _values(draw: Callable[[int], Array], n: int, like: Array) -> Array:
    out = np.full((n, len(like)), np.nan)
    for i in range(n):
        try:
            out[i] = draw(i)
        except RanefError:
            continue
    return out
