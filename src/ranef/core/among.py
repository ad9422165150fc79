"""The covariances among the random parts of some rows, given y and beta: Z_I C Z_I', C = Lambda (Lambda'Z'Z Lambda + I)^-1 Lambda'.

Rows need C at all pairs of the levels that they belong to, also of levels that never meet. A chain of stages gives it without a
solution for each: with c the coefficients of the rows on the effects of a stage, which given the later effects b_L are
Psi (D - P b_L) and noise of covariance Psi,

    Z_I C Z_I' = sum over the stages of c Psi c' (rows of one level)  +  g Lambda S^-1 Lambda'g'

where each stage leaves c_L - c Psi P on the later effects, and g is what is left on the dense ones.

docs/explanation/influence.md, eq. 3-4.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
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
WIDE = 100  # columns that a set uses, beyond which it is taken by itself
TILES = 4_000_000  # entries of S^-1 that are copied at a time

# z (c, n, k) and codes (c, n) of each block, for c sets of n rows -> (c, n, n)
Among = Callable[[Sequence[Array], Sequence[Index]], Array]


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
            moved = np.einsum("cnk,cnkl->cnl", z[0], self.tiles[0, 0][codes[0]])
            return np.asarray((moved @ z[0].swapaxes(1, 2)) * _same(codes[0]))
        out = np.zeros((*codes[0].shape, codes[0].shape[1]))
        for (f, g), tiles in self.tiles.items():
            found = tiles[codes[f][:, :, None], codes[g][:, None, :]]
            out += np.einsum("cna,cnmab,cmb->cnm", z[f], found, z[g], optimize=True)
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
        plan, shape = self.system.plan, codes[0].shape
        out, own = np.zeros((*shape, shape[1])), [z[f] for f in plan.chain]
        rows, columns, values = self._dense_columns(z, codes)
        for i, done in enumerate(self.chain.stages):
            level, panel = codes[plan.chain[i]], self.panels[i]
            R = done.R[level]
            half = np.einsum("cnk,cnkl->cnl", own[i], R)
            out += (half @ half.swapaxes(1, 2)) * _same(level)
            explained = np.einsum("cnl,cnkl->cnk", half, R)
            for holder, cross in zip(done.stage.holders, done.crosses, strict=True):
                own[holder.stage] = own[holder.stage] - np.einsum("cnk,cnkl->cnl", explained, cross[level])
            if panel is not None:
                row, entry = _entries(panel, level.ravel())
                rows.append(row)
                columns.append(panel.pattern.columns[entry])
                values.append(-np.einsum("ek,ek->e", explained.reshape(-1, explained.shape[2])[row], panel.values[entry]))
        if self.inverse is not None:
            entries = (np.concatenate(rows), np.concatenate(columns).astype(np.intp), np.concatenate(values))
            if shape[0] == 1:
                out[0] += _product(shape[1], *entries, self.inverse.lower)
            else:
                Sets.of(shape[0], shape[1], *entries).add(out, self.inverse.lower)
        return out

    def _dense_columns(self, z: Sequence[Array], codes: Sequence[Index]) -> tuple[list[Index], list[Index], list[Array]]:
        """Entries of the rows on the dense effects u = Lambda^-1 b."""
        remainder, plan = self.system.remainder, self.system.plan
        rows, columns, values = [], [], []
        for i, f in enumerate(plan.dense):
            k, own = remainder.shapes[i][1], codes[f].ravel()
            rows.append(np.repeat(np.arange(len(own)), k))
            columns.append((remainder.columns(i, own)[:, None] + np.arange(k)).ravel())
            values.append((z[f] @ self.factors[f]).ravel())
        return rows, columns, values


@dataclass(frozen=True, eq=False)
class Sets:
    """Entries of a matrix whose rows are c sets of n; each set uses few of the columns."""

    count: int  # c
    size: int  # n
    rows: Index  # (entries,), set after set
    values: Array
    place: Index  # (entries,) the column, as a place in `used`
    used: Index  # (u,) columns, set after set
    first: Index  # (c + 1,) where the columns of each set begin
    bounds: Index  # (c + 1,) where its entries begin

    @classmethod
    def of(cls, count: int, size: int, rows: Index, columns: Index, values: Array) -> Sets:
        order = np.argsort(rows // size, kind="stable")
        rows, columns, values = rows[order], columns[order], values[order]
        width = int(columns.max(initial=0)) + 1
        used, place = np.unique(rows // size * width + columns, return_inverse=True)
        every = np.arange(count + 1)
        first, bounds = np.searchsorted(used, every * width), np.searchsorted(rows, every * size)
        return cls(count, size, rows, values, place, used % width, first, bounds)

    def add(self, out: Array, inner: Array) -> None:
        """Add left inner left' within each set to out (c, n, n); `inner` is symmetric."""
        widths = np.diff(self.first)
        if widths.max(initial=0) > WIDE:
            for i, (start, stop) in enumerate(itertools.pairwise(self.bounds)):
                at = slice(start, stop)
                out[i] += _product(self.size, self.rows[at] - i * self.size, self.used[self.place[at]], self.values[at], inner)
            return
        step = max(1, TILES // max(int(widths.max(initial=0)) ** 2, 1))
        for start in range(0, self.count, step):
            some = slice(start, min(start + step, self.count))
            together, columns = self._some(some, widths[some])
            out[some] += together @ inner[columns[:, :, None], columns[:, None, :]] @ together.swapaxes(1, 2)

    def _some(self, some: slice, widths: Index) -> tuple[Array, Index]:
        """(b, n, w) entries of some sets in the columns (b, w) that each uses."""
        at, first, w = slice(self.bounds[some.start], self.bounds[some.stop]), self.first[some], int(widths.max(initial=0))
        columns, own = np.zeros((len(widths), w), dtype=np.intp), np.repeat(np.arange(len(widths)), widths)
        columns[own, np.arange(len(own)) - (first - first[0])[own]] = self.used[first[0] : self.first[some.stop]]
        rows = self.rows[at] - some.start * self.size
        flat = rows * w + self.place[at] - first[rows // self.size]
        left = np.bincount(flat, weights=self.values[at], minlength=len(widths) * self.size * w)
        return np.asarray(left.reshape(len(widths), self.size, w), dtype=np.float64), columns


def _product(n: int, rows: Index, columns: Index, values: Array, inner: Array) -> Array:
    """(n, n) left inner left' from the entries of left; of a symmetric `inner` only the columns that they use are read, if few."""
    used = np.zeros(len(inner), dtype=bool)
    used[columns] = True
    width = int(np.count_nonzero(used))
    if 2 * width > len(inner):
        width = len(inner)
    else:
        columns, inner = (np.cumsum(used) - 1)[columns], inner[np.ix_(used, used)]
    left: Array | csr_array
    if len(rows) > BUSY * n * width:
        left = np.bincount(rows * width + columns, weights=values, minlength=n * width).reshape(n, width)
    else:
        left = csr_array((values, (rows, columns)), shape=(n, width))
    return np.asarray(left @ (left @ inner).T)


def _same(codes: Index) -> NDArray[np.bool_]:
    """(c, n, n) whether two rows of a set have the same code."""
    return codes[:, :, None] == codes[:, None, :]


def _entries(panel: Panel, levels: Index) -> tuple[Index, Index]:
    """The entries of the level of each row: (c,) rows and (c,) entries."""
    starts, counts = panel.pattern.starts[levels].astype(np.intp), np.diff(panel.pattern.starts)[levels]
    ends = np.cumsum(counts)
    rows = np.repeat(np.arange(len(levels)), counts)
    return rows, np.arange(len(rows)) - np.repeat(ends - counts, counts) + np.repeat(starts, counts)
