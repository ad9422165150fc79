"""One number of degrees of freedom for every contrast: n - rank X, or infinity."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ranef.covariance.base import Array
from ranef.inference.ddf.base import Denominator


@dataclass(frozen=True, eq=False)
class Residual(Denominator):
    """n - rank X: exact without random effects, far too optimistic with few groups."""

    def df(self, L: Array) -> Array:
        return np.full(len(L), float(self.fit.nobs - len(self.fit.params)))


@dataclass(frozen=True, eq=False)
class Asymptotic(Denominator):
    """Normal and chi-squared tests, as if the variances were known."""

    def df(self, L: Array) -> Array:
        return np.full(len(L), np.inf)
