"""What every method of denominator degrees of freedom answers: a covariance of beta, df of single contrasts, F tests of several.

Contrasts are rows L (c, p) on the user's scale, over all columns of X; coefficients of dropped columns count as zero.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ranef.covariance.base import Array
from ranef.errors import ModelError

if TYPE_CHECKING:
    from ranef.fit.fit import Fit

NONE = 1e-10  # an eigenvalue below this share of the largest belongs to a combination that is tested twice
CONTRADICTION = 1e-6


@dataclass(frozen=True)
class FTest:
    """F = `scale` times `wald`, the Wald statistic over num_df; chi-squared over num_df where den_df is infinite."""

    wald: float
    num_df: int
    den_df: float
    scale: float = 1.0

    @property
    def statistic(self) -> float:
        return self.wald * self.scale

    @property
    def p_value(self) -> float:
        from scipy.special import chdtrc, fdtrc

        if self.num_df == 0 or not np.isfinite(self.statistic):
            return float("nan")
        if np.isinf(self.den_df):
            return float(chdtrc(self.num_df, self.statistic * self.num_df))
        return float(fdtrc(self.num_df, self.den_df, max(self.statistic, 0.0)))


@dataclass(frozen=True, eq=False)
class Denominator(ABC):
    """One method for one fit."""

    fit: Fit

    @property
    def vcov(self) -> Array:
        """(p, p) the covariance of beta that goes with the method; only Kenward and Roger change it."""
        return self.fit.solution.vcov

    @abstractmethod
    def df(self, L: Array) -> Array:
        """(c,) degrees of freedom of t for each row of L."""

    def joint_df(self, L: Array) -> float:
        """Denominator df of the F test of all rows: the smallest of their df, unless a method knows better."""
        return float(np.min(self.df(L)))

    def test(self, L: Array, value: Array) -> FTest:
        """The F test of L beta = value. Raises ModelError where the rows contradict each other."""
        spread, difference = L @ self.vcov @ L.T, L @ self.fit.solution.beta - value
        values, vectors = principal(spread, difference)
        if not len(values):
            return FTest(float("nan"), 0, float("nan"))
        along = vectors.T @ difference
        return FTest(float(np.mean(along**2 / values)), len(values), self.joint_df(axes(spread, vectors).T @ L))


def principal(spread: Array, difference: Array) -> tuple[Array, Array]:
    """Variances (q,) of the uncorrelated combinations (c, q) of contrasts in units of their standard errors, where there are any.

    Raises ModelError when a combination without variance is asked to differ from what it is.
    """
    se = np.sqrt(np.maximum(np.diag(spread), 0.0))
    unit = np.divide(1.0, se, out=np.zeros(len(se)), where=se > 0)
    values, vectors = np.linalg.eigh((spread + spread.T) / 2 * np.outer(unit, unit))
    live = values > NONE * max(values[-1], 0.0) if len(values) else np.zeros(0, dtype=bool)
    scaled = np.where(se > 0, difference * unit, difference)
    size = float(np.abs(scaled).max(initial=0.0))
    if np.any(np.abs(vectors[:, ~live].T @ scaled) > CONTRADICTION * size):
        raise ModelError("The hypotheses contradict each other: a combination of the rows of L is the same, but not of the values.")
    return values[live], vectors[:, live] * unit[:, None]


def axes(spread: Array, vectors: Array) -> Array:
    """(c, q) the principal axes of the covariance in its own units, as lmerTest has them; `vectors` where units differ too much."""
    values, found = np.linalg.eigh((spread + spread.T) / 2)
    q = vectors.shape[1]
    return found[:, -q:] if values[-q] > NONE * values[-1] else vectors
