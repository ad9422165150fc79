"""Tests of equal variances, as functions of residuals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import chdtrc, fdtrc

from ranef.covariance.base import Array
from ranef.design import Codes


@dataclass(frozen=True)
class SpreadTest:
    """A test and how unequal the spread is: `ratio` of standard deviations where it is large to where it is small."""

    statistic: float
    df: tuple[int, ...]
    p_value: float
    ratio: float


def breusch_pagan(residuals: Array, Z: Array, *, studentised: bool = True) -> SpreadTest:
    """n R2 of the regression of squared residuals (n,) on columns Z (n, k) with an intercept; chi-squared with rank Z - 1 df.

    Koenker (1981), J. Econometrics 17, 107-112; without studentising half of the explained sum of squares over sigma^4, Breusch
    and Pagan (1979), Econometrica 47, 1287-1294, which holds for normal residuals only. As lmtest's `bptest`.

    `ratio` compares the standard deviations predicted at the 95th and the 5th percentile of the rows.
    """
    squares = residuals**2 / np.mean(residuals**2)
    center = squares - squares.mean()
    explained, df = _explained(center, Z)
    found = float(explained @ explained)
    statistic = len(squares) * found / float(center @ center) if studentised else 0.5 * found
    low, high = np.quantile(1.0 + explained, [0.05, 0.95])
    return SpreadTest(statistic, (df,), float(chdtrc(df, statistic)), float(np.sqrt(max(high, 0.0) / max(low, 0.05))))


def levene(residuals: Array, codes: Codes, *, center: str = "median") -> SpreadTest:
    """One-way analysis of variance of |residual - center of its group|: Levene (1960), with medians Brown and Forsythe (1974).

    `center` is "median", "mean" or "zero" (residuals of a model that centres the groups itself). `ratio` is that of a group one
    standard deviation above the average spread to one below, without what chance alone would give.
    """
    m = int(codes.max()) + 1
    sizes = np.bincount(codes, minlength=m)
    distance = np.abs(residuals - _centers(residuals, codes, m, center)[codes])
    means = np.bincount(codes, distance, m) / np.maximum(sizes, 1)
    n, groups, total = len(codes), int(np.count_nonzero(sizes)), float(distance.mean())
    between = float(np.sum(sizes * (means - total) ** 2)) / max(groups - 1, 1)
    within = float(np.sum((distance - means[codes]) ** 2)) / max(n - groups, 1)
    df = (groups - 1, n - groups)
    if min(df) < 1 or within <= 0:
        return SpreadTest(float("nan"), df, float("nan"), float("nan"))
    size = (n - float(np.sum(sizes.astype(float) ** 2)) / n) / (groups - 1)
    varying = min(np.sqrt(max(between - within, 0.0) / size) / total, 0.9)
    F = between / within
    return SpreadTest(F, df, float(fdtrc(*df, F)), float((1.0 + varying) / (1.0 - varying)))


def _centers(residuals: Array, codes: Codes, m: int, center: str) -> Array:
    if center == "zero":
        return np.zeros(m)
    if center == "mean":
        return np.bincount(codes, residuals, m) / np.maximum(np.bincount(codes, minlength=m), 1)
    order = np.lexsort((residuals, codes))
    counts = np.bincount(codes, minlength=m)
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    ranked = residuals[order]
    live = np.flatnonzero(counts)
    out = np.zeros(m)
    out[live] = 0.5 * (ranked[starts[live] + (counts[live] - 1) // 2] + ranked[starts[live] + counts[live] // 2])
    return out


def _explained(y: Array, Z: Array) -> tuple[Array, int]:
    """(n,) the part of a centred y in the span of the centred columns of Z, and their rank.

    With Z = QR and R = U S V', V / S on the right makes Z orthonormal: no second matrix of n rows is needed.
    """
    centred = Z - Z.mean(axis=0)
    scale = np.sqrt(np.einsum("ij,ij->j", centred, centred))
    live = scale > 1e-10 * np.sqrt(np.einsum("ij,ij->j", Z, Z))
    centred *= np.where(live, 1.0 / np.where(live, scale, 1.0), 0.0)
    _, values, right = np.linalg.svd(np.linalg.qr(centred, mode="r"), full_matrices=False)
    good = values > 1e-7 * max(float(values.max(initial=0.0)), 1e-300)
    white = right[good].T / values[good]
    return np.asarray(centred @ (white @ (white.T @ (centred.T @ y)))), int(np.count_nonzero(good))
