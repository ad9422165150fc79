"""Satterthwaite's degrees of freedom from exact derivatives.

For v = l'Var(beta)l, a function of theta and tau = log sigma^2, with A the inverse of half the Hessian of the joint deviance

    d(theta, tau) = log|V| (+ log|X'V^-1X|) + nu tau + s(theta) exp(-tau),            df = 2 v^2 / (g'A g),   g = grad v.

Fai and Cornelius (1996); Kuznetsova et al. (2017), eq. 4-7. With exact derivatives dv/d omega_d = sigma^2 xi'F_d^xx xi (see
`pieces`), and directions of zero variance drop out by themselves: their gradient is zero.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import lapack

from ranef.core.pieces import rounding
from ranef.core.solution import Solution
from ranef.covariance.base import Array

FLAT = 1e-9  # curvature below this share of the largest is no information


@dataclass(frozen=True, eq=False)
class VarianceParameters:
    """Asymptotic covariance of (theta, log sigma^2), of theta alone where sigma is known, and how Var(beta) depends on them."""

    covariance: Array  # (q+1, q+1), or (q, q)
    slopes: Array  # (q, r, r) derivatives of the whitened Var(beta)/sigma^2

    @classmethod
    def of(cls, solution: Solution, hessian: Array) -> VarianceParameters:
        """`hessian` is the exact Hessian of the profiled criterion at the optimum."""
        criterion, F = solution.criterion, solution.forms
        nu, s, q = criterion.nu, solution.gls.pwrss, len(solution.theta)
        jacobian = criterion.jacobian(solution.theta)
        K, r, _ = F.shape
        slopes = (jacobian @ F.reshape(K, r * r)).reshape(q, r, r)[:, :-1, :-1]
        if criterion.scale is not None:
            known = solution.pieces.h is not None and criterion.residual is not None
            least = (np.abs(jacobian) @ rounding(solution.pieces)) ** 2 if known else 0.0
            return cls(_information_inverse(hessian, least), slopes)
        a = jacobian @ F[:, -1, -1]
        joint = np.empty((q + 1, q + 1))
        joint[:q, q] = joint[q, :q] = a * (nu / s)
        joint[:q, :q] = hessian + joint[:q, q:] * (a / s)
        joint[q, q] = nu
        return cls(_information_inverse(joint), slopes)

    def df(self, solution: Solution, L: Array) -> Array:
        """(c,) degrees of freedom of the rows l of L (c, p) on the user's scale."""
        xi = L @ solution.white
        gradient = np.empty((len(L), len(self.covariance)))
        q = len(self.slopes)
        gradient[:, :q] = np.add.reduce((xi @ self.slopes) * xi, axis=2).T
        v = np.add.reduce(xi * xi, axis=1)
        gradient[:, q:] = v[:, None]
        spread = np.add.reduce((gradient @ self.covariance) * gradient, axis=1)
        return np.divide(2.0 * v * v, spread, out=np.full(len(L), np.inf), where=spread > 0)


def _information_inverse(joint: Array, least: Array | float = 0.0) -> Array:
    """2 H^-1 over the directions in which the deviance curves upwards; a curvature below `least` is none."""
    if not len(joint):
        return np.zeros((0, 0))
    diagonal = joint.diagonal()
    unit = np.where(diagonal > least, 1.0 / np.sqrt(np.maximum(diagonal, 1e-300)), 0.0)
    scaled = joint * unit * unit[:, None]
    values, vectors, _ = lapack.dsyevd(scaled)
    good = values > FLAT * values[-1]
    vectors = vectors[:, good] * unit[:, None]
    return (vectors * (2.0 / values[good])) @ vectors.T
