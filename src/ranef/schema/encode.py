"""Columns of numbers from coded terms: the model matrix, in R's order (the first factor of an interaction varies fastest)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ranef.design import Array
from ranef.schema.coding import Coding, TermCoding, Variable, width
from ranef.schema.memory import refuse_beyond
from ranef.schema.values import Factor, Value

INTERCEPT = "(Intercept)"


def encode(
    codings: Sequence[TermCoding], variables: Mapping[str, Variable], values: Mapping[str, Value], size: int
) -> tuple[Array, tuple[str, ...]]:
    """(n, p) column-major matrix and the names of its columns.

    Raises MemoryEstimateError before allocating more than there is, and ModelError when a factor has too few levels.
    """
    p = width(codings, variables)
    refuse_beyond(8.0 * size * p, f"the model matrix ({size:,} rows, {p:,} columns)")
    out = np.empty((size, p), order="F")
    names: list[str] = []
    for term in codings:
        names += _fill(term, variables, values, out[:, len(names) :])
    return out, tuple(names)


def shared(
    codings: Sequence[TermCoding], fixed: Sequence[TermCoding], variables: Mapping[str, Variable], X: Array, names: Sequence[str]
) -> tuple[Array, tuple[str, ...]] | None:
    """The matrix of `codings` and its names as a stretch of X, the matrix of `fixed`; None where the terms do not stand there."""
    count = len(codings)
    for i in range(len(fixed) - count + 1):
        if tuple(fixed[i : i + count]) == tuple(codings):
            first = width(fixed[:i], variables)
            stretch = slice(first, first + width(codings, variables))
            return X[:, stretch], tuple(names[stretch])
    return None


def _fill(term: TermCoding, variables: Mapping[str, Variable], values: Mapping[str, Value], out: Array) -> list[str]:
    """Writes the columns of one term to the left of `out` and returns their names."""
    if not term:
        out[:, 0] = 1.0
        return [INTERCEPT]
    *rest, last = term
    columns: list[Array] = []
    names: list[str] = []
    for coding in rest:
        more, labels = _columns(coding, variables, values)
        columns = [left * right for right in more for left in columns] if columns else more
        names = [f"{left}:{right}" for right in labels for left in names] if names else labels
    more, labels = _columns(last, variables, values)
    if not columns:
        for j, column in enumerate(more):
            out[:, j] = column
        return labels
    pairs = [(left, right) for right in more for left in columns]
    for j, (left, right) in enumerate(pairs):
        np.multiply(left, right, out=out[:, j])
    return [f"{left}:{right}" for right in labels for left in names]


def _columns(coding: Coding, variables: Mapping[str, Variable], values: Mapping[str, Value]) -> tuple[list[Array], list[str]]:
    """The columns of one variable and their names; NaN where it is missing."""
    text, value = coding.variable, values[coding.variable]
    if isinstance(value, Factor):
        return _factor_columns(coding, variables[text], value)
    if value.values.ndim == 1:
        return [value.values], [text]
    return [value.values[:, j] for j in range(value.values.shape[1])], [text + label for label in variables[text].labels]


def _factor_columns(coding: Coding, variable: Variable, value: Factor) -> tuple[list[Array], list[str]]:
    assert coding.contrast is not None
    table, labels = coding.contrast.table(variable.levels, variable.text)
    padded = np.vstack([table, np.full(table.shape[1], np.nan)])  # code -1 takes the last row
    return [column[value.codes] for column in padded.T.copy()], [variable.text + label for label in labels]
