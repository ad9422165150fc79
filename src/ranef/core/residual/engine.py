"""What the engines for residual structures answer, beside the pieces of the criterion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ranef.core.pieces import Pieces
from ranef.covariance.base import Array

Index = NDArray[np.intp]


class ResidualEngine(Protocol):
    """`at` binds the residual parameters; `exact` says that second derivatives are, `order` is that of the largest dense matrix."""

    @property
    def exact(self) -> bool: ...

    @property
    def order(self) -> int: ...

    @property
    def effort(self) -> float:
        """Floating-point operations of an evaluation, to an order of magnitude."""
        ...

    def at(self, rho: Array) -> ResidualEngine: ...

    def pieces(self, factors: list[Array], order: int) -> Pieces: ...

    def projections(self, factors: list[Array]) -> list[Array]: ...

    def conditional(self, factors: list[Array], f: int, g: int, rows: Index, columns: Index) -> Array: ...

    def contracted(self, factors: list[Array], W: Array) -> tuple[Array, Array]:
        """(r, r) each: sums of W_kl (K, K) times X'V^-1 V_k V^-1 V_l V^-1 X and times X'V^-1 V_kl V^-1 X, in the whitened basis."""
        ...

    def solved(self, factors: list[Array], values: Array) -> Array:
        """(n, c) V^-1 times values (n, c), row by row of the design."""
        ...

    def row_moments(self, factors: list[Array]) -> RowMoments:
        """What the variances of residuals are made of, row by row."""
        ...

    def normalized(self, factors: list[Array], values: Array, marginal: bool) -> Array:
        """(n,) L^-1 values with L L' = R, or V where `marginal`: uncorrelated, of variance one."""
        ...

    def drawn(self, rng: np.random.Generator) -> Array:
        """(n,) residuals drawn from R."""
        ...


@dataclass(frozen=True, eq=False)
class RowMoments:
    """(n,) each, of the rows times the roots of their weights: the diagonals of R, V, P, R P and R P R."""

    noise: Array
    total: Array
    P: Array
    share: Array
    spread: Array

    @classmethod
    def empty(cls, n: int) -> RowMoments:
        return cls(*np.empty((5, n)))

    def fill(self, rows: Index, pattern: Index, R: Array, V: Array, inverse: Array, fixed: Array) -> None:
        """From the own blocks (U, n, n) of R, V and V^-1 of each pattern, and the rows of V^-1[X L^-T, y - X gamma].

        `pattern` (C,) tells that of each cluster in `rows` (C, n).
        """
        RA, X = R @ inverse, fixed[rows][:, :, :-1]
        RX = R[pattern] @ X
        self.noise[rows], self.total[rows] = diagonal(R)[pattern], diagonal(V)[pattern]
        self.P[rows] = diagonal(inverse)[pattern] - np.einsum("cnr,cnr->cn", X, X)
        self.share[rows] = diagonal(RA)[pattern] - np.einsum("cnr,cnr->cn", RX, X)
        self.spread[rows] = diagonal(RA @ R)[pattern] - np.einsum("cnr,cnr->cn", RX, RX)


def diagonal(matrices: Array) -> Array:
    """(U, n) the diagonals of matrices (U, n, n)."""
    return np.asarray(np.einsum("unn->un", matrices))
