"""A p value from draws of a likelihood ratio, also where few draws or none are as large as what was observed.

Up to the 90 % point u of the draws p is the share of those as large as t. Beyond u the draws are taken for the tail of a stretched
chi-square: P(T > t) = P(T > u) Q_d(t / a) / Q_d(u / a), where Q_d is the survival function of chi2(d) for the d parameters tested
and the stretch a gives the mean excess over u that the draws have. In small samples a is not one: Greven et al. (2008), J. Comput.
Graph. Statist. 17, 870-891, fit a chi-square in this way to all positive draws; here only the tail is fitted.

docs/explanation/model-comparison.md, eq. 6.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq
from scipy.special import chdtrc

from ranef.covariance.base import Array

ZERO = 1e-5  # a likelihood ratio below this is zero
SHARE = 0.1  # of the draws are the tail
FEW = 20  # draws in a tail that cannot be fitted
STRETCH = (0.2, 5.0)


@dataclass(frozen=True)
class TailP:
    value: float
    error: float  # its Monte Carlo standard error
    beyond: bool  # is it larger than all draws?


def tail_p(draws: Array, t: float, df: int) -> TailP:
    """P(T >= t) for draws of T >= 0 when `df` parameters are tested."""
    if t <= ZERO:
        return TailP(1.0, 0.0, False)
    n, positive = len(draws), int(np.sum(draws > ZERO))
    m = min(int(SHARE * n), positive // 2)
    top = np.sort(draws)[::-1][: m + 1]
    u = 0.5 * float(top[m] + top[m - 1]) if m else np.inf
    if m < FEW or t <= u:
        p = (1.0 + float(np.sum(draws >= t))) / (1.0 + n)
        return TailP(p, float(np.sqrt(p * (1.0 - p) / (1.0 + n))), bool(t > top[0]))
    a = stretch(float(np.mean(top[:m])), u, df)
    share = (1.0 + m) / (1.0 + n)
    p = share * float(chdtrc(df, t / a) / chdtrc(df, u / a))
    spread = (1.0 - share + (0.5 * (t - u) / a) ** 2) / m
    return TailP(p, p * float(np.sqrt(spread)), bool(t > top[0]))


def stretch(mean: float, u: float, df: int) -> float:
    """a such that E(aX | aX > u) = mean for X ~ chi2(df)."""

    def excess(a: float) -> float:
        return a * df * float(chdtrc(df + 2, u / a) / chdtrc(df, u / a)) - mean

    low, high = STRETCH
    if excess(low) >= 0.0 or excess(high) <= 0.0:
        return low if excess(low) >= 0.0 else high
    return float(brentq(excess, low, high, rtol=1e-8))
