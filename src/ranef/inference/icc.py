"""Intraclass correlations: how alike two observations of one group are.

    adjusted      random / (random + residual)                    what the fixed part leaves, Nakagawa, Johnson and Schielzeth
    (2017)
    unadjusted    random / (fixed + random + residual)            all of the variance
    share         group / (random + residual)                     by grouping factor
    correlation   (group + groups around it) / (random + residual)  of two rows in one level, where groups are nested
    simple        tau_00 / (tau_00 + sigma^2)                     one grouping factor beside the residual, at covariates of zero
    intercept     tau_00 / (random + residual)                    where there are random slopes, their part left out

Random parts are averaged over the rows, or taken at stated values of covariates.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ranef.arguments import checked
from ranef.fit.points import design_points
from ranef.fit.residual_side import refuse_structured
from ranef.inference.parts import Part, Parts
from ranef.inference.ratios import RULES, Estimate, share, share_of
from ranef.inference.variance import averaging
from ranef.table import Table

if TYPE_CHECKING:
    from ranef.fit.fit import Fit
    from ranef.inference.bootstrap import Bootstrap

INTERCEPT = "(Intercept)"


@checked
def icc(fit: Fit, *, at: Mapping[str, Any] | None = None, level: float = 0.95, bootstrap: Bootstrap | None = None) -> Table:
    """Intraclass correlations: quantity group estimate std_error conf_low conf_high.

    Intervals are by the delta method, or percentiles of `ranef.bootstrap(m, 1000)` where that is given as `bootstrap`. `at`, such
    as ``{"Days": 0}``, asks for them at values of covariates, on which they depend where slopes are random. A singular fit has
    the limit of zero variances. Raises ModelError for a saved model and DataError for an unknown column in `at`.

    Examples
    --------
    >>> import ranef
    >>> m = ranef.lmm("y ~ x + z + (1 | school / class)", ranef.datasets.load("schools"))
    >>> ranef.icc(m)
    Intraclass correlations
    Quantity     Group         Estimate  Std. error  Lower  Upper
    -------------------------------------------------------------
    adjusted                      0.740       0.073  0.567  0.855
    unadjusted                    0.648       0.087  0.458  0.793
    share        school           0.531       0.132  0.282  0.760
    simple       school           0.671       0.113  0.424  0.847
    share        school:class     0.209       0.077  0.086  0.383
    correlation  school:class     0.740       0.073  0.567  0.855
    simple       school:class     0.446       0.079  0.290  0.593
    Intervals by the delta method, on the logarithm of the ratio to what remains.
    Intervals hold with probability 0.95.
    """
    if not fit.model.design.terms:
        refuse_structured(fit, "icc() without random effects", "residual_covariance(correlation=True) has the correlations.")
    parts = Parts.of(fit, at, bootstrap)
    rows = list(_rows(parts, level, stated=at is not None))
    columns = {
        "quantity": [quantity for quantity, _, _ in rows],
        "group": [group for _, group, _ in rows],
        "estimate": np.array([estimate.value for _, _, estimate in rows]),
        "std_error": np.array([estimate.std_error for _, _, estimate in rows]),
        "conf_low": np.array([estimate.low for _, _, estimate in rows]),
        "conf_high": np.array([estimate.high for _, _, estimate in rows]),
    }
    notes = (*averaging(parts, at), parts.note)
    return Table(columns, title="Intraclass correlations", notes=notes, level=level, frame_kind=fit.model.rows.frame, rules=RULES)


def _rows(parts: Parts, level: float, stated: bool) -> Iterator[tuple[str, str | None, Estimate]]:
    random, residual, spread = parts.all_random, parts.residual, parts.spread
    yield "adjusted", None, share(random, residual, spread, level)
    yield "unadjusted", None, share(random, Part.stack([parts.fixed, residual]), spread, level)
    around = enclosing(parts.fit)
    for f, factor in enumerate(parts.factors):
        others = [part for g, part in enumerate(parts.random) if g != f]
        yield "share", factor.name, share(parts.random[f], Part.stack([*others, residual]), spread, level)
        if around[f]:
            alike = [part for g, part in enumerate(parts.random) if g == f or g in around[f]]
            apart = [part for g, part in enumerate(parts.random) if g != f and g not in around[f]]
            yield "correlation", factor.name, share(Part.stack(alike), Part.stack([*apart, residual]), spread, level)
        if INTERCEPT in factor.names:
            intercept = parts.column_part(f, factor.names.index(INTERCEPT))
            yield "simple", factor.name, share(intercept, residual, spread, level)
            if len(factor.names) > 1 and not stated:
                yield "intercept", factor.name, share_of(intercept, Part.stack([random, residual]), spread, level)


def enclosing(fit: Fit) -> list[set[int]]:
    """For each grouping factor those others in whose levels its own lie entirely."""
    codes = design_points(fit.model.design, fit.criterion.layout).codes
    sizes = [block.levels for block in fit.criterion.layout.blocks]
    out: list[set[int]] = [set() for _ in sizes]
    for f, own in enumerate(codes):
        for g, other in enumerate(codes):
            if g != f and len(np.unique(own * sizes[g] + other)) == sizes[f] > sizes[g]:
                out[f].add(g)
    return out
