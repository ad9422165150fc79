"""A better start for large models of crossed random intercepts: steps of Newton's method whose traces are estimated.

For z of independent signs E z'M_f z = tr M_f with the variance of the off-diagonal entries of M_f only, so that a few solutions
take the place of an inverse: Hutchinson (1990), Commun. Stat. Simul. Comput. 19, 433-450. A factor of few levels has its trace in
full; that of the last dense factor is at hand, in the last tile of L.

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
        if _few(levels, dense):
            return cls(np.eye(levels), 1.0)
        return cls(rng.choice([-1.0, 1.0], size=(levels, PROBES)), 1.0 / PROBES)


def _few(levels: int, dense: int) -> bool:
    return levels <= max(PROBES, dense // SHARE)


def sketched_pieces(state: State) -> Pieces:
    """The pieces of order 2 for the average information, t estimated; of a model of random intercepts."""
    layout, rng = state.system.gram.layout, np.random.default_rng(SEED)
    B = state.projections
    F = direction_forms(layout, [level_products(part) for part in B])
    y = state.curvatures([part[:, :, -1] for part in B])
    totals = _last_total(state)
    probes = {f: Probes.of(m, state.system.remainder.size, rng) for f, m in enumerate(_levels(state)) if f not in totals}
    totals |= _totals(state, probes)
    return Pieces(state.logdet, state.gls, direction_traces(layout, totals), F, y=y)


def _levels(state: State) -> list[int]:
    return [block.levels for block in state.system.gram.layout.blocks]


def _last_total(state: State) -> dict[int, Array]:
    """(1, 1) of the last dense block where it is small beside the others."""
    last, remainder = state.system.plan.dense[-1], state.system.remainder
    known = state.solved.last_total() if state.solved and _few(_levels(state)[last], remainder.size) else None
    return {} if known is None else {last: known}


def _totals(state: State, probes: dict[int, Probes]) -> dict[int, Array]:
    """(1, 1) of each block, by one solution for the probes of all."""
    edges = np.cumsum([0, *(own.z.shape[1] for own in probes.values())]).tolist()
    columns = {f: slice(a, b) for f, a, b in zip(probes, edges[:-1], edges[1:], strict=True)}
    spread = [np.zeros((levels, 1, edges[-1])) for levels in _levels(state)]
    for f, own in probes.items():
        spread[f][:, 0, columns[f]] = own.z
    moved = state.apply(spread)
    return {f: own.weight * np.sum(own.z * moved[f][:, 0, columns[f]]).reshape(1, 1) for f, own in probes.items()}
