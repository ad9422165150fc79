"""`diag`: independent effects, a variance each. theta are the relative standard deviations."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ranef.covariance.base import Array, Covariance


@dataclass(frozen=True)
class Diagonal(Covariance):
    word = "diag"
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

    def curvature(self, theta: Array) -> None:
        return None

    def of_factor(self, factor: Array) -> Array:
        return np.sqrt(np.einsum("ij,ij->i", factor, factor))

    def support(self) -> NDArray[np.bool_]:
        return np.eye(self.k, dtype=bool)
