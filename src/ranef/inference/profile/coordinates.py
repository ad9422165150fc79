"""Coordinates of a covariance in which one standard deviation, or one correlation, on the user's scale is a parameter of its own.

The effects b_s of a term in standardised units and the tested ones are linear maps of each other: the user's effect i is w_i'b_s.
With M the inverse of the rows [w_i; ...] (an orthonormal complement fills them up), Lambda_s = M C and C lower triangular,

    standard deviation of i:      C_11
    correlation of i and j:       C_11 = x^2, (C_21, C_22) = y^2 (sin t, cos t), the correlation is sin t

so that holding the tested parameter is holding a coordinate, also on the boundary, and all others are free of bounds. The squares
keep both standard deviations from changing sign, which would turn the correlation into its opposite.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import qr

from ranef.covariance.base import Array
from ranef.covariance.factored import Factored
from ranef.covariance.roots import lower_root
from ranef.covariance.unstructured import places


@dataclass(frozen=True, eq=False)
class Turned(Factored):
    """An unstructured covariance in the basis of one or two tested effects; with `angle` the third coordinate is t."""

    mixing: Array  # (k, k) M
    angle: bool

    word = "turned"
    closure = "linear"

    @property
    def size(self) -> int:
        return self.k * (self.k + 1) // 2

    @property
    def place(self) -> int:
        """Which of the parameters is the tested one: the places of C_11, C_21 and C_22 hold x, y and t."""
        return self.k if self.angle else 0

    def start(self) -> Array:
        return self.of_factor(np.eye(self.k))

    def factor(self, theta: Array) -> Array:
        return self.mixing @ self._triangle(theta)

    def jacobian(self, theta: Array) -> Array:
        out = np.zeros((self.size, self.k, self.k))
        out[(np.arange(self.size), *places(self.k))] = 1.0
        if self.angle:
            (x, y), t = theta[:2], theta[self.k]
            out[0, 0, 0] = 2.0 * x
            out[1, 1, :2] = 2.0 * y * np.sin(t), 2.0 * y * np.cos(t)
            out[self.k, 1, :2] = y * y * np.cos(t), -y * y * np.sin(t)
        return self.mixing @ out

    def curvature(self, theta: Array) -> Array | None:
        if not self.angle:
            return None
        y, t, at = theta[1], theta[self.k], self.k
        out = np.zeros((self.size, self.size, self.k, self.k))
        out[0, 0, 0, 0] = 2.0
        out[1, 1, 1, :2] = 2.0 * np.sin(t), 2.0 * np.cos(t)
        out[1, at, 1, :2] = out[at, 1, 1, :2] = 2.0 * y * np.cos(t), -2.0 * y * np.sin(t)
        out[at, at, 1, :2] = -y * y * np.sin(t), -y * y * np.cos(t)
        return self.mixing @ out

    def of_factor(self, factor: Array) -> Array:
        lower = lower_root(np.asarray(np.linalg.solve(self.mixing, factor), dtype=float))
        theta = lower[places(self.k)]
        if self.angle:
            theta[0], theta[1] = np.sqrt(lower[0, 0]), np.sqrt(np.hypot(lower[1, 0], lower[1, 1]))
            theta[self.k] = np.arctan2(lower[1, 0], lower[1, 1])
        return theta

    def support(self) -> NDArray[np.bool_]:
        return np.ones((self.k, self.k), dtype=bool)

    def _triangle(self, theta: Array) -> Array:
        out = np.zeros((self.k, self.k))
        out[places(self.k)] = theta
        if self.angle:
            (x, y), t = theta[:2], theta[self.k]
            out[0, 0], out[1, :2] = x * x, (y * y * np.sin(t), y * y * np.cos(t))
        return out


def turned(rows: Array) -> Turned:
    """The coordinates for the tested effects w (1 or 2, k), of any length."""
    k = rows.shape[1]
    units = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    complement = qr(units.T)[0][:, len(rows) :].T
    return Turned(k, np.linalg.inv(np.vstack([units, complement])), angle=len(rows) == 2)
