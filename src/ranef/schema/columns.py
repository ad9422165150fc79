"""A column as it came through the door: what kind it is, before a formula says how it is used.

The same integers are numbers in `x` and exact labels in `(1 | x)`; a date is a label but no number.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import pandas as pd

from ranef.errors import DataError
from ranef.schema.values import Factor, Mask, Numeric, code_floats, code_integers, code_texts, logical_factor, nan_rows, objects

EXACT_UP_TO = 2**53  # every whole number up to here is a float
Kind = Literal["integer", "float", "logical", "factor", "text", "time"]


@dataclass(frozen=True, eq=False)
class Column:
    """`values` by kind: numbers, logicals, strings (also for times), or None for a ready `factor`; masked entries are arbitrary."""

    name: str
    kind: Kind
    values: Any = None
    masked: Mask | None = None
    factor: Factor | None = None

    @cached_property
    def predictor(self) -> Numeric | Factor:
        """The column as a variable of a term.

        Raises DataError for dates and times, whose unit the package would have to guess.
        """
        if self.kind == "time":
            raise DataError(
                f"column {self.name!r} holds dates or times, which cannot be predictors or responses as they are",
                hint="Turn it into a number in a unit of your choice (days since the start, say), or into text for levels.",
            )
        if self.kind in ("factor", "text"):
            return self.levels
        if self.kind == "integer":
            self._refuse_merged()
        return Numeric(self._numbers(), logical=self.kind == "logical")

    def _refuse_merged(self) -> None:
        """Raises DataError where different whole numbers become the same float."""
        if self.masked is not None or not len(self.values):
            return
        if max(-int(self.values.min()), int(self.values.max())) <= EXACT_UP_TO:
            return
        if len(np.unique(self.values)) > len(np.unique(self._numbers())):
            raise DataError(
                f"column {self.name!r} holds whole numbers that differ only beyond the 53 bits of a float",
                hint="Subtract a constant, such as the smallest value, before the fit.",
            )

    @cached_property
    def levels(self) -> Factor:
        """The column as a grouping factor."""
        if self.factor is not None:
            return self.factor
        if self.kind == "integer":
            return code_integers(self.values, self.masked)
        if self.kind == "float":
            return code_floats(self._numbers())
        if self.kind == "logical":
            return logical_factor(self._numbers())
        return code_texts(self.values)

    def missing(self) -> Mask | None:
        """(n,) the rows without a value, or None."""
        return nan_rows(self._numbers()) if self.kind in ("integer", "float", "logical") else self.levels.missing()

    def _numbers(self) -> Any:
        numbers = np.asarray(self.values, dtype=np.float64)
        if self.masked is not None and self.masked.any():
            numbers = np.where(self.masked, np.nan, numbers)
        return numbers


def from_pandas(name: str, series: pd.Series) -> Column:
    """A pandas column, whatever its storage.

    Raises DataError for complex numbers, nested values and mixtures of text and numbers.
    """
    dtype = series.dtype
    if isinstance(dtype, np.dtype):
        return from_numpy(name, series.to_numpy())
    if isinstance(dtype, pd.CategoricalDtype):
        return Column(name, "factor", factor=_categories(name, series.array))
    if isinstance(dtype, pd.StringDtype):
        return Column(name, "text", series.array)
    if isinstance(dtype, pd.ArrowDtype):
        import pyarrow as pa

        from ranef.schema.arrow import from_arrow

        return from_arrow(name, pa.chunked_array([pa.array(series.array)]))
    if isinstance(dtype, pd.SparseDtype):
        return from_numpy(name, np.asarray(series))
    if getattr(dtype, "kind", "O") in "iufb":
        masked = series.isna().to_numpy()
        values = series.to_numpy(dtype=dtype.numpy_dtype, na_value=0)
        return _numeric(name, values, masked if masked.any() else None)
    return _times(name, series)


def from_numpy(name: str, values: np.ndarray) -> Column:
    """A one-dimensional array as a column."""
    if values.ndim != 1:
        raise DataError(f"column {name!r} has {values.ndim} dimensions; a column is a one-dimensional array")
    kind = values.dtype.kind
    if kind in "iufb":
        return _numeric(name, values, None)
    if kind in "US":
        return Column(name, "text", values.astype(str).astype(object))
    if kind in "Mm":
        return _times(name, pd.Series(values))
    if kind == "O":
        return _objects(name, values)
    raise DataError(
        f"column {name!r} holds {_spoken(values.dtype)}, which no model here can use", hint="Give real numbers, text or categories."
    )


def _numeric(name: str, values: np.ndarray, masked: Mask | None) -> Column:
    kinds: dict[str, Kind] = {"i": "integer", "u": "integer", "f": "float", "b": "logical"}
    return Column(name, kinds[values.dtype.kind], values, masked)


def _objects(name: str, values: np.ndarray) -> Column:
    """A column of Python objects: what they all are, missing ones apart."""
    found = pd.api.types.infer_dtype(values, skipna=True)
    readers: dict[str, Callable[[], Column]] = {
        "string": lambda: Column(name, "text", values),
        "empty": lambda: Column(name, "float", np.full(len(values), np.nan)),
        "boolean": lambda: _objects_of(name, values, np.bool_),
        "integer": lambda: _objects_of(name, values, np.int64),
        "floating": lambda: Column(name, "float", pd.Series(values).astype(np.float64).to_numpy()),
        "decimal": lambda: Column(name, "float", pd.Series([np.nan if pd.isna(v) else float(v) for v in values]).to_numpy()),
    }
    readers["mixed-integer-float"] = readers["floating"]
    readers |= dict.fromkeys(
        ("datetime", "datetime64", "date", "time", "timedelta", "period"), lambda: _times(name, pd.Series(values))
    )
    if found not in readers:
        kinds = sorted({type(value).__name__ for value in values[:10_000] if value is not None})
        raise DataError(
            f"column {name!r} mixes values that no model can use together: {', '.join(kinds[:6])}",
            hint="Give each column one kind of value: numbers, text, True/False, or categories.",
        )
    return readers[found]()


def _objects_of(name: str, values: np.ndarray, dtype: Any) -> Column:
    masked = np.asarray(pd.isna(values), dtype=bool)
    try:
        plain = np.where(masked, dtype(0), values).astype(dtype)
    except OverflowError:  # too large for 64 bits: a float where a number is meant, a text where a level is
        texts = np.array([None if gone else str(value) for value, gone in zip(values, masked, strict=True)], dtype=object)
        numbers = np.array([np.nan if gone else float(value) for value, gone in zip(values, masked, strict=True)])
        return Column(name, "float", numbers, factor=code_texts(texts))
    return _numeric(name, plain, masked if masked.any() else None)


def _times(name: str, series: pd.Series) -> Column:
    values = series.astype(str).to_numpy(dtype=object)
    return Column(name, "time", np.where(series.isna().to_numpy(), None, values))


def _categories(name: str, array: Any) -> Factor:
    levels = plain_levels(name, array.categories.to_numpy(dtype=object))
    return Factor(np.asarray(array.codes, dtype=np.intp), levels, bool(array.ordered))


def plain_levels(name: str, levels: Any) -> Any:
    """Levels as plain Python strings, numbers or logicals, the only ones that a saved model can hold; others by their text.

    Raises DataError when two levels read the same.
    """
    plain = [level.item() if isinstance(level, np.generic) else level for level in levels]
    plain = [level if isinstance(level, str | int | float | bool) else str(level) for level in plain]
    if len(set(plain)) < len(plain):
        raise DataError(f"column {name!r} has different levels that read the same")
    return objects(plain)


def _spoken(dtype: np.dtype) -> str:
    return {"c": "complex numbers", "V": "records"}.get(dtype.kind, f"values of type {dtype}")
