"""The elimination of one block-diagonal factor i at Lambda, given that the factors before it have been.

With V = I + sum of the factors up to i, C = Z_i'V_before^-1 Z_i, P = Z_i'V_before^-1 Z_later, D = Z_i'V_before^-1 w, by levels:

    K = I + Lambda'C Lambda = L L'      R = Lambda L^-T      Psi = R R' = (Omega^-1 + C)^-1      T = (I + C Omega)^-1
    Z_i'V^-1[Z_i Z_later w] = T [C P D]                      a'V^-1 b = a'V_before^-1 b - (Z_i'a)'Psi (Z_i'b)

docs/explanation/likelihood.md, eq. 19-20.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from ranef.core.gram import Index
from ranef.core.outer import Outer
from ranef.core.panel import Panel
from ranef.covariance.base import Array


@dataclass(frozen=True, eq=False)
class Holder:
    """A later factor of the chain that this one is nested in: `level` (m,) holds each level, `cross` is Z_i'Z_holder."""

    stage: int  # its place in the chain
    level: Index
    cross: Array  # (m, k, k_holder)
    sums: csr_array  # (m_holder, m) adds up the levels that a level holds
    entries: Index | None  # where this panel's entries lie in the panel of the holder


@dataclass(frozen=True, eq=False)
class Stage:
    """What does not depend on Lambda (reduced quantities start from these)."""

    block: int
    zz: Array  # (m, k, k)
    zw: Array  # (m, k, r+1)
    holders: tuple[Holder, ...]
    panel: Panel | None  # Z_i'Z_2
    outer: Outer | None  # the products of its entries, if the panel is the same at every Lambda


@dataclass(frozen=True, eq=False)
class Eliminated:
    """A stage at Lambda; `crosses` and `panel` are P."""

    stage: Stage
    lam: Array
    C: Array  # (m, k, k)
    R: Array  # (m, k, k)
    T: Array  # (m, k, k)
    logdet: float
    crosses: tuple[Array, ...]  # per holder (m, k, k_holder)
    panel: Panel | None

    @classmethod
    def of(cls, stage: Stage, lam: Array, C: Array, crosses: Sequence[Array], panel: Panel | None) -> Eliminated:
        R, T, logdet = tile_factors(C, lam)
        return cls(stage, lam, C, R, T, logdet, tuple(crosses), panel)

    def effects_of(self, D: Array) -> Array:
        """Psi D"""
        return tile_product(self.R, tile_product(self.R.swapaxes(1, 2), D))

    def scores(self, D: Array, holders: Sequence[Array], dense: Array | None) -> Array:
        """Z_i'V^-1 w of the whole V from the effects of the later factors: T (D - P beta)."""
        rest = D
        for holder, cross, beta in zip(self.stage.holders, self.crosses, holders, strict=True):
            rest = rest - tile_product(cross, beta[holder.level])
        if self.panel is not None and dense is not None:
            rest = rest - self.panel.times(dense)
        return tile_product(self.T, rest)


def tile_factors(C: Array, lam: Array) -> tuple[Array, Array, float]:
    """R, T (m, k, k) and sum log|K|."""
    if C.shape[1] == 1:
        scale = float(lam[0, 0])
        K = 1.0 + scale * scale * C
        return scale / np.sqrt(K), 1.0 / K, float(np.log(K).sum())
    at = np.arange(C.shape[1])
    K = lam.T @ C @ lam
    K[:, at, at] += 1.0
    lower = np.linalg.cholesky(K)
    T = C @ (lam @ lam.T)
    T[:, at, at] += 1.0
    R = lam @ np.linalg.inv(lower).swapaxes(1, 2)
    return R, np.asarray(np.linalg.inv(T)), 2.0 * float(np.log(lower[:, at, at]).sum())


def tile_product(A: Array, B: Array) -> Array:
    """(m, k, c) products of tiles."""
    return A * B if A.shape[1:] == (1, 1) else A @ B


def sum_by(sums: csr_array, tiles: Array) -> Array:
    """(m_holder, ...) sums of (m, ...) over the levels that each level holds."""
    return (sums @ tiles.reshape(len(tiles), -1)).reshape(-1, *tiles.shape[1:])
