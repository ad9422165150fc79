"""Kenward and Roger's (1997) adjusted covariance and F test, from p x p objects only.

Sigma = phi_0 I + sum_i phi_i Z (I kron E_i) Z' is linear in phi = sigma^2 (1, omega), so that no second derivatives occur.
In the whitened basis (X'V^-1X = I) and relative to sigma, with F_i = X'V^-1 V_i V^-1 X, Q_ij = X'V^-1 V_i V^-1 V_j V^-1 X,

    W = 2 I^-1    I_ij = tr P V_i P V_j (expected), or 2 y'P V_i P V_j P y / sigma^2 - tr P V_i P V_j (observed)
    Phi_A = Phi + 2 Phi^(1/2) [ sum_ij W_ij (Q_ij - F_i F_j) ] Phi^(1/2)

What belongs to sigma^2 itself, V_0 = I, follows from I = V - sum omega_d V_d. Halekoh and Hojsgaard (2014), sections 2 and 4;
the derivation is in docs/explanation/degrees-of-freedom.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from ranef.core.information import expected_traces, natural_directions, omega_of
from ranef.core.pieces import Pieces
from ranef.core.residual.adjusted import Adjusted
from ranef.core.solution import Solution
from ranef.covariance.base import Array

Information = Literal["expected", "observed"]
FLAT = 1e-10  # an eigenvalue of the information below this share of the largest is none
EXACT = 1e-10  # share of A_1 by which it may differ from q A_2 where F has an exact distribution
NEAR_TWO = 0.01  # within this distance of two denominator df the scale of F is not defined, and one is used


@dataclass(frozen=True, eq=False)
class KenwardRoger:
    """What the adjusted tests need, in the whitened basis. K counts the free entries of the covariances of random effects."""

    W: Array  # (K+1, K+1) covariance of (1, omega) in units of sigma^4
    F: Array  # (K+1, r, r)
    inflation: Array  # (r, r) Phi_A in units of sigma^2: the identity plus the adjustment

    @classmethod
    def of(cls, solution: Solution, information: Information = "expected", *, linear: bool = False) -> KenwardRoger:
        """`information` of the variance parameters: expected as in pbkrtest, or observed as in SAS; `linear` leaves the second
        derivatives of residual structures out."""
        criterion = solution.criterion
        if criterion.residual is not None:
            found = Adjusted.of(solution, _inverse, observed=information == "observed", linear=linear)
            return cls._adjusted(found.W, found.F, found.spread)
        pieces = solution.tables
        assert pieces.F is not None
        omega, G = omega_of(criterion.layout, solution.factors), natural_directions(criterion.layout, solution.theta)
        inner = expected_traces(criterion, solution.factors, pieces)
        F = pieces.F[:, :-1, :-1]
        traces = np.trace(F, axis1=1, axis2=2)
        assert pieces.t is not None
        free = criterion.gram.nobs - criterion.gram.rank
        matrix = bordered(inner, pieces.t - traces, omega, free)
        if information == "observed":
            sigma2 = pieces.gls.pwrss / free if criterion.scale is None else criterion.scale**2
            matrix = 2.0 * curvature(pieces, omega) / sigma2 - matrix
        H = np.eye(len(omega) + 1)[:, : 1 + G.shape[1]]
        H[1:, 1:] = G
        if criterion.scale is not None:
            H = H[:, 1:]
        W = 2.0 * H @ _inverse(H.T @ matrix @ H) @ H.T
        F0 = np.eye(F.shape[1]) - np.tensordot(omega, F, 1)
        F = np.concatenate([F0[None], F])
        return cls._adjusted(W, F, _quadratic(solution, F, W, omega))

    @classmethod
    def _adjusted(cls, W: Array, F: Array, spread: Array) -> KenwardRoger:
        adjustment = spread - np.einsum("iab,ibc->ac", np.tensordot(W, F, 1), F)
        return cls(W, F, np.eye(F.shape[1]) + adjustment + adjustment.T)

    def vcov(self, solution: Solution) -> Array:
        """(p, p) adjusted covariance matrix of beta on the user's scale."""
        return solution.sigma**2 * (solution.white @ self.inflation @ solution.white.T)

    def test(self, solution: Solution, L: Array, value: Array) -> tuple[float, int, float, float]:
        """(F, numerator df, denominator df, scale) of the hypothesis L beta = value; rows of L (c, p) are on the user's scale.

        F is not yet multiplied by the scale.
        """
        xi = L @ solution.white
        size = np.linalg.norm(xi, axis=1)
        xi, difference = xi / size[:, None], (L @ solution.beta - value) / size
        rows = _basis(xi)
        q = len(rows)
        df, scale = scaled_df(q, *self._moments(rows))
        spread = solution.sigma**2 * (xi @ self.inflation @ xi.T)
        F = float(difference @ np.linalg.pinv(spread, rcond=1e-12, hermitian=True) @ difference) / q
        return F, q, df, scale

    def df(self, solution: Solution, L: Array) -> Array:
        """(c,) degrees of freedom of the rows of L: 2 / A, which is what Kenward and Roger's formula becomes for one row."""
        xi = L @ solution.white
        v = np.einsum("ci,ci->c", xi, xi)
        f = np.stack([np.einsum("ci,ci->c", xi @ part, xi) for part in self.F], axis=1)
        A = np.einsum("ci,ij,cj->c", f, self.W, f)
        return np.divide(2.0 * v**2, A, out=np.full(len(L), np.inf), where=A > 0)

    def _moments(self, rows: Array) -> tuple[float, float]:
        """A_1 and A_2 for an orthonormal basis (q, r) of the hypothesis."""
        inner = rows @ self.F @ rows.T  # (K+1, q, q)
        traces = np.trace(inner, axis1=1, axis2=2)
        flat = inner.reshape(len(inner), -1)
        return float(traces @ self.W @ traces), float(np.sum(self.W * (flat @ flat.T)))


def scaled_df(q: int, A1: float, A2: float) -> tuple[float, float]:
    """Denominator df and scale of F for q numerator df: Kenward and Roger (1997), section 3.

    Where A_1 = q A_2, as for one row and where F is exact, they are 2q / A_2 and one; the general formula reads 0/0 at two df.
    """
    if A2 <= 0.0:
        return np.inf, 1.0
    if q == 1 or abs(A1 - q * A2) <= EXACT * abs(A1):
        return 2.0 * q / A2, 1.0
    B = (A1 + 6.0 * A2) / (2.0 * q)
    g = ((q + 1) * A1 - (q + 4) * A2) / ((q + 2) * A2)
    divisor = 3.0 * q + 2.0 * (1.0 - g)
    V0, V1, V2 = 1.0 + g / divisor * B, 1.0 - (q - g) / divisor * B, 1.0 - (q + 2.0 - g) / divisor * B
    shrink = 1.0 - A2 / q
    V0 = 0.0 if abs(V0) < 1e-10 else V0
    spread = (shrink / V1) ** 2 * V0 / V2 if V1 != 0.0 != V2 else np.inf
    df = 4.0 + (q + 2.0) / (spread - 1.0)
    scale = 1.0 if abs(df - 2.0) < NEAR_TWO else df * shrink / (df - 2.0)
    return df, scale


def bordered(inner: Array, traces: Array, omega: Array, free: float) -> Array:
    """(K+1, K+1) tr P V_i P V_j from those of the directions: V_0 = V - sum omega_d V_d and P V P = P; free = tr P V = n - r."""
    first = traces - omega @ inner
    corner = free - omega @ traces - omega @ first
    return np.block([[np.full((1, 1), corner), first[None]], [first[:, None], inner]])


def curvature(pieces: Pieces, omega: Array) -> Array:
    """(K+1, K+1) y'P V_i P V_j P y, by the same identity."""
    assert pieces.F is not None and pieces.y is not None
    a, cross = pieces.F[:, -1, -1], pieces.F[:, :-1, -1]
    return bordered(pieces.y - cross @ cross.T, a, omega, pieces.gls.pwrss)


def _quadratic(solution: Solution, F: Array, W: Array, omega: Array) -> Array:
    """(r, r) sum_ij W_ij Q_ij, where Q_0e = F_e - sum_d omega_d Q_de and Q_de = Y_d'(Z'V^-1 Z) Y_e with Y_d = E_d Z'V^-1 X."""
    criterion = solution.criterion
    B = [block[:, :, :-1] for block in solution.projections]
    f, a, b = criterion.layout.directions
    r, K = criterion.gram.rank, len(f)
    linear = np.tensordot(2.0 * W[0], F, 1) - W[0, 0] * (F[0] + np.tensordot(omega, F[1:], 1))
    if not K or not r:
        return linear
    Y = [np.zeros((*part.shape[:2], K, r)) for part in B]
    for d, (i, j, k) in enumerate(zip(f, a, b, strict=True)):
        Y[i][:, j, d] += B[i][:, k]
        if j != k:
            Y[i][:, k, d] += B[i][:, j]
    spread = criterion.engine.apply(solution.factors, [part.reshape(*part.shape[:2], K * r) for part in Y])
    T = np.hstack([-omega[:, None], np.eye(K)])
    weights = T @ W @ T.T
    for part, moved in zip(Y, spread, strict=True):
        mixed = np.einsum("de,mker->mkdr", weights, moved.reshape(part.shape), optimize=True)
        linear = linear + part.reshape(-1, r).T @ mixed.reshape(-1, r)
    return linear


def _basis(xi: Array) -> Array:
    """Orthonormal rows that span the rows of xi."""
    _, values, rows = np.linalg.svd(xi, full_matrices=False)
    return rows[values > 1e-9 * values[0]]


def _inverse(matrix: Array, least: Array | float = 0.0) -> Array:
    """Over the directions in which there is information; a parameter that has less than `least` has none."""
    diagonal = np.diag(matrix)
    scale = np.sqrt(np.where(diagonal > least, np.clip(diagonal, 1e-300, None), np.inf))
    values, vectors = np.linalg.eigh(matrix / np.outer(scale, scale))
    good = values > FLAT * values[-1]
    vectors = vectors[:, good] / scale[:, None]
    return (vectors / values[good]) @ vectors.T
