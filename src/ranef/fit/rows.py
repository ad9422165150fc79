"""Answers that have a value for each row, in the kind of frame that the user passed in and under the user's index."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ranef.design import Array
from ranef.errors import ModelError

if TYPE_CHECKING:
    from ranef.fit.fit import Fit


def has_rows(fit: Fit) -> bool:
    """False for a model that was loaded from a file: its data stayed where they were."""
    return fit.model.design.nobs == fit.nobs


def needs_rows(fit: Fit, what: str) -> None:
    """Raises ModelError for a model that was loaded from a file."""
    if not has_rows(fit):
        raise ModelError(
            f"{what} needs the rows that the model was fitted to, and a saved model holds no data.",
            hint="Fit the model again, or give predict() new data.",
        )


def aligned(values: Array, index: Any, frame: str, name: str) -> Any:
    """A pandas or polars Series, or an array where the data came as plain arrays."""
    if frame == "polars":
        import polars

        return polars.Series(name, values)
    if frame in ("pyarrow", "arrow"):
        import pyarrow

        return pyarrow.array(values)
    if frame == "dict":
        return values
    import pandas

    return pandas.Series(values, index=index, name=name)


def aligned_frame(columns: Mapping[str, Any], index: Any, frame: str) -> Any:
    """A frame of the user's kind, or a dict of arrays where the data came so."""
    if frame == "polars":
        import polars

        return polars.DataFrame(dict(columns))
    if frame in ("pyarrow", "arrow"):
        import pyarrow

        return pyarrow.table(dict(columns))
    if frame == "dict":
        return dict(columns)
    import pandas

    return pandas.DataFrame(dict(columns), index=index)


def row_labels(fit: Fit) -> dict[str, Any]:
    """The user's index of the rows used, or their positions in the data, under the name of the index or `row`."""
    rows = fit.model.rows
    if rows.index is not None:
        return {str(rows.index.name or "row"): rows.index.to_numpy()}
    return {"row": np.arange(rows.n_total) if rows.kept is None else np.flatnonzero(rows.kept)}


def data_used(fit: Fit) -> dict[str, Any]:
    """The columns of the data that the formula reads, in the rows used."""
    from ranef.schema.collect import columns_of, needed_by
    from ranef.schema.frames import open_frame

    formula = fit.model.schema.formula
    frame = open_frame(fit.model.recipe["data"])
    nodes = [node for node in (formula.response, *needed_by(formula).nodes()) if node is not None]
    names = columns_of(nodes, frame.names)
    frame, kept = frame.select(names), fit.model.rows.kept
    out = {}
    for name in names:
        column = frame.column(name)
        factor = column.factor
        values = np.asarray(column.values) if factor is None else factor.labels()
        out[name] = values if kept is None else values[kept]
    return out
