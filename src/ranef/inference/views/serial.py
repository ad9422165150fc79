"""Do residuals of one group that lie near to each other in time resemble each other?

    acf              r_l = (sum over pairs l steps apart of e_i e_j / n_l) / (sum of e_i^2 / n)
    semivariogram    g(d) = mean of (e_i - e_j)^2 / 2 over pairs a distance d apart

Pairs are made within the levels of a grouping factor only (Pinheiro and Bates 2000, sec. 5.3; Diggle, Heagerty, Liang and Zeger
2002, sec. 5.2). Correlations lie within +-z / sqrt(n_l) where there is none.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from ranef.arguments import check_count, checked
from ranef.design import Array, Codes
from ranef.errors import DataError, ModelError
from ranef.inference.clusters import clusters_of
from ranef.inference.views.columns import column, outermost
from ranef.table import Table

if TYPE_CHECKING:
    from ranef.fit.fit import Fit

MOST_PAIRS = 2_000_000
BINS = 15


@checked
def acf(
    fit: Fit, group: str | None = None, time: str | None = None, *, max_lag: int | None = None, kind: str = "pearson",
    level: float = 0.95, residuals: str = "conditional",
) -> Table:  # fmt: skip
    """Autocorrelations of the residuals within groups: lag correlation pairs conf_low conf_high.

    Parameters
    ----------
    group
        The factor within whose levels rows are neighbours; by default the one that contains all others, and all rows in one for a
        model without random terms.
    time
        A numeric column that orders the rows of a group; without it their order in the data does. A lag is one row further.
    max_lag
        The largest lag; by default that at which every second group still has a pair, and at most 20.
    kind, residuals
        Of the residuals: see `Fit.residuals`; ``"conditional"`` or ``"marginal"``.

    Raises ModelError where no group has two rows; DataError for a column that is unknown or no number.

    Examples
    --------
    >>> import ranef
    >>> m = ranef.lmm("Reaction ~ Days + (Days | Subject)", ranef.datasets.load("sleepstudy"))
    >>> ranef.acf(m, time="Days", max_lag=3)
    Autocorrelation
    Lag   Corr.  Pairs     Lower    Upper
    -------------------------------------
      0   1.000    180  -0.14609  0.14609
      1   0.116    162  -0.15399  0.15399
      2  -0.167    144  -0.16333  0.16333
      3  -0.336    126  -0.17461  0.17461
    Conditional Pearson residuals; the limits are those of no correlation.
    Intervals hold with probability 0.95.
    """
    e = np.asarray(fit.residuals(kind, residuals), dtype=float)
    codes, order = _ordered(fit, group, time)
    e, codes = e[order], codes[order]
    sizes = np.bincount(codes)
    if max_lag is not None:
        check_count("max_lag", max_lag, 1, "lags")
    most = max_lag or int(min(20, np.median(sizes[sizes > 0]) - 1))
    if most < 1 or sizes.max() < 2:
        raise ModelError("No group has two rows, so residuals have no neighbours.", hint="Name another factor with group=.")
    found = [_lagged(e, codes, lag) for lag in range(min(most, int(sizes.max()) - 1) + 1)]
    total = found[0][0] / found[0][1]
    pairs = np.array([count for _, count in found])
    with np.errstate(divide="ignore", invalid="ignore"):
        correlation = np.array([value / count for value, count in found]) / total
        half = ndtri(0.5 * (1.0 + level)) / np.sqrt(pairs)
    columns = {"lag": np.arange(len(found)), "correlation": correlation, "pairs": pairs, "conf_low": -half, "conf_high": half}
    notes = (f"{_words(kind, residuals)}; the limits are those of no correlation.",)
    return Table(columns, title="Autocorrelation", notes=notes, level=level, frame_kind=fit.model.rows.frame)


@checked
def semivariogram(
    fit: Fit, time: str, group: str | None = None, *, bins: int = BINS, kind: str = "pearson", residuals: str = "marginal"
) -> Table:
    """Semivariances of the residuals against their distance in time: distance semivariance pairs.

    Distances that few rows share are binned into `bins` classes of equal number. The residuals are marginal unless told, so that
    the curve starts at the variance of the measurement and rises as far as the rest of the variance within groups; the metadata
    note tells the total. Large data: groups are taken evenly until there are two million pairs.

    Raises ModelError where no group has two rows; DataError for a column that is unknown or no number.

    Examples
    --------
    >>> import ranef
    >>> m = ranef.lmm("Reaction ~ Days + (Days | Subject)", ranef.datasets.load("sleepstudy"))
    >>> ranef.semivariogram(m, "Days", bins=4)
    Semivariogram
    Distance  Semivariance  Pairs
    -----------------------------
       1.000         132.6    162
       2.467         225.0    270
       4.455         275.0    198
       7.000         331.0    180
    Marginal Pearson residuals; their variance is 605.362.
    """
    check_count("bins", bins, 1, "classes of distances")
    e = np.asarray(fit.residuals(kind, residuals), dtype=float)
    t = _numbers(fit, time)
    codes, order = _ordered(fit, group, time)
    distance, half = _pairs(e[order], t[order], codes[order])
    if not len(distance):
        raise ModelError("No group has two rows at different times.", hint="Name another factor with group=.")
    place = _classes(distance, bins)
    count = np.bincount(place)
    columns = {
        "distance": np.bincount(place, distance) / count, "semivariance": np.bincount(place, half) / count, "pairs": count,
    }  # fmt: skip
    total = float(np.mean(e**2))
    notes = (f"{_words(kind, residuals)}; their variance is {total:.6g}.",)
    return Table(columns, title="Semivariogram", notes=notes, frame_kind=fit.model.rows.frame)


def _ordered(fit: Fit, group: str | None, time: str | None) -> tuple[Codes, NDArray[np.intp]]:
    """Codes of the rows, and the rows by group and time."""
    if group is not None:
        codes = clusters_of(fit, group)[2]
    else:
        codes = outermost(fit, None).codes if fit.model.design.terms else np.zeros(fit.nobs, dtype=np.intp)
    t = np.arange(fit.nobs, dtype=float) if time is None else _numbers(fit, time)
    return codes, np.lexsort((t, codes))


def _numbers(fit: Fit, time: str) -> Array:
    if not isinstance(time, str):
        raise DataError(f"time={time!r} must be the name of a column with the times.")
    found = column(fit, time)
    if found.numbers is None:
        raise DataError(f"{time!r} must be a number to be a time.", hint="Give the times as numbers, such as days.")
    return found.numbers


def _lagged(e: Array, codes: Codes, lag: int) -> tuple[float, int]:
    ahead = slice(lag, None)
    together = (codes[ahead] == codes[: len(codes) - lag]) & np.isfinite(e[ahead]) & np.isfinite(e[: len(e) - lag])
    product = e[ahead][together] * e[: len(e) - lag][together]
    return float(np.sum(product)), int(together.sum())


def _pairs(e: Array, t: Array, codes: Codes) -> tuple[Array, Array]:
    """(distance, half the squared difference) of the pairs within groups that are apart in time."""
    distances, halves = [np.zeros(0)], [np.zeros(0)]
    for rows in _some_groups(codes):
        i, j = np.triu_indices(rows.stop - rows.start, 1)
        apart = np.abs(t[rows][i] - t[rows][j])
        used = apart > 0.0
        distances.append(apart[used])
        halves.append(0.5 * (e[rows][i] - e[rows][j])[used] ** 2)
    distance, half = np.concatenate(distances), np.concatenate(halves)
    good = np.isfinite(half)
    return distance[good], half[good]


def _some_groups(codes: Codes) -> Iterator[slice]:
    """Slices of the groups of ordered codes, as many, evenly spaced, as make up to MOST_PAIRS pairs."""
    edges = np.flatnonzero(np.diff(codes, prepend=-1, append=codes[-1] + 1))
    total = float(np.sum(np.diff(edges).astype(float) ** 2) / 2.0)
    step = max(1, int(np.ceil(total / MOST_PAIRS)))
    for k in range(0, len(edges) - 1, step):
        yield slice(int(edges[k]), int(edges[k + 1]))


def _classes(distance: Array, bins: int) -> NDArray[np.intp]:
    """The class of each distance: its own value where there are few, else one of about equal number."""
    values, place, count = np.unique(distance, return_inverse=True, return_counts=True)
    if len(values) <= bins:
        return place.astype(np.intp)
    middle = (np.cumsum(count) - 0.5 * count) / len(distance)
    owner = np.minimum((middle * bins).astype(np.intp), bins - 1)
    return np.unique(owner, return_inverse=True)[1][place].astype(np.intp)


def _words(kind: str, residuals: str) -> str:
    return f"{residuals.capitalize()} {'Pearson' if kind == 'pearson' else kind} residuals"
