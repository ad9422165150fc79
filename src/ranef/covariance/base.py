"""Covariance structures: theta to a lower factor Lambda with Lambda Lambda' = Omega(theta), and its derivatives.

One family serves random effects and residuals. A structure is a frozen dataclass in a file of its own, known to the parser
by its `word`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

# The largest group of transformations of the columns, z -> z T, under which the structure is closed:
# any T, a diagonal T, or a multiple of the identity.
Closure = Literal["linear", "diagonal", "scalar"]


@dataclass(frozen=True)
class Covariance(ABC):
    """A k x k covariance structure, relative to sigma^2."""

    k: int

    word: ClassVar[str]
    closure: ClassVar[Closure]

    @property
    @abstractmethod
    def size(self) -> int:
        """Number of parameters q."""

    @abstractmethod
    def start(self) -> Array:
        """(q,) parameters of the identity matrix, or of the member nearest to it."""

    @abstractmethod
    def factor(self, theta: Array) -> Array:
        """(k, k) lower-triangular Lambda(theta); any sign of the diagonal is allowed."""

    @abstractmethod
    def jacobian(self, theta: Array) -> Array:
        """(q, k, k) dLambda/dtheta."""

    @abstractmethod
    def curvature(self, theta: Array) -> Array | None:
        """(q, q, k, k) second derivatives of Lambda, or None when Lambda is linear in theta."""

    @abstractmethod
    def of_factor(self, factor: Array) -> Array:
        """(q,) parameters, canonical in sign, of the covariance factor factor' where it is a member, else of a close one.

        `factor` is (k, any): a root and not the covariance itself, so that no digits are lost by squaring.
        """

    def canonical(self, theta: Array) -> Array:
        """The representative of theta (same Omega) that is reported: the diagonal of Lambda is non-negative."""
        return self.of_factor(self.factor(theta))

    @abstractmethod
    def support(self) -> NDArray[np.bool_]:
        """(k, k) which entries of Omega the structure can make nonzero."""
