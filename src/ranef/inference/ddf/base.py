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

NONE = 1e-8  # a standard deviation below this share of the largest belongs to a combination that is tested twice
ALIKE = 1e-10  # an eigenvalue of a covariance below this share of the largest is rounding
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
        root, difference = self.root(L), L @ self.fit.solution.beta - value
        values, vectors = principal(root, difference)
        if not len(values):
            return FTest(float("nan"), 0, float("nan"))
        along = vectors.T @ difference
        return FTest(float(np.mean(along**2 / values)), len(values), self.joint_df(axes(root @ root.T, vectors).T @ L))

    def root(self, L: Array) -> Array:
        """(c, r) R with R R' = Var(L beta), by the covariance that the model says."""
        return self.fit.solution.sigma * (L @ self.fit.solution.white)

    def independent(self, L: Array, value: Array) -> tuple[Array, Array]:
        """The same hypothesis by rows (q, p) that are uncorrelated and have variance one, and how far (q,) it is from them."""
        difference = L @ self.fit.solution.beta - value
        values, vectors = principal(self.root(L), difference)
        rows = vectors / np.sqrt(values)
        return rows.T @ L, rows.T @ difference


def principal(root: Array, difference: Array) -> tuple[Array, Array]:
    """Variances (q,) of the uncorrelated combinations (c, q) of contrasts in units of their standard errors, where there are any.

    `root` is a root of their covariance and not the covariance itself, so that no digits are lost by squaring. Raises ModelError
    when a combination without variance is asked to differ from what it is.
    """
    if not root.size:
        return np.zeros(0), np.zeros((len(root), 0))
    se = np.linalg.norm(root, axis=1)
    unit = np.divide(1.0, se, out=np.zeros(len(se)), where=se > 0)
    lower: Array = np.asarray(np.linalg.qr((root * unit[:, None]).T, mode="r")).T
    vectors, values, _ = np.linalg.svd(lower)
    values = np.concatenate([values, np.zeros(len(root) - len(values))])[::-1]
    vectors = vectors[:, ::-1]
    live = values > NONE * values[-1]
    scaled = np.where(se > 0, difference * unit, difference)
    size = float(np.abs(scaled).max(initial=0.0))
    if np.any(np.abs(vectors[:, ~live].T @ scaled) > CONTRADICTION * size):
        raise ModelError(
            "The hypotheses contradict each other: a combination of the rows of L is the same, but not of the values.",
            hint="Where they should not, a covariate lies so far from zero beside its spread that rounding decides: centre it.",
        )
    return values[live] ** 2, vectors[:, live] * unit[:, None]


def axes(spread: Array, vectors: Array) -> Array:
    """(c, q) the principal axes of the covariance in its own units, as lmerTest has them; `vectors` where units differ too much."""
    values, found = np.linalg.eigh((spread + spread.T) / 2)
    q = vectors.shape[1]
    return found[:, -q:] if values[-q] > ALIKE * values[-1] else vectors
