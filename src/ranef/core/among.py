"""The covariances among the random parts of some rows, given y and beta: Z_I C Z_I', C = Lambda (Lambda'Z'Z Lambda + I)^-1 Lambda'.

Rows need C at all pairs of the levels that they belong to, also of levels that never meet. A chain of stages gives it without a
solution for each: with c the coefficients of the rows on the effects of a stage, which given the later effects b_L are
Psi (D - P b_L) and noise of covariance Psi,

    Z_I C Z_I' = sum over the stages of c Psi c' (rows of one level)  +  g Lambda S^-1 Lambda'g'

where each stage leaves c_L - c Psi P on the later effects, and g is what is left on the dense ones.

docs/explanation/influence.md, eq. 3-4.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from ranef.core.block import Block
from ranef.core.chain import Chain
from ranef.core.criterion import Engine
from ranef.core.crossed import mirror
from ranef.core.gram import Index
from ranef.core.layout import Layout
from ranef.core.panel import Panel
from ranef.core.remainder import Inverse
from ranef.core.state import State
from ranef.core.system import System
from ranef.covariance.base import Array

BUSY = 0.1  # share of entries beyond which a dense product is faster

Among = Callable[[Sequence[Array], Sequence[Index]], Array]  # z (n, k) and codes (n,) of each block -> (n, n)


def among(engine: Engine, layout: Layout, factors: list[Array]) -> Among:
    """Rows are in the columns of the Gram blocks."""
    if isinstance(engine, Block):
        return Eliminating.of(engine.system, factors)
    return Tiles.of(engine, layout, factors)


@dataclass(frozen=True, eq=False)
class Tiles:
    """All tiles of C: of one factor, or of few effects."""

    tiles: dict[tuple[int, int], Array]  # (m, k, k) of one factor, else (m_f, m_g, k_f, k_g)

    @classmethod
    def of(cls, engine: Engine, layout: Layout, factors: list[Array]) -> Tiles:
        blocks, tiles = layout.blocks, {}
        if len(blocks) == 1:
            every = np.arange(blocks[0].levels)
            return cls({(0, 0): engine.conditional(factors, 0, 0, every, every)})
        for f, first in enumerate(blocks):
            for g, second in enumerate(blocks):
                rows, columns = (part.ravel() for part in np.indices((first.levels, second.levels)))
                found = engine.conditional(factors, f, g, rows, columns)
                tiles[f, g] = found.reshape(first.levels, second.levels, *found.shape[1:])
        return cls(tiles)

    def __call__(self, z: Sequence[Array], codes: Sequence[Index]) -> Array:
        if len(z) == 1:
            moved = np.einsum("nk,nkl->nl", z[0], self.tiles[0, 0][codes[0]])
            return np.asarray((moved @ z[0].T) * (codes[0][:, None] == codes[0]))
        out = np.zeros((len(codes[0]),) * 2)
        for (f, g), tiles in self.tiles.items():
            out += np.einsum("na,nmab,mb->nm", z[f], tiles[codes[f][:, None], codes[g]], z[g], optimize=True)
        return out


@dataclass(frozen=True, eq=False)
class Eliminating:
    """By the stages of a chain."""

    system: System
    factors: list[Array]
    chain: Chain
    panels: tuple[Panel | None, ...]  # P Lambda of each stage
    inverse: Inverse | None  # S^-1, both triangles

    @classmethod
    def of(cls, system: System, factors: list[Array]) -> Eliminating:
        state = State.of(system, factors)
        inverse = None if state.solved is None else state.solved.inverse()
        if inverse is not None:
            mirror(inverse.lower)
        panels = tuple(None if done.panel is None or inverse is None else inverse.scaled(done.panel) for done in state.chain.stages)
        return cls(system, factors, state.chain, panels, inverse)

    def __call__(self, z: Sequence[Array], codes: Sequence[Index]) -> Array:
        n, plan = len(codes[0]), self.system.plan
        out, own = np.zeros((n, n)), [z[f] for f in plan.chain]
        rows, columns, values = self._dense_columns(z, codes)
        for i, done in enumerate(self.chain.stages):
            level, panel = codes[plan.chain[i]], self.panels[i]
            R = done.R[level]
            half = np.einsum("nk,nkl->nl", own[i], R)
            out += (half @ half.T) * (level[:, None] == level)
            explained = np.einsum("nl,nkl->nk", half, R)
            for holder, cross in zip(done.stage.holders, done.crosses, strict=True):
                own[holder.stage] = own[holder.stage] - np.einsum("nk,nkl->nl", explained, cross[level])
            if panel is not None:
                row, entry = _entries(panel, level)
                rows.append(row)
                columns.append(panel.pattern.columns[entry])
                values.append(-np.einsum("ek,ek->e", explained[row], panel.values[entry]))
        if self.inverse is None:
            return out
        left = csr_array(
            (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))), shape=(n, self.system.remainder.size)
        )
        if left.nnz > BUSY * n * self.system.remainder.size:
            left = left.toarray()
        return np.asarray(out + left @ (left @ self.inverse.lower).T)

    def _dense_columns(self, z: Sequence[Array], codes: Sequence[Index]) -> tuple[list[Index], list[Index], list[Array]]:
        """Entries of the rows on the dense effects u = Lambda^-1 b."""
        remainder, plan = self.system.remainder, self.system.plan
        rows, columns, values = [], [], []
        for i, f in enumerate(plan.dense):
            k = remainder.shapes[i][1]
            rows.append(np.repeat(np.arange(len(codes[f])), k))
            columns.append((remainder.columns(i, codes[f])[:, None] + np.arange(k)).ravel())
            values.append((z[f] @ self.factors[f]).ravel())
        return rows, columns, values


def _entries(panel: Panel, levels: Index) -> tuple[Index, Index]:
    """The entries of the level of each row: (c,) rows and (c,) entries."""
    starts, counts = panel.pattern.starts[levels].astype(np.intp), np.diff(panel.pattern.starts)[levels]
    ends = np.cumsum(counts)
    rows = np.repeat(np.arange(len(levels)), counts)
    return rows, np.arange(len(rows)) - np.repeat(ends - counts, counts) + np.repeat(starts, counts)
