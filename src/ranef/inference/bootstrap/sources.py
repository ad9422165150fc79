"""Where the new data of a bootstrap come from; each source turns random generators into refits.

parametric  y* = X beta + Z b* + e*, b* and e* normal with the estimated variances
residual    the same with b* and e* drawn from the predicted effects and the residuals, which are first centred and given the
            estimated covariances: Carpenter, Goldstein and Rasbash (2003), Applied Statistics 52, 431-443, section 3.1
case        rows drawn with replacement
cluster     levels of a grouping factor drawn with replacement, each with all its rows; what is nested in them comes along as new
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

import numpy as np

from ranef.core.criterion import Criterion
from ranef.core.dense import Dense
from ranef.core.gram import Gram
from ranef.core.layout import Layout
from ranef.core.pieces import LinAlgError
from ranef.core.plain import Plain
from ranef.core.single import Single
from ranef.core.solution import Solution, theta_from_user
from ranef.core.standard import standardise
from ranef.covariance.base import Array
from ranef.design import Codes, Design, Grouping, ResidualTerm
from ranef.errors import RanefError
from ranef.fit.points import Points, design_points, marginal_mean, random_part
from ranef.fit.residual_side import refuse_structured
from ranef.fit.rows import needs_rows
from ranef.fit.run import refit
from ranef.fit.simulate import responses_of
from ranef.inference.bootstrap.refit import Refitter
from ranef.inference.bootstrap.statistics import Levels, Sampler
from ranef.inference.clusters import is_nested, top_grouping
from ranef.inference.parameters import Batch, Names, nothing, of_solution
from ranef.inference.starts import lifted
from ranef.optim import minimise

if TYPE_CHECKING:
    from ranef.fit.fit import Fit

Rngs = Sequence[np.random.Generator]
Pieces = tuple[Array, ...]
PARAMETRIC = 'Use kind="parametric".'


class Source(Protocol):
    @property
    def threads(self) -> bool:
        """Does the work release the interpreter, so that threads serve as well as processes?"""
        ...

    def refits(self, rngs: Rngs) -> Batch: ...


@dataclass(frozen=True, eq=False)
class Statistics:
    """Parametric, by sufficient statistics."""

    refitter: Refitter
    sampler: Sampler

    @property
    def threads(self) -> bool:
        return self.refitter.compiled is not None

    def refits(self, rngs: Rngs) -> Batch:
        return self.refitter.of_statistics([self.sampler.draw(rng) for rng in rngs])


@dataclass(frozen=True, eq=False)
class Rows:
    """New responses row by row: y* = mean + sum over blocks of z'b* + e*, b* = normal or drawn effects."""

    refitter: Refitter
    mean: Array  # (n,)
    points: Points
    roots: Pieces  # per block (k, k) root of the covariance
    noise: Array  # (n,) standard deviation of e
    effects: Pieces | None = None  # per block (m, k) to draw from
    errors: Array | None = None  # (n,) standardised, to draw from

    @property
    def threads(self) -> bool:
        return False

    def refits(self, rngs: Rngs) -> Batch:
        return self.refitter.of_responses([self.response(rng) for rng in rngs])

    def response(self, rng: np.random.Generator) -> Array:
        y = self.mean.copy()
        for f, (codes, z, root) in enumerate(zip(self.points.codes, self.points.z, self.roots, strict=True)):
            m = self.refitter.criterion.layout.blocks[f].levels
            if self.effects is None:
                b = rng.standard_normal((m, len(root))) @ root.T
            else:
                b = self.effects[f][rng.integers(0, m, m)]
            y += np.einsum("nk,nk->n", z, b[codes])
        if self.errors is None:
            return y + self.noise * rng.standard_normal(len(y))
        return y + self.noise * self.errors[rng.integers(0, len(y), len(y))]


@dataclass(frozen=True, eq=False)
class Cases:
    """Rows (`clusters` is None) or clusters of rows drawn with replacement."""

    design: Design
    reml: bool
    theta: Array  # on the user's scale
    names: Names
    clusters: Codes | None

    @property
    def threads(self) -> bool:
        return False

    @cached_property
    def _members(self) -> list[Codes]:
        assert self.clusters is not None
        order = np.argsort(self.clusters, kind="stable")
        return np.split(order, np.cumsum(np.bincount(self.clusters))[:-1])

    def refits(self, rngs: Rngs) -> Batch:
        return Batch.joined([self._refit(self._drawn(rng)) for rng in rngs])

    def _drawn(self, rng: np.random.Generator) -> Design:
        if self.clusters is None:
            n = self.design.nobs
            return taken(self.design, rng.integers(0, n, n), None)
        members = self._members
        chosen = rng.integers(0, len(members), len(members))
        rows = np.concatenate([members[c] for c in chosen])
        copies = np.repeat(np.arange(len(chosen)), [len(members[c]) for c in chosen])
        return taken(self.design, rows, copies, self.clusters)

    def _refit(self, design: Design) -> Batch:
        try:
            criterion = criterion_of_design(design, self.reml)
            if criterion.gram.rank != self.names.fixed or criterion.nu < 1:
                return nothing(self.names)
            theta = self.theta
            if criterion.size:
                start = theta_from_user(criterion, self.theta)
                optimum = minimise(criterion, start=start if criterion.residual is not None else lifted(criterion, start))
                if optimum.state == "not converged":
                    return nothing(self.names)
                theta = optimum.theta
            return of_solution(Solution(criterion, theta))
        except (LinAlgError, np.linalg.LinAlgError, FloatingPointError):
            return nothing(self.names)


def criterion_of_design(design: Design, reml: bool) -> Criterion:
    if design.residual is None:
        return Criterion.of(design, reml)
    return Criterion.with_residual(Gram.of(standardise(design, Layout.of(design.terms))), reml)


def taken(design: Design, rows: Codes, copies: Codes | None, clusters: Codes | None = None) -> Design:
    """The design of some rows. Levels that lie within one cluster become new with each copy of it; others stay what they are."""
    groups: dict[int, Grouping] = {}
    for term in design.terms:
        key = id(term.group)
        if key not in groups:
            groups[key] = _regrouped(term.group, rows, copies, clusters)
    terms = tuple(
        replace(term, group=groups[id(term.group)], z=None if term.z is None else np.asfortranarray(term.z[rows]))
        for term in design.terms
    )
    residual = None if design.residual is None else _structure_taken(design.residual, rows, copies, clusters)
    return replace(
        design, y=design.y[rows], X=np.asfortranarray(design.X[rows]), terms=terms, residual=residual,
        offset=None if design.offset is None else design.offset[rows],
        weights=None if design.weights is None else design.weights[rows],
    )  # fmt: skip


def _structure_taken(term: ResidualTerm, rows: Codes, copies: Codes | None, clusters: Codes | None) -> ResidualTerm:
    return replace(
        term, subject=_regrouped(term.subject, rows, copies, clusters),
        visit=None if term.visit is None else term.visit[rows],
        coordinates=None if term.coordinates is None else term.coordinates[rows],
        functions=tuple((function, values[rows]) for function, values in term.functions),
    )  # fmt: skip


def _regrouped(group: Grouping, rows: Codes, copies: Codes | None, clusters: Codes | None) -> Grouping:
    codes = group.codes[rows]
    if copies is not None and clusters is not None and is_nested(group.codes, clusters):
        codes = codes + group.size * copies
    _, codes = np.unique(codes, return_inverse=True)
    m = int(codes.max(initial=-1)) + 1
    return replace(group, codes=codes.astype(np.intp), levels=np.arange(m).astype(object))


# -- which source answers a question


@dataclass(frozen=True, eq=False)
class Structured:
    """Parametric, where residuals have a structure: new responses, and all of the fit again."""

    fit: Fit

    @property
    def threads(self) -> bool:
        return False

    @cached_property
    def response(self) -> Callable[[np.random.Generator], Array]:
        return responses_of(self.fit, "new")

    def refits(self, rngs: Rngs) -> Batch:
        return Batch.joined([self._refit(self.response(rng)) for rng in rngs])

    def _refit(self, y: Array) -> Batch:
        found = refitted(self.fit, y)
        return nothing(Names.of(self.fit)) if found is None else of_solution(found.solution)


def refitted(fit: Fit, y: Array) -> Fit | None:
    """None where the refit fails."""
    try:
        found = refit(fit, y)
    except (RanefError, LinAlgError, np.linalg.LinAlgError, FloatingPointError):
        return None
    return None if found.status == "not converged" else found


def parametric(fit: Fit, many: int) -> Source:
    if fit.criterion.residual is not None:
        needs_rows(fit, "This bootstrap")
        return Structured(fit)
    solution = fit.solution
    engine = fit.criterion.engine
    if isinstance(engine, Single):
        levels = Levels.of(engine, collapse=True)
        return Statistics(Refitter(fit.criterion, solution.theta, levels, many), Sampler.of_levels(levels, solution))
    refitter = Refitter(fit.criterion, solution.theta, None, many)
    if isinstance(engine, Dense):
        return Statistics(refitter, Sampler.of_dense(engine, solution))
    if isinstance(engine, Plain):
        return Statistics(refitter, Sampler.of_plain(fit.criterion.gram, solution))
    return responses(fit, many)


def responses(fit: Fit, many: int) -> Rows:
    """Parametric, by rows."""
    refuse_structured(fit, "The bootstrap")
    needs_rows(fit, "This bootstrap")
    solution, points = fit.solution, design_points(fit.model.design, fit.criterion.layout)
    roots = tuple(solution.sigma * solution.root(f) for f in range(len(points.z)))
    return Rows(refitter_of(fit, many), marginal_mean(solution, points), points, roots, solution.sigma * np.sqrt(points.noise))


def refitter_of(fit: Fit, many: int) -> Refitter:
    """For responses given row by row."""
    engine = fit.criterion.engine
    levels = Levels.of(engine, collapse=False) if isinstance(engine, Single) else None
    return Refitter(fit.criterion, fit.solution.theta, levels, many)


def residual(fit: Fit, many: int) -> Source:
    refuse_structured(fit, "The residual bootstrap", PARAMETRIC)
    source, solution = responses(fit, many), fit.solution
    weights = np.sqrt(source.points.noise)
    errors = (fit.model.design.y - source.mean - random_part(solution, source.points)) / weights
    errors = errors - errors.mean()
    errors = errors / np.sqrt(np.mean(errors**2))
    effects = tuple(_reflated(b, root) for b, root in zip(solution.effects, source.roots, strict=True))
    return replace(source, effects=effects, errors=errors)


def _reflated(effects: Array, root: Array) -> Array:
    """The effects centred, and turned so that their empirical covariance is root root'; where they do not vary they stay so."""
    centred = effects - effects.mean(axis=0)
    values, vectors = np.linalg.eigh(centred.T @ centred / len(centred))
    live = values > 1e-12 * max(float(values[-1]), 1e-300)
    white = centred @ (vectors[:, live] / np.sqrt(values[live]))
    return white @ (root @ _aligned(root, vectors[:, live], values[live])).T


def _aligned(root: Array, vectors: Array, values: Array) -> Array:
    """(k, l) orthonormal columns such that the turn from the old root to the new one is as small as can be."""
    left, _, right = np.linalg.svd(root.T @ (vectors * np.sqrt(values)), full_matrices=False)
    return left @ right


def cases(fit: Fit, cluster: str | None) -> Source:
    design = fit.model.design
    if cluster is None or design.known_variances or (design.residual is not None and design.residual.of_mean):
        refuse_structured(fit, "This bootstrap", PARAMETRIC)
    needs_rows(fit, "This bootstrap")
    codes = None if cluster is None else top_grouping(fit, cluster).codes
    return Cases(design, fit.criterion.reml, fit.theta, Names.of(fit), codes)
