"""Subjects by cells: the wide table that a repeated-measures analysis thinks in, from long data."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ranef.covariance.base import Array
from ranef.errors import DataError, ModelError
from ranef.schema.frames import open_frame
from ranef.schema.values import Factor

Index = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Cells:
    """`Y` (n, c) holds the mean of each subject in each combination of the within factors, NaN where there is none."""

    dv: str
    subject: str
    within: tuple[str, ...]
    between: tuple[str, ...]
    within_sizes: tuple[int, ...]
    between_sizes: tuple[int, ...]
    Y: Array
    groups: Index  # (n, number of between factors) the level of each subject
    averaged: int  # rows beyond one in a cell
    frame_kind: str

    @property
    def complete(self) -> bool:
        """Has every subject every cell, and every combination of the between factors a subject?"""
        if not np.all(np.isfinite(self.Y)):
            return False
        found = {tuple(row) for row in self.groups.tolist()}
        return len(found) == int(np.prod(self.between_sizes, dtype=int))

    @property
    def levels(self) -> int:
        return int(np.prod(self.within_sizes, dtype=int))


def read_cells(data: Any, dv: str, subject: str, within: Sequence[str], between: Sequence[str]) -> Cells:
    """Raises DataError for unknown columns, a response that is no number and between factors that change within a subject;
    ModelError for a factor with one level."""
    names = [dv, subject, *within, *between]
    frame = open_frame(data).select(names)
    y = np.asarray(frame.column(dv).values, dtype=float) if frame.column(dv).kind in ("integer", "float") else None
    if y is None:
        raise DataError(f"The response {dv!r} is not a number.")
    masked = frame.column(dv).missing()
    who, inside, outside = (_factor(frame, subject), [_factor(frame, n) for n in within], [_factor(frame, n) for n in between])
    used = np.isfinite(y) & np.all([f.codes >= 0 for f in (who, *inside, *outside)], axis=0)
    if masked is not None:
        used &= ~masked
    return _table(frame.kind, y[used], names, [_used(f, used) for f in (who, *inside, *outside)], len(within))


def as_factors(cells: Cells, data: Any) -> Any:
    """The columns of the analysis as a pandas frame in which subjects and factors are categories, also where they are numbers."""
    import pandas as pd

    names = (cells.subject, *cells.within, *cells.between)
    frame = open_frame(data).select([cells.dv, *names])
    out = {cells.dv: np.asarray(frame.column(cells.dv).values, dtype=float)}
    for name in names:
        factor = _factor(frame, name)
        out[name] = pd.Categorical.from_codes(factor.codes, [str(level) for level in factor.levels])
    return pd.DataFrame(out)


def _factor(frame: Any, name: str) -> Factor:
    found: Factor = frame.column(name).levels
    return found


def _used(factor: Factor, used: NDArray[np.bool_]) -> tuple[Index, int]:
    """Codes of the used rows among the levels that occur in them, in the order of the levels."""
    present, codes = np.unique(factor.codes[used], return_inverse=True)
    return codes.astype(np.intp), len(present)


def _table(kind: str, y: Array, names: Sequence[str], factors: list[tuple[Index, int]], inner: int) -> Cells:
    dv, subject, *rest = names
    within, between = tuple(rest[:inner]), tuple(rest[inner:])
    (who, n), inside, outside = factors[0], factors[1 : 1 + inner], factors[1 + inner :]
    for name, (_, size) in zip(rest, factors[1:], strict=True):
        if size < 2:
            raise ModelError(f"The factor {name!r} has one level in the rows used, so it has no effect to test.")
    sizes = tuple(size for _, size in inside)
    cell = np.ravel_multi_index([codes for codes, _ in inside], sizes) if inside else np.zeros(len(y), dtype=np.intp)
    c = int(np.prod(sizes, dtype=int))
    place = who * c + cell
    counts = np.bincount(place, minlength=n * c)
    with np.errstate(invalid="ignore"):
        Y = (np.bincount(place, weights=y, minlength=n * c) / counts).reshape(n, c)
    groups = np.zeros((n, len(outside)), dtype=np.intp)
    for i, (name, (codes, _)) in enumerate(zip(between, outside, strict=True)):
        groups[who, i] = codes
        if np.any(groups[who, i] != codes):
            raise DataError(f"{name!r} changes within a subject, so it is no between-subject factor.", hint="Give it as within=.")
    averaged = int(np.sum(np.maximum(counts - 1, 0)))
    return Cells(dv, subject, within, between, sizes, tuple(size for _, size in outside), Y, groups, averaged, kind)


def subsets(names: Sequence[str]) -> list[tuple[str, ...]]:
    """All of them, the empty one first, by size."""
    return [chosen for size in range(len(names) + 1) for chosen in itertools.combinations(names, size)]
