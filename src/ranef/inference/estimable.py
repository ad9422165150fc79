"""The hypotheses of an analysis of variance, types I, II and III, as rows L with L beta = 0: estimable functions, as in SAS.

    I    each term given those before it
    II   each term given all that do not contain it
    III  each term orthogonal to the terms that contain it: equal weight to every cell, whatever the numbers of rows

Types I and II are rows of the triangular factor of X in the order asked for ("Doolittle"). Nothing depends on the coding of
factors: rows are found for treatment coding and carried over, which also fixes those that Satterthwaite's df depend on.
Goodnight (1980), Commun. Statist. A9, 167; SAS/STAT, "The Four Types of Estimable Functions".

Style "car" differs in three ways: x:f counts as containing x and f for numeric x too, adjustment is by generalised least squares,
and type III tests the coefficients as they are coded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from ranef.core.standard import Standard
from ranef.covariance.base import Array
from ranef.inference.terms import Index, Style, Term, Terms, terms_of

if TYPE_CHECKING:
    from ranef.fit.fit import Fit

ALIASED = 1e-7
ESTIMABLE = 1e-6
ZERO = 1e-9


@dataclass(frozen=True, eq=False)
class Hypotheses:
    """The rows of each term, by type. `basis` (r, p) holds the columns of X in an orthonormal basis of the metric: X = Q basis."""

    labels: tuple[str, ...]
    terms: Terms
    basis: Array
    columns: int  # of X, with those of terms that are aliased as a whole
    style: Style

    @classmethod
    def of(cls, fit: Fit, style: Style = "sas") -> Hypotheses:
        standard = fit.criterion.gram.standard
        labels, terms = terms_of(fit.model.schema, set(standard.kept))
        basis = orthonormal_columns(standard)[:, terms.at]
        if style == "car":
            basis = fit.solution.pieces.gls.lower.T @ basis
        return cls(labels, terms, basis, len(standard.design.names), style)

    def rows(self, kind: int) -> list[tuple[str, Array]]:
        """(term, L (c, p)) of each term but the intercept (which car's type III has too); L has no rows where data tell nothing."""
        found = dict(zip((term.label for term in self._asked(kind)), self._found(kind), strict=True))
        nothing = np.zeros((0, len(self.terms.at)))
        labels = [label for label in self.labels if label in found or label != "(Intercept)"]
        return [(label, self._placed(found.get(label, nothing))) for label in labels]

    def _asked(self, kind: int) -> tuple[Term, ...]:
        return self.terms.terms if kind == 3 and self.style == "car" else self.terms.tested

    def _found(self, kind: int) -> list[Array]:
        if kind == 3 and self.style == "car":
            return [self._own_columns(term) for term in self.terms.terms]
        if kind == 1 or len(self.terms.tested) < 2:
            return self._sequential(self.terms.terms)
        return [self._second(term) if kind == 2 else self._third(term) for term in self.terms.tested]

    def _placed(self, L: Array) -> Array:
        out = np.zeros((len(L), self.columns))
        out[:, self.terms.at] = L
        return out

    @cached_property
    def _work(self) -> tuple[Array, Array, Index]:
        """Columns (r, k) in which rows are found, their map (k, p) to coefficients, and their terms."""
        terms = self.terms
        if terms.translatable:
            return self.basis @ np.linalg.inv(terms.coded), terms.coded, terms.owner
        owner = np.concatenate([np.full(t.columns.stop - t.columns.start, i, dtype=np.intp) for i, t in enumerate(terms.terms)])
        return self.basis, np.eye(self.basis.shape[1]), owner

    def _own_columns(self, term: Term) -> Array:
        """The coefficients of the term, as they are coded, that the data determine."""
        L = np.eye(self.basis.shape[1])[term.columns]
        size = np.linalg.norm(self.basis, axis=0)
        null = _null_space(self.basis / np.where(size > 0, size, 1.0))
        return L[np.all(np.abs(L @ null) <= ESTIMABLE, axis=1)]

    def _sequential(self, order: Sequence[Term]) -> list[Array]:
        """Rows of each tested term, given the terms before it in the order."""
        columns, back, owner = self._work
        places = {id(term): i for i, term in enumerate(self.terms.terms)}
        at = np.concatenate([np.flatnonzero(owner == places[id(term)]) for term in order])
        R, pivots = echelon(columns[:, at])
        rows = np.zeros((len(R), columns.shape[1]))
        rows[:, at] = R
        found = []
        for term in order:
            if not term.is_intercept:
                own = owner[at[pivots]] == places[id(term)]
                found.append(rows[own] @ back)
        return found

    def _second(self, term: Term) -> Array:
        containing = [other for other in self.terms.terms if other.contains(term, self.style)]
        columns, back, owner = self._work
        if not containing and len(columns) == columns.shape[1]:
            return back[owner == self.terms.terms.index(term)]
        before = [other for other in self.terms.terms if other is not term and other not in containing]
        order = [*before, term, *containing]
        return self._sequential(order)[[other for other in order if not other.is_intercept].index(term)]

    def _third(self, term: Term) -> Array:
        """In the space of functions of the full parameters: those of the term and of the terms that contain it, less their
        projection on those of the containing terms only."""
        terms = self.terms
        if not terms.spanning:
            return self._own_columns(term)
        containing = [other for other in terms.terms if other.contains(term, self.style)]
        own, above = self._functions([term, *containing]), self._functions(containing)
        left, *_ = np.linalg.svd(own - _projection(above, own), full_matrices=False)
        space = left[:, : own.shape[1] - above.shape[1]]  # columns of either are independent, and those above are among the own
        plain = terms.full.T[:, terms.owner == terms.terms.index(term)]
        rows = space @ (space.T @ plain)
        if rows.shape[1] != space.shape[1] or np.linalg.matrix_rank(rows) < space.shape[1]:
            rows = space
        return rows.T @ terms.cells

    @cached_property
    def _full_columns(self) -> Array:
        """(r, P) the full columns in the orthonormal basis. That of an empty cell is a sum that cancels: zero, not its rounding."""
        plain = self.basis @ np.linalg.pinv(self.terms.coded)
        full = plain @ self.terms.full
        summands = np.linalg.norm(plain, axis=0) @ np.abs(self.terms.full)
        return np.where(np.linalg.norm(full, axis=0) > ALIASED * summands, full, 0.0)

    def _functions(self, inside: Sequence[Term]) -> Array:
        """(P, d) a basis of the estimable functions that involve these terms only."""
        full, outside = self._full_columns, np.ones(self.terms.full.shape[1], dtype=bool)
        for term in inside:
            outside[term.cells] = False
        size = np.linalg.norm(full, axis=0)
        return full.T @ _null_space((full / np.where(size > 0, size, 1.0))[:, outside].T)


def orthonormal_columns(standard: Standard) -> Array:
    """(r, p) coordinates of the columns of X (weighted) in the orthonormal basis that the core computes with."""
    p, r = len(standard.design.names), standard.rank
    out = np.zeros((r, p))
    kept = list(standard.kept)
    out[:, kept] = np.linalg.inv(standard.to_user[kept])
    dropped = [j for j in range(p) if j not in set(kept)]
    if dropped:
        out[:, dropped] = -out[:, kept] @ standard.null[kept] @ np.linalg.inv(standard.null[dropped])
    return out


def echelon(columns: Array) -> tuple[Array, Index]:
    """(r, k) rows of the triangular factor of the columns, scaled to one at their pivots, and the pivots; columns that those before
    them span have none."""
    Q = np.zeros((min(columns.shape), len(columns)))
    pivots: list[int] = []
    for j in range(columns.shape[1]):
        before, left = Q[: len(pivots)], columns[:, j]
        for _ in range(2):
            left = left - before.T @ (before @ left)
        size = float(np.linalg.norm(left))
        if size > ALIASED * max(float(np.linalg.norm(columns[:, j])), 1e-300):
            Q[len(pivots)] = left / size
            pivots.append(j)
    R = Q[: len(pivots)] @ columns
    return R / R[np.arange(len(R)), pivots][:, None], np.array(pivots, dtype=np.intp)


def _null_space(matrix: Array) -> Array:
    """(c, d) orthonormal vectors v with matrix v = 0."""
    if not matrix.size:
        return np.eye(matrix.shape[1])
    _, values, rows = np.linalg.svd(matrix)
    rank = int(np.sum(values > ZERO * values[0])) if values[0] > 0 else 0
    return rows[rank:].T


def _orthonormal(columns: Array) -> Array:
    left, values, _ = np.linalg.svd(columns, full_matrices=False)
    return left[:, values > ZERO * max(values[0], 1e-300)] if len(values) else left


def _projection(onto: Array, columns: Array) -> Array:
    space = _orthonormal(onto)
    return space @ (space.T @ columns)
