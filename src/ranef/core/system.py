"""The mixed-model equations of several factors, arranged for elimination: a chain of stages and a dense remainder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from ranef.core.chain import stages_of
from ranef.core.elimination import Plan
from ranef.core.gram import Gram
from ranef.core.remainder import Remainder
from ranef.core.stage import Stage, sum_by, tile_product
from ranef.core.within import regressions
from ranef.covariance.base import Array


@dataclass(frozen=True, eq=False)
class System:
    """All that does not depend on Lambda."""

    gram: Gram
    plan: Plan
    stages: tuple[Stage, ...]
    remainder: Remainder
    slopes: Array  # (m, k, r+1) C^+ D of the first stage: the regressions within its levels
    rest: Array  # (r+1, r+1) what they leave of [X y]'[X y]

    @classmethod
    def of(cls, gram: Gram, plan: Plan) -> System:
        remainder = Remainder.of(gram, plan.dense)
        return cls(gram, plan, stages_of(gram, plan, remainder), remainder, *regressions(gram, plan.chain[0]))

    def with_gram(self, gram: Gram) -> System:
        """The same design with another response."""
        stages = tuple(replace(stage, zw=gram.zw[stage.block]) for stage in self.stages)
        slopes, rest = regressions(gram, self.plan.chain[0])
        return replace(self, gram=gram, stages=stages, slopes=slopes, rest=rest)

    @property
    def order(self) -> tuple[int, ...]:
        """The blocks of the layout in the order of this system."""
        return (*self.plan.chain, *self.plan.dense)

    def arranged(self, parts: Sequence[Array]) -> tuple[list[Array], Array | None]:
        """The chain's parts and the dense ones stacked, from (m, k, c) of each block of the layout."""
        dense = self.remainder.stack([parts[f] for f in self.plan.dense]) if self.plan.dense else None
        return [parts[f] for f in self.plan.chain], dense

    def restored(self, chain: Sequence[Array], dense: Array | None) -> list[Array]:
        """The inverse of `arranged`."""
        parts = dict(zip(self.plan.chain, chain, strict=True))
        if dense is not None:
            parts.update(zip(self.plan.dense, self.remainder.unstack(dense), strict=True))
        return [parts[f] for f in range(len(parts))]

    @cached_property
    def zw(self) -> tuple[list[Array], Array | None]:
        """Z'[X y], arranged."""
        return self.arranged(self.gram.zw)

    def times(self, chain: Sequence[Array], dense: Array | None) -> tuple[list[Array], Array | None]:
        """Z'Z x, all arranged."""
        out = [tile_product(stage.zz, x) for stage, x in zip(self.stages, chain, strict=True)]
        for i, stage in enumerate(self.stages):
            for holder in stage.holders:
                out[i] = out[i] + tile_product(holder.cross, chain[holder.stage][holder.level])
                up = tile_product(holder.cross.swapaxes(1, 2), chain[i])
                out[holder.stage] = out[holder.stage] + sum_by(holder.sums, up)
        if dense is None:
            return out, None
        out2 = self.remainder.cross @ dense
        for i, stage in enumerate(self.stages):
            if stage.panel is not None:
                out[i] = out[i] + stage.panel.times(dense)
                out2 = out2 + stage.panel.transposed_times(chain[i])
        return out, out2
