"""`rr`: a covariance of rank d, for many columns that vary in few dimensions. theta is the lower trapezoid of Lambda (k, d).

Its columns are identified up to rotation; the zeros above the diagonal choose one, as in factor analysis.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ranef.covariance.about import About, Names
from ranef.covariance.base import Array
from ranef.covariance.factored import Factored
from ranef.covariance.jets import Jet
from ranef.covariance.roots import lower_root


@dataclass(frozen=True)
class ReducedRank(Factored):
    d: int = 2

    about = About(
        word="rr",
        title="reduced rank",
        formula=r"\Lambda \Lambda',\ \Lambda \in \mathbb{R}^{k \times d}",
        count="k d - d (d - 1) / 2",
        names=Names(sas="FA0(q)", glmmtmb="rr", aliases=("fa0",)),
        options=("d",),
    )
    closure = "linear"

    def __post_init__(self) -> None:
        if not 1 <= self.d <= self.k:
            raise ValueError(f"rr(..., d={self.d}) of {self.k} columns: d must lie between 1 and {self.k}")

    @property
    def rank(self) -> int:
        return self.d

    @property
    def size(self) -> int:
        return self.k * self.d - self.d * (self.d - 1) // 2

    @cached_property
    def _places(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Rows and columns of the trapezoid, column by column."""
        columns, rows = np.nonzero(np.triu(np.ones((self.d, self.k))))
        return rows, columns

    def start(self) -> Array:
        return np.ones(self.size)

    def factor(self, theta: Array) -> Array:
        out = np.zeros((self.k, self.k))
        out[self._places] = theta
        return out

    def jacobian(self, theta: Array) -> Array:
        out = np.zeros((self.size, self.k, self.k))
        out[(np.arange(self.size), *self._places)] = 1.0
        return out

    def of_factor(self, factor: Array) -> Array:
        """The nearest of rank d: Eckart and Young (1936)."""
        left, values, _ = np.linalg.svd(factor, full_matrices=False)
        root = np.zeros((self.k, self.d))
        kept = min(self.d, len(values))
        root[:, :kept] = left[:, :kept] * values[:kept]
        return lower_root(root)[self._places]

    def kr_parameters(self, theta: Array) -> Jet:
        """The loadings, as in SAS's FA0(q)."""
        return Jet.variables(theta)

    def support(self) -> NDArray[np.bool_]:
        return np.ones((self.k, self.k), dtype=bool)
