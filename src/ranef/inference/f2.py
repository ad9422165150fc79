"""Cohen's local f2: what a predictor adds, over what the larger model leaves unexplained.

    f2 = (R2_full - R2_reduced) / (1 - R2_full)                                                      Selya et al. (2012)

R2 is the marginal one, the conditional one, or one from residual variances, 1 - sigma^2 / sigma_0^2 against any null model,
which gives f2 = (sigma^2_reduced - sigma^2_full) / sigma^2_full. Models that differ in their random part differ in what
"unexplained" is, so that f2 can be negative.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ranef.arguments import check_kind, checked
from ranef.design import Array
from ranef.errors import ModelError
from ranef.inference.comparable import refuse_different_data
from ranef.inference.parts import Part, Parts
from ranef.inference.r2 import PART, term_parts
from ranef.inference.ratios import ratio
from ranef.inference.resample import limits_note, percentiles, together
from ranef.table import Table

if TYPE_CHECKING:
    from ranef.fit.fit import Fit

QUANTITIES = ("marginal R²", "conditional R²", "residual variance")


@checked
def f2(fit: Fit, reduced: Fit | str, *, level: float = 0.95, n: int = 200, seed: int = 1) -> Table:
    """Cohen's f2: quantity estimate [std_error] conf_low conf_high.

    Parameters
    ----------
    reduced
        The model without the predictor (and with the same random effects), fitted to the same rows; or the name of a term of
        `fit`: then f2 is its part R2 over the unexplained variance, from this one fit.
    n, seed
        Intervals for two fits are percentiles of n refits of both to data simulated from `fit`; n=0 leaves them out.

    Raises ModelError for models of different rows, a `reduced` with as many parameters, or a term that is not in the model.

    Examples
    --------
    >>> import ranef
    >>> m = ranef.lmm("y ~ x + z + (1 | school / class)", ranef.datasets.load("schools"))
    >>> ranef.f2(m, "x")
    Cohen's f²
    Quantity        Estimate  Std. error    Lower    Upper
    ------------------------------------------------------
    marginal R², x   0.14029     0.04657  0.07302  0.26849
    The part of a term is what only it, and no term without it, explains of the
    fitted mean.
    Intervals by the delta method, on the logarithm of the ratio to what remains.
    Intervals hold with probability 0.95.
    """
    if isinstance(reduced, str):
        return _of_term(fit, reduced, level)
    check_kind("f2", reduced, ("Fit",))
    refuse_different_data([fit, reduced], ["the model", "the reduced model"])
    if reduced.npar >= fit.npar:
        raise ModelError(
            f"The reduced model has {reduced.npar} parameters and the other {fit.npar}.", hint="Give the larger model first."
        )
    larger, smaller = Parts.of(fit), Parts.of(reduced)
    found = _f2(larger, smaller)
    draws = together(fit, reduced, lambda one, other: _f2(larger.of_refit(one), smaller.of_refit(other)), n, seed)
    low, high = percentiles(draws.values, level)
    columns = {"quantity": list(QUANTITIES), "estimate": found, "conf_low": low, "conf_high": high}
    return _table(columns, fit, (_formulas(fit, reduced), limits_note(draws)), level if n else None)


def _of_term(fit: Fit, label: str, level: float) -> Table:
    parts = Parts.of(fit)
    known = dict(term_parts(parts))
    if label not in known:
        raise ModelError(f"The fixed part has no term {label!r}.", hint=f"Its terms: {', '.join(known) or 'none'}.")
    found = ratio(known[label], Part.stack([parts.all_random, parts.residual]), parts.spread, level)
    columns = {
        "quantity": [f"marginal R², {label}"],
        "estimate": np.array([found.value]),
        "std_error": np.array([found.std_error]),
        "conf_low": np.array([found.low]),
        "conf_high": np.array([found.high]),
    }
    return _table(columns, fit, (PART, parts.note), level)


def _table(columns: dict[str, object], fit: Fit, notes: tuple[str, ...], level: float | None) -> Table:
    return Table(columns, title="Cohen's f²", notes=notes, level=level, frame_kind=fit.model.rows.frame)


def _formulas(fit: Fit, reduced: Fit) -> str:
    return f"{fit.formula}  against  {reduced.formula}."


def _f2(larger: Parts, smaller: Parts) -> Array:
    """By `QUANTITIES`."""
    (full_fixed, full_random, full_residual), (fixed, random, residual) = _variances(larger), _variances(smaller)
    full, total = full_fixed + full_random + full_residual, fixed + random + residual
    marginal = (full_fixed / full - fixed / total) / (1.0 - full_fixed / full)
    conditional = (residual / total - full_residual / full) / (full_residual / full)
    return np.array([marginal, conditional, (residual - full_residual) / full_residual])


def _variances(parts: Parts) -> tuple[float, float, float]:
    return parts.fixed.variance, parts.all_random.variance, parts.residual.variance
