"""Covariance structures: theta to a k x k matrix Omega(theta), relative to sigma^2, with exact derivatives.

One family serves random effects and residuals. There are two kinds: those that are given by a factor Lambda that is linear in theta
(`Factored`: un, diag, id, rr), and those that are given by standard deviations and a correlation matrix (`Scaled`: most others).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ranef.covariance.jets import Jet
from ranef.covariance.natural import Natural

Array = NDArray[np.float64]

# The largest group of transformations of the columns, z -> z T, under which the structure is closed:
# any T, a diagonal T with a positive diagonal, a multiple of the identity, or none but the identity.
Closure = Literal["linear", "diagonal", "scalar", "none"]


class Covariance(ABC):
    """A k x k covariance structure, relative to sigma^2: positive semi-definite for every theta of R^q. Frozen and hashable."""

    k: int

    @property
    @abstractmethod
    def word(self) -> str:
        """The word that names it in a formula."""

    @property
    @abstractmethod
    def closure(self) -> Closure:
        """The transformations of the columns under which it is closed."""

    @property
    @abstractmethod
    def size(self) -> int:
        """Number of parameters q."""

    @property
    def rank(self) -> int:
        """The rank of Omega where no parameter is on a boundary."""
        return self.k

    @abstractmethod
    def start(self) -> Array:
        """(q,) parameters of the identity matrix, or of a member near to it."""

    @abstractmethod
    def matrix(self, theta: Array) -> Array:
        """(k, k) Omega(theta)."""

    @abstractmethod
    def gradient(self, theta: Array) -> Array:
        """(q, k, k) dOmega/dtheta."""

    @abstractmethod
    def second(self, theta: Array) -> Array:
        """(q, q, k, k) d2Omega/dtheta2."""

    @abstractmethod
    def factor(self, theta: Array) -> Array:
        """(k, k) lower-triangular Lambda with Lambda Lambda' = Omega(theta), also where that is singular."""

    @abstractmethod
    def jacobian(self, theta: Array) -> Array:
        """(q, k, k) dLambda/dtheta of `factor`."""

    @abstractmethod
    def of_factor(self, factor: Array) -> Array:
        """(q,) parameters, canonical in sign, of the covariance factor factor' where it is a member, else of a close one.

        `factor` is (k, any): a root and not the covariance itself, so that no digits are lost by squaring.
        """

    @abstractmethod
    def canonical(self, theta: Array) -> Array:
        """The representative of theta (same Omega) that is reported."""

    @abstractmethod
    def support(self) -> NDArray[np.bool_]:
        """(k, k) which entries of Omega the structure can make nonzero."""

    @abstractmethod
    def transformed(self, theta: Array, T: Array) -> Array:
        """(q,) canonical parameters of T Omega(theta) T' for a T (k, k) of the group that `closure` names."""

    @abstractmethod
    def natural(self, theta: Array, labels: tuple[str, ...]) -> Natural:
        """The parameters that people read, with derivatives; `labels` name the k columns."""

    @abstractmethod
    def kr_parameters(self, theta: Array) -> Jet:
        """psi(theta) (l,) with derivatives: the parameters that SAS's PROC MIXED gives to this structure.

        The full form of Kenward and Roger (1997) depends on the parameters chosen. They are variances and covariances where the
        structure is linear in them, and variances and correlations elsewhere.
        """

    def jet(self, theta: Array) -> Jet:
        """Omega (k, k) with its derivatives."""
        return Jet(self.matrix(theta), self.gradient(theta), self.second(theta))
