"""Frames that are neither pandas nor dicts, through narwhals: polars, pyarrow, duckdb, dask, ibis and what it learns next."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np

from ranef.errors import DataError
from ranef.schema.columns import Column, from_pandas, plain_levels
from ranef.schema.frames import Frame, open_frame
from ranef.schema.values import Factor, code_texts


def open_native(data: Any) -> Frame | None:
    """A Frame on any table that narwhals knows, or None.

    Raises DataError when the library behind the table and narwhals do not work together.
    """
    try:
        table = nw.from_native(data)
    except TypeError:
        return None
    except ImportError as problem:
        raise DataError(f"a table of type {type(data).__name__} cannot be read: {problem}", hint="Update narwhals.") from None
    if isinstance(table, nw.LazyFrame):
        return _lazy(table)
    kind = table.implementation.value
    if table.implementation.is_pandas():
        return open_frame(table.to_native())
    return _eager(table, kind)


def _eager(table: Any, kind: str) -> Frame:
    return Frame(kind, tuple(table.columns), len(table), lambda name: _column(name, table[name]))


def _lazy(table: Any) -> Frame:
    kind = table.implementation.value

    def load(names: Sequence[str]) -> Frame:
        return _eager(_run(kind, table.select(*names).collect), kind)

    names = tuple(_run(kind, table.collect_schema).names())
    return Frame(kind, names, None, lambda name: load([name]).column(name), load=load)


def _run(kind: str, query: Callable[[], Any]) -> Any:
    """The answer of the engine behind a lazy table; DataError for whatever it raises."""
    try:
        return query()
    except Exception as problem:
        raise DataError(f"the lazy {kind} table could not be read: {type(problem).__name__}: {problem}") from None


def native_series(name: str, values: Any) -> Column | None:
    """A column from a series of any library that narwhals knows, or None."""
    try:
        series = nw.from_native(values, series_only=True)
    except TypeError:
        return None
    return _column(name, series)


def _column(name: str, series: Any) -> Column:
    implementation = series.implementation
    if implementation.is_pyarrow():
        from ranef.schema.arrow import from_arrow

        return from_arrow(name, series.to_native())
    if implementation.is_pandas_like():
        return from_pandas(name, series.to_pandas())
    return _generic(name, series)


def _generic(name: str, series: Any) -> Column:
    """By the type that narwhals reports.

    Raises DataError for nested, binary and Python-object columns.
    """
    dtype = series.dtype
    masked = series.is_null().to_numpy() if series.null_count() else None
    if dtype.is_integer():
        return Column(name, "integer", (series if masked is None else series.fill_null(0)).to_numpy(), masked)
    if dtype.is_float() or dtype.is_decimal():
        return Column(name, "float", series.cast(nw.Float64()).to_numpy(), masked)
    if dtype == nw.Boolean:
        return Column(name, "logical", (series if masked is None else series.fill_null(False)).to_numpy(), masked)
    if dtype == nw.String:
        return Column(name, "text", series.to_numpy())
    if dtype == nw.Enum:
        return Column(name, "factor", factor=_enum(name, series))
    if dtype == nw.Categorical:
        return Column(name, "text", series.cast(nw.String()).to_numpy())
    if dtype.is_temporal():
        return Column(name, "time", factor=code_texts(series.cast(nw.String()).to_numpy()))
    if masked is not None and masked.all():
        return Column(name, "float", np.full(len(series), np.nan))
    raise DataError(
        f"column {name!r} holds {dtype} values, which no model here can use", hint="Give numbers, text, True/False or categories."
    )


def _enum(name: str, series: Any) -> Factor:
    """Codes in the order of the categories of the type."""
    levels = list(series.dtype.categories)
    found = code_texts(series.cast(nw.String()).to_numpy())
    place = {level: position for position, level in enumerate(levels)}
    codes = np.array([place[level] for level in found.levels] + [-1], dtype=np.intp)
    return Factor(codes[found.codes], plain_levels(name, levels))
