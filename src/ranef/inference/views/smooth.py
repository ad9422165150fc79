"""A smooth line through points: local linear regression with tricube weights (loess of degree one).

Cleveland (1979), Robust locally weighted regression and smoothing scatterplots, JASA 74, 829-836, eq. 1 and 2, without the
robustness steps. The line at x_0 is l(x_0)'y, and its standard error s |l(x_0)| with s the root mean square about the line. More
than `MOST` points are first averaged in slices of equal number, which changes the line by less than its own width.
"""

from __future__ import annotations

import numpy as np
from scipy.special import ndtri

from ranef.design import Array
from ranef.table import Table

MOST = 1000
SPAN = 2.0 / 3.0


def smooth(x: Array, y: Array, *, span: float = SPAN, points: int = 60, level: float = 0.95) -> Table:
    """x estimate conf_low conf_high at `points` places between the smallest and the largest x. `span` is the share of the points
    that count at each place. Missing values are left out; fewer than five different x give the means at each."""
    good = np.isfinite(x) & np.isfinite(y)
    x, y = np.asarray(x, dtype=float)[good], np.asarray(y, dtype=float)[good]
    distinct = np.unique(x)
    found = _means(x, y, distinct) if len(distinct) < 5 else _line(x, y, span, np.linspace(distinct[0], distinct[-1], points))
    at, line, error = found
    half = ndtri(0.5 * (1.0 + level)) * error
    columns = {"x": at, "estimate": line, "conf_low": line - half, "conf_high": line + half}
    return Table(columns, title="Smooth line", level=level, notes=(f"Local linear regression, span {span:.2g}.",))


def _means(x: Array, y: Array, distinct: Array) -> tuple[Array, Array, Array]:
    parts = [y[x == value] for value in distinct]
    spread = [part.std(ddof=1) / np.sqrt(len(part)) if len(part) > 1 else np.nan for part in parts]
    return distinct, np.array([part.mean() for part in parts]), np.array(spread)


def _line(x: Array, y: Array, span: float, at: Array) -> tuple[Array, Array, Array]:
    order = np.argsort(x, kind="stable")
    x, y = x[order], y[order]
    cx, cy, count = _sliced(x, y)
    line, spread = _local(cx, cy, count, span, at)
    fitted = np.interp(x, at, line)
    scale = float(np.sqrt(np.mean((y - fitted) ** 2)))
    return at, line, scale * spread


def _sliced(x: Array, y: Array) -> tuple[Array, Array, Array]:
    """Means of x and y, and the number of points, in slices of the ordered points."""
    if len(x) <= MOST:
        return x, y, np.ones(len(x))
    edges = np.linspace(0, len(x), MOST + 1).astype(np.intp)
    count = np.diff(edges).astype(float)
    return np.add.reduceat(x, edges[:-1]) / count, np.add.reduceat(y, edges[:-1]) / count, count


def _local(x: Array, y: Array, count: Array, span: float, at: Array) -> tuple[Array, Array]:
    """The line and |l| at each place; the points have variance 1 / count."""
    near = min(len(x), max(3, int(np.ceil(span * len(x)))))
    distance = np.abs(at[:, None] - x)
    width = np.partition(distance, near - 1, axis=1)[:, near - 1 : near] * (1.0 + 1e-9)
    wide = np.maximum(width, 1e-9 * (x[-1] - x[0]))
    weight = np.clip(1.0 - (distance / wide) ** 3, 0.0, None) ** 3 * count
    off = x - at[:, None]
    s0, s1, s2 = (np.sum(weight * off**power, axis=1) for power in (0, 1, 2))
    det = s0 * s2 - s1**2
    flat = det <= 1e-10 * s0 * s2
    own = np.where(flat[:, None], weight / s0[:, None], weight * (s2[:, None] - s1[:, None] * off) / np.where(flat, 1.0, det)[:, None])
    return own @ y, np.sqrt(np.sum(own**2 / count, axis=1))
