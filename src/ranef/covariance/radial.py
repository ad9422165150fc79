"""Correlations that are a function of distance over range, f(d / range): `sp_exp`, `sp_gau`, `sp_sph`, `sp_lin`, `sp_ratio`.

x is the logarithm of the range in units of a typical distance. Positions may have several coordinates; distances are Euclidean. The
spherical and linear functions are covariances in at most three and one dimensions: Chiles and Delfiner (2012), Geostatistics, 2.5.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ranef.covariance.about import About, Names
from ranef.covariance.correlation import Array, Kernel
from ranef.covariance.jets import Jet, exp, stack
from ranef.covariance.natural import POSITIVE, Parameter


@dataclass(frozen=True)
class Radial(Kernel):
    most_dimensions: ClassVar[int | None] = None

    def __post_init__(self) -> None:
        dimensions = len(self.positions[0]) if self.positions else 1
        if self.most_dimensions is not None and dimensions > self.most_dimensions:
            most = self.most_dimensions
            raise ValueError(f"{self.about.word} is a covariance in at most {most} dimensions, and the positions have {dimensions}")

    @property
    def size(self) -> int:
        return 1

    def start(self) -> Array:
        return np.zeros(1)

    def of_distance(self, x: Jet, distance: Array) -> Jet:
        return self.of_ratio(exp(-x[0]) * (distance / self.unit))

    @abstractmethod
    def of_ratio(self, r: Jet) -> Jet:
        """f(r), 1 at zero."""

    def natural(self, x: Jet) -> tuple[tuple[Parameter, ...], Jet]:
        return (Parameter("range", bounds=POSITIVE),), stack([exp(x[0]) * self.unit])


@dataclass(frozen=True)
class Exponential(Radial):
    about = About(
        word="sp_exp",
        title="exponential",
        formula=r"\exp(-d_{ij} / \lambda)",
        count="1",
        names=Names(sas="SP(EXP)", nlme="corExp", glmmtmb="exp", mmrm="sp_exp", aliases=("exp", "corexp")),
        heterogeneous=Names(nlme="corExp + varIdent"),
        coordinates=True,
    )

    def of_ratio(self, r: Jet) -> Jet:
        return exp(-r)


@dataclass(frozen=True)
class Gaussian(Radial):
    about = About(
        word="sp_gau",
        title="Gaussian",
        formula=r"\exp(-(d_{ij} / \lambda)^2)",
        count="1",
        names=Names(sas="SP(GAU)", nlme="corGaus", glmmtmb="gau", aliases=("gau", "corgaus")),
        heterogeneous=Names(nlme="corGaus + varIdent"),
        coordinates=True,
    )

    def of_ratio(self, r: Jet) -> Jet:
        return exp(-(r * r))


@dataclass(frozen=True)
class Rational(Radial):
    about = About(
        word="sp_ratio",
        title="rational quadratic",
        formula=r"1 / (1 + (d_{ij} / \lambda)^2)",
        count="1",
        names=Names(nlme="corRatio", aliases=("corratio",)),
        heterogeneous=Names(nlme="corRatio + varIdent"),
        coordinates=True,
    )

    def of_ratio(self, r: Jet) -> Jet:
        return 1.0 / (1.0 + r * r)


@dataclass(frozen=True)
class Spherical(Radial):
    most_dimensions = 3
    about = About(
        word="sp_sph",
        title="spherical",
        formula=r"1 - \tfrac32 r + \tfrac12 r^3,\ r = \min(d_{ij} / \lambda, 1)",
        count="1",
        names=Names(sas="SP(SPH)", nlme="corSpher", aliases=("corspher",)),
        heterogeneous=Names(nlme="corSpher + varIdent"),
        coordinates=True,
    )

    def of_ratio(self, r: Jet) -> Jet:
        return r.function(lambda v: _inside(v, 1.0 - 1.5 * v + 0.5 * v**3, 1.5 * v**2 - 1.5, 3.0 * v))


@dataclass(frozen=True)
class Linear(Radial):
    most_dimensions = 1
    about = About(
        word="sp_lin",
        title="linear",
        formula=r"1 - \min(d_{ij} / \lambda, 1)",
        count="1",
        names=Names(sas="SP(LIN)", nlme="corLin", aliases=("corlin",)),
        heterogeneous=Names(nlme="corLin + varIdent"),
        coordinates=True,
    )

    def of_ratio(self, r: Jet) -> Jet:
        return r.function(lambda v: _inside(v, 1.0 - v, np.full_like(v, -1.0), np.zeros_like(v)))


def _inside(v: Array, *values: Array) -> tuple[Array, Array, Array]:
    """Zero beyond the range."""
    value, slope, bend = (np.where(v < 1.0, part, 0.0) for part in values)
    return value, slope, bend
