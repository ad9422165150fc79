"""Draws of a likelihood ratio under the smaller of two nested models, both refitted to each simulated data set.

The larger model's coordinates hold both: the smaller one's fixed columns are X C, its covariances Omega = A Omega_0 A' of the
larger's random columns. So one draw of the larger model's sufficient statistics serves both criteria, and all draws are refitted at
once (`core.many`). Neither ratio depends on beta, which is zero, nor on sigma, which is one unless it is known.

docs/explanation/model-comparison.md, eq. 3-5.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ranef.core.dense import Dense
from ranef.core.many import Index, Many, Responses, Values
from ranef.core.single import Single
from ranef.covariance.base import Array
from ranef.covariance.factored import is_linear
from ranef.inference.bootstrap.statistics import Levels, Sampler
from ranef.inference.nested import Placed, embed, fixed_part, placements
from ranef.optim.many import minimise_many

if TYPE_CHECKING:
    from ranef.fit.fit import Fit

ENTRIES = 2_000_000  # numbers that an evaluation of a chunk writes
LEAST_COST, NUMBER, FLOP = 5e-5, 2.5e-8, 5e-10  # seconds: of any draw, of a number written, of an operation
MORE = 0.1  # of these for each parameter, which ask for more steps
SHARES = (0.6, 1.0, 1.6)  # of the smaller model's roots, among the starts
SIZES = (0.3, 0.8, 2.0)  # of the tested roots, where one makes half of the variance of a level's mean
LEAST = 0.05  # of such a root, from which the smaller model starts where it has none


@dataclass(frozen=True, eq=False)
class Side:
    """One of the two models: its criterion, and starts (s, q) of which each data set takes the best."""

    many: Many
    starts: Array
    columns: Array  # (r, r_own) its fixed columns in the larger model's

    def best(self, responses: Responses) -> tuple[Array, NDArray[np.bool_]]:
        """(b,) smallest values of the criterion, and whether they were found."""
        responses = replace(responses, rest_x=responses.rest_x @ self.columns)
        if not self.many.size:
            return self.many.values(np.zeros(0), responses), np.ones(len(responses), dtype=bool)
        tried = np.stack([self.many.values(start, responses) for start in self.starts], axis=1)
        found = minimise_many(self._evaluate(responses), self.starts[np.argmin(tried, axis=1)])
        return found.value, found.done

    def _evaluate(self, responses: Responses) -> Callable[[Index, Array], Values]:
        def evaluate(rows: Index, theta: Array) -> Values:
            return self.many.evaluate(theta, responses.take(rows))

        return evaluate


@dataclass(frozen=True, eq=False)
class NullRatio:
    sampler: Sampler
    small: Side
    large: Side

    @property
    def cost(self) -> float:
        """Seconds of one draw on a machine of 2025, to a factor of two; it depends on the size of the models alone."""
        sides = [side.many for side in (self.small, self.large) if side.many.size]
        steps = [1.0 + MORE * many.size for many in sides]
        return LEAST_COST + sum(n * (NUMBER * many.effort[0] + FLOP * many.effort[1]) for n, many in zip(steps, sides, strict=True))

    def draws(self, n: int, seed: int) -> Array:
        """(m,) likelihood ratios of the data sets in which both models were found, m <= n."""
        size = max(1, int(ENTRIES / self.large.many.effort[0]))
        rng, out = np.random.default_rng(seed), []
        for start in range(0, n, size):
            out.append(self._chunk(rng, min(size, n - start)))
        return np.concatenate(out)

    def _chunk(self, rng: np.random.Generator, b: int) -> Array:
        Ey, rest = self.sampler.draws(rng, b)
        many = self.large.many
        responses = Responses(Ey.reshape(b, len(many.pattern), -1), rest[:, :-1], rest[:, -1])
        small, found = self.small.best(responses)
        large, good = self.large.best(responses)
        return np.maximum(small - large, 0.0)[found & good]


def null_ratio(small: Fit, large: Fit, reml: bool) -> NullRatio | None:
    """None where a covariance is not linear in theta, or the models are not nested."""
    placed, C = placements(small, large), fixed_part(small, large)
    if placed is None or C is None or not (linear(small) and linear(large)):
        return None
    rank = large.criterion.gram.rank
    roots = {part.term: small.solution.root(f)[part.columns, part.columns] for f, part in small.criterion.layout.parts}
    at = embed(large, placed, roots)
    many, sampler = _one_factor(large, at, reml) if isinstance(large.criterion.engine, Single) else _several(large, at, reml)
    C = np.eye(rank) if reml else _orthonormal(C)
    smaller = many.restricted(C, _embedded_basis(small, large, placed))
    return NullRatio(sampler, Side(smaller, _small_starts(small), C), Side(many, _large_starts(large, at), np.eye(rank)))


def _one_factor(large: Fit, at: Sequence[Array], reml: bool) -> tuple[Many, Sampler]:
    """The larger model's criterion, and a sampler of its sufficient statistics at the roots `at`."""
    engine, gram, layout = large.criterion.engine, large.criterion.gram, large.criterion.layout
    assert isinstance(engine, Single)
    levels = Levels.of(engine, collapse=True)
    many = Many(
        engine.lower, engine.count, levels.pattern, levels.E[:, :, :-1], levels.rest[:-1, :-1],
        _own_basis(large), layout, (1,), np.arange(len(layout.directions[0])), _nu(large, reml), reml, large.criterion.scale,
    )  # fmt: skip
    return many, Sampler.levels_at(levels, at[0], np.zeros(gram.rank), large.criterion.scale or 1.0)


def _several(large: Fit, at: Sequence[Array], reml: bool) -> tuple[Many, Sampler]:
    gram, layout, engine = large.criterion.gram, large.criterion.layout, large.criterion.engine
    dense = engine if isinstance(engine, Dense) else Dense.of(gram)
    q, one = dense.order, np.zeros(1, dtype=np.intp)
    many = Many(
        dense.right[:, :q].T[None], np.ones(1), one, dense.right[None, :, q:-1], dense.rest[:-1, :-1],
        _own_basis(large), layout, tuple(block.levels for block in layout.blocks), np.arange(len(layout.directions[0])),
        _nu(large, reml), reml, large.criterion.scale,
    )  # fmt: skip
    return many, Sampler.dense_at(dense, at, np.zeros(gram.rank), large.criterion.scale or 1.0)


def _nu(large: Fit, reml: bool) -> int:
    return large.nobs - large.criterion.gram.rank if reml else large.nobs


def linear(fit: Fit) -> bool:
    """Is theta all that the criterion depends on, and Lambda linear in it?"""
    return fit.criterion.residual is None and all(is_linear(covariance) for _, covariance in fit.criterion.blocks)


def _orthonormal(C: Array) -> Array:
    """Of the space of the columns."""
    left, values, _ = np.linalg.svd(C, full_matrices=False)
    return np.asarray(left[:, values > 1e-9])


def _own_basis(fit: Fit) -> tuple[Array, ...]:
    """dLambda/dtheta of each block, (q, k, k)."""
    layout = fit.criterion.layout
    out = [np.zeros((layout.size, block.width, block.width)) for block in layout.blocks]
    for f, part in layout.parts:
        out[f][part.theta, part.columns, part.columns] = part.covariance.jacobian(part.covariance.start())
    return tuple(out)


def _embedded_basis(small: Fit, large: Fit, placed: Sequence[Placed]) -> tuple[Array, ...]:
    """The smaller model's in the blocks of the larger, (q_small, k, k)."""
    layout = small.criterion.layout
    out = [np.zeros((layout.size, block.width, block.width)) for block in large.criterion.layout.blocks]
    for f, part in layout.parts:
        S = small.criterion.gram.z_map(f)[part.columns, part.columns]
        for p, root in enumerate(np.linalg.solve(S, part.covariance.jacobian(part.covariance.start())), part.theta.start):
            for block, own in zip(out, embed(large, placed, {part.term: root}), strict=True):
                block[p] = own
    return tuple(out)


def _unit(fit: Fit, f: int) -> float:
    """The root of a variance that makes half of the variance of a level's mean, in standardised units."""
    return float(np.sqrt(fit.criterion.layout.blocks[f].levels / fit.nobs))


def _small_starts(small: Fit) -> Array:
    layout, theta = small.criterion.layout, small.solution.theta
    starts = []
    for share in SHARES:
        out = share * theta
        for f, part in layout.parts:
            out[part.theta] = part.covariance.of_factor(_lifted(part.covariance.factor(out[part.theta]), LEAST * _unit(small, f)))
        starts.append(out)
    return np.array(starts)


def _large_starts(large: Fit, at: Sequence[Array]) -> Array:
    """The smaller model's roots at several sizes, with something of every effect that it has not."""
    layout = large.criterion.layout
    starts = []
    for share, size in product(SHARES, SIZES):
        out = np.empty(layout.size)
        for f, part in layout.parts:
            root = share * at[f][part.columns]
            out[part.theta] = part.covariance.of_factor(_lifted(root, size * _unit(large, f)))
        starts.append(out)
    return np.array(starts)


def _lifted(root: Array, least: float) -> Array:
    """A root of root root' with eigenvalues of at least least^2."""
    values, vectors = np.linalg.eigh(root @ root.T)
    return np.asarray(vectors * np.sqrt(np.maximum(values, least**2)))
