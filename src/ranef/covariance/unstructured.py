"""`un`: any covariance matrix. theta is the lower triangle of Lambda, column by column (lme4's order)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from ranef.covariance.about import About, Names
from ranef.covariance.base import Array
from ranef.covariance.factored import Factored
from ranef.covariance.roots import filled_from_the_left, lower_root


@dataclass(frozen=True)
class Unstructured(Factored):
    about = About(
        word="un",
        title="unstructured",
        formula=r"\sigma_{ij}",
        count="k (k + 1) / 2",
        names=Names(sas="UN", nlme="pdLogChol; corSymm + varIdent", glmmtmb="us", mmrm="us", aliases=("us", "unstructured")),
    )
    closure = "linear"

    @property
    def size(self) -> int:
        return self.k * (self.k + 1) // 2

    def start(self) -> Array:
        return np.eye(self.k)[places(self.k)]

    def factor(self, theta: Array) -> Array:
        out = np.zeros((self.k, self.k))
        out[places(self.k)] = theta
        return out

    def jacobian(self, theta: Array) -> Array:
        out = np.zeros((self.size, self.k, self.k))
        out[(np.arange(self.size), *places(self.k))] = 1.0
        return out

    def of_factor(self, factor: Array) -> Array:
        return lower_root(factor)[places(self.k)]

    def canonical(self, theta: Array) -> Array:
        """A factor with a positive diagonal is the only one of its kind: it stays as it is.

        From a singular one that is filled from the left, theta reaches all covariances of its rank nearby to first order; from
        another, where the first variance is zero, not those with a covariance beside it, and degrees of freedom would miss them.
        """
        if (theta[variances(self.k)] > 0.0).all():
            return theta
        return filled_from_the_left(lower_root(self.factor(theta)))[places(self.k)]

    def support(self) -> NDArray[np.bool_]:
        return np.ones((self.k, self.k), dtype=bool)


@cache
def places(k: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows and columns of a lower triangle, column by column."""
    columns, rows = np.triu_indices(k)
    return rows, columns


@cache
def variances(k: int) -> NDArray[np.intp]:
    """Where the diagonal of a lower triangle stands in theta."""
    rows, columns = places(k)
    return np.flatnonzero(rows == columns)
