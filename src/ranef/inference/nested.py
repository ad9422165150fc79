"""Which parameters one model has and another, smaller one has not: is the smaller nested, and where do its values lie?

A variance that is tested lies on the boundary of what it may be, a covariance of effects that vary lies inside. The parameters
tested form a cone: a space of `free` dimensions (fixed effects, covariances of effects that both models have) times, for each bar,
the positive semi-definite matrices of the effects that only the larger model has. Self and Liang (1987); Stram and Lee (1994).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from ranef.core.information import expected_traces, omega_of
from ranef.core.kenward_roger import bordered
from ranef.covariance.base import Array, Covariance
from ranef.covariance.scaled import Scaled
from ranef.design import RandomTerm
from ranef.fit.overlap import PLAIN, SPANNED, columns_within
from ranef.inference.estimable import orthonormal_columns
from ranef.inference.nested_residuals import free_residual_parameters, is_member

if TYPE_CHECKING:
    from ranef.fit.fit import Fit

INSIDE = 1e-10  # one minus the cosine between a column of X and the space of the larger model's


@dataclass(frozen=True, eq=False)
class Cone:
    """`orders` are the sizes of the positive semi-definite matrices tested: 1 is a single variance."""

    free: int
    orders: tuple[int, ...]
    metric: Array | None = None  # (c, c) information about the entries of those matrices, all else profiled; None where not needed

    @property
    def size(self) -> int:
        return self.free + sum(d * (d + 1) // 2 for d in self.orders)


@dataclass(frozen=True, eq=False)
class Placed:
    """A term of the larger model and what the smaller has of it.

    `basis` (k, k) has the smaller's columns first; `parts` say which of them are one term there, and of what structure. `tangents`
    are the derivatives (q, width, width) of the covariances of those parts, `own` (q, k, k) those of the term itself where its
    parameters are no variances and covariances, in the basis and at the smaller model.
    """

    term: int
    structure: str
    basis: Array
    parts: tuple[tuple[int, str, int], ...]  # (term of the smaller model, structure, columns)
    tangents: tuple[Array, ...] = ()
    own: Array | None = None

    @property
    def old(self) -> int:
        return sum(width for _, _, width in self.parts)

    @property
    def new(self) -> int:
        return len(self.basis) - self.old


def cone_between(small: Fit, large: Fit) -> Cone | str:
    """The cone of what only the larger model has; in words, why there is none, where the models are not (regularly) nested."""
    fixed = restriction(small, large)
    placed, residual = placements(small, large), free_residual_parameters(small, large)
    if fixed is None or placed is None or residual is None:
        return not_nested(small, large, fixed is not None, residual is not None)
    for one in placed:
        if irregular(one):
            label = large.model.design.terms[one.term].label
            return f"without {label} its correlations are not identified, and the ratio has no known distribution; see bootstrap()"
    directions = [_directions(one) for one in placed]
    free = len(fixed) + sum(len(one.free) for one in directions) + residual
    orders = tuple(d for one in directions for d in one.orders)
    if orders in ((), (1,)):
        return Cone(free, orders)
    return Cone(free, orders, _metric(small, large, placed, directions))


def irregular(placed: Placed) -> bool:
    """Are there parameters that mean nothing where the variances are zero?"""
    return not placed.parts and placed.structure not in (*PLAIN, "known")


def restriction(small: Fit, large: Fit) -> Array | None:
    """(q, p) L such that L beta = 0 in the larger model says that its mean is one of the smaller; None where nothing says that."""
    C = fixed_part(small, large)
    if C is None:
        return None
    left, values, _ = np.linalg.svd(C)
    rank = int(np.sum(values > 1e-9)) if len(values) else 0
    return np.asarray(left[:, rank:].T @ orthonormal_columns(large.criterion.gram.standard))


def fixed_part(small: Fit, large: Fit) -> Array | None:
    """(r, r_small) the smaller model's columns, of unit length, in the larger's orthonormal ones; None where they are not there."""
    standard = large.criterion.gram.standard
    X = standard.fixed() if standard.orthonormal is not None else np.linalg.solve(standard.upper.T, standard.fixed().T).T
    smaller = small.model.design.X[:, list(small.criterion.gram.standard.kept)]
    if large.model.design.weights is not None:
        root = np.sqrt(large.model.design.weights)[:, None]
        X, smaller = X * root, smaller * root
    size = np.linalg.norm(smaller, axis=0)
    C = X.T @ (smaller / np.where(size > 0, size, 1.0))
    return None if np.any(1.0 - np.linalg.norm(C, axis=0)[size > 0] > INSIDE) else np.asarray(C)


def not_nested(small: Fit, large: Fit, fixed: bool, residual: bool) -> str:
    """Why the smaller model is no special case of the larger."""
    if not fixed:
        return "no nested model: the fixed part of the smaller is not within that of the larger"
    if not residual:
        return "no nested model: the residual structure of the smaller is no special case of the larger's"
    terms = large.model.design.terms
    for term in small.model.design.terms:
        same = [other for other in terms if frozenset(other.group.variables) == frozenset(term.group.variables)]
        if not any((A := columns_within(term, other)) is not None and _fits(term, other, A) for other in same):
            break
    held = [other for other in same if term.width == 1 and isinstance(other.covariance, Scaled)]
    if held:
        bound = f"{term.label} lies at the bound of {held[0].label}, where all correlations are one"
        return f"{bound}, and the ratio has no known distribution; see bootstrap()"
    return f"no nested model: {term.label} is no special case of a term of the larger"


def placements(small: Fit, large: Fit) -> list[Placed] | None:
    """Where the terms of the smaller model are among those of the larger, term by term of the larger; None if not all are."""
    terms = large.model.design.terms
    found: list[list[tuple[int, Array]]] = [[] for _ in terms]
    for i, term in enumerate(small.model.design.terms):
        for j, candidate in enumerate(terms):
            A = columns_within(term, candidate)
            if A is not None and _fits(term, candidate, A):
                found[j].append((i, A))
                break
        else:
            return None
    placed = []
    for j, (f, part) in enumerate(large.criterion.layout.parts):
        S = large.criterion.gram.z_map(f)[part.columns, part.columns]
        one = _place(j, terms[j], found[j], small, S)
        if one is None:
            return None
        placed.append(one)
    return placed


def _fits(term: RandomTerm, candidate: RandomTerm, A: Array) -> bool:
    """Does the structure of the candidate allow that of the term?"""
    if candidate.covariance.word == "un":
        return term.covariance.rank == term.width
    single = bool(np.all(np.count_nonzero(A, axis=0) == 1)) and bool(np.all(np.count_nonzero(A, axis=1) <= 1))
    if candidate.covariance.word == "diag":
        return single and (term.covariance.word in ("diag", "id") or term.width == 1)
    if not single or term.width != candidate.width or np.abs(A - np.eye(len(A))).max() > SPANNED:
        return False
    return term.covariance == candidate.covariance or is_member(term.covariance, candidate.covariance)


def _place(j: int, term: RandomTerm, parts: list[tuple[int, Array]], small: Fit, S: Array) -> Placed | None:
    """New columns are orthogonal to the old ones, and to each other, in standardised units (S)."""
    columns = np.hstack([np.zeros((term.width, 0)), *(A for _, A in parts)])
    scaled = S @ columns
    left, values, _ = np.linalg.svd(scaled / np.linalg.norm(scaled, axis=0))
    if columns.shape[1] and (columns.shape[1] > term.width or values[-1] < 1e-9 * values[0]):
        return None
    rest = np.linalg.solve(S, left[:, columns.shape[1] :])
    if term.covariance.word != "un":
        rest = np.eye(term.width)[:, ~np.any(columns, axis=1)]
    smaller = small.model.design.terms
    inside = tuple((i, smaller[i].covariance.word if smaller[i].width > 1 else "un", A.shape[1]) for i, A in parts)
    basis = np.hstack([columns, rest])
    own = None if term.covariance.word in PLAIN else _own(term.covariance, small, parts, S, np.linalg.inv(S @ basis))
    return Placed(j, term.covariance.word, basis, inside, tuple(_tangent(small, i) for i, _ in parts), own)


def _own(covariance: Covariance, small: Fit, parts: list[tuple[int, Array]], S: Array, back: Array) -> Array:
    """(q, k, k) derivatives of the term's covariance at the smaller model, or at its start where that has no such term."""
    theta = covariance.start()
    if parts:
        f, part = small.criterion.layout.parts[parts[0][0]]
        theta = covariance.of_factor(S @ small.solution.root(f)[part.columns, part.columns])
    return np.asarray(back @ covariance.gradient(theta) @ back.T)


def _tangent(small: Fit, i: int) -> Array:
    """(q, width, width) derivatives of the covariance of a term, in units of its columns."""
    f, part = small.criterion.layout.parts[i]
    back = np.linalg.inv(small.criterion.gram.z_map(f)[part.columns, part.columns])
    return np.asarray(back @ part.covariance.gradient(small.solution.theta[part.theta]) @ back.T)


@dataclass(frozen=True, eq=False)
class Directions:
    """Symmetric matrices (k, k) in the basis of `Placed`: what both models estimate, what is tested inside and on the boundary."""

    shared: list[Array] = field(default_factory=list)
    free: list[Array] = field(default_factory=list)
    cone: list[Array] = field(default_factory=list)
    orders: tuple[int, ...] = ()


def _directions(placed: Placed) -> Directions:
    k, old = len(placed.basis), placed.old
    shared: list[Array] = []
    covered = np.zeros((k, k), dtype=bool)
    at = 0
    dropped = 0  # of the free directions: as many as the smaller model's structures have parameters
    for (_, structure, width), tangent in zip(placed.parts, placed.tangents, strict=True):
        own = range(at, at + width)
        if structure == "un":
            shared += [_unit(k, a, b) for a in own for b in range(at, a + 1)]
            covered[at : at + width, at : at + width] = True
        elif structure not in PLAIN:
            shared += [_embedded_block(k, at, one) for one in tangent]
            dropped += len(tangent)
        else:
            dropped += structure == "id"
            units = [_unit(k, a, a) for a in own]
            shared += units if structure == "diag" else [np.sum(units, axis=0)]
            covered[list(own), list(own)] = structure == "diag"
        at += width
    if placed.structure == "id":
        return Directions(shared, [], [] if old else [np.eye(k)], () if old else (1,))
    if placed.own is not None:  # the smaller model has the whole term, or nothing of it
        if not old:
            return Directions([], [], list(placed.own), (1,))
        new = len(placed.own) - sum(map(len, placed.tangents))
        return Directions(list(placed.own[new:]), list(placed.own[:new]))
    free = [_unit(k, a, b) for a in range(old) for b in range(a + 1) if not covered[a, b] and (a == b or placed.structure == "un")]
    free = free[: len(free) - dropped]
    if placed.structure == "diag":
        return Directions(shared, free, [_unit(k, a, a) for a in range(old, k)], (1,) * placed.new)
    free += [_unit(k, a, b) for a in range(old, k) for b in range(old)]
    cone = [_unit(k, a, b) for a in range(old, k) for b in range(old, a + 1)]
    return Directions(shared, free, cone, (placed.new,) if placed.new else ())


def _unit(k: int, a: int, b: int) -> Array:
    out = np.zeros((k, k))
    out[a, b] = out[b, a] = 1.0
    return out


def _embedded_block(k: int, at: int, block: Array) -> Array:
    out = np.zeros((k, k))
    out[at : at + len(block), at : at + len(block)] = block
    return out


def _metric(small: Fit, large: Fit, placed: list[Placed], directions: list[Directions]) -> Array:
    """Expected information about the cone's entries at the smaller model, all other parameters profiled out."""
    criterion = large.criterion
    factors = _embedded(small, large, placed)
    pieces = criterion.engine.pieces(factors, 2)
    assert pieces.t is not None and pieces.F is not None
    traces = pieces.t - np.trace(pieces.F[:, :-1, :-1], axis1=1, axis2=2)
    inner = expected_traces(criterion, factors, pieces)
    matrix = bordered(inner, traces, omega_of(criterion.layout, factors), criterion.gram.nobs - criterion.gram.rank) / 2.0
    inside = [_entries(large, one, E) for one, own in zip(placed, directions, strict=True) for E in (*own.shared, *own.free)]
    cone = [_entries(large, one, E) for one, own in zip(placed, directions, strict=True) for E in own.cone]
    H = np.zeros((len(matrix), 1 + len(inside) + len(cone)))
    H[0, 0] = 1.0
    H[1:, 1:] = np.array([*inside, *cone]).T
    whole, q = H.T @ matrix @ H, 1 + len(inside)
    scale = np.sqrt(np.clip(np.diag(whole), 1e-300, None))
    whole = whole / np.outer(scale, scale)
    reduced = whole[q:, q:] - whole[q:, :q] @ np.linalg.pinv(whole[:q, :q], rcond=1e-10, hermitian=True) @ whole[:q, q:]
    return np.asarray(reduced * np.outer(scale[q:], scale[q:]))


def _embedded(small: Fit, large: Fit, placed: Sequence[Placed]) -> list[Array]:
    """Roots of the covariances of the smaller model as covariances of the larger, in its standardised units."""
    roots = {part.term: small.solution.root(f)[part.columns, part.columns] for f, part in small.criterion.layout.parts}
    return embed(large, placed, roots)


def embed(large: Fit, placed: Sequence[Placed], roots: Mapping[int, Array]) -> list[Array]:
    """Per block (k, k): roots on the user's scale of terms of the smaller model, in the standardised units of the larger."""
    out = [np.zeros((block.width, block.width)) for block in large.criterion.layout.blocks]
    for (f, part), one in zip(large.criterion.layout.parts, placed, strict=True):
        at = 0
        for term, _, width in one.parts:
            columns = slice(part.columns.start + at, part.columns.start + at + width)
            if term in roots:
                out[f][part.columns, columns] = one.basis[:, at : at + width] @ roots[term]
            at += width
    return [large.criterion.gram.z_map(f) @ root for f, root in enumerate(out)]


def _entries(large: Fit, placed: Placed, E: Array) -> Array:
    """(K,) a direction in the free entries of the larger model."""
    layout = large.criterion.layout
    f, part = layout.parts[placed.term]
    whole = np.zeros((layout.blocks[f].width,) * 2)
    whole[part.columns, part.columns] = placed.basis @ E @ placed.basis.T
    S = large.criterion.gram.z_map(f)
    whole = S @ whole @ S.T
    blocks, rows, columns = layout.directions
    return np.where(blocks == f, whole[np.where(blocks == f, rows, 0), np.where(blocks == f, columns, 0)], 0.0)
