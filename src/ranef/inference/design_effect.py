"""Design effects: what clustering does to the precision of an estimate, against as many independent rows of the same variance.

    mean, or an effect between clusters    n Var(mean of y) / Var(y) = 1 + (m - 1) rho         Kish (1965), m = sum n_j^2 / n
    an effect within clusters              1 - rho                                             balanced designs

rho is the share of the grouping factor in the random and residual variance. Effective sample size: n over the design effect.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from ranef.arguments import checked
from ranef.design import Array
from ranef.fit.points import design_points
from ranef.fit.residual_side import refuse_structured
from ranef.inference.parts import Part, Parts
from ranef.inference.ratios import Estimate, quantile, ratio, share
from ranef.inference.variance import averaging
from ranef.table import Table

if TYPE_CHECKING:
    from ranef.fit.fit import Fit
    from ranef.inference.bootstrap import Bootstrap

BETWEEN, WITHIN = "mean, between effects", "within effects"


@checked
def design_effect(fit: Fit, *, level: float = 0.95, bootstrap: Bootstrap | None = None) -> Table:
    """Design effects and effective sample sizes: quantity group cluster_size estimate conf_low conf_high effective_rows.

    A row for each grouping factor alone, one for all together where there are several, and one for effects that vary within the
    levels of all. Intervals are by the delta method, or percentiles of `ranef.bootstrap(m, 1000)` where that is given.
    `cluster_size` is that of equal clusters with the same design effect. A variance of zero gives the limit 1. Raises ModelError
    for a saved model (which has no rows).

    Examples
    --------
    >>> import ranef
    >>> m = ranef.lmm("y ~ x + z + (1 | school)", ranef.datasets.load("schools"))
    >>> ranef.design_effect(m)
    Design effects
    Quantity               Group   Cluster size  Design effect   Lower    Upper
    ---------------------------------------------------------------------------
    mean, between effects  school         20.76        12.5224  7.9519  16.3627
    within effects                                      0.4168  0.2225   0.6481
    <BLANKLINE>
    Quantity               Group   Cluster size  Effective rows
    -----------------------------------------------------------
    mean, between effects  school         20.76           19.80
    within effects                                       594.97
    Against 248 independent rows.
    Intervals by the delta method, on the logarithm of the ratio to what remains.
    Intervals hold with probability 0.95.
    """
    quantile(level)
    refuse_structured(fit, "design_effect()")
    parts, n = Parts.of(fit, bootstrap=bootstrap), fit.nobs
    total = Part.stack([parts.all_random, parts.residual])
    rows: list[tuple[str, str | None, float | None, Estimate]] = []
    for f, factor in enumerate(parts.factors):
        size = _cluster_size(parts, f)
        others = Part.stack([parts.nothing, *(part for g, part in enumerate(parts.random) if g != f), parts.residual])
        rho = share(parts.random[f], others, parts.spread, level)
        rows.append((BETWEEN, factor.name, size, rho.map(partial(_kish, size), size - 1.0)))
    if len(rows) > 1:
        rows.append((BETWEEN, None, None, _together(parts, total, level, [row[3].high for row in rows])))
    rho = share(parts.all_random, parts.residual, parts.spread, level)
    rows.append((WITHIN, None, None, rho.reversed(lambda q: 1.0 - q, 1.0)))
    columns = {
        "quantity": [quantity for quantity, *_ in rows],
        "group": [group for _, group, *_ in rows],
        "cluster_size": [size for _, _, size, _ in rows],
        "estimate": np.array([estimate.value for *_, estimate in rows]),
        "conf_low": np.array([estimate.low for *_, estimate in rows]),
        "conf_high": np.array([estimate.high for *_, estimate in rows]),
        "effective_rows": np.array([n / estimate.value for *_, estimate in rows]),
    }
    notes = (f"Against {n:,} independent rows.", *averaging(parts, None), parts.note)
    headings = {"estimate": "Design effect"}
    return Table(columns, title="Design effects", notes=notes, level=level, headings=headings, frame_kind=fit.model.rows.frame)


def _kish(size: float, rho: float) -> float:
    return 1.0 + (size - 1.0) * rho


def _together(parts: Parts, total: Part, level: float, highs: list[float]) -> Estimate:
    """Of all grouping factors; where no random effect varies, the highest limit of any alone."""
    of_mean = Part.stack([*(_of_sums(parts, f) for f in range(len(parts.factors))), parts.residual])
    found = ratio(of_mean, total, parts.spread, level)
    if parts.all_random.variance == 0.0:
        return Estimate(1.0, 0.0, 1.0, max(highs))
    return found


def _cluster_size(parts: Parts, f: int) -> float:
    """The size of equal clusters with this design effect: sum_j s_j'Omega s_j over sum_i z_i'Omega z_i, s_j the sum of z over
    level j.

    Without any variance, that of a random effect with the covariance of the identity.
    """
    part = parts.random[f]
    if part.variance > 0.0:
        return _of_sums(parts, f).variance / part.variance
    return float(np.sum(_sum_root(parts, f) ** 2) * len(parts.X) / np.sum(parts.z[f] ** 2))


def _of_sums(parts: Parts, f: int) -> Part:
    """n times the variance that the grouping factor adds to the mean of y."""
    return parts.random_part(f, _sum_root(parts, f))


def _sum_root(parts: Parts, f: int) -> Array:
    codes = design_points(parts.fit.model.design, parts.fit.criterion.layout).codes[f]
    sums = np.zeros((parts.fit.criterion.layout.blocks[f].levels, parts.z[f].shape[1]))
    np.add.at(sums, codes, parts.z[f])
    return np.linalg.qr(sums, mode="r") / np.sqrt(len(codes))
