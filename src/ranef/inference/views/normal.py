"""Normal quantiles with a band that a normal sample stays in as a whole.

The k-th smallest of n uniform numbers has a beta distribution with k and n + 1 - k, so that the limits of each quantile are known
exactly. All of them together hold with probability `level` when each holds with 1 - gamma, where gamma is found by simulation of
the ordered sample (tail-sensitive bands: Aldor-Noiman, Brown, Buja, Rolke and Stine 2013, The American Statistician 67, 249-260).
Of large samples `MOST` ranks are taken, closer together in the tails, whose joint distribution is simulated exactly as partial sums
of gamma variables.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import betainc, betaincinv, ndtri

from ranef.design import Array
from ranef.table import Table

MOST = 300
DRAWS = 1000


def quantile_band(values: Array, *, sd: float | None = None, level: float = 0.95, seed: int = 0) -> Table:
    """theoretical sample conf_low conf_high rank of the ordered values, missing ones left out.

    The band is that of a normal sample with the mean and standard deviation of the values, or with mean zero and `sd`.
    """
    ordered = np.sort(np.asarray(values, dtype=float)[np.isfinite(values)])
    n = len(ordered)
    rank = _ranks(n)
    mean, scale = (0.0, sd) if sd is not None else (float(ordered.mean()), float(ordered.std(ddof=1)) if n > 1 else 0.0)
    tail = 0.5 * _local_level(n, rank, level, seed)
    low, high = (ndtri(betaincinv(rank, n + 1.0 - rank, p)) for p in (tail, 1.0 - tail))
    columns = {
        "theoretical": ndtri((rank - 0.5) / n), "sample": ordered[rank - 1], "conf_low": mean + scale * low,
        "conf_high": mean + scale * high, "line": mean + scale * ndtri((rank - 0.5) / n), "rank": rank,
    }  # fmt: skip
    note = f"A normal sample of {n:,} lies inside the band as a whole with probability {level:.4g}."
    return Table(columns, title="Normal quantiles", notes=(note,), level=level)


def _ranks(n: int) -> NDArray[np.intp]:
    """All ranks, or MOST of them: evenly spaced in the normal quantile, the extreme ones one by one."""
    if n <= MOST:
        return np.arange(1, n + 1)
    from scipy.special import ndtr

    edge = np.arange(1, 21)
    middle = np.rint(n * ndtr(np.linspace(ndtri(20.5 / n), ndtri(1.0 - 20.5 / n), MOST - 40)) + 0.5).astype(np.intp)
    return np.unique(np.concatenate([edge, np.clip(middle, 1, n), n + 1 - edge]))


def _local_level(n: int, rank: NDArray[np.intp], level: float, seed: int) -> float:
    """gamma: the quantile of the smallest two-sided p value over the ranks of a uniform sample."""
    rng = np.random.default_rng(seed)
    steps = np.diff(np.concatenate([[0], rank, [n + 1]]))
    sums = np.cumsum(rng.gamma(steps, size=(DRAWS, len(steps))), axis=1)
    below = betainc(rank, n + 1.0 - rank, sums[:, :-1] / sums[:, -1:])
    return float(np.quantile(2.0 * np.minimum(below, 1.0 - below).min(axis=1), 1.0 - level))
