"""`diag`: independent effects, a variance each. theta are the relative standard deviations."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ranef.covariance.about import About, Names
from ranef.covariance.base import Array
from ranef.covariance.factored import Factored


@dataclass(frozen=True)
class Diagonal(Factored):
    about = About(
        word="diag",
        title="independent, a variance each",
        formula=r"\operatorname{diag}(\sigma_1^2, \dots, \sigma_k^2)",
        count="k",
        names=Names(sas="UN(1), or one RANDOM statement each", nlme="pdDiag", glmmtmb="diag", aliases=("vc",)),
    )
    closure = "diagonal"

    @property
    def size(self) -> int:
        return self.k

    def start(self) -> Array:
        return np.ones(self.k)

    def factor(self, theta: Array) -> Array:
        return np.diag(theta)

    def jacobian(self, theta: Array) -> Array:
        out = np.zeros((self.k, self.k, self.k))
        at = np.arange(self.k)
        out[at, at, at] = 1.0
        return out

    def of_factor(self, factor: Array) -> Array:
        return np.sqrt(np.einsum("ij,ij->i", factor, factor))

    def support(self) -> NDArray[np.bool_]:
        return np.eye(self.k, dtype=bool)
