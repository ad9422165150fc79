"""A known covariance between levels, times an unknown variance: Omega = theta^2 A, for `gr(id, cov=A)`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import lstsq

from ranef.covariance.about import About
from ranef.covariance.base import Array
from ranef.covariance.factored import Factored
from ranef.covariance.jets import Jet
from ranef.covariance.natural import POSITIVE, Natural, Parameter
from ranef.covariance.roots import cholesky

SINGULAR = 1e-5


@dataclass(frozen=True)
class Known(Factored):
    data: bytes  # of A (k, k), so that equal structures are equal

    about = About(word="known", title="known covariance of the levels", formula=r"\sigma^2 A", count="1")
    closure = "scalar"

    @classmethod
    def of(cls, matrix: Array) -> Known:
        return cls(len(matrix), np.ascontiguousarray(matrix, dtype=np.float64).tobytes())

    @cached_property
    def known(self) -> Array:
        """(k, k) A."""
        return np.frombuffer(self.data, dtype=np.float64).reshape(self.k, self.k)

    @cached_property
    def lower(self) -> Array:
        return cholesky(self.known)

    @cached_property
    def rank(self) -> int:
        """Of the correlations: what is known to be singular is on no boundary."""
        sd = np.sqrt(self.known.diagonal())
        rows = sd > 0.0
        return int((np.linalg.svd(self.lower[rows] / sd[rows, None], compute_uv=False) > SINGULAR).sum())

    @property
    def size(self) -> int:
        return 1

    def start(self) -> Array:
        return np.ones(1)

    def factor(self, theta: Array) -> Array:
        return np.asarray(theta[0] * self.lower, dtype=np.float64)

    def jacobian(self, theta: Array) -> Array:
        return self.lower[None]

    def of_factor(self, factor: Array) -> Array:
        """By the average variance in the coordinates in which A is the identity."""
        return np.array([np.linalg.norm(lstsq(self.lower, factor)[0]) / np.sqrt(self.k)])

    def canonical(self, theta: Array) -> Array:
        return np.abs(theta)

    def transformed(self, theta: Array, T: Array) -> Array:
        return np.abs(theta * T[0, 0])

    def support(self) -> NDArray[np.bool_]:
        return np.asarray(self.known != 0.0)

    def natural(self, theta: Array, labels: tuple[str, ...]) -> Natural:
        return Natural((Parameter("sd", bounds=POSITIVE),), Jet.variables(theta) * np.where(theta < 0.0, -1.0, 1.0))

    def kr_parameters(self, theta: Array) -> Jet:
        return Jet.variables(theta).power(2.0)
