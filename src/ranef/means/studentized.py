"""Maxima of studentised normal variables by quadrature: the range (Tukey) and variables with one common part (Dunnett).

With S^2 = chi^2_df / df independent of the normal variables, P(max > c) = E_S P(max of the normals > c S). The outer integral is
taken in log s, where the trapezoidal rule converges faster than any power of its step. Upper tails are integrated as such, so
that small probabilities keep their digits.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln, ndtr

from ranef.design import Array

STEP = 0.3  # of the inner rule, in standard deviations: its error is below 1e-16
REACH = 9.0  # standard deviations beyond which a normal density is nothing
FADED = 40.0  # log of how far the outer integrand falls from its top
CHUNK = 1 << 20


def range_tail(q: Array, count: float, df: Array) -> Array:
    """(m,) P(Q > q) for the studentised range Q of `count` means (a fraction is allowed) and df degrees of freedom.

    Normal range: 1 - W(w) = k int phi(z) {Phi(z)^(k-1) - [Phi(z) - Phi(z - w)]^(k-1)} dz.
    """
    power = count - 1.0

    def tail(w: Array) -> Array:
        z = np.arange(-REACH, float(np.max(w, initial=0.0)) / 2 + REACH + STEP, STEP)
        below = ndtr(z)
        weight = count * STEP * np.exp(-0.5 * z**2) / np.sqrt(2 * np.pi) * below**power
        with np.errstate(divide="ignore"):
            share = np.log1p(-np.minimum(ndtr(z - w[:, None]) / below, 1.0))
            return np.minimum(-np.expm1(power * share) @ weight, 1.0)

    return studentised(tail, np.abs(np.asarray(q, dtype=float)), df, spread=0.5)


def common_tail(c: Array, loading: Array, df: Array, *, two_sided: bool = True) -> Array:
    """(m,) P(max T_i > c), of |T_i| where two-sided, for t variables with correlations loading_i loading_j (Dunnett 1955).

    With X_i = loading_i Z + sqrt(1 - loading_i^2) E_i the X_i are independent given Z.
    """
    rest = np.sqrt(1.0 - loading**2)
    narrow = float(np.min(rest))
    z = np.arange(-REACH, REACH + STEP * narrow, STEP * narrow)
    weight = STEP * narrow * np.exp(-0.5 * z**2) / np.sqrt(2 * np.pi)

    def tail(w: Array) -> Array:
        inside = np.zeros((len(w), len(z)))
        with np.errstate(divide="ignore"):
            for a, r in zip(loading, rest, strict=True):
                outside = ndtr((a * z - w[:, None]) / r)
                if two_sided:
                    outside = outside + ndtr((-a * z - w[:, None]) / r)
                inside += np.log1p(-np.minimum(outside, 1.0))
        return np.minimum(-np.expm1(inside) @ weight, 1.0)

    return studentised(tail, np.asarray(c, dtype=float), df, spread=1.0)


def studentised(tail: Callable[[Array], Array], c: Array, df: Array, *, spread: float) -> Array:
    """(m,) E tail(c S) over S = sqrt(chi^2_df / df); `tail(w)` falls about as exp(-spread w^2 / 2). NaN stays NaN."""
    c, df = np.broadcast_arrays(c, np.asarray(df, dtype=float))
    out = np.full(c.shape, np.nan)
    normal = np.isinf(df) & ~np.isnan(c)
    if normal.any():
        out[normal] = _chunked(tail, c[normal])
    for value in np.unique(df[np.isfinite(df)]):
        here = np.flatnonzero((df == value) & ~np.isnan(c))
        log_s, weight = scale_rule(float(value), float(np.max(np.abs(c[here]), initial=0.0)) * np.sqrt(spread))
        points = np.outer(c[here], np.exp(log_s))
        out[here] = _chunked(tail, points.ravel()).reshape(points.shape) @ weight
    return out


def scale_rule(df: float, c: float) -> tuple[Array, NDArray[np.float64]]:
    """Nodes log s and weights for the density of S, wide enough for tails up to exp(-c^2 s^2 / 2)."""
    down = FADED / df + np.sqrt(FADED / df)
    up = min(np.sqrt(FADED / df), 0.5 * np.log1p(2.0 * FADED / df) + 0.5)
    low = 0.5 * np.log(df / (df + c**2)) - down
    step = min(0.55 / np.sqrt(2.0 * df), 0.125)
    x = np.linspace(low, up, int(np.ceil((up - low) / step)) + 1)
    log_density = 0.5 * df * np.log(0.5 * df) - gammaln(0.5 * df) + np.log(2.0) + df * x - 0.5 * df * np.exp(2.0 * x)
    return x, (x[1] - x[0]) * np.exp(log_density)


def _chunked(tail: Callable[[Array], Array], w: Array) -> Array:
    """`tail` in pieces that fit in memory, by size of w so that each piece integrates no further than it needs."""
    order = np.argsort(w)
    out = np.empty_like(w)
    for start in range(0, len(w), CHUNK // 256):
        rows = order[start : start + CHUNK // 256]
        out[rows] = tail(w[rows])
    return out
