"""Beside variances that are not in the data: contrasts that depend on them have no degrees of freedom, and so no test.

With Z_j (I kron v) = X A for effects that the fixed effects span, Var(L beta) holds their variance times L A A' L'.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ranef.covariance.base import Array
from ranef.covariance.held import Spanned
from ranef.fit.spanned import spanned_effects
from ranef.inference.ddf.base import Denominator, FTest

if TYPE_CHECKING:
    from ranef.fit.fit import Fit

ROUNDING = 1e-8


def partly(fit: Fit, inner: Denominator) -> Denominator:
    """A method, without answers for contrasts that depend on a variance that is not known."""
    through = spanned_means(fit)
    return inner if through is None else Partly(fit, inner, through)


def spanned_means(fit: Fit) -> Array | None:
    """(p, c) A of all such effects; None where there are none, as almost always."""
    gram = fit.criterion.gram
    if not any(isinstance(part.covariance, Spanned) for _, part in gram.layout.parts):
        return None
    found = [one.through for one in spanned_effects(gram) if isinstance(one.part.covariance, Spanned)]
    return gram.standard.to_user @ np.vstack(found).T


@dataclass(frozen=True, eq=False)
class Partly(Denominator):
    """Another method, for the contrasts that depend on no such variance."""

    inner: Denominator
    through: Array

    @property
    def vcov(self) -> Array:
        return self.inner.vcov

    def df(self, L: Array) -> Array:
        return np.where(self._unknown(L), np.nan, self.inner.df(L))

    def test(self, L: Array, value: Array) -> FTest:
        found = self.inner.test(L, value)
        return replace(found, den_df=float("nan")) if self._unknown(L).any() else found

    def _unknown(self, L: Array) -> NDArray[np.bool_]:
        """(c,) does the variance of the contrast hold one that is not known, beyond rounding beside what is known of it?"""
        solution = self.fit.solution
        known = np.sqrt(np.einsum("ci,ij,cj->c", L, solution.vcov, L)) / solution.sigma
        return np.any(np.abs(L @ self.through) > ROUNDING * known[:, None], axis=1)
