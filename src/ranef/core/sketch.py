"""A better start for large models of crossed random intercepts: steps of Newton's method whose traces are estimated.

For z of independent signs E z'M_f z = tr M_f with the variance of the off-diagonal entries of M_f only, so that a few solutions
take the place of an inverse: Hutchinson (1990), Commun. Stat. Simul. Comput. 19, 433-450. A factor of few levels has its trace in
full.

docs/explanation/likelihood.md, section 5.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ranef.core.moments import direction_traces, level_products
from ranef.core.pieces import Pieces, direction_forms
from ranef.core.state import State
from ranef.covariance.base import Array

PROBES = 8
SHARE = 24  # a factor with at most this part of the dense effects is probed level by level
SEED = 20150701


@dataclass(frozen=True, eq=False)
class Probes:
    """(m, c) vectors z of one factor, whose z'M z times `weight` add up to an estimate of the trace."""

    z: Array
    weight: float

    @classmethod
    def of(cls, levels: int, dense: int, rng: np.random.Generator) -> Probes:
        if levels <= max(PROBES, dense // SHARE):
            return cls(np.eye(levels), 1.0)
        return cls(rng.choice([-1.0, 1.0], size=(levels, PROBES)), 1.0 / PROBES)


def sketched_pieces(state: State) -> Pieces:
    """The pieces of order 2 for the average information, t estimated; of a model of random intercepts."""
    layout, rng = state.system.gram.layout, np.random.default_rng(SEED)
    B = state.projections
    F = direction_forms(layout, [level_products(part) for part in B])
    y = state.curvatures([part[:, :, -1] for part in B])
    probes = [Probes.of(block.levels, state.system.remainder.size, rng) for block in layout.blocks]
    return Pieces(state.logdet, state.gls, direction_traces(layout, _totals(state, probes)), F, y=y)


def _totals(state: State, probes: list[Probes]) -> dict[int, Array]:
    """(1, 1) of each block, by one solution for the probes of all."""
    edges = np.cumsum([0, *(own.z.shape[1] for own in probes)])
    spread = [np.zeros((len(own.z), 1, edges[-1])) for own in probes]
    for f, own in enumerate(probes):
        spread[f][:, 0, edges[f] : edges[f + 1]] = own.z
    moved = state.apply(spread)
    return {f: own.weight * np.sum(own.z * moved[f][:, 0, edges[f] : edges[f + 1]]).reshape(1, 1) for f, own in enumerate(probes)}
