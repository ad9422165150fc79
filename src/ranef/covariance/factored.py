"""Structures that are given by their factor, Omega = Lambda Lambda', with Lambda polynomial, mostly linear, in theta.

Positive semi-definite without a condition, and theta may pass through zero: a column of Lambda is identified up to its sign.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar, TypeGuard

import numpy as np

from ranef.covariance.about import About
from ranef.covariance.base import Array, Covariance
from ranef.covariance.jets import Jet
from ranef.covariance.natural import Natural, of_matrix


@dataclass(frozen=True)
class Factored(Covariance):
    k: int

    about: ClassVar[About]

    @property
    def word(self) -> str:
        return self.about.word

    @abstractmethod
    def jacobian(self, theta: Array) -> Array:
        """(q, k, k) dLambda/dtheta."""

    def curvature(self, theta: Array) -> Array | None:
        """(q, q, k, k) second derivatives of Lambda, or None when Lambda is linear in theta."""
        return None

    def matrix(self, theta: Array) -> Array:
        lam = self.factor(theta)
        return lam @ lam.T

    def gradient(self, theta: Array) -> Array:
        half = self.jacobian(theta) @ self.factor(theta).T
        return half + half.swapaxes(1, 2)

    def second(self, theta: Array) -> Array:
        slopes = self.jacobian(theta)
        half = slopes[:, None] @ slopes[None].swapaxes(-1, -2)
        bend = self.curvature(theta)
        if bend is not None:
            half = half + bend @ self.factor(theta).T
        return half + half.swapaxes(-1, -2)

    def canonical(self, theta: Array) -> Array:
        return self.of_factor(self.factor(theta))

    def transformed(self, theta: Array, T: Array) -> Array:
        return self.of_factor(T @ self.factor(theta))

    def natural(self, theta: Array, labels: tuple[str, ...]) -> Natural:
        return of_matrix(self.jet(theta), self.support(), labels)

    def kr_parameters(self, theta: Array) -> Jet:
        return self.jet(theta)[np.nonzero(np.tril(self.support()))]


def is_linear(covariance: Covariance) -> TypeGuard[Factored]:
    """Is the factor linear in theta?"""
    return isinstance(covariance, Factored) and covariance.curvature(covariance.start()) is None
