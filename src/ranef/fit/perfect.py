"""Fits that leave nothing of the response: whether the criterion has a minimum all the same.

docs/explanation/likelihood.md, eq. 32.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.linalg import blas, lapack

from ranef.core.criterion import Criterion
from ranef.core.standard import Array
from ranef.core.strata import PERFECT
from ranef.errors import ModelError
from ranef.fit.checks import root_mean_square

if TYPE_CHECKING:
    from ranef.fit.fit import Fit

SPANNED = 1e-12  # of the squared length one of a column of X: what is left of one that the random columns span
GENERAL = 1e-4  # of the share of one in the number of rows that a response in general position leaves at least
FAR = 1e6  # standard deviations relative to that of the residuals, beyond which these are nothing


def refuse_perfect(criterion: Criterion) -> None:
    """Raises ModelError where fixed and random effects together leave nothing of y and the criterion has no minimum."""
    if not _leaves_nothing(criterion, saturated_rest(criterion)):
        return
    if not _fits_all(criterion, fixed=True):
        raise _perfect(
            criterion,
            "The response does not vary within the levels of the grouping factors; a mixed model is not the tool for these data.",
        )
    if not criterion.reml and not _fits_all(criterion, fixed=False):
        raise _perfect(
            criterion, "They fit any response, with so many effects for so few rows. Use reml=True, or leave out a term."
        )


def refuse_vanishing(criterion: Criterion, theta: Array) -> None:
    """Raises ModelError where the search has followed the residual variance to zero, as a part of the effects fits y."""
    if np.abs(theta).max(initial=0.0) > FAR and _leaves_nothing(criterion, saturated_rest(criterion)):
        raise _perfect(criterion, "The criterion falls as it goes to zero. Leave out a term, or see what determines the response.")


def needs_residuals(fit: Fit, what: str) -> None:
    """Raises ModelError for what looks at a residual variance of zero, where fixed and random effects fit any response."""
    criterion = fit.criterion
    if criterion.scale is not None or criterion.residual is not None:
        return
    if _fits_all(criterion, fixed=True):
        raise ModelError(
            f"{what} needs data of which the effects leave something to the residuals: fixed and random effects together fit any "
            f"response in these {criterion.gram.nobs} rows, and a residual variance of zero is not much less likely than the best.",
            hint="Leave out a term.",
        )


def _perfect(criterion: Criterion, hint: str) -> ModelError:
    name = criterion.gram.standard.design.response
    return ModelError(
        f"Fixed and random effects together fit the response {name!r} perfectly: the residual variance is zero.", hint=hint
    )


def saturated_rest(criterion: Criterion, *, fixed: bool = True) -> float:
    """What the random columns, and the fixed ones, leave of y'y."""
    W = criterion.engine.saturated()
    r = len(W) - 1
    if not r or not fixed:
        return float(W[r, r])
    upper, places, rank, _ = lapack.dpstrf(W[:r, :r], tol=SPANNED)
    with_y = blas.dtrsv(upper[:rank, :rank], W[places[:rank] - 1, r], trans=1) if rank else np.zeros(0)
    return float(W[r, r] - with_y @ with_y)


def _leaves_nothing(criterion: Criterion, rest: float) -> bool:
    """Is a rest of y'y rounding?"""
    gram, rounding = criterion.gram, 1e-14 if criterion.engine.exact else 1e-10
    size = root_mean_square(gram.standard.design.y) / gram.standard.unit
    return rest <= gram.nobs * (PERFECT * max(size, 1.0)) ** 2 or rest <= rounding * gram.ww[gram.rank, gram.rank]


def _fits_all(criterion: Criterion, *, fixed: bool) -> bool:
    """Do the random columns, and the fixed ones, span the space of all responses? A response in general position tells.

    Where they do not, it leaves about a share of one in the number of rows, or more: far more than what rounding leaves.
    """
    gram = criterion.gram
    effects = sum(block.levels * block.width for block in gram.layout.blocks)
    if effects + (gram.rank if fixed else 0) < gram.nobs:
        return False
    other = criterion.with_response(np.random.default_rng(0).normal(size=gram.nobs))
    return saturated_rest(other, fixed=fixed) <= GENERAL / gram.nobs * other.gram.ww[gram.rank, gram.rank]
