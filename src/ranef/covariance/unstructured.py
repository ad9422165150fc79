"""`un`: any covariance matrix. theta is the lower triangle of Lambda, column by column (lme4's order)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

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

    def start(self) -> Array:
        return np.eye(self.k)[places(self.k)]

    def factor(self, theta: Array) -> Array:
        out = np.zeros((self.k, self.k))
        out[places(self.k)] = theta
        return out

    def jacobian(self, theta: Array) -> Array:
        out = np.zeros((self.size, self.k, self.k))
        out[(np.arange(self.size), *places(self.k))] = 1.0
        return out

    def curvature(self, theta: Array) -> None:
        return None

    def of_factor(self, factor: Array) -> Array:
        return lower_root(factor)[places(self.k)]

    def support(self) -> NDArray[np.bool_]:
        return np.ones((self.k, self.k), dtype=bool)


@cache
def places(k: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows and columns of a lower triangle, column by column."""
    columns, rows = np.triu_indices(k)
    return rows, columns


def lower_root(factor: Array) -> Array:
    """Lower-triangular L with non-negative diagonal and L L' = factor factor', also where that is singular.

    It is R' of the QR decomposition of factor', up to signs.
    """
    if factor.shape == (1, 1):
        return np.abs(factor)
    lower = np.asarray(np.linalg.qr(factor.T, mode="r")).T
    lower = lower * np.where(lower.diagonal() < 0, -1.0, 1.0)
    if lower.shape[1] < lower.shape[0]:
        lower = np.pad(lower, ((0, 0), (0, lower.shape[0] - lower.shape[1])))
    return lower
