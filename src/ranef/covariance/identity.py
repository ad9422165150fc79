"""`id`: independent effects with one common variance. theta is the relative standard deviation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ranef.covariance.about import About, Names
from ranef.covariance.base import Array
from ranef.covariance.factored import Factored
from ranef.covariance.jets import Jet
from ranef.covariance.natural import POSITIVE, Natural, Parameter


@dataclass(frozen=True)
class Identity(Factored):
    about = About(
        word="id",
        title="independent, one variance",
        formula=r"\sigma^2 I",
        count="1",
        names=Names(sas="VC", nlme="pdIdent", glmmtmb="homdiag", aliases=("homdiag",)),
    )
    closure = "scalar"

    @property
    def size(self) -> int:
        return 1

    def start(self) -> Array:
        return np.ones(1)

    def factor(self, theta: Array) -> Array:
        return theta[0] * np.eye(self.k)

    def jacobian(self, theta: Array) -> Array:
        return np.eye(self.k)[None]

    def of_factor(self, factor: Array) -> Array:
        return np.array([np.linalg.norm(factor) / np.sqrt(self.k)])

    def support(self) -> NDArray[np.bool_]:
        return np.eye(self.k, dtype=bool)

    def kr_parameters(self, theta: Array) -> Jet:
        return self.jet(theta)[[0], [0]]

    def natural(self, theta: Array, labels: tuple[str, ...]) -> Natural:
        return Natural((Parameter("sd", bounds=POSITIVE),), Jet.variables(theta) * np.where(theta < 0.0, -1.0, 1.0))
