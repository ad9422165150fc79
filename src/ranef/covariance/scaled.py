"""Omega = D C(x) D: standard deviations D, one for all positions or one for each, and a correlation matrix C.

theta = (standard deviations, x). A common standard deviation enters linearly and may pass through zero, since its sign does not
matter. Those of heterogeneous structures enter by their logarithm: a change of one sign would turn the correlations of that
position, which leaves the structure.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ranef.covariance.base import Array, Closure, Covariance
from ranef.covariance.correlation import Correlation
from ranef.covariance.jets import Jet, exp, stack
from ranef.covariance.natural import POSITIVE, Natural, Parameter
from ranef.covariance.nearest import nearest
from ranef.covariance.roots import cholesky, cholesky_slopes

SMALLEST = 1e-8  # standard deviation that a logarithm is taken of


@dataclass(frozen=True)
class Scaled(Covariance):
    correlation: Correlation
    heterogeneous: bool = False

    @property
    def k(self) -> int:  # type: ignore[override]
        return self.correlation.k

    @property
    def word(self) -> str:
        return self.correlation.about.word + ("h" if self.heterogeneous else "")

    @property
    def closure(self) -> Closure:
        return "diagonal" if self.heterogeneous else "scalar"

    @property
    def scales(self) -> int:
        """How many of the parameters, the first ones, are standard deviations."""
        return self.k if self.heterogeneous else 1

    @property
    def size(self) -> int:
        return self.scales + self.correlation.size

    def start(self) -> Array:
        return np.append(np.zeros(self.k) if self.heterogeneous else np.ones(1), self.correlation.start())

    def deviations(self, theta: Jet) -> Jet:
        """(k,) or (1,) the standard deviations, signed where there is one."""
        own = theta[: self.scales]
        return exp(own) if self.heterogeneous else own

    def jet(self, theta: Array) -> Jet:
        x = Jet.variables(np.asarray(theta, dtype=np.float64))
        sd, C = self.deviations(x), self.correlation.matrix(x[self.scales :])
        return C * (sd[:, None] * sd[None, :])

    def matrix(self, theta: Array) -> Array:
        root = self.factor(theta)
        return root @ root.T

    def gradient(self, theta: Array) -> Array:
        return self.jet(theta).first

    def second(self, theta: Array) -> Array:
        return self.jet(theta).second

    def factor(self, theta: Array) -> Array:
        C = self.correlation.matrix(Jet.variables(theta[self.scales :])).value
        sd = np.exp(theta[: self.k]) if self.heterogeneous else theta[:1]
        return sd[:, None] * cholesky(C)

    def jacobian(self, theta: Array) -> Array:
        x = Jet.variables(theta)
        sd, C = self.deviations(x), self.correlation.matrix(x[self.scales :])
        lower, slopes = cholesky_slopes(C.value, C.first)
        return sd.value[:, None] * slopes + sd.first[:, :, None] * lower

    def of_factor(self, factor: Array) -> Array:
        sd = np.sqrt(np.einsum("ij,ij->i", factor, factor))
        weight = sd / max(float(np.sqrt(np.mean(sd**2))), 1e-300)
        unit = factor / np.where(sd > 0.0, sd, 1.0)[:, None]
        x = nearest(self.correlation, unit @ unit.T, np.outer(weight, weight))
        own = np.log(np.maximum(sd, SMALLEST)) if self.heterogeneous else np.sqrt(np.mean(sd**2, keepdims=True))
        return np.append(own, x)

    def canonical(self, theta: Array) -> Array:
        return theta if self.heterogeneous else np.append(np.abs(theta[:1]), theta[1:])

    def transformed(self, theta: Array, T: Array) -> Array:
        out, size = self.canonical(np.array(theta, dtype=np.float64)), np.abs(T.diagonal())
        out[: self.scales] = out[: self.k] + np.log(size) if self.heterogeneous else out[:1] * size[0]
        return out

    def support(self) -> NDArray[np.bool_]:
        return self.correlation.support()

    def natural(self, theta: Array, labels: tuple[str, ...]) -> Natural:
        x = Jet.variables(theta)
        described, values = self.correlation.natural(x[self.scales :])
        names = labels if self.heterogeneous else ("",)
        sds = [Parameter("sd", label, POSITIVE) for label in names]
        sd = self.deviations(x)
        sd = sd * np.where(sd.value < 0.0, -1.0, 1.0)
        return Natural((*sds, *described), stack([*(sd[i] for i in range(len(sds))), *(values[i] for i in range(len(described)))]))

    def kr_parameters(self, theta: Array) -> Jet:
        rows = self.correlation.distinct()
        if rows and not self.heterogeneous:
            return self.jet(theta)[list(rows), 0]
        natural = self.natural(theta, tuple("" for _ in range(self.k))).jet
        return stack([natural[i].power(2.0) if i < self.scales else natural[i] for i in range(len(natural))])
