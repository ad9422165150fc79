"""`un`: any covariance matrix. theta is the lower triangle of Lambda, column by column (lme4's order)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ranef.covariance.base import Array, Covariance


@dataclass(frozen=True)
class Unstructured(Covariance):
    word = "un"
    closure = "linear"

    @property
    def size(self) -> int:
        return self.k * (self.k + 1) // 2

    def _places(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        columns, rows = np.triu_indices(self.k)
        return rows, columns

    def start(self) -> Array:
        return np.eye(self.k)[self._places()]

    def factor(self, theta: Array) -> Array:
        out = np.zeros((self.k, self.k))
        out[self._places()] = theta
        return out

    def jacobian(self, theta: Array) -> Array:
        out = np.zeros((self.size, self.k, self.k))
        out[(np.arange(self.size), *self._places())] = 1.0
        return out

    def curvature(self, theta: Array) -> None:
        return None

    def nearest(self, omega: Array) -> Array:
        return lower_root(omega)[self._places()]

    def canonical(self, theta: Array) -> Array:
        factor = self.factor(theta)
        return lower_root(factor @ factor.T, factor)[self._places()]

    def support(self) -> NDArray[np.bool_]:
        return np.ones((self.k, self.k), dtype=bool)


def lower_root(omega: Array, factor: Array | None = None) -> Array:
    """Lower-triangular L with non-negative diagonal and L L' = omega, also for a singular omega.

    With a `factor` (omega = factor factor') no squares are formed: L' is the R of the QR of factor'.
    """
    if factor is None:
        values, vectors = np.linalg.eigh((omega + omega.T) / 2)
        factor = vectors * np.sqrt(np.clip(values, 0.0, None))
    lower = np.linalg.qr(factor.T, mode="r").T
    return lower * np.where(np.diag(lower) < 0, -1.0, 1.0)
