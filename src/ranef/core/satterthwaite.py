"""Satterthwaite's degrees of freedom from exact derivatives.

For v = l'Var(beta)l, a function of theta and tau = log sigma^2, with A the inverse of half the Hessian of the joint deviance

    d(theta, tau) = log|V| (+ log|X'V^-1X|) + nu tau + s(theta) exp(-tau),            df = 2 v^2 / (g'A g),   g = grad v.

Fai and Cornelius (1996); Kuznetsova et al. (2017), eq. 4-7. With exact derivatives dv/d omega_d = sigma^2 xi'F_d^xx xi (see
`pieces`), and directions of zero variance drop out by themselves: their gradient is zero.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

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
        slopes = np.tensordot(jacobian, F[:, :-1, :-1], 1)
        if criterion.scale is not None:
            return cls(_information_inverse(hessian), slopes)
        a = jacobian @ F[:, -1, -1]
        joint = np.empty((q + 1, q + 1))
        joint[:q, :q] = hessian + nu / s**2 * np.outer(a, a)
        joint[:q, q] = joint[q, :q] = a * nu / s
        joint[q, q] = nu
        return cls(_information_inverse(joint), slopes)

    def df(self, solution: Solution, L: Array) -> Array:
        """(c,) degrees of freedom of the rows l of L (c, p) on the user's scale."""
        xi = L @ solution.white
        v = np.einsum("ci,ci->c", xi, xi)
        gradient = np.empty((len(L), len(self.covariance)))
        q = len(self.slopes)
        gradient[:, :q] = np.einsum("ci,kij,cj->ck", xi, self.slopes, xi)
        gradient[:, q:] = v[:, None]
        spread = np.einsum("ck,kl,cl->c", gradient, self.covariance, gradient)
        return np.divide(2.0 * v**2, spread, out=np.full(len(L), np.inf), where=spread > 0)


def _information_inverse(joint: Array) -> Array:
    """2 H^-1 over the directions in which the deviance curves upwards."""
    scale = np.sqrt(np.clip(np.diag(joint), 1e-300, None))
    values, vectors = np.linalg.eigh(joint / np.outer(scale, scale))
    good = values > FLAT * values[-1]
    vectors = vectors[:, good] / scale[:, None]
    return 2.0 * (vectors / values[good]) @ vectors.T
