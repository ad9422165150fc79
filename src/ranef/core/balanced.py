"""Balanced data: the optimum of one grouping factor in closed form, and the only one.

All levels have the same Z_j'Z_j = C = L_C L_C', and Z Omega Z'X stays in the span of X whatever Omega is: X spans u products of a
variable of the levels with all k columns of Z, and r - uk directions within levels. Then beta does not depend on Omega (Zyskind
1967, Ann. Math. Statist. 38, 1092). With r_j = E_j [-gamma; 1], S = sum r_j r_j' and s_0 = [-gamma; 1]'W_0[-gamma; 1] the
criterion is, up to a constant,

    M log|sigma^2 K| + tr S (sigma^2 K)^-1 + f log sigma^2 + s_0 / sigma^2,      K = I + L_C'Omega L_C,

M = m - u and f = n - mk - (r - uk) under REML, M = m and f = n - mk under ML. It is convex in (sigma^2 K)^-1 and 1 / sigma^2 on the
convex set sigma^2 K >= sigma^2 I. So there is one optimum: sigma^2 K has the eigenvectors of S and the eigenvalues d_i / M, but for
those below sigma^2, which are pooled with it (Anderson, Anderson and Olkin 1986, Ann. Statist. 14, 405).

docs/explanation/likelihood.md, eq. 17-18.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import lapack

from ranef.core.gram import Gram
from ranef.covariance.base import Array

EXACT = 1e-9  # share of a squared length that counts as rounding
INVERTIBLE = 1e-10  # share of the largest pivot below which C is singular


@dataclass(frozen=True, eq=False)
class Balance:
    """What the closed form needs besides the response; it exists for balanced designs only."""

    upper_inverse: Array  # (k, k) L_C^-T
    levels: int
    between: int  # u
    products: Array  # (k, k, r, r) N_ab
    within: Array  # (r, r) W

    @classmethod
    def of(cls, gram: Gram, lower: Array, inverse: Array, E: Array, rest: Array) -> Balance | None:
        """From the engine's L_C (U, k, k), its inverses (m, k, k), E (G, k, r+1) and W_0; None where the design is not balanced."""
        block, r = gram.layout.blocks[0], gram.rank
        if len(lower) != 1 or len(block.parts) != 1 or block.parts[0].covariance.word != "un":
            return None
        if ((inverse[0] @ lower[0]).diagonal() < 0.5).any():
            return None
        N = _products(E[:, :, :r])
        own = N.diagonal(0, 0, 1).diagonal(0, 0, 1)  # (k, r)
        if (own - np.add.reduce(N * N, axis=2) > EXACT * (1.0 + own)).any():
            return None
        return cls(inverse[0].T, block.levels, round(float(own.sum()) / block.width), N, rest[:r, :r])

    def degrees(self, nobs: int, rank: int, reml: bool) -> tuple[int, int]:
        """M and f."""
        k, u = len(self.upper_inverse), self.between if reml else 0
        return self.levels - u, nobs - self.levels * k - (rank - u * k if reml else 0)

    def root(self, nobs: int, E: Array, rest: Array, reml: bool) -> Array | None:
        """(k, k) a root of the best Omega, from E and W_0; None where nothing is left within levels."""
        k, r = len(self.upper_inverse), len(rest) - 1
        M, f = self.degrees(nobs, r, reml)
        flat = E.reshape(-1, r + 1)
        turn = -(rest[r] + flat[:, r] @ flat)  # -X'y where X'X = I
        turn[r] = 1.0
        residuals = (flat @ turn).reshape(-1, k)
        d, V, _ = lapack.dsyevd(residuals.T @ residuals)
        within = float(turn @ rest @ turn)
        if M <= 0 or f <= 0 or not within > 0.0:
            return None
        for value in d.tolist():  # in ascending order: the smallest are pooled first
            if value * f >= within * M:
                break
            within, f = within + max(value, 0.0), f + M
        excess = np.maximum(d * f / (M * within) - 1.0, 0.0)
        return self.upper_inverse @ (V * np.sqrt(excess))


def _products(fixed: Array) -> Array:
    """(k, k, r, r) N_ab = sum over levels of x_j[a] x_j[b]'."""
    G, k, r = fixed.shape
    flat = fixed.reshape(G, k * r)
    return (flat.T @ flat).reshape(k, r, k, r).swapaxes(1, 2)
