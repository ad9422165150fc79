"""`cor`: any correlation matrix. x are the entries below the diagonal of a lower triangle with ones on it, whose rows are then
scaled to length one: C = L L', row by row.

Pinheiro and Bates (1996), Stat. Comput. 6, 289-296, write the same rows in spherical coordinates.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ranef.covariance.about import About, Names
from ranef.covariance.correlation import Array, Correlation
from ranef.covariance.jets import Jet, concatenate, sqrt, stack
from ranef.covariance.natural import CORRELATION, Parameter


@dataclass(frozen=True)
class General(Correlation):
    about = About(
        word="cor",
        title="general correlations",
        formula=r"\rho_{ij}",
        count="k (k - 1) / 2",
        names=Names(nlme="corSymm", aliases=("corsymm", "symm")),
        heterogeneous=Names(sas="UNR", nlme="corSymm + varIdent", aliases=("unr",)),
    )

    @property
    def size(self) -> int:
        return self.k * (self.k - 1) // 2

    def start(self) -> Array:
        return np.zeros(self.size)

    def matrix(self, x: Jet) -> Jet:
        rows = [self._row(x, i) for i in range(self.k)]
        return stack([stack([(a * b).sum() for b in rows]) for a in rows])

    def _row(self, x: Jet, i: int) -> Jet:
        """(k,) row i of L."""
        start = i * (i - 1) // 2
        row = concatenate([x[start : start + i], x.constant(np.eye(self.k)[i, i:])])
        return row / sqrt((row * row).sum())

    @cached_property
    def _pairs(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        return np.tril_indices(self.k, -1)

    def natural(self, x: Jet) -> tuple[tuple[Parameter, ...], Jet]:
        i, j = self._pairs
        names = tuple(Parameter("rho", f"{b + 1}.{a + 1}", CORRELATION) for a, b in zip(i, j, strict=True))
        return names, self.matrix(x)[i, j]
