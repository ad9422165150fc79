"""Ratios of variances with intervals by the delta method.

The root of a ratio, |a| / |b| for parts a and b with vector roots, is estimated much more nearly normally than the ratio, and its
derivative has a limit where a is zero: there the interval is [0, z s], s the largest standard deviation of any direction of the root
of a. Limits are taken on this scale and carried over: to shares by q = r^2 / (1 + r^2), to variances by v = r^2.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from ranef.design import Array
from ranef.errors import ModelError
from ranef.inference.parts import Part

VANISHED = 1e-7  # of the length that a root is compared with: below it the root counts as zero
DELTA = "Intervals by the delta method, on the scale of the square root of the ratio to what remains."


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
    if not 0.0 < level < 1.0:
        raise ModelError(f"level={level} must lie between 0 and 1, such as 0.95.")
    return float(ndtri(0.5 * (1.0 + level)))


def root_ratio(a: Part, b: Part, covariance: Array, level: float) -> Estimate:
    """|a| / |b|, for a b that is not zero."""
    length, base = float(np.linalg.norm(a.root)), float(np.linalg.norm(b.root))
    value = length / base
    spread = np.linalg.cholesky(_positive(covariance))
    if value > VANISHED:
        slope = a.root @ a.jacobian / (length * base) - value * (b.root @ b.jacobian) / base**2
        std_error = float(np.linalg.norm(slope @ spread))
    else:
        std_error = float(np.linalg.norm(a.jacobian @ spread, 2)) / base if len(a.root) else 0.0
    half = quantile(level) * std_error
    return Estimate(value, std_error, max(value - half, 0.0), value + half)


def share(a: Part, rest: Part, covariance: Array, level: float) -> Estimate:
    """|a|^2 / (|a|^2 + |rest|^2); one where there is no rest, zero where there is nothing at all."""
    if rest.variance == 0.0:
        whole = 1.0 if a.variance > 0.0 else 0.0
        return Estimate(whole, 0.0, whole, whole)
    root = root_ratio(a, rest, covariance, level)
    return root.map(lambda r: r * r / (1.0 + r * r), 2.0 * root.value / (1.0 + root.value**2) ** 2)


def variance(a: Part, covariance: Array, level: float) -> Estimate:
    """|a|^2."""
    one = Part(np.ones(1), np.zeros((1, a.jacobian.shape[1])))
    root = root_ratio(a, one, covariance, level)
    return root.map(lambda r: r * r, 2.0 * root.value)


def _positive(covariance: Array) -> Array:
    """The covariance with a trace of the identity, so that directions without information have a factor too."""
    return covariance + np.diag(1e-14 * np.diag(covariance) + 1e-300)
