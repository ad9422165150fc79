"""What a structure with a correlation of its own declares: its formula, once, in jets. Everything else follows from it.

A `Correlation` knows the k positions between which it holds: their coordinates, which are 0, 1, 2, ... for ordered levels. A
`Kernel` is a correlation that depends on the distance of two positions alone, so that it can be asked at any distances.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from ranef.covariance.about import About
from ranef.covariance.jets import Jet
from ranef.covariance.natural import Parameter

Array = NDArray[np.float64]
Positions = tuple[tuple[float, ...], ...]
MANY = 300  # positions, of which all pairs are looked at


@dataclass(frozen=True)
class Correlation(ABC):
    """Correlations between k positions, as a function of c unbounded parameters x; positive definite for every x of R^c."""

    positions: Positions

    about: ClassVar[About]

    @property
    @abstractmethod
    def size(self) -> int:
        """Number of parameters c."""

    @abstractmethod
    def start(self) -> Array:
        """(c,) parameters to begin with: no correlation, or little."""

    @abstractmethod
    def matrix(self, x: Jet) -> Jet:
        """(k, k) the correlations at x (c,)."""

    @abstractmethod
    def natural(self, x: Jet) -> tuple[tuple[Parameter, ...], Jet]:
        """The parameters that people read, (l,), and their description."""

    @property
    def k(self) -> int:
        return len(self.positions)

    def distinct(self) -> tuple[int, ...]:
        """Rows of the first column of C that hold each of its distinct entries, for a C that is linear in them; () for others."""
        return ()

    def support(self) -> NDArray[np.bool_]:
        return np.ones((self.k, self.k), dtype=bool)

    @cached_property
    def coordinates(self) -> Array:
        """(k, d)"""
        return np.array(self.positions, dtype=np.float64).reshape(self.k, -1)

    @cached_property
    def distances(self) -> Array:
        """(k, k) Euclidean."""
        return np.sqrt(((self.coordinates[:, None] - self.coordinates[None]) ** 2).sum(axis=-1))

    @cached_property
    def unit(self) -> float:
        """A third of the median distance of a pair: ranges are measured in it, so that units do not matter."""
        some = self.coordinates[:: 1 + self.k // MANY]
        apart = np.sqrt(((some[:, None] - some[None]) ** 2).sum(axis=-1))
        apart = apart[apart > 0.0]
        return float(np.median(apart)) / 3.0 if len(apart) else 1.0


@dataclass(frozen=True)
class Kernel(Correlation):
    @abstractmethod
    def of_distance(self, x: Jet, distance: Array) -> Jet:
        """The correlation at distances (...) of any shape, 1 at zero."""

    def matrix(self, x: Jet) -> Jet:
        return self.of_distance(x, self.distances)

    def correlation(self, distance: Array, x: Array) -> tuple[Array, Array, Array]:
        """Values (...), first (c, ...) and second derivatives (c, c, ...) at distances of any shape."""
        jet = self.of_distance(Jet.variables(x), np.asarray(distance, dtype=np.float64))
        return jet.value, jet.first, jet.second


def steps(k: int) -> Positions:
    """The positions of k ordered levels."""
    return tuple((float(i),) for i in range(k))
