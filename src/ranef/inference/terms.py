"""The terms of the fixed part, and what they say whatever the coding of the factors.

Three bases for the same functions of the predictors:

    coded (p)   the columns of X, by the contrasts of the fit
    plain (k)   products of 1, indicators of all levels but the first, and numeric variables      X = plain C
    full (P)    a column for each cell of each term: SAS's parameters                             full = plain A,   X = full B

None needs a row of the data: X gives the functions that the data can tell apart, and all else follows by these maps.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ranef.covariance.base import Array
from ranef.formula import term_label
from ranef.schema.coding import Coding, TermCoding, Variable
from ranef.schema.model import Schema

Index = NDArray[np.intp]
Style = Literal["sas", "car"]
Key = frozenset[tuple[str, int]]  # a plain function: which level (or column) of each of its variables


@dataclass(frozen=True, eq=False)
class Term:
    """A fixed term; `factors` and `numerics` are its variables."""

    label: str
    factors: frozenset[str]
    numerics: frozenset[str]
    columns: slice  # of X
    cells: slice  # of the full basis

    @property
    def is_intercept(self) -> bool:
        return not self.factors and not self.numerics

    def contains(self, other: Term, style: Style) -> bool:
        """Does this term hold the other? For SAS with more factors and the same numeric variables; for car with more of either."""
        if style == "sas":
            return other.factors < self.factors and other.numerics == self.numerics
        return self is not other and not other.is_intercept and other.factors <= self.factors and other.numerics <= self.numerics


@dataclass(frozen=True, eq=False)
class Terms:
    """Terms that the data tell something of; `at` (p,) are the places of their columns in X."""

    terms: tuple[Term, ...]
    at: Index
    coded: Array  # (k, p) C
    full: Array  # (k, P) A
    cells: Array  # (P, p) B
    owner: Index  # (k,) the term of each plain function, -1 where it belongs to none

    @cached_property
    def tested(self) -> tuple[Term, ...]:
        """All but the intercept."""
        return tuple(term for term in self.terms if not term.is_intercept)

    @cached_property
    def translatable(self) -> bool:
        """Do the columns of X span the plain functions, term by term?"""
        k, p = self.coded.shape
        return k == p and bool(np.all(self.owner >= 0)) and np.linalg.matrix_rank(self.coded) == k

    @cached_property
    def spanning(self) -> bool:
        return np.linalg.matrix_rank(self.coded) == len(self.coded)


def terms_of(schema: Schema, kept: Collection[int]) -> tuple[tuple[str, ...], Terms]:
    """The labels of all terms, and those terms that have a column among the kept ones of X: the others are aliased as a whole."""
    widths = [math.prod(coding.width(schema.variables) for coding in term) for term in schema.fixed]
    starts = [0, *itertools.accumulate(widths)]
    live = [i for i, width in enumerate(widths) if any(starts[i] + j in kept for j in range(width))]
    labels = tuple(term_label(term) for term in schema.formula.fixed)
    at = np.array([j for i in live for j in range(starts[i], starts[i + 1])], dtype=np.intp)
    return labels, _assembled([labels[i] for i in live], [schema.fixed[i] for i in live], schema, at)


def _assembled(labels: Sequence[str], codings: Sequence[TermCoding], schema: Schema, at: Index) -> Terms:
    variables = {text: _treated(text, variable, codings) for text, variable in schema.variables.items()}
    blocks = [_block(term, variables) for term in codings]
    keys: dict[Key, int] = {}
    for block in blocks:
        for key in block.keys:
            keys.setdefault(key, len(keys))
    terms = []
    column = cell = 0
    for label, term, block in zip(labels, codings, blocks, strict=True):
        names = frozenset(coding.variable for coding in term)
        factors = frozenset(name for name in names if variables[name].factor)
        P, p = block.cells.shape
        terms.append(Term(label, factors, names - factors, slice(column, column + p), slice(cell, cell + P)))
        column, cell = column + p, cell + P
    coded, full, cells = np.zeros((len(keys), column)), np.zeros((len(keys), cell)), np.zeros((cell, column))
    for one, block in zip(terms, blocks, strict=True):
        rows = [keys[key] for key in block.keys]
        coded[rows, one.columns], full[rows, one.cells], cells[one.cells, one.columns] = block.coded, block.full, block.cells
    return Terms(tuple(terms), at, coded, full, cells, _owners(keys, terms))


@dataclass(frozen=True)
class _Treated:
    """A variable and whether it is taken as a factor: its contrasts must span its levels, else they are columns like any others."""

    factor: bool
    size: int
    levels: tuple[object, ...]


def _treated(text: str, variable: Variable, codings: Sequence[TermCoding]) -> _Treated:
    if variable.kind != "factor":
        return _Treated(False, len(variable.labels) if variable.kind == "matrix" else 1, ())
    tables = [_table(coding, variable) for term in codings for coding in term if coding.variable == text]
    m = len(variable.levels)
    spanning = all(np.linalg.matrix_rank(np.column_stack([np.ones(m), table])) == m for table in tables)
    return _Treated(spanning, m if spanning or not tables else tables[0].shape[1], variable.levels)


def _table(coding: Coding, variable: Variable) -> Array:
    """(m, c) values of the columns of a factor for each of its levels."""
    assert coding.contrast is not None
    return coding.contrast.table(variable.levels, variable.text)[0]


@dataclass(frozen=True, eq=False)
class _Block:
    keys: tuple[Key, ...]
    coded: Array
    full: Array
    cells: Array


def _block(term: TermCoding, variables: Mapping[str, _Treated]) -> _Block:
    """One term in all three bases; the first variable varies fastest, as in X."""
    coded, full, cells, indices = [], [], [], []
    for coding in term:
        variable = variables[coding.variable]
        if variable.factor:
            table = _table(coding, Variable(coding.variable, "factor", levels=variable.levels))
            coded.append(_plain(table))
            full.append(_plain(np.eye(variable.size)))
            cells.append(table)
            indices.append([None, *((coding.variable, j) for j in range(1, variable.size))])
        else:
            for out in (coded, full, cells):
                out.append(np.eye(variable.size))
            indices.append([(coding.variable, j) for j in range(variable.size)])
    keys = tuple(frozenset(part for part in parts if part) for parts in itertools.product(*reversed(indices)))
    return _Block(keys, _kron(coded), _kron(full), _kron(cells))


def _plain(table: Array) -> Array:
    """A function of the levels in the basis 1, indicators of all levels but the first."""
    out = table - table[0]
    out[0] = table[0]
    return out


def _kron(parts: Sequence[Array]) -> Array:
    out: Array = np.ones((1, 1))
    for part in reversed(parts):
        out = np.asarray(np.kron(out, part), dtype=np.float64)
    return out


def _owners(keys: Mapping[Key, int], terms: Sequence[Term]) -> Index:
    places = {(term.factors | term.numerics): i for i, term in enumerate(terms)}
    return np.array([places.get(frozenset(name for name, _ in key), -1) for key in keys], dtype=np.intp)
