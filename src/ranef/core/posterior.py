"""Posterior covariances of random effects, relative to sigma^2: tiles of Lambda (Lambda'Z'Z Lambda + I)^-1 Lambda'.

Levels that meet in the data have theirs in the selected inverse; those of two others take a solution for each level.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ranef.core.gram import Index
from ranef.core.remainder import Inverse
from ranef.core.selected import Selected
from ranef.core.state import State
from ranef.core.system import System
from ranef.covariance.base import Array

COLUMNS = 64  # right-hand sides at a time


@dataclass(frozen=True, eq=False)
class Posterior:
    """The selected inverse of a system at Lambda."""

    system: System
    stages: Sequence[Selected]
    inverse: Inverse | None

    @classmethod
    def of(cls, state: State) -> Posterior:
        """Uses the state up."""
        return cls(state.system, *state.select())

    def tiles(self, f: int, g: int, rows: Index, columns: Index) -> tuple[Array, NDArray[np.bool_]]:
        """(c, k_f, k_g) at pairs of levels, and (c,) which of them are known; the others are zero."""
        chain, dense, blocks = self.system.plan.chain, self.system.plan.dense, self.system.gram.layout.blocks
        if f == g and f in chain:
            known, tiles = rows == columns, self.stages[chain.index(f)].own[rows]
        elif f in chain and g in chain:
            if chain.index(f) > chain.index(g):
                tiles, known = self.tiles(g, f, columns, rows)
                return tiles.swapaxes(1, 2), known
            tiles, known = self._held(chain.index(f), chain.index(g), rows, columns)
        elif f in dense and g in dense:
            assert self.inverse is not None
            return self.inverse.pairs(dense.index(f), dense.index(g), rows, columns), np.ones(len(rows), dtype=bool)
        elif f in chain:
            tiles, known = self._met(chain.index(f), dense.index(g), blocks[g].width, rows, columns)
        else:
            tiles, known = self.tiles(g, f, columns, rows)
            return tiles.swapaxes(1, 2), known
        tiles[~known] = 0.0
        return tiles, known

    def _held(self, i: int, later: int, rows: Index, columns: Index) -> tuple[Array, NDArray[np.bool_]]:
        """Of a stage and a later one that it is nested in."""
        at = later - i - 1
        return self.stages[i].holders[at][rows], self.system.stages[i].holders[at].level[rows] == columns

    def _met(self, i: int, place: int, width: int, rows: Index, columns: Index) -> tuple[Array, NDArray[np.bool_]]:
        """Of a stage and a dense factor: u of the selected inverse times Lambda'."""
        panel, values, inverse = self.system.stages[i].panel, self.stages[i].dense, self.inverse
        assert panel is not None and values is not None and inverse is not None
        first, known = panel.pattern.find(rows, self.system.remainder.columns(place, columns))
        own = values[np.where(known, first, 0)[:, None] + np.where(known[:, None], np.arange(width), 0)]
        return own.swapaxes(1, 2) @ inverse.factors[place].T, known

    @staticmethod
    def between(state: State, f: int, g: int, rows: Index, columns: Index) -> Array:
        """(c, k_f, k_g) at pairs of levels, by solving for the factor of which fewer levels are asked for."""
        first, second = (np.unique(levels, return_inverse=True) for levels in (rows, columns))
        if len(first[0]) < len(second[0]):
            return Posterior.between(state, g, f, columns, rows).swapaxes(1, 2)
        levels, where = second
        k_f, k_g = (state.system.gram.layout.blocks[i].width for i in (f, g))
        out = np.empty((len(rows), k_f, k_g))
        step = max(1, COLUMNS // k_g)
        for start in range(0, len(levels), step):
            solved = _columns(state, g, levels[start : start + step])[f]
            at = np.flatnonzero((where >= start) & (where < start + step))
            out[at] = solved[rows[at][:, None], :, (where[at] - start)[:, None] * k_g + np.arange(k_g)].swapaxes(1, 2)
        return out


def _columns(state: State, g: int, levels: Index) -> list[Array]:
    """Per block (m, k, levels k_g): Omega E - Omega Z'V^-1 Z Omega E for the unit vectors E of some levels of g."""
    blocks, omegas = state.system.gram.layout.blocks, [lam @ lam.T for lam in state.factors]
    k = blocks[g].width
    units = [np.zeros((block.levels, block.width, len(levels) * k)) for block in blocks]
    for i, level in enumerate(levels):
        units[g][level, :, i * k : (i + 1) * k] = omegas[g]
    applied = state.apply(units)
    return [unit - omega @ part for unit, omega, part in zip(units, omegas, applied, strict=True)]
