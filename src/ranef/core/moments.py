"""From M = Z'V^-1 Z and B = Z'V^-1[X L^-T, y - X gamma] in full to the derivative pieces t, F, h, e and y."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ranef.core.layout import Layout
from ranef.core.pieces import Gls, Pieces, direction_forms, direction_products
from ranef.covariance.base import Array


@dataclass(frozen=True, eq=False)
class Full:
    """M (q, q) and B (q, r+1) whose rows spans[f] belong to block f: level after level, or effect after effect.

    The order of the levels of a block does not matter.
    """

    layout: Layout
    spans: Sequence[slice]
    M: Array
    B: Array
    by_effect: bool = False

    def pieces(self, logdet: float, gls: Gls, order: int) -> Pieces:
        blocks = range(len(self.spans))
        F = direction_forms(self.layout, [level_products(self.levels(f)) for f in blocks])
        t = direction_traces(self.layout, {f: np.einsum("jajb->ab", self.tiles(f, f)) for f in blocks})
        return Pieces(logdet, gls, t, F) if order == 1 else Pieces(logdet, gls, t, F, *self._second())

    def levels(self, f: int) -> Array:
        """(m, k, r+1) view of B."""
        m, k = self._shape(f)
        own = self.B[self.spans[f]]
        return own.reshape(k, m, -1).swapaxes(0, 1) if self.by_effect else own.reshape(m, k, -1)

    def tiles(self, f: int, g: int) -> Array:
        """(m_f, k_f, m_g, k_g) view of a block of M."""
        (m, k), (n, l) = self._shape(f), self._shape(g)
        own = self.M[self.spans[f], self.spans[g]]
        return own.reshape(k, m, l, n).transpose(1, 0, 3, 2) if self.by_effect else own.reshape(m, k, n, l)

    def _shape(self, f: int) -> tuple[int, int]:
        return self.layout.blocks[f].levels, self.layout.blocks[f].width

    def _second(self) -> tuple[Array, Array, Array]:
        """h, e and y: tr (I kron E_d) M (I kron E_e) A for A = M, B_x B_x' and r r'."""
        tables = {}
        levels = [np.ascontiguousarray(self.levels(f).swapaxes(0, 1)) for f in range(len(self.spans))]  # (k, m, r+1)
        for f, first in enumerate(levels):
            for g, second in enumerate(levels[f:], f):
                k, l = len(first), len(second)
                left = self.tiles(f, g).transpose(1, 3, 0, 2).reshape(k * l, -1)
                fixed = first[:, None, :, :-1] @ second[None, :, :, :-1].swapaxes(-1, -2)
                rest = first[:, None, :, None, -1] * second[None, :, None, :, -1]
                right = np.concatenate([left, fixed.reshape(k * l, -1), rest.reshape(k * l, -1)])
                tables[f, g] = (left @ right.T).reshape(k * l, 3, k * l).swapaxes(0, 1).reshape(3, k, l, k, l)
        h, e, y = direction_products(self.layout, tables)
        return h, e, y


def scalar_pieces(starts: Sequence[int], M: Array, B: Array, logdet: float, gls: Gls, order: int) -> Pieces:
    """The pieces where each level has one effect, so that Omega_f is a number and E_f the identity: sums over the tiles of M * A.

    The rows of block f are those from starts[f] to the next one.
    """
    t = np.add.reduceat(M.diagonal(), starts)
    F = np.add.reduceat(B[:, :, None] * B[:, None, :], starts, axis=0)
    if order == 1:
        return Pieces(logdet, gls, t, F)
    fixed, rest = B[:, :-1], B[:, -1]
    tables = np.empty((3, *M.shape))
    tables[0] = M
    np.matmul(fixed, fixed.T, out=tables[1])
    np.multiply(rest[:, None], rest, out=tables[2])
    tables *= M
    return Pieces(logdet, gls, t, F, *np.add.reduceat(np.add.reduceat(tables, starts, axis=1), starts, axis=2))


def direction_traces(layout: Layout, totals: Mapping[int, Array]) -> Array:
    """(K,) tr E_d total_f from the sums of the diagonal tiles of each block."""
    f, a, b = layout.directions
    return np.array([totals[i][j, k] * (1.0 if j == k else 2.0) for i, j, k in zip(f, a, b, strict=True)])


def level_products(levels: Array) -> Array:
    """(k, k, c, c) sums over levels of x_j[a] (x) x_j[b] for x (m, k, c)."""
    m, k, c = levels.shape
    wide = levels.reshape(m, k * c)
    return (wide.T @ wide).reshape(k, c, k, c).swapaxes(1, 2)
