"""Tests of quantile residuals (r,) against those of simulations (b, r), each ranked among the others.

Every p value is the share of simulations that are as extreme: (1 + count) / (1 + b), Davison and Hinkley (1997), eq. 4.11. So
rows may go together, in the data as in the simulations.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ranef.covariance.base import Array
from ranef.design import Codes


@dataclass(frozen=True, eq=False)
class Test:
    statistic: float
    expected: float  # mean of the simulations
    p_value: float
    simulated: Array  # (b,)


def uniform_distance(values: Array, ranks: Array) -> Test:
    """Kolmogorov and Smirnov's largest distance between the distribution of the values and the uniform one."""
    return _above(float(distance(values[None])[0]), distance(ranks))


def largest_distance(values: Array, ranks: Array, codes: Codes) -> Test:
    """The largest over groups of sqrt(rows) times that distance within the group."""
    groups = [np.flatnonzero(codes == code) for code in np.unique(codes)]
    own = max(np.sqrt(len(rows)) * float(distance(values[None, rows])[0]) for rows in groups)
    others = np.max([np.sqrt(len(rows)) * distance(ranks[:, rows]) for rows in groups], axis=0)
    return _above(own, others)


def dispersion(residual: Array, simulated: Array) -> Test:
    """Mean square of the residuals over the mean of the simulations; both tails."""
    squares = np.mean(simulated**2, axis=1)
    own, total = float(np.mean(residual**2)), float(squares.mean())
    others = squares / total
    ratio = own / total
    tail = min(_share(others >= ratio), _share(others <= ratio))
    return Test(ratio, 1.0, min(1.0, 2.0 * tail), others)


def outlying(values: Array, ranks: Array) -> Test:
    """Rows below or above all simulations; both tails. Simulations count those where one is below or above all others."""
    own = float(np.count_nonzero((values <= 0.0) | (values >= 1.0)))
    others = np.count_nonzero((ranks <= 0.0) | (ranks >= 1.0), axis=1).astype(float)
    tail = min(_share(others >= own), _share(others <= own))
    return Test(own, float(others.mean()), min(1.0, 2.0 * tail), others)


def distance(values: Array) -> Array:
    """(b,) Kolmogorov and Smirnov's D of each row of (b, r) values."""
    ordered = np.sort(values, axis=1)
    r = ordered.shape[1]
    steps = np.arange(r)
    return np.max(np.maximum((steps + 1) / r - ordered, ordered - steps / r), axis=1)


def _above(own: float, others: Array) -> Test:
    return Test(own, float(others.mean()), _share(others >= own), others)


def _share(extreme: NDArray[np.bool_]) -> float:
    return (1.0 + float(np.count_nonzero(extreme))) / (1.0 + len(extreme))
