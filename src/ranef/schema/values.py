"""What a column or an expression is worth: a number, a factor, or several numbers for each row.

Missing numbers are NaN, missing levels have code -1. The arrays may be views of the user's data and are never written to.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ranef.design import Array, Codes

Mask = NDArray[np.bool_]
Level = str | int | float | bool
Levels = NDArray[np.object_]

TINY = 1e-290  # a sum of squares that may have lost digits
FEW = 400  # texts for which a dictionary takes less time than getting ready for many
FALSE_TRUE = np.array([False, True], dtype=object)


@dataclass(frozen=True, eq=False)
class Numeric:
    """One number a row; `logical` says that it is 0 or 1 and stands for False or True."""

    values: Array  # (n,)
    logical: bool = False

    def missing(self) -> Mask | None:
        """(n,) where the number is NaN, or None when it never is."""
        return nan_rows(self.values)

    def take(self, kept: Mask) -> Numeric:
        return Numeric(self.values[kept], self.logical)


@dataclass(frozen=True, eq=False)
class Matrix:
    """Several numbers a row, such as a spline basis; `labels` are appended to the name of the variable."""

    values: Array  # (n, k), column-major
    labels: tuple[str, ...]

    def missing(self) -> Mask | None:
        return nan_rows(self.values)

    def take(self, kept: Mask) -> Matrix:
        return Matrix(np.asfortranarray(self.values[kept]), self.labels)


@dataclass(frozen=True, eq=False)
class Factor:
    """A level a row. `contrast` is what `C(x, ...)` asked for, if it did."""

    codes: Codes  # (n,), -1 where missing
    levels: Levels  # (m,)
    ordered: bool = False
    contrast: Any = None

    @property
    def logical(self) -> bool:
        """Made of False and True, which R keeps as levels even where no row has them."""
        return self.levels is FALSE_TRUE

    def missing(self) -> Mask | None:
        if len(self.codes) == 0 or self.codes.min() >= 0:
            return None
        return self.codes < 0

    def labels(self) -> Levels:
        """(n,) the level of each row, None where it is missing."""
        return objects([*self.levels, None])[self.codes]

    def take(self, kept: Mask) -> Factor:
        return Factor(self.codes[kept], self.levels, self.ordered, self.contrast)

    def used(self) -> Factor:
        """The same factor without levels that have no row."""
        counts = np.bincount(self.codes + 1, minlength=len(self.levels) + 1)[1:]
        if len(counts) == 0 or counts.min() > 0:
            return self
        present = np.flatnonzero(counts)
        position = np.full(len(self.levels) + 1, -1, dtype=np.intp)
        position[present] = np.arange(len(present))
        return Factor(position[self.codes], self.levels[present], self.ordered, self.contrast)


Value = Numeric | Matrix | Factor


def objects(items: Sequence[Any]) -> Levels:
    """An object array with these items."""
    out = np.empty(len(items), dtype=object)
    out[:] = items
    return out


def all_finite(values: Array) -> bool:
    """Whether a sum over the values says that all are finite, and their squares too.

    False may also mean that all are zero, or that finite values add up to infinity.
    """
    with np.errstate(invalid="ignore", over="ignore", under="ignore"):
        if values.ndim == 1:
            return TINY < values.dot(values) < math.inf
        return bool(np.isfinite(values.sum()))


def nan_rows(values: Array) -> Mask | None:
    """(n,) rows with a NaN, or None; one sum over the data when there is none."""
    if all_finite(values):
        return None
    rows: Mask = np.isnan(values)
    if rows.ndim == 2:
        rows = np.any(rows, axis=1)
    return rows if rows.any() else None


def level_text(level: Any) -> str:
    """A level as it reads in the name of a coefficient: whole floats without a point, as R writes them."""
    if isinstance(level, float) and level.is_integer() and abs(level) < 1e15:
        return str(int(level))
    return str(level)


def as_factor(value: Value) -> Factor:
    """A factor from any single-column value; the levels of a number are its sorted distinct values."""
    if isinstance(value, Factor):
        return value
    if isinstance(value, Matrix):
        raise TypeError("a matrix of columns has no levels")
    if value.logical:
        return logical_factor(value.values)
    return code_floats(value.values)


def as_number(value: Numeric | Factor) -> Array:
    """The number that a value is; levels that are numbers (or logical) count as those numbers."""
    if isinstance(value, Numeric):
        return value.values
    numbers = np.append(np.asarray(value.levels, dtype=np.float64), np.nan)
    return numbers[value.codes]


def logical_factor(values: Array) -> Factor:
    """Both levels are kept, also when one has no row: R codes logicals so."""
    missing = nan_rows(values)
    if missing is None:
        return Factor((values != 0).astype(np.intp), FALSE_TRUE)
    return Factor(np.where(missing, -1, values != 0).astype(np.intp), FALSE_TRUE)


def code_floats(values: Array) -> Factor:
    codes, levels = pd.factorize(values, sort=True)
    return Factor(codes.astype(np.intp, copy=False), np.asarray(levels).astype(object))


def code_integers(values: NDArray[Any], missing: Mask | None = None) -> Factor:
    """Codes of integers without passing through floats, so that identifiers beyond 2^53 stay apart."""
    if missing is not None:
        inner = code_integers(values[~missing])
        codes = np.full(len(values), -1, dtype=np.intp)
        codes[~missing] = inner.codes
        return Factor(codes, inner.levels)
    if len(values) == 0:
        return Factor(np.empty(0, dtype=np.intp), np.empty(0, dtype=object))
    low, high = int(values.min()), int(values.max())
    if high - low > 4 * len(values) + 1000 or high > np.iinfo(np.int64).max:
        codes, levels = pd.factorize(values, sort=True)
        return Factor(codes.astype(np.intp, copy=False), np.asarray(levels).astype(object))
    shifted = values.astype(np.intp) - low
    present = np.flatnonzero(np.bincount(shifted))
    position = np.empty(high - low + 1, dtype=np.intp)
    position[present] = np.arange(len(present))
    return Factor(position[shifted], (present + low).astype(object))


def code_texts(values: Any) -> Factor:
    """Codes of strings (an object array with None or NaN where missing, or a pandas string array), levels sorted by code point."""
    if len(values) < FEW:
        return _code_few(values)
    codes, levels = pd.factorize(values)
    return in_order(codes, np.asarray(levels, dtype=object).tolist())


def _code_few(values: Any) -> Factor:
    """The same by a dictionary, without the preparations of a hash table of arrays."""
    texts = np.asarray(values, dtype=object).tolist()
    place: dict[Any, int] = {}
    codes = [place.setdefault(text, len(place)) if isinstance(text, str) else -1 for text in texts]
    return in_order(np.array(codes, dtype=np.intp), list(place))


def in_order(codes: NDArray[Any], texts: list[str]) -> Factor:
    """The factor with these codes and levels, its levels sorted."""
    order = sorted(range(len(texts)), key=texts.__getitem__)  # half the time of sorting an object array
    position = np.full(len(texts) + 1, -1, dtype=np.intp)
    position[order] = np.arange(len(order))
    return Factor(position[codes], objects([texts[place] for place in order]))
