"""A chain of nested factors, eliminated from the leaves upward, and the way back down (docs/explanation/likelihood.md, eq. 20-23).

Forward, the blocks of the later factors are reduced; backward, effects and the posterior covariances of neighbouring effects are
found from those of the later factors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from ranef.core.elimination import Plan, oriented, parent
from ranef.core.gram import Gram
from ranef.core.outer import Outer
from ranef.core.panel import Panel
from ranef.core.remainder import Inverse, Remainder
from ranef.core.selected import Selected, select
from ranef.core.stage import Eliminated, Holder, Stage, sum_by, tile_product
from ranef.covariance.base import Array


@dataclass(frozen=True, eq=False)
class Chain:
    """The stages at Lambda."""

    stages: tuple[Eliminated, ...]

    @property
    def logdet(self) -> float:
        return sum(stage.logdet for stage in self.stages)

    def reduce(self, D: Sequence[Array], dense: Array | None) -> tuple[list[Array], Array | None]:
        """Z_i'V_before^-1 w for each stage, and Z_2'V_1^-1 w, from Z_i'w and Z_2'w."""
        D = list(D)
        for i, done in enumerate(self.stages):
            effects = done.effects_of(D[i])
            for holder, cross in zip(done.stage.holders, done.crosses, strict=True):
                D[holder.stage] = D[holder.stage] - sum_by(holder.sums, tile_product(cross.swapaxes(1, 2), effects))
            if done.panel is not None and dense is not None:
                dense = dense - done.panel.transposed_times(effects)
        return D, dense

    def scores(self, D: Sequence[Array], dense_effects: Array | None) -> list[Array]:
        """Z_i'V^-1 w of the whole V for each stage, from the reduced D."""
        out: list[Array] = [np.empty(0)] * len(self.stages)
        effects = out.copy()
        for i in reversed(range(len(self.stages))):
            done = self.stages[i]
            out[i] = done.scores(D[i], [effects[h.stage] for h in done.stage.holders], dense_effects)
            effects[i] = (done.lam @ done.lam.T) @ out[i]
        return out

    def select(self, dense: Inverse | None) -> list[Selected]:
        """The parts of M and of the posterior covariances that the data connect, stage by stage, from S^-1 of the dense factors."""
        found: list[Selected] = []
        for i in reversed(range(len(self.stages))):
            found.insert(0, select(self.stages[i], i, found, dense))
        return found


def stages_of(gram: Gram, plan: Plan, remainder: Remainder) -> tuple[Stage, ...]:
    panels = [_panel(gram, f, plan, remainder) if plan.dense else None for f in plan.chain]
    outer = None if panels[0] is None or not remainder.scalar else Outer.of(panels[0])
    out = []
    for i, f in enumerate(plan.chain):
        holders = [_holder(gram, plan, i, later, panels) for later in range(i + 1, len(plan.chain))]
        out.append(Stage(f, gram.zz[f], gram.zw[f], tuple(holders), panels[i], None if i else outer))
    return tuple(out)


def _holder(gram: Gram, plan: Plan, i: int, later: int, panels: Sequence[Panel | None]) -> Holder:
    level, cross = parent(gram, plan.chain[i], plan.chain[later])
    count = len(level)
    sums = csr_array((np.ones(count), (level, np.arange(count))), shape=(gram.layout.blocks[plan.chain[later]].levels, count))
    own, above = panels[i], panels[later]
    return Holder(later, level, cross, sums, None if own is None or above is None else own.pattern.positions(level, above.pattern))


def _panel(gram: Gram, f: int, plan: Plan, remainder: Remainder) -> Panel:
    rows, columns, values = [], [], []
    for i, g in enumerate(plan.dense):
        pair = oriented(gram, f, g)
        k = remainder.shapes[i][1]
        rows.append(np.repeat(pair.rows, k))
        columns.append((remainder.columns(i, pair.columns)[:, None] + np.arange(k)).ravel())
        values.append(pair.values.swapaxes(1, 2).reshape(-1, pair.values.shape[1]))
    return Panel.of_entries(
        gram.layout.blocks[f].levels, remainder.size, np.concatenate(rows), np.concatenate(columns), np.concatenate(values)
    )


def eliminate(stages: Sequence[Stage], lams: Sequence[Array], remainder: Remainder) -> tuple[Chain, Array | None]:
    """Forward through the chain; and N = Z_2'V_1^-1 Z_2 (lower triangle; None without dense factors).

    Raises LinAlgError where a tile is not positive definite to working precision.
    """
    N = None if not remainder.size or stages[0].outer is not None else remainder.constant()
    zz = [stage.zz for stage in stages]
    crosses = [[holder.cross for holder in stage.holders] for stage in stages]
    panels = [stage.panel for stage in stages]
    done = []
    for i, stage in enumerate(stages):
        panel = panels[i]
        at = Eliminated.of(stage, lams[i], zz[i], crosses[i], panel)
        done.append(at)
        halves = [tile_product(at.R.swapaxes(1, 2), cross) for cross in at.crosses]
        rotated = None if panel is None or (stage.outer and not stage.holders) else panel.rotated(at.R)
        for a, holder in enumerate(stage.holders):
            g = holder.stage
            zz[g] = zz[g] - sum_by(holder.sums, tile_product(halves[a].swapaxes(1, 2), halves[a]))
            for b in range(a + 1, len(stage.holders)):
                taken = sum_by(holder.sums, tile_product(halves[a].swapaxes(1, 2), halves[b]))
                crosses[g][b - a - 1] = crosses[g][b - a - 1] - taken
            if rotated is not None:
                panels[g] = _updated(panels[g], rotated, halves[a], holder)
        if stage.outer is not None:
            N = remainder.plus_constant(stage.outer.minus_sum(at.R[:, 0, 0] ** 2))
        elif N is not None and rotated is not None:
            rotated.subtract_square(N)
    return Chain(tuple(done)), N


def _updated(above: Panel | None, rotated: Panel, half: Array, holder: Holder) -> Panel:
    """The holder's panel less the sum over the levels held of P_holder'Psi P_2."""
    assert above is not None and holder.entries is not None
    update = (rotated.values[:, None, :] @ half[rotated.pattern.row])[:, 0]
    columns = [np.bincount(holder.entries, weights=column, minlength=len(above.values)) for column in update.T]
    return above.with_values(above.values - np.stack(columns, axis=1))
