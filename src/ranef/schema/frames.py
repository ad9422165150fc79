"""The door: pandas, polars, Arrow, dicts, lazy tables and files all become columns by name, and only those that are asked for.

The user's data are never written to. A pandas frame takes a path of its own, without narwhals.
"""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ranef.errors import DataError
from ranef.schema.columns import Column, from_numpy, from_pandas


@dataclass(frozen=True, eq=False)
class Frame:
    """Columns by name: `read` makes one on demand, `load` limits a lazy source to the columns that are needed."""

    kind: str
    names: tuple[str, ...]
    size: int | None  # rows; None for a lazy source until it is loaded
    read: Callable[[str], Column]
    index: pd.Index | None = None
    load: Callable[[Sequence[str]], Frame] | None = None
    cache: dict[str, Column] = field(default_factory=dict)

    def column(self, name: str) -> Column:
        """The column, or DataError with the nearest names."""
        found = self.cache.get(name)
        if found is None:
            self.require(name)
            found = self.cache[name] = self.read(name)
        return found

    def require(self, name: str) -> None:
        """Raises DataError unless exactly one column has this name."""
        count = self.names.count(name)
        if count == 0:
            raise DataError(f"the data have no column {name!r}", hint=nearest(name, self.names))
        if count > 1:
            raise DataError(f"the data have {count} columns named {name!r}", hint="Rename or drop all but one.")

    def select(self, names: Iterable[str]) -> Frame:
        """The frame with the named columns at hand; only these are read from files and lazy tables."""
        if self.load is None:
            return self
        wanted = list(dict.fromkeys(names))
        for name in wanted:
            self.require(name)
        return replace(self.load(wanted or list(self.names[:1])), names=self.names)


def nearest(name: str, names: Iterable[str], what: str = "Columns") -> str:
    """A hint that offers the names most like `name`, and the whole list when it is short."""
    known = list(dict.fromkeys(names))
    folded = {_folded(other): other for other in reversed(known)}
    close = [folded[key] for key in difflib.get_close_matches(_folded(name), folded, n=3, cutoff=0.6)]
    guess = f"Did you mean {' or '.join(map(repr, close))}? " if close else ""
    if any(unicodedata.normalize("NFC", other) == unicodedata.normalize("NFC", name) for other in close):
        guess = f"The data spell {name!r} with other Unicode characters that look the same: copy the name from there. "
    shown = ", ".join(known[:20]) + (f", … ({len(known)} in all)" if len(known) > 20 else "")
    return f"{guess}{what}: {shown or 'none'}."


def _folded(name: str) -> str:
    return unicodedata.normalize("NFKC", name).casefold()


def open_frame(data: Any) -> Frame:
    """Whatever the user handed over, as a Frame.

    Raises DataError for things that are no table, and for columns of unequal length.
    """
    if isinstance(data, pd.DataFrame):
        return _pandas(data)
    if isinstance(data, Mapping):
        return _mapping(data)
    if isinstance(data, str | Path):
        from ranef.schema.files import open_file

        return open_file(data)
    if isinstance(data, np.ndarray) and data.dtype.names is not None:
        return _mapping({name: data[name] for name in data.dtype.names})
    if data is not None and not isinstance(data, np.ndarray | list | tuple | int | float):
        from ranef.schema.narwhal import open_native

        frame = open_native(data)
        if frame is not None:
            return frame
    raise DataError(
        f"cannot read data of type {type(data).__name__}",
        hint="Give a pandas or polars frame, an Arrow table, a dict of columns, or the name of a CSV or parquet file.",
    )


def _pandas(data: pd.DataFrame) -> Frame:
    columns = data.columns
    if isinstance(columns, pd.MultiIndex):
        raise DataError("the data frame has several levels of column names", hint="Flatten them to one name per column.")
    names = tuple(columns.to_numpy(dtype=object).tolist())
    plain = all(type(name) is str for name in names)
    label = None if plain else {str(name): name for name in names}

    def read(name: str) -> Column:
        return from_pandas(name, data[name if label is None else label[name]])

    return Frame("pandas", names if plain else tuple(map(str, names)), len(data), read, index=data.index)


def _mapping(data: Mapping[Any, Any]) -> Frame:
    columns = {str(name): values for name, values in data.items()}
    sizes = {name: _length(name, values) for name, values in columns.items()}
    if len(set(sizes.values())) > 1:
        listed = ", ".join(f"{name} {size}" for name, size in list(sizes.items())[:8])
        raise DataError(f"the columns have unequal lengths: {listed}")
    return Frame("dict", tuple(columns), next(iter(sizes.values()), 0), lambda name: _sequence(name, columns[name]))


def _length(name: str, values: Any) -> int:
    if isinstance(values, set | frozenset | Mapping):
        raise DataError(f"column {name!r} is a {type(values).__name__}, which has no order", hint="Give one value for each row.")
    if isinstance(values, str | bytes) or not hasattr(values, "__len__"):
        raise DataError(f"column {name!r} is a single value, not a column", hint="Give one value for each row.")
    return len(values)


def _sequence(name: str, values: Any) -> Column:
    """One entry of a dict: an array, a list, or a column of some frame."""
    if isinstance(values, np.ndarray):
        return from_numpy(name, values)
    if isinstance(values, pd.Series):
        return from_pandas(name, values)
    if isinstance(values, pd.api.extensions.ExtensionArray | pd.Index):
        return from_pandas(name, pd.Series(values))
    if not isinstance(values, list | tuple | range):
        from ranef.schema.narwhal import native_series

        found = native_series(name, values)
        if found is not None:
            return found
    items = list(values)
    if any(isinstance(item, list | tuple | dict | set | np.ndarray) for item in items):
        raise DataError(f"column {name!r} holds nested values, which no model here can use")
    series = pd.Series(items, dtype=object if any(isinstance(item, str | bool | int) for item in items) else None)
    return from_pandas(name, series)


def refuse_other_order(values: Any, index: pd.Index | None, what: str) -> None:
    """Raises DataError for a pandas series with the labels of the data in another order: by label or by row?"""
    if index is None or not isinstance(values, pd.Series) or values.index.equals(index):
        return
    if len(values) == len(index) and values.index.is_unique and index.is_unique and len(index.difference(values.index)) == 0:
        raise DataError(
            f"the series {what} has the index of the data in another order",
            hint="Give series.loc[data.index] to go by the labels, series.to_numpy() to go by row.",
        )


def aligned(values: Any, size: int, what: str, index: pd.Index | None = None) -> Any:
    """An array argument as (n,) floats, NaN where missing.

    Raises DataError when it is not one number for each row of the data.
    """
    refuse_other_order(values, index, what)
    column = _sequence(what, values) if hasattr(values, "__len__") and not isinstance(values, str) else None
    if column is None:
        raise DataError(f"{what} must be the name of a column or one number for each row, not {type(values).__name__}")
    if len(values) != size:
        raise DataError(f"{what} has {len(values)} values for {size} rows of data")
    return numbers_of(column, what)


def numbers_of(column: Column, what: str) -> Any:
    """The column as (n,) floats; DataError when it holds anything but numbers."""
    value = column.predictor
    if not hasattr(value, "values"):
        raise DataError(f"{what} must be numbers; column {column.name!r} holds text or categories")
    return value.values
