"""`id`: independent effects with one common variance. theta is the relative standard deviation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ranef.covariance.base import Array, Covariance


@dataclass(frozen=True)
class Identity(Covariance):
    word = "id"
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

    def curvature(self, theta: Array) -> None:
        return None

    def of_factor(self, factor: Array) -> Array:
        return np.array([np.linalg.norm(factor) / np.sqrt(self.k)])

    def support(self) -> NDArray[np.bool_]:
        return np.eye(self.k, dtype=bool)
