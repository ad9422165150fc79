"""From M = Z'V^-1 Z and B = Z'V^-1[X L^-T, y - X gamma] in full to the derivative pieces t, F, h, e and y."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ranef.core.layout import Layout
from ranef.core.pieces import Gls, Pieces, direction_forms, direction_products
from ranef.covariance.base import Array


def full_pieces(layout: Layout, spans: Sequence[slice], logdet: float, gls: Gls, M: Array, B: Array, order: int) -> Pieces:
    """`spans[f]` are the rows of block f in M (q, q) and B (q, r+1); the order of its levels does not matter."""
    levels = [B[span].reshape(block.levels, block.width, -1) for span, block in zip(spans, layout.blocks, strict=True)]
    F = direction_forms(layout, [level_products(x) for x in levels])
    totals = {f: np.einsum("jajb->ab", level_tiles(layout, spans, M, f, f)) for f in range(len(spans))}
    t = direction_traces(layout, totals)
    if order == 1:
        return Pieces(logdet, gls, t, F)
    outer_x, outer_y = B[:, :-1] @ B[:, :-1].T, np.outer(B[:, -1], B[:, -1])
    h, e, y = (_contract(layout, spans, M, other) for other in (M, outer_x, outer_y))
    return Pieces(logdet, gls, t, F, h, e, y)


def direction_traces(layout: Layout, totals: Mapping[int, Array]) -> Array:
    """(K,) tr E_d total_f from the sums of the diagonal tiles of each block."""
    f, a, b = layout.directions
    return np.array([totals[i][j, k] * (1.0 if j == k else 2.0) for i, j, k in zip(f, a, b, strict=True)])


def level_products(levels: Array) -> Array:
    """(k, k, c, c) sums over levels of x_j[a] (x) x_j[b] for x (m, k, c)."""
    m, k, c = levels.shape
    wide = levels.reshape(m, k * c)
    return (wide.T @ wide).reshape(k, c, k, c).swapaxes(1, 2)


def level_tiles(layout: Layout, spans: Sequence[slice], M: Array, f: int, g: int) -> Array:
    """(m_f, k_f, m_g, k_g) view of a block of M."""
    first, second = layout.blocks[f], layout.blocks[g]
    return M[spans[f], spans[g]].reshape(first.levels, first.width, second.levels, second.width)


def _contract(layout: Layout, spans: Sequence[slice], A: Array, B: Array) -> Array:
    """(K, K) tr (I kron E_d) A (I kron E_e) B for symmetric A and B."""
    product = {}
    for f in range(len(spans)):
        for g in range(f, len(spans)):
            left, right = (level_tiles(layout, spans, X, f, g).transpose(1, 3, 0, 2) for X in (A, B))
            k_f, k_g = left.shape[:2]
            table = left.reshape(k_f * k_g, -1) @ right.reshape(k_f * k_g, -1).T
            product[f, g] = table.reshape(k_f, k_g, k_f, k_g)
    return direction_products(layout, product)
