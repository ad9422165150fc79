"""Satterthwaite's degrees of freedom, of one contrast and of several.

Several: the covariance of the contrasts is diagonalised; F is the mean of q squared t's with degrees of freedom nu_m, and has about
the first moment of an F on (q, nu) with

    nu = 2 E / (E - q),   E = sum nu_m / (nu_m - 2)                       Fai and Cornelius (1996)

and, as in lmerTest and SAS, nu = 2 where some nu_m <= 2 leaves E without a meaning.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ranef.covariance.base import Array
from ranef.inference.ddf.base import Denominator

ALIKE = 1e-8


@dataclass(frozen=True, eq=False)
class Satterthwaite(Denominator):
    def df(self, L: Array) -> Array:
        return self.fit.variance_parameters.df(self.fit.solution, L)

    def joint_df(self, L: Array) -> float:
        """`L` are the principal contrasts."""
        return fai_cornelius(self.df(L))


def fai_cornelius(nu: Array) -> float:
    """Denominator df of the mean of squared t's with df `nu`."""
    if np.isfinite(nu).all() and nu.max() - nu.min() < ALIKE:
        return float(nu.mean())
    if np.any(nu <= 2.0):
        return 2.0
    excess = np.sum(np.where(np.isfinite(nu), 2.0 / (np.where(np.isfinite(nu), nu, 3.0) - 2.0), 0.0))  # E - q
    return 2.0 * (excess + len(nu)) / excess if excess > 0 else np.inf
