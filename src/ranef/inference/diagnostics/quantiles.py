"""Quantile-quantile plots with bands that hold all points at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from ranef.covariance.base import Array

SHOWN = 1000  # points of a plot; of more values the extremes and every k-th
EXTREMES = 100  # of each end
COVERAGE = 0.95


def places(n: int) -> NDArray[np.intp]:
    """Which order statistics of n values are shown."""
    if n <= SHOWN:
        return np.arange(n)
    middle = np.linspace(EXTREMES, n - EXTREMES - 1, SHOWN - 2 * EXTREMES).astype(np.intp)
    return np.concatenate([np.arange(EXTREMES), middle, np.arange(n - EXTREMES, n)])


def normal_quantiles(n: int) -> Array:
    """(min(n, 1000),) expected places of the shown order statistics: Phi^-1((i - 3/8) / (n + 1/4)), Blom (1958)."""
    return ndtri((places(n) + 0.625) / (n + 0.25))


@dataclass(frozen=True, eq=False)
class Band:
    lower: Array
    upper: Array
    p_value: float  # of the observed curve by its most extreme point


def band(observed: Array, simulated: Array, coverage: float = COVERAGE) -> Band:
    """The band that holds `coverage` of the simulated curves (b, q) as wholes, and how extreme the observed one (q,) is.

    A global envelope whose width follows the quantiles of the simulations at each point: Myllymaki, Mrkvicka, Grabarnik, Seijo and
    Hahn (2017), JRSS B 79, 381-404, section 4.3.
    """
    center = simulated.mean(axis=0)
    low, high = np.quantile(simulated, [0.025, 0.975], axis=0)
    floor = 1e-12 * max(float(np.abs(simulated).max()), 1e-300)
    below, above = np.maximum(center - low, floor), np.maximum(high - center, floor)

    def extremeness(curves: Array) -> Array:
        return np.max(np.maximum((curves - center) / above, (center - curves) / below), axis=-1)

    own, others = float(extremeness(observed)), extremeness(simulated)
    width = float(np.quantile(others, coverage, method="higher"))
    p = (1.0 + float(np.count_nonzero(others >= own))) / (1.0 + len(others))
    return Band(center - width * below, center + width * above, p)
