"""A covariance matrix that is given: no parameters. The correlations of known sampling errors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ranef.covariance.about import About
from ranef.covariance.base import Array
from ranef.covariance.factored import Factored
from ranef.covariance.jets import Jet
from ranef.covariance.natural import Natural


@dataclass(frozen=True, eq=False)
class Given(Factored):
    root: Array  # (k, k) lower-triangular Cholesky factor

    about = About(word="given", title="given", formula=r"V", count="0")
    closure = "scalar"

    @property
    def size(self) -> int:
        return 0

    def start(self) -> Array:
        return np.zeros(0)

    def matrix(self, theta: Array) -> Array:
        return np.asarray(self.root @ self.root.T)

    def factor(self, theta: Array) -> Array:
        return self.root

    def jacobian(self, theta: Array) -> Array:
        return np.zeros((0, self.k, self.k))

    def second(self, theta: Array) -> Array:
        return np.zeros((0, 0, self.k, self.k))

    def of_factor(self, factor: Array) -> Array:
        return np.zeros(0)

    def support(self) -> NDArray[np.bool_]:
        return self.root @ self.root.T != 0.0

    def kr_parameters(self, theta: Array) -> Jet:
        return Jet.variables(theta)

    def natural(self, theta: Array, labels: tuple[str, ...]) -> Natural:
        return Natural((), Jet.variables(theta))
