"""Complete, no and partial pooling side by side, and a test of what partial pooling assumes.

complete   every level alike: the random effects of the factor left out
no         every level by itself: its effects free, as dummies (and dummies times slopes) would have them
partial    the model: predicted from all levels, shrunk by what each level's own rows say
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.special import chdtrc

from ranef.arguments import checked
from ranef.design import Array
from ranef.errors import ModelError
from ranef.inference.pooled import Pooled, Pooling
from ranef.table import Table

if TYPE_CHECKING:
    from ranef.fit.fit import Fit

OTHERS = "Other grouping factors keep their estimated covariances."
LINE = "The coefficients of each level: fixed effects and covariates of the level included."
ALONE = "No value where the rows of a level alone do not determine its coefficients."
AGREE = 1e-7  # an eigenvalue of the variance of the difference below this share of the largest is rounding


@checked
def pooling(fit: Fit, group: str | None = None) -> Table:
    """The coefficients of each level of a grouping factor: group level term rows complete_pooling no_pooling partial_pooling, and
    the standard errors no_pooling_se partial_pooling_se.

    `group` may be left out where there is one. Raises ModelError for an unknown group, a model without random effects, and a
    saved model.

    Examples
    --------
    >>> import ranef
    >>> m = ranef.lmm("Yield ~ 1 + (1 | Batch)", ranef.datasets.load("Dyestuff"))
    >>> ranef.pooling(m).frame[["level", "complete_pooling", "no_pooling", "partial_pooling"]].round(1)
      level  complete_pooling  no_pooling  partial_pooling
    0     A            1527.5      1505.0           1509.9
    1     B            1527.5      1528.0           1527.9
    2     C            1527.5      1564.0           1556.1
    3     D            1527.5      1498.0           1504.4
    4     E            1527.5      1600.0           1584.2
    5     F            1527.5      1470.0           1482.5
    """
    pooled = Pooled.of(fit, group)
    m, k = len(pooled.factor.levels), len(pooled.factor.names)
    codes = next(term.group.codes for term in fit.model.design.terms if term.group.name == pooled.factor.name)
    ways: tuple[Pooling, ...] = ("complete", "none", "partial")
    found = {way: pooled.estimates(way) for way in ways}
    columns = {
        "group": np.full(m * k, pooled.factor.name, dtype=object),
        "level": np.tile(pooled.factor.levels, k),
        "term": np.repeat(np.array(pooled.factor.names, dtype=object), m),
        "rows": np.tile(np.bincount(codes, minlength=m), k),
        "complete_pooling": found["complete"][0],
        "no_pooling": found["none"][0],
        "partial_pooling": found["partial"][0],
        "no_pooling_se": found["none"][1],
        "partial_pooling_se": found["partial"][1],
    }
    several = len(fit.criterion.layout.blocks) > 1
    notes = (LINE, *((ALONE,) if not pooled.determined.all() else ()), *((OTHERS,) if several else ()))
    return Table(columns, title="Complete, no and partial pooling", notes=notes, frame_kind=fit.model.rows.frame)


@checked
def hausman(fit: Fit, group: str | None = None) -> Table:
    """Do the random effects of a grouping factor correlate with the covariates? Fixed dummies against random effects, coefficient
    by coefficient and jointly: term no_pooling partial_pooling estimate std_error statistic df p_value.

    `estimate` is the difference. The statistic is chi-squared with the variance Var(no pooling) - Var(partial pooling), both at the
    estimated covariances, so that it cannot be negative (Hausman 1978). A small p says that partial pooling biases the
    coefficient; adding `between(x, g)` to the formula cures it, and `contextual(m, x)` tests it covariate by covariate.

    Raises ModelError where no coefficient can be estimated within the levels.

    Examples
    --------
    >>> import ranef
    >>> m = ranef.lmm("y ~ x + (1 | school)", ranef.datasets.load("schools"))
    >>> ranef.hausman(m)
    Hausman test
    Term  No pooling   Partial  Difference  Std. error  Chi-sq.    df      p
    ------------------------------------------------------------------------
    x       0.665489  0.667139   -0.001650    0.002727     0.37  1.00  0.545
    all                                                    0.37  1.00  0.545
    Fixed dummies of school against its random effects.
    """
    pooled = Pooled.of(fit, group)
    kept = np.zeros(len(fit.model.design.names), dtype=bool)
    kept[list(fit.criterion.gram.standard.kept)] = True
    at = np.flatnonzero(~pooled.spanned & kept)
    if not len(at):
        raise ModelError(
            f"Every coefficient is absorbed by the levels of {pooled.factor.name!r}, so that there is nothing to compare.",
            hint="The test needs a covariate that varies within the levels and has no random slope.",
        )
    beta = pooled.ask("none", lambda solution: solution.beta[at])
    free = fit.sigma**2 * pooled.ask("none", lambda solution: solution.white[at] @ solution.white[at].T)
    difference, variance, size = beta - fit.solution.beta[at], free - fit.solution.vcov[np.ix_(at, at)], np.diag(free)
    tests = [_chi_squared(difference[[i]], variance[[i]][:, [i]], size[[i]]) for i in range(len(at))]
    tests.append(_chi_squared(difference, variance, size))
    columns = {
        "term": [*(fit.model.design.names[j] for j in at), "all"],
        "no_pooling": [*beta, None],
        "partial_pooling": [*fit.solution.beta[at], None],
        "estimate": [*difference, None],
        "std_error": [*np.sqrt(np.maximum(np.diag(variance), 0.0)), None],
        "statistic": [statistic for statistic, _ in tests],
        "df": [df for _, df in tests],
        "p_value": [float(chdtrc(df, statistic)) if df else 1.0 for statistic, df in tests],
    }
    headings = {"statistic": "Chi-sq.", "estimate": "Difference"}
    notes = (f"Fixed dummies of {pooled.factor.name} against its random effects.",)
    return Table(columns, title="Hausman test", notes=notes, headings=headings, frame_kind=fit.model.rows.frame)


def _chi_squared(difference: Array, variance: Array, size: Array) -> tuple[float, int]:
    """The statistic and its degrees of freedom: directions in which both estimators are the same have no test."""
    scale = np.sqrt(size)
    values, vectors = np.linalg.eigh(variance / np.outer(scale, scale))
    real = values > AGREE
    along = vectors[:, real].T @ (difference / scale)
    return float(np.sum(along**2 / values[real])), int(np.sum(real))
