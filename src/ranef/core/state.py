"""The mixed-model equations factored at Lambda: solutions for any right-hand side, and the derivative pieces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ranef.core.chain import Chain, eliminate
from ranef.core.moments import direction_traces, level_products
from ranef.core.nested import product_tables
from ranef.core.pieces import Gls, Pieces, direction_forms, direction_products
from ranef.core.remainder import Factored, Inverse
from ranef.core.selected import Selected
from ranef.core.stage import tile_product
from ranef.core.system import System
from ranef.covariance.base import Array


@dataclass(frozen=True, eq=False)
class Reduced:
    """A right-hand side on its way: D of the stages, Z_2'V_1^-1 w, and L^-1 Lambda' of it."""

    chain: Sequence[Array]
    dense: Array | None
    half: Array | None


@dataclass(frozen=True, eq=False)
class State:
    system: System
    factors: Sequence[Array]
    chain: Chain
    solved: Factored | None

    @classmethod
    def of(cls, system: System, factors: Sequence[Array], rough: bool = False) -> State:
        """Dense factors in single precision if `rough`. Raises LinAlgError where a matrix is not positive definite to it."""
        dense = [factors[f] for f in system.plan.dense]
        chain, N = eliminate(system.stages, [factors[f] for f in system.plan.chain], system.remainder)
        keep = not all(system.remainder.comfortable(dense))
        return cls(system, factors, chain, None if N is None else Factored.of(system.remainder, N, dense, keep, rough))

    @property
    def logdet(self) -> float:
        return self.chain.logdet + (0.0 if self.solved is None else self.solved.logdet)

    def reduce(self, chain: Sequence[Array], dense: Array | None) -> Reduced:
        """Forward, from Z'w arranged."""
        D, D2 = self.chain.reduce(chain, dense)
        return Reduced(D, D2, None if self.solved is None or D2 is None else self.solved.half(D2))

    @cached_property
    def data(self) -> Reduced:
        """[X y] reduced."""
        return self.reduce(*self.system.zw)

    @cached_property
    def gls(self) -> Gls:
        return Gls.of(self.W)

    @cached_property
    def W(self) -> Array:
        """(r+1, r+1) [X y]'V^-1[X y]: the first stage without cancellation, the others by what they take away."""
        W = self.system.rest + inner(self.system.slopes, tile_product(self.chain.stages[0].T, self.data.chain[0]))
        for done, own in zip(self.chain.stages[1:], self.data.chain[1:], strict=True):
            taken = tile_product(done.R.swapaxes(1, 2), own)
            W = W - inner(taken, taken)
        if self.data.half is not None:
            W = W - self.data.half.T @ self.data.half
        return (W + W.T) / 2

    def scores(self, reduced: Reduced) -> list[Array]:
        """Z_f'V^-1 w of each block of the layout, (m, k, c)."""
        effects = dense = None
        if self.solved is not None and reduced.dense is not None and reduced.half is not None:
            u = self.solved.solve_half(reduced.half)
            effects, dense = self.solved.effects(u), self.solved.scores(reduced.dense, u)
        return self.system.restored(self.chain.scores(reduced.chain, effects), dense)

    @cached_property
    def projections(self) -> list[Array]:
        """Z'V^-1[X L^-T, y - X gamma] of each block of the layout, (m, k, r+1)."""
        rotation = self.gls.rotation()
        return [(part.reshape(-1, len(rotation)) @ rotation).reshape(part.shape) for part in self.scores(self.data)]

    def apply(self, vectors: Sequence[Array]) -> list[Array]:
        """Z'V^-1 Z times vectors, (m, k, c) of each block of the layout."""
        return self.scores(self.reduce(*self.system.times(*self.system.arranged(vectors))))

    def select(self) -> tuple[list[Selected], Inverse | None]:
        """The selected inverse; S^-1 takes the place of L, so that nothing can be solved afterwards."""
        inverse = None if self.solved is None else self.solved.inverse()
        return self.chain.select(inverse), inverse

    def selected_pieces(self, order: int) -> Pieces:
        """Only the parts of M that the gradient needs; y by further solves, h and e left out."""
        layout, plan = self.system.gram.layout, self.system.plan
        B = self.projections
        F = direction_forms(layout, [level_products(part) for part in B])
        y = self.curvatures([part[:, :, -1] for part in B]) if order >= 2 else None
        stages, inverse = self.select()
        totals = dict(zip(plan.chain, (stage.M.sum(axis=0) for stage in stages), strict=True))
        if inverse is not None:
            totals.update(zip(plan.dense, inverse.totals(), strict=True))
        return Pieces(self.logdet, self.gls, direction_traces(layout, totals), F, y=y)

    def nested_pieces(self) -> Pieces:
        """All pieces, for a chain without dense factors."""
        layout, plan, B = self.system.gram.layout, self.system.plan, self.projections
        F = direction_forms(layout, [level_products(part) for part in B])
        e, y = self._solved_twice(B)
        tables = {}
        for (i, j), table in product_tables(self.chain).items():
            f, g = plan.chain[i], plan.chain[j]
            tables[min(f, g), max(f, g)] = table if f <= g else table.transpose(1, 0, 3, 2)
        totals = {f: stage.M.sum(axis=0) for f, stage in zip(plan.chain, self.select()[0], strict=True)}
        return Pieces(self.logdet, self.gls, direction_traces(layout, totals), F, direction_products(layout, tables), e, y)

    def _solved_twice(self, B: Sequence[Array]) -> tuple[Array, Array]:
        """(K, K) e and y from solutions for b'(I kron E_d) Z', one direction at a time."""
        f, a, b = self.system.gram.layout.directions
        both = np.empty((2, len(f), len(f)))
        for d in range(len(f)):
            spread = [np.zeros_like(part) for part in B]
            spread[f[d]][:, a[d]], spread[f[d]][:, b[d]] = B[f[d]][:, b[d]], B[f[d]][:, a[d]]
            moved = self.apply(spread)
            for g, (h, i, j) in enumerate(zip(f, a, b, strict=True)):
                products = np.einsum("jc,jc->c", B[h][:, j], moved[h][:, i])
                if i != j:
                    products = products + np.einsum("jc,jc->c", B[h][:, i], moved[h][:, j])
                both[:, d, g] = products[:-1].sum(), products[-1]
        e, y = (both + both.swapaxes(1, 2)) / 2
        return e, y

    def curvatures(self, r: Sequence[Array]) -> Array:
        """(K, K) y_de = x_d'Z'V^-1 Z x_e with x_d = (I kron E_d) Z'P y."""
        f, a, b = self.system.gram.layout.directions
        X = [np.zeros((*part.shape, len(f))) for part in r]
        for d, (g, i, j) in enumerate(zip(f, a, b, strict=True)):
            X[g][:, i, d] = r[g][:, j]
            X[g][:, j, d] = r[g][:, i]
        out = sum((inner(x, m) for x, m in zip(X, self.apply(X), strict=True)), np.zeros((len(f), len(f))))
        return (out + out.T) / 2


def inner(A: Array, B: Array) -> Array:
    """(c, d) sums over levels and effects of A[:, :, c] B[:, :, d]."""
    return A.reshape(-1, A.shape[2]).T @ B.reshape(-1, B.shape[2])
