"""Small classics of mixed models, with their provenance. `load(name)` gives one, `describe()` says what there is.

>>> from ranef import datasets
>>> datasets.load("Dyestuff").shape
(30, 2)
"""

from __future__ import annotations

from typing import Any

from ranef.datasets.catalogue import CATALOGUE, Dataset
from ranef.datasets.reading import Columns, Factor, columns_of, text_of
from ranef.errors import DataError
from ranef.table import Table

__all__ = ["csv_text", "describe", "entry", "load", "names"]


def names() -> tuple[str, ...]:
    """The names that `load` knows."""
    return tuple(CATALOGUE)


def entry(name: str) -> Dataset:
    """What is known of a data set. Raises DataError, with the nearest name, where there is none called `name`."""
    if name in CATALOGUE:
        return CATALOGUE[name]
    from difflib import get_close_matches

    by_lower = {known.lower(): known for known in CATALOGUE}
    near = get_close_matches(str(name).lower(), by_lower, n=1)
    hint = f"Did you mean `{by_lower[near[0]]}`?" if near else "There are: " + ", ".join(CATALOGUE) + "."
    raise DataError(f"There is no embedded data set called `{name}`.", hint=hint)


def load(name: str, as_: str = "pandas") -> Any:
    """The data set called `name`.

    `as_` is "pandas" (categorical columns), "polars" (Enum columns), "arrow" (dictionary columns) or "dict" (NumPy arrays, factors
    as arrays of their labels). The order of levels is that of the R original; a pandas frame has the units of its columns in
    ``attrs["units"]``. Raises DataError for an unknown name or kind.

    Examples
    --------
    >>> import ranef
    >>> ranef.datasets.load("Dyestuff").head(2)
      Batch  Yield
    0     A   1545
    1     A   1440
    """
    makers = {"pandas": _pandas, "polars": _polars, "arrow": _arrow, "pyarrow": _arrow, "dict": _dict}
    if as_ not in makers:
        raise DataError(f'`as_` is "{as_}".', hint='It can be "pandas", "polars", "arrow" or "dict".')
    made = makers[as_](columns_of(entry(name)))
    if as_ == "pandas":
        made.attrs["units"] = {variable.name: variable.unit for variable in entry(name).variables if variable.unit}
    return made


def csv_text(name: str) -> str:
    """The data set as CSV text."""
    return text_of(entry(name))


def describe(name: str | None = None) -> Table:
    """The data sets, one a row; or the columns of the one called `name`.

    Examples
    --------
    >>> import ranef
    >>> ranef.datasets.describe("Dyestuff")
    Dyestuff: Yield of a dyestuff from five samples of each of six batches of an intermediate product
    Name   Kind    Unit  Meaning
    ------------------------------------------------------
    Batch  factor        batch of the intermediate product
    Yield  whole   g     yield of standard colour
    Source: Davies & Goldsmith (1972), Statistical Methods in Research and
    Production, 4th ed., table 6.1; as in R's lme4.
    Shows: the simplest model there is: how much of the variation lies between
    batches.
    A model for it: Yield ~ 1 + (1 | Batch)
    """
    if name is not None:
        return _variables(entry(name))
    sets = list(CATALOGUE.values())
    return Table(
        {"name": [s.name for s in sets], "formula": [s.formula for s in sets], "shows": [s.shows for s in sets]},
        title="Embedded data sets",
    )


def _variables(data: Dataset) -> Table:
    variables = data.variables
    columns: dict[str, list[str]] = {
        "name": [v.name for v in variables],
        "kind": [v.kind for v in variables],
        "unit": [v.unit for v in variables],
        "meaning": [v.meaning for v in variables],
    }
    beside = f" with sampling_variance={data.sampling_variance!r}" if data.sampling_variance else ""
    notes = (f"Source: {data.source}.", f"Shows: {data.shows}.", f"A model for it: {data.formula}{beside}")
    return Table(columns, title=f"{data.name}: {data.title}", notes=notes)


def _dict(columns: Columns) -> dict[str, Any]:
    return {name: column.labels() if isinstance(column, Factor) else column for name, column in columns.items()}


def _pandas(columns: Columns) -> Any:
    import pandas as pd

    def made(column: Any) -> Any:
        if not isinstance(column, Factor):
            return column
        return pd.Categorical.from_codes(column.codes, list(column.levels), column.ordered)

    return pd.DataFrame({name: made(column) for name, column in columns.items()})


def _polars(columns: Columns) -> Any:
    import polars as pl

    def made(name: str, column: Any) -> Any:
        if not isinstance(column, Factor):
            return pl.Series(name, column)
        return pl.Series(name, column.labels(), dtype=pl.String).cast(pl.Enum(list(column.levels)))

    return pl.DataFrame([made(name, column) for name, column in columns.items()])


def _arrow(columns: Columns) -> Any:
    import pyarrow as pa

    def made(column: Any) -> Any:
        if not isinstance(column, Factor):
            return pa.array(column)
        return pa.DictionaryArray.from_arrays(column.codes, list(column.levels), ordered=column.ordered)

    return pa.table({name: made(column) for name, column in columns.items()})
