"""Which rows are used, and why others are not: one mask over response, terms, groups, weights and offset."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from ranef.design import Array
from ranef.errors import DataError
from ranef.formula.expression import Expression, Name
from ranef.schema.evaluate import first_rows
from ranef.schema.values import Factor, Mask, Value, all_finite, nan_rows

LARGEST, SMALLEST = 1e140, 1e-140  # whose squares, summed over all rows there can be, are floats


@dataclass(frozen=True, eq=False)
class Rows:
    """The rows of the data that the design holds.

    `kept` is None when all are. `missing` counts missing values by column, `created` those that a transform made (log of a negative
    number), `unused_levels` the levels that no row has.
    """

    n_total: int
    kept: Mask | None = None
    index: pd.Index | None = None
    missing: Mapping[str, int] = field(default_factory=dict)
    created: Mapping[str, int] = field(default_factory=dict)
    unused_levels: Mapping[str, int] = field(default_factory=dict)
    zero_weights: int = 0
    frame: str = "pandas"

    @property
    def n_kept(self) -> int:
        return self.n_total if self.kept is None else int(np.count_nonzero(self.kept))


class Missing:
    """Collects the missing rows of one table, variable by variable."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.rows: Mask | None = None
        self.counts: dict[str, int] = {}
        self.created: dict[str, int] = {}
        self.first: dict[str, str] = {}
        self.suspects: list[tuple[str, Array]] = []

    def add(self, name: str, rows: Mask | None) -> None:
        """A column with these missing rows."""
        if rows is not None:
            self._count(self.counts, name, rows)
            self.rows = rows if self.rows is None else self.rows | rows

    def add_numbers(self, name: str, values: Array | None) -> None:
        """An argument that holds numbers, if it was given."""
        if values is not None:
            self.add(name, self._missing_numbers(name, values))

    def _missing_numbers(self, text: str, values: Array) -> Mask | None:
        """Missing rows; numbers whose sum is not finite are kept for a look at infinities, the others never looked at again."""
        if all_finite(values):
            return None
        self.suspects.append((text, values))
        return nan_rows(values)

    def add_variable(self, text: str, node: Expression, value: Value, inputs: Callable[[Expression], Mapping[str, Mask]]) -> None:
        """The value of an expression; what its columns lack is theirs, and the rest was created by the transform."""
        if isinstance(value, Factor):
            rows = value.missing()
        else:
            rows = self._missing_numbers(text, value.values)
        if rows is None:
            return
        if isinstance(node, Name):
            self.add(text, rows)
            return
        lacking = inputs(node)
        for name, where in lacking.items():
            self.add(name, where & rows)
        created = rows & ~np.logical_or.reduce([*lacking.values(), np.zeros_like(rows)])
        if created.any():
            self._count(self.created, text, created)
        self.rows = rows if self.rows is None else self.rows | rows

    def _count(self, counts: dict[str, int], name: str, rows: Mask) -> None:
        counts[name] = int(np.count_nonzero(rows))
        self.first.setdefault(name, first_rows(rows))

    def summary(self) -> str:
        parts = [f"{count} in {name!r}" for name, count in self.counts.items()]
        return ", ".join(parts + [f"{count} created by {text}" for text, count in self.created.items()])

    def refuse(self) -> None:
        """Raises DataError when anything is missing, with the columns and their first rows."""
        if self.rows is not None:
            where = "; ".join(f"{name!r} in row {rows}" for name, rows in self.first.items())
            raise DataError(f"values are missing: {where}", hint='missing="drop" leaves these rows out.')

    def refuse_infinite(self, kept: Mask | None) -> None:
        """Raises DataError for infinite numbers in the rows that are kept."""
        for text, values in self.suspects:
            refuse_infinite(text, values, kept)

    def keep(self, also_dropped: Mask | None = None) -> Mask | None:
        """(n,) the rows that remain, or None for all.

        Raises DataError when none remains.
        """
        dropped = self.rows if also_dropped is None else also_dropped if self.rows is None else self.rows | also_dropped
        if dropped is None:
            return None
        if dropped.all():
            weights = "" if also_dropped is None else f"; {np.count_nonzero(also_dropped)} rows have weight zero"
            raise DataError(f"no row of {self.size} is complete: missing values: {self.summary() or 'none'}{weights}")
        return ~dropped


def refuse_extreme(text: str, values: Array) -> None:
    """Raises DataError where the squares of finite numbers are no floats."""
    finite = np.abs(values[np.isfinite(values)])
    largest = float(finite.max(initial=0.0))
    if largest > LARGEST or 0.0 < largest < SMALLEST:
        raise DataError(
            f"{text} is as large as {largest:.3g}, whose square is no number", hint="Use a unit that gives numbers nearer to one."
        )


def refuse_infinite(text: str, values: Array, kept: Mask | None) -> None:
    """Raises DataError when a number in a row that is used is infinite."""
    if all_finite(values):
        return
    refuse_extreme(text, values if kept is None else values[kept])
    rows: Mask = np.isinf(values)
    if rows.ndim == 2:
        rows = np.any(rows, axis=1)
    rows = rows if kept is None else rows & kept
    if rows.any():
        raise DataError(
            f"{text} is infinite in row {first_rows(rows)}",
            hint="Correct these values, or mark them as missing; a logarithm of zero gives infinity, too.",
        )
