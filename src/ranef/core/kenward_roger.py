"""Kenward and Roger's (1997) adjusted covariance and F test, from p x p objects only.

The covariance Sigma = phi_0 I + sum_d phi_d Z (I kron E_d) Z' is linear in phi = sigma^2 (1, omega), so no second derivatives occur.
In the whitened basis (X'V^-1X = I) and relative to sigma, with F and Q of X'V^-1 V_i V^-1 X and X'V^-1 V_i V^-1 V_j V^-1 X,

    I_ij = h_ij - 2 tr Q_ij + tr F_i F_j         W = (I / 2)^-1
    Phi_A = Phi + 2 Phi^(1/2) [ sum_ij W_ij (Q_ij - F_i F_j) ] Phi^(1/2)

The direction of sigma^2 itself follows from I = V - sum omega_d V_d. Halekoh and Hojsgaard (2014), section 2 and 4.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ranef.core.solution import Solution
from ranef.covariance.base import Array

FLAT = 1e-10


@dataclass(frozen=True, eq=False)
class KenwardRoger:
    """What the adjusted tests need, in the whitened basis."""

    W: Array  # (K+1, K+1) covariance of (1, omega) in units of sigma^4
    F: Array  # (K+1, r, r)
    inflation: Array  # (r, r) Phi_A in units of sigma^2: the identity plus the adjustment

    @classmethod
    def of(cls, solution: Solution) -> KenwardRoger:
        """`information` is the expected one, as in pbkrtest."""
        criterion = solution.criterion
        pieces = criterion.pieces(solution.theta, 2)
        assert pieces.t is not None and pieces.F is not None and pieces.h is not None
        omega = omega_entries(solution)
        F, Q = pieces.F[:, :-1, :-1], quadratics(solution)
        t, h = pieces.t, pieces.h
        F0 = np.eye(F.shape[1]) - np.tensordot(omega, F, 1)
        Q0 = F - np.tensordot(omega, Q, 1)
        Q00 = F0 - np.tensordot(omega, Q0, 1)
        h0 = t - omega @ h
        h00 = criterion.gram.nobs - omega @ t - omega @ h0
        F = np.concatenate([F0[None], F])
        Q = np.concatenate([np.concatenate([Q00[None], Q0])[None], np.concatenate([np.swapaxes(Q0, 1, 2)[:, None], Q], axis=1)])
        h = np.block([[np.full((1, 1), h00), h0[None]], [h0[:, None], h]])
        flat = F.reshape(len(F), -1)
        information = h - 2.0 * np.trace(Q, axis1=2, axis2=3) + flat @ flat.T
        W = _inverse(information / 2.0)
        adjustment = np.tensordot(W, Q, 2) - np.einsum("ij,iab,jbc->ac", W, F, F, optimize=True)
        return cls(W, F, np.eye(F.shape[1]) + adjustment + adjustment.T)

    def vcov(self, solution: Solution) -> Array:
        """(p, p) adjusted covariance matrix of beta on the user's scale."""
        return solution.sigma**2 * (solution.white @ self.inflation @ solution.white.T)

    def test(self, solution: Solution, L: Array, value: Array) -> tuple[float, int, float]:
        """(F, numerator df, denominator df) of the hypothesis L beta = value; rows of L (c, p) are on the user's scale."""
        xi = L @ solution.white
        rows = _basis(xi)
        q = len(rows)
        A1, A2 = self._moments(rows)
        df, scale = scaled_df(q, A1, A2)
        difference = L @ solution.beta - value
        spread = solution.sigma**2 * (xi @ self.inflation @ xi.T)
        F = float(difference @ np.linalg.pinv(spread, rcond=1e-12, hermitian=True) @ difference) / q
        return scale * F, q, df

    def df(self, solution: Solution, L: Array) -> Array:
        """(c,) degrees of freedom of the rows of L."""
        xi = L @ solution.white
        xi = xi / np.linalg.norm(xi, axis=1, keepdims=True)
        return np.array([scaled_df(1, *self._moments(row[None]))[0] for row in xi])

    def _moments(self, rows: Array) -> tuple[float, float]:
        """A_1 and A_2 for an orthonormal basis (q, r) of the hypothesis."""
        inner = rows @ self.F @ rows.T  # (K+1, q, q)
        traces = np.trace(inner, axis1=1, axis2=2)
        flat = inner.reshape(len(inner), -1)
        return float(traces @ self.W @ traces), float(np.sum(self.W * (flat @ flat.T)))


def scaled_df(q: int, A1: float, A2: float) -> tuple[float, float]:
    """Denominator df and scale of F for q numerator df: Kenward and Roger (1997), section 3."""
    B = (A1 + 6.0 * A2) / (2.0 * q)
    g = ((q + 1) * A1 - (q + 4) * A2) / ((q + 2) * A2) if A2 > 0 else 0.0
    divisor = 3.0 * q + 2.0 * (1.0 - g)
    c1, c2, c3 = g / divisor, (q - g) / divisor, (q + 2.0 - g) / divisor
    E = 1.0 / (1.0 - A2 / q) if A2 < q else np.inf
    if A2 <= 0.0:
        return np.inf, 1.0
    V0, V1, V2 = 1.0 + c1 * B, 1.0 - c2 * B, 1.0 - c3 * B
    V0 = 0.0 if abs(V0) < 1e-10 else V0
    ratio = (1.0 - A2 / q) ** 2 * V0 / (V1**2 * V2)
    rho = ratio / q if abs(ratio) > 0 else 0.0
    df = 4.0 + (q + 2.0) / (q * rho - 1.0)
    return df, df / (E * (df - 2.0)) if np.isfinite(E) else 1.0


def omega_entries(solution: Solution) -> Array:
    """(K,) the free entries of the relative covariances, in the order of the directions."""
    f, a, b = solution.criterion.layout.directions
    omegas = [lam @ lam.T for lam in solution.factors]
    return np.array([omegas[i][j, k] for i, j, k in zip(f, a, b, strict=True)])


def quadratics(solution: Solution) -> Array:
    """(K, K, r, r) X'V^-1 V_d V^-1 V_e V^-1 X in the whitened basis: Y_d'(Z'V^-1 Z) Y_e with Y_d = E_d Z'V^-1 X."""
    criterion = solution.criterion
    B = [block[:, :, :-1] for block in solution.projections]
    f, a, b = criterion.layout.directions
    r = criterion.gram.rank
    out = np.empty((len(f), len(f), r, r))
    moved = []
    for i, j, k in zip(f, a, b, strict=True):
        Y = np.zeros_like(B[i])
        Y[:, j] += B[i][:, k]
        if j != k:
            Y[:, k] += B[i][:, j]
        moved.append(Y)
    for e, (g, Y) in enumerate(zip(f, moved, strict=True)):
        spread = criterion.engine.apply(solution.factors, [Y if h == g else np.zeros((*B[h].shape[:2], r)) for h in range(len(B))])
        for d, i in enumerate(f):
            out[d, e] = moved[d].reshape(-1, r).T @ spread[i].reshape(-1, r)
    return out


def _basis(xi: Array) -> Array:
    """Orthonormal rows that span the rows of xi."""
    _, values, rows = np.linalg.svd(xi, full_matrices=False)
    return rows[values > 1e-9 * values[0]]


def _inverse(matrix: Array) -> Array:
    scale = np.sqrt(np.clip(np.diag(matrix), 1e-300, None))
    values, vectors = np.linalg.eigh(matrix / np.outer(scale, scale))
    good = values > FLAT * values[-1]
    vectors = vectors[:, good] / scale[:, None]
    return (vectors / values[good]) @ vectors.T



