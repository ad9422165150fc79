"""`ad`: ante-dependence of order one, a correlation for each pair of neighbours. x are Fisher's z of them.

Gabriel (1962), Ann. Math. Statist. 33, 201-212.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ranef.covariance.about import About, Names
from ranef.covariance.correlation import Array, Correlation
from ranef.covariance.jets import Jet, concatenate, tanh
from ranef.covariance.natural import CORRELATION, Parameter


@dataclass(frozen=True)
class Antedependence(Correlation):
    about = About(
        word="ad",
        title="ante-dependence of order one",
        formula=r"\prod_{m = i}^{j - 1} \rho_m",
        count="k - 1",
        names=Names(mmrm="ad"),
        heterogeneous=Names(sas="ANTE(1)", mmrm="adh", aliases=("ante1", "ante")),
    )

    @property
    def size(self) -> int:
        return self.k - 1

    def start(self) -> Array:
        return np.zeros(self.size)

    def matrix(self, x: Jet) -> Jet:
        rho = tanh(x)
        lags = [rho.constant(np.ones(1)), rho]
        for lag in range(2, self.k):
            lags.append(lags[-1][:-1] * rho[lag - 1 :])
        return concatenate(lags)[self._places]

    @cached_property
    def _places(self) -> NDArray[np.intp]:
        """(k, k) where the entries stand in the list of all lags: one for lag zero, then k - 1, k - 2, ..."""
        i, j = np.indices((self.k, self.k))
        lag, first = np.abs(i - j), np.minimum(i, j)
        before = 1 + (lag - 1) * self.k - lag * (lag - 1) // 2
        return np.where(lag == 0, 0, before + first)

    def natural(self, x: Jet) -> tuple[tuple[Parameter, ...], Jet]:
        return tuple(Parameter("rho", str(i), CORRELATION) for i in range(1, self.k)), tanh(x)
