"""Which grouping factors are eliminated level by level, and which are left to one dense matrix.

The block of a factor in Z'Z is block diagonal. Eliminating factor 1 fills in what its levels connect: it leaves the block of factor
2 block diagonal exactly when every level of 1 occurs with one level of 2 (1 is nested in 2, as the data have it, whatever the
formula says). So a chain of factors, each nested in all that follow, is eliminated without fill; those beside it become dense.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ranef.core.gram import Gram, Index, Pair
from ranef.covariance.base import Array


@dataclass(frozen=True)
class Plan:
    """Blocks of the layout in the order of elimination, and those that stay (largest first)."""

    chain: tuple[int, ...]
    dense: tuple[int, ...]

    def dense_size(self, gram: Gram) -> int:
        """q2, the order of the dense matrix."""
        return sum(gram.layout.blocks[f].size for f in self.dense)


def plan(gram: Gram, longest: int | None = None) -> Plan:
    """The chain of at most `longest` factors that leaves the smallest dense matrix; the larger factors go first."""
    blocks = gram.layout.blocks
    order = sorted(range(len(blocks)), key=lambda f: -blocks[f].levels)
    plans = [_chain_from(gram, order, first, longest) for first in order]
    return min(plans, key=lambda candidate: candidate.dense_size(gram))


def _chain_from(gram: Gram, order: list[int], first: int, longest: int | None) -> Plan:
    chain = [first]
    for g in order:
        if g not in chain and (longest is None or len(chain) < longest) and all(nested(gram, f, g) for f in chain):
            chain.append(g)
    return Plan(tuple(chain), tuple(f for f in order if f not in chain))


def nested(gram: Gram, f: int, g: int) -> bool:
    """Whether every level of block f occurs with one level of block g only."""
    return len(gram.pairs[min(f, g), max(f, g)].rows) == gram.layout.blocks[f].levels


def oriented(gram: Gram, f: int, g: int) -> Pair:
    """Z_f'Z_g with the levels of f as rows, in no particular order when f > g."""
    if f < g:
        return gram.pairs[f, g]
    pair = gram.pairs[g, f]
    return Pair(pair.columns, pair.rows, np.swapaxes(pair.values, 1, 2))


def parent(gram: Gram, f: int, g: int) -> tuple[Index, Array]:
    """(m_f,) the level of g that holds each level of f, and (m_f, k_f, k_g) Z_f'Z_g; f must be nested in g."""
    pair = oriented(gram, f, g)
    holder = np.empty(len(pair.rows), dtype=np.intp)
    values = np.empty(pair.values.shape)
    holder[pair.rows], values[pair.rows] = pair.columns, pair.values
    return holder, values
