"""Intervals from bootstrap draws: percentile, basic, BCa, studentised.

    percentile   (q_a, q_1-a)                                              of the draws
    basic        (2 t - q_1-a, 2 t - q_a), within the parameter's range    t the estimate
    bca          percentiles at Phi(z0 + (z0 + z_a) / (1 - c (z0 + z_a)))  z0 = Phi^-1(share of draws below t), c the acceleration
    studentised  (t - se u_1-a, t - se u_a)                                u quantiles of (draw - t) / se of the draw

Efron and Tibshirani (1993), An Introduction to the Bootstrap, 12.5, 13.3, 14.3; Davison and Hinkley (1997), Bootstrap Methods and
their Application, 5.2-5.3.
"""

from __future__ import annotations

import numpy as np
from scipy.special import ndtr, ndtri

from ranef.covariance.base import Array

METHODS = ("percentile", "basic", "bca", "studentised")
SPELLINGS = {"perc": "percentile", "BCa": "bca", "BCA": "bca", "studentized": "studentised"}


def percentile(draws: Array, level: float) -> tuple[float, float]:
    low, high = np.quantile(draws, _tails(level))
    return float(low), float(high)


def basic(draws: Array, estimate: float, level: float, bounds: tuple[float, float]) -> tuple[float, float]:
    low, high = percentile(draws, level)
    return max(2.0 * estimate - high, bounds[0]), min(2.0 * estimate - low, bounds[1])


def bca(draws: Array, estimate: float, level: float, acceleration: float) -> tuple[float, float]:
    share = (np.sum(draws < estimate) + 0.5 * np.sum(draws == estimate)) / len(draws)
    z0 = float(ndtri(np.clip(share, 0.5 / len(draws), 1.0 - 0.5 / len(draws))))
    z = z0 + ndtri(np.array(_tails(level)))
    low, high = np.quantile(draws, np.clip(ndtr(z0 + z / (1.0 - acceleration * z)), 0.0, 1.0))
    return float(low), float(high)


def studentised(draws: Array, std_errors: Array, estimate: float, std_error: float, level: float) -> tuple[float, float]:
    low, high = np.quantile((draws - estimate) / std_errors, _tails(level))
    return estimate - std_error * float(high), estimate - std_error * float(low)


def acceleration(without: Array) -> Array:
    """(P,) skewness of the influence of clusters, from the estimates (m, P) without each: Efron and Tibshirani, eq. 14.15."""
    off = np.nanmean(without, axis=0) - without
    squares = np.nansum(off**2, axis=0)
    return np.divide(np.nansum(off**3, axis=0), 6.0 * squares**1.5, out=np.zeros(without.shape[1]), where=squares > 0)


def _tails(level: float) -> tuple[float, float]:
    return 0.5 * (1.0 - level), 0.5 * (1.0 + level)
