"""Kenward and Roger (1997): the covariance of beta is enlarged for what the estimated variances hide, and F is scaled.

Covariances of random effects are mostly linear in their parameters, so that the linear variant (without second derivatives) is the
same; for those that are not, such as `ar1`, it is the linear variant. For residual structures both are there; they agree for those
that are linear (un, cs, toep, id, diag).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ranef.core.kenward_roger import Information, KenwardRoger
from ranef.covariance.base import Array
from ranef.errors import ModelError
from ranef.fit.fit import Fit
from ranef.inference.ddf.base import Denominator, FTest


@dataclass(frozen=True, eq=False)
class KenwardRogerDenominator(Denominator):
    information: Information = "expected"
    linear: bool = False
    adjusted: KenwardRoger = field(init=False)

    def __post_init__(self) -> None:
        if not self.fit.reml:
            raise ModelError(
                "Kenward and Roger's method is defined for REML, and this model was fitted by maximum likelihood.",
                hint="Fit it with reml=True (the default), or use Satterthwaite's method.",
            )
        if self.fit.criterion.layout.wide:
            raise ModelError(
                "Kenward and Roger's method is not available for random effects at so many positions.",
                hint='Use ddf="satterthwaite", or write the structure as that of the residuals: residual="... + nugget".',
            )
        object.__setattr__(self, "adjusted", KenwardRoger.of(self.fit.solution, self.information, linear=self.linear))

    @classmethod
    def observed(cls, fit: Fit) -> KenwardRogerDenominator:
        return cls(fit, "observed")

    @classmethod
    def first_order(cls, fit: Fit) -> KenwardRogerDenominator:
        return cls(fit, linear=True)

    @classmethod
    def observed_first_order(cls, fit: Fit) -> KenwardRogerDenominator:
        return cls(fit, "observed", linear=True)

    @property
    def vcov(self) -> Array:
        return self.adjusted.vcov(self.fit.solution)

    def df(self, L: Array) -> Array:
        return self.adjusted.df(self.fit.solution, L)

    def test(self, L: Array, value: Array) -> FTest:
        rows, difference = self.independent(L, value)
        if not len(rows):
            return FTest(np.nan, 0, np.nan)
        return FTest(*self.adjusted.test(self.fit.solution, rows, rows @ self.fit.solution.beta - difference))
