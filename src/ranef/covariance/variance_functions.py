"""How the residual standard deviation depends on a covariate, on the mean, or on a stratum: sd_i = sd g(v_i; delta).

Functions are given by log g and its derivatives in delta, row by row, so that any of them combine with any correlation:
R_ij = g_i g_j C_ij. `ident` is nlme's varIdent and SAS's GROUP=, the others are varPower, varExp and varConstPower.
Pinheiro and Bates (2000), Mixed-Effects Models in S and S-PLUS, section 5.2.1.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ranef.covariance.base import Array


@dataclass(frozen=True)
class VarianceFunction(ABC):
    """log g(v; delta) and its derivatives, elementwise in v."""

    word: ClassVar[str]

    @property
    @abstractmethod
    def names(self) -> tuple[str, ...]:
        """What the parameters that users read are called."""

    @property
    def size(self) -> int:
        return len(self.names)

    @abstractmethod
    def start(self) -> Array:
        """(q,) parameters of a constant standard deviation, or close to it."""

    @abstractmethod
    def log_scale(self, v: Array, delta: Array) -> Array:
        """log g, of the shape of v."""

    @abstractmethod
    def slopes(self, v: Array, delta: Array) -> Array:
        """(q, ...) first derivatives of log g."""

    @abstractmethod
    def curvature(self, v: Array, delta: Array) -> Array:
        """(q, q, ...) second derivatives of log g."""

    @abstractmethod
    def natural(self, delta: Array) -> Array:
        """(q,) the parameters that users read."""

    @property
    def positive(self) -> bool:
        """Are the natural parameters exp(delta), so that their intervals are made on the log scale?"""
        return False


class _Linear(VarianceFunction):
    """log g = delta'f(v): no second derivatives."""

    @abstractmethod
    def features(self, v: Array) -> Array:
        """(q, ...) f(v)."""

    def start(self) -> Array:
        return np.zeros(self.size)

    def log_scale(self, v: Array, delta: Array) -> Array:
        return np.tensordot(delta, self.features(v), 1)

    def slopes(self, v: Array, delta: Array) -> Array:
        return self.features(v)

    def curvature(self, v: Array, delta: Array) -> Array:
        return np.zeros((self.size, self.size, *np.shape(v)))

    def natural(self, delta: Array) -> Array:
        return np.array(delta)


@dataclass(frozen=True)
class Power(_Linear):
    """g = |v|^delta."""

    word = "power"
    variable: str

    @property
    def names(self) -> tuple[str, ...]:
        return (f"power({self.variable})",)

    def features(self, v: Array) -> Array:
        return np.log(np.abs(v))[None]


@dataclass(frozen=True)
class Exponential(_Linear):
    """g = exp(delta v)."""

    word = "exponential"
    variable: str

    @property
    def names(self) -> tuple[str, ...]:
        return (f"exponential({self.variable})",)

    def features(self, v: Array) -> Array:
        return np.asarray(v, dtype=float)[None]


@dataclass(frozen=True)
class Ident(_Linear):
    """A standard deviation for each stratum, relative to the first: g = exp(delta_s), delta_0 = 0; v holds the strata's codes."""

    word = "ident"
    variable: str
    levels: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(f"sd ratio {self.variable}[{level}]" for level in self.levels[1:])

    def features(self, v: Array) -> Array:
        return np.stack([(v == s).astype(float) for s in range(1, len(self.levels))]).reshape(self.size, *np.shape(v))

    def natural(self, delta: Array) -> Array:
        return np.exp(delta)

    @property
    def positive(self) -> bool:
        return True


@dataclass(frozen=True)
class ConstPower(VarianceFunction):
    """g = c + |v|^delta with c = exp(kappa)."""

    word = "constpower"
    variable: str

    @property
    def names(self) -> tuple[str, ...]:
        return (f"constant({self.variable})", f"power({self.variable})")

    def start(self) -> Array:
        return np.array([0.0, 0.1])

    def log_scale(self, v: Array, delta: Array) -> Array:
        return np.log(np.exp(delta[0]) + np.abs(v) ** delta[1])

    def slopes(self, v: Array, delta: Array) -> Array:
        constant, power = np.exp(delta[0]), np.abs(v) ** delta[1]
        return np.stack([constant + 0.0 * power, power * np.log(np.abs(v))]) / (constant + power)

    def curvature(self, v: Array, delta: Array) -> Array:
        constant, power, log = np.exp(delta[0]), np.abs(v) ** delta[1], np.log(np.abs(v))
        total = constant + power
        share = constant * power / total**2
        return np.array([[share, -share * log], [-share * log, share * log**2]])

    def natural(self, delta: Array) -> Array:
        return np.array([np.exp(delta[0]), delta[1]])


VARIANCE_FUNCTIONS: dict[str, type[VarianceFunction]] = {
    "power": Power,
    "varpower": Power,
    "exponential": Exponential,
    "varexp": Exponential,
    "constpower": ConstPower,
    "varconstpower": ConstPower,
    "ident": Ident,
    "varident": Ident,
}
