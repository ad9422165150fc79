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

    def of_factor(self, factor: Array) -> Array:
        return lower_root(factor)[self._places()]

    def support(self) -> NDArray[np.bool_]:
        return np.ones((self.k, self.k), dtype=bool)


def lower_root(factor: Array) -> Array:
    """Lower-triangular L with non-negative diagonal and L L' = factor factor', also where that is singular: R' of the QR of factor'."""
    lower = np.linalg.qr(factor.T, mode="r").T
    lower = lower * np.where(np.diag(lower) < 0, -1.0, 1.0)
    if lower.shape[1] < lower.shape[0]:
        lower = np.pad(lower, ((0, 0), (0, lower.shape[0] - lower.shape[1])))
    return lower
