"""Ratios of variances with intervals by the delta method.

With r^2 = |a|^2 / |b|^2 for parts a and b, limits are those of log(c + r^2), with c = noise(a) / |b|^2: a logarithm for large
ratios and linear near zero, as the standard deviation of an estimated ratio is (exactly so for one balanced random intercept,
where c = 1/n and F = 1 + n r^2 is a variance ratio; Fisher 1925, ch. VII). Where a is zero the interval is [0, what the
likelihood allows]. Limits are carried over to shares by q = r^2 / (1 + r^2).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import ndtri

from ranef.arguments import check_level
from ranef.design import Array
from ranef.glossary import Rule
from ranef.inference.parts import Part

RULES: dict[str, Rule] = dict.fromkeys(("estimate", "std_error", "conf_low", "conf_high"), "fraction")
VANISHED = 1e-9  # of its noise: a smaller part counts as zero


@dataclass(frozen=True)
class Estimate:
    """A number, its standard error, and its limits."""

    value: float
    std_error: float
    low: float
    high: float

    def map(self, function: Callable[[float], float], slope: float) -> Estimate:
        """An increasing function of the number, whose slope at the estimate is given."""
        return Estimate(function(self.value), slope * self.std_error, function(self.low), function(self.high))

    def reversed(self, function: Callable[[float], float], slope: float) -> Estimate:
        """A decreasing function of the number."""
        return Estimate(function(self.value), abs(slope) * self.std_error, function(self.high), function(self.low))


def quantile(level: float) -> float:
    """Of the normal distribution, two-sided. Raises ModelError for a level outside (0, 1)."""
    return float(ndtri(0.5 * (1.0 + check_level(level))))


def ratio(a: Part, b: Part, spread: Array, level: float) -> Estimate:
    """|a|^2 / |b|^2, for a b that is not zero; `spread` is a root of the covariance of the parameters."""
    if a.draws is not None:
        assert b.draws is not None
        return _percentiles(a.variance / b.variance, a.draws / b.draws, level)
    return _limits(a, b.variance, 2.0 * b.root @ b.jacobian, spread, level)


def share(a: Part, rest: Part, spread: Array, level: float) -> Estimate:
    """|a|^2 / (|a|^2 + |rest|^2); one where there is no rest, zero where there is nothing at all."""
    if rest.variance == 0.0:
        whole = 1.0 if a.variance > 0.0 else 0.0
        return Estimate(whole, 0.0, whole, whole)
    if a.draws is not None:
        assert rest.draws is not None
        return _percentiles(a.variance / (a.variance + rest.variance), a.draws / (a.draws + rest.draws), level)
    return _shared(ratio(a, rest, spread, level), level)


def share_of(a: Part, total: Part, spread: Array, level: float) -> Estimate:
    """|a|^2 / |total|^2, for an a that need not be a part of the total; a share where it is less than the total."""
    rest = total.variance - a.variance
    if rest <= 0.0 or a.draws is not None:
        return ratio(a, total, spread, level)
    slope = 2.0 * (total.root @ total.jacobian - a.root @ a.jacobian)
    return _shared(_limits(a, rest, slope, spread, level), level)


def variance(a: Part, spread: Array, level: float) -> Estimate:
    """|a|^2."""
    if a.draws is not None:
        return _percentiles(a.variance, a.draws, level)
    return _limits(a, 1.0, np.zeros(len(spread)), spread, level)


def _shared(odds: Estimate, level: float) -> Estimate:
    found = odds.map(as_share, 1.0 / (1.0 + odds.value) ** 2)
    return found if odds.value > 0.0 else replace(found, std_error=found.high / quantile(level))


def as_share(odds: float) -> float:
    return odds / (1.0 + odds) if np.isfinite(odds) else 1.0


def _percentiles(value: float, draws: Array, level: float) -> Estimate:
    quantile(level)
    low, high = np.quantile(draws, [0.5 * (1.0 - level), 0.5 * (1.0 + level)])
    return Estimate(value, float(draws.std(ddof=1)), float(low), float(high))


def _limits(a: Part, base: float, base_slope: Array, spread: Array, level: float) -> Estimate:
    """|a|^2 / base."""
    z = quantile(level)
    value, noise = a.variance / base, a.noise / base
    if value <= VANISHED * noise:
        high = a.reach(z**2) ** 2 / base
        return Estimate(0.0, high / z, 0.0, high)
    slope = (2.0 * a.root @ a.jacobian - value * base_slope) / base
    std_error = float(np.linalg.norm(slope @ spread))
    stretch = float(np.exp(min(z * std_error / (noise + value), 700.0)))
    return Estimate(value, std_error, max((noise + value) / stretch - noise, 0.0), (noise + value) * stretch - noise)
