"""Several grouping factors with many levels: eliminate a chain of nested factors level by level, keep the rest as one dense matrix.

The derivation is in docs/explanation/likelihood.md. Second derivatives are exact where the matrix of all effects is affordable;
elsewhere h and e are left out, and the criterion uses the average information.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ranef.core.crossed import Crossed, crossed
from ranef.core.elimination import Plan, plan
from ranef.core.gram import Gram, Index
from ranef.core.nested import affordable
from ranef.core.pieces import Pieces
from ranef.core.posterior import Posterior
from ranef.core.sketch import sketched_pieces
from ranef.core.state import State
from ranef.core.structured import Structured
from ranef.core.system import System
from ranef.covariance.base import Array
from ranef.errors import MemoryEstimateError

LARGE = 1 << 28  # bytes that are worth a question
HUGE = 1e5  # a relative standard deviation beyond which effects are as good as fixed, and Lambda'N Lambda + I is not yet singular
BROAD = 500  # dense effects from which on an inverse is what costs most in an evaluation
EXACT = 3e8  # q^2 q2, the multiplications of a full M: about ten milliseconds
MANY = 2000  # effects whose M is too large to be formed in full


@dataclass(frozen=True, eq=False)
class Block:
    """The engine for crossed and nested factors."""

    system: System
    structured: Structured | None  # where exact second derivatives are cheap
    _last: dict[bytes, State] = field(default_factory=dict, repr=False)  # the state that `apply` and `projections` share
    _found: dict[bytes, Posterior] = field(default_factory=dict, repr=False)  # that of the last Lambda, where it is small
    _open: dict[bytes, Crossed] = field(default_factory=dict, repr=False)  # what order 2 left for order 3 at the same Lambda

    @classmethod
    def of(cls, gram: Gram) -> Block:
        """Raises MemoryEstimateError when the dense matrix would not fit."""
        short = plan(gram, longest=1)
        if _cheap(gram, short):
            return cls(System.of(gram, short), Structured.of(gram, short.chain[0], short.dense))
        longest = plan(gram)
        _refuse_beyond_memory(gram, longest)
        return cls(System.of(gram, longest), None)

    @property
    def exact(self) -> bool:
        return self.structured is not None

    @property
    def order(self) -> int:
        """The order of the largest dense matrix."""
        structured = sum(block.size for block in self.system.gram.layout.blocks) if self.exact else 0
        return max(structured, self.system.remainder.size)

    def with_gram(self, gram: Gram) -> Block:
        """The same design with another response."""
        structured = None if self.structured is None else self.structured.with_gram(gram)
        return Block(self.system.with_gram(gram), structured)

    def pieces(self, factors: list[Array], order: int) -> Pieces:
        if self.structured is not None:
            return self.structured.pieces(factors, order)
        if order == 0:
            state = self._state(factors)
            return Pieces(state.logdet, state.gls)
        found = self._open.pop(_key(factors), None)
        if found is None or order < 3:
            self._open.clear()
            state = State.of(self.system, factors)
            if order == 3 and state.solved is None and affordable(state.chain):
                return state.nested_pieces()
            if order == 1 or not crossed(state):
                return state.selected_pieces(order)
            found = Crossed.of(state)
        if order == 3:
            return found.complete()
        self._open[_key(factors)] = found
        return found.gradient

    def sketch(self, factors: list[Array]) -> Pieces | None:
        """The pieces for a rough step; None where it pays less than it costs, or covariances in a tile would make it too rough."""
        if self.system.remainder.size < BROAD or any(block.width > 1 for block in self.system.gram.layout.blocks):
            return None
        return sketched_pieces(State.of(self.system, factors, rough=True))

    def saturated(self) -> Array:
        """(r+1, r+1) what the random columns leave of [X y]'[X y], but for a share of 1/HUGE^2."""
        return State.of(self.system, [HUGE * np.eye(block.width) for block in self.system.gram.layout.blocks]).W

    def projections(self, factors: list[Array]) -> list[Array]:
        """Z'V^-1 [X L^-T, P y] of every level of every block: [(m, k, r+1)]."""
        return self._state(factors).projections

    def apply(self, factors: list[Array], vectors: list[Array]) -> list[Array]:
        """Z'V^-1 Z times vectors [(m, k, c)]."""
        return self._state(factors).apply(vectors)

    def conditional(self, factors: list[Array], f: int, g: int, rows: Index, columns: Index) -> Array:
        """(c, k_f, k_g) tiles of Lambda (Lambda'Z'Z Lambda + I)^-1 Lambda' at the pairs of levels (rows of f, columns of g)."""
        tiles, known = self._posterior(factors).tiles(f, g, rows, columns)
        if not known.all():
            tiles[~known] = Posterior.between(self._state(factors), f, g, rows[~known], columns[~known])
        return tiles

    def _posterior(self, factors: list[Array]) -> Posterior:
        key = _key(factors)
        if key not in self._found:
            self._found.clear()
            posterior = Posterior.of(State.of(self.system, factors))
            if 8.0 * self.system.remainder.size**2 > LARGE:
                return posterior
            self._found[key] = posterior
        return self._found[key]

    def _state(self, factors: list[Array]) -> State:
        key = _key(factors)
        if key not in self._last:
            self._open.clear()
            state = State.of(self.system, factors)
            self._last.clear()
            self._last[key] = state
        return self._last[key]


def _key(factors: list[Array]) -> bytes:
    return b"".join(lam.tobytes() for lam in factors)


def _cheap(gram: Gram, short: Plan) -> bool:
    """Whether M of all effects is affordable after one elimination."""
    q = sum(block.size for block in gram.layout.blocks)
    return q <= MANY and float(q) ** 2 * short.dense_size(gram) <= EXACT


def _refuse_beyond_memory(gram: Gram, chosen: Plan) -> None:
    """S and, near a boundary, N: two dense matrices of q2 x q2."""
    size = 2 * 8.0 * float(chosen.dense_size(gram)) ** 2
    if size < LARGE:
        return
    from ranef.schema.memory import SHARE, available_bytes

    room = available_bytes()
    if size <= SHARE * room:
        return
    terms, blocks = gram.standard.design.terms, gram.layout.blocks
    first, second = (max(part, key=lambda f: blocks[f].size) for part in (chosen.chain, chosen.dense))
    names = [f"{terms[blocks[f].parts[0].term].group.name} ({blocks[f].levels} levels)" for f in (first, second)]
    raise MemoryEstimateError(
        f"The crossing of {names[0]} with {names[1]} needs a dense matrix of {chosen.dense_size(gram)} rows: "
        f"{size:.3g} bytes, of which {room:.3g} are available",
        hint="Merge rare levels of the second factor, drop one of its terms, or use a machine with more memory.",
    )
