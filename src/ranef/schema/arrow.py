"""Columns of Arrow tables; dictionaries keep their order of levels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ranef.errors import DataError
from ranef.schema.columns import Column, plain_levels
from ranef.schema.values import Factor, code_texts, in_order

if TYPE_CHECKING:
    import pyarrow as pa


def from_arrow(name: str, chunks: pa.ChunkedArray) -> Column:
    """An Arrow column as a column of ours.

    Raises DataError for nested and binary values.
    """
    import pyarrow as pa
    from pyarrow import types

    kind = chunks.type
    if types.is_dictionary(kind):
        return Column(name, "factor", factor=_dictionary(name, chunks))
    if types.is_null(kind):
        return Column(name, "float", np.full(len(chunks), np.nan))
    if types.is_boolean(kind) or types.is_integer(kind):
        masked = chunks.is_null().to_numpy() if chunks.null_count else None
        values = chunks.fill_null(False if types.is_boolean(kind) else 0) if chunks.null_count else chunks
        return Column(name, "logical" if types.is_boolean(kind) else "integer", values.to_numpy(), masked)
    if types.is_floating(kind) or types.is_decimal(kind):
        return Column(name, "float", chunks.cast(pa.float64()).to_numpy())
    if types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind):
        return Column(name, "text", factor=in_order(*_parts(chunks.dictionary_encode())))
    if types.is_temporal(kind):
        return Column(name, "time", factor=code_texts(chunks.cast(pa.string()).to_numpy()))
    raise DataError(
        f"column {name!r} holds {kind} values, which no model here can use", hint="Give numbers, text, True/False or categories."
    )


def _parts(chunks: pa.ChunkedArray) -> tuple[np.ndarray, list[Any]]:
    """Codes (-1 where missing) and the dictionary of a dictionary column whose chunks may have dictionaries of their own."""
    import pyarrow as pa

    unified = chunks.unify_dictionaries()
    if unified.num_chunks == 0:
        return np.empty(0, dtype=np.intp), []
    array = unified.chunk(0) if unified.num_chunks == 1 else unified.combine_chunks()
    codes = array.indices.cast(pa.int64()).fill_null(-1).to_numpy(zero_copy_only=False).astype(np.intp)
    return codes, array.dictionary.to_pylist()


def _dictionary(name: str, chunks: pa.ChunkedArray) -> Factor:
    codes, values = _parts(chunks)
    empty = [place for place, value in enumerate(values) if value is None]
    if empty:
        kept = np.array([-1 if value is None else place for place, value in enumerate(values)] + [-1])
        return Factor(
            kept[codes], plain_levels(name, ["" if value is None else value for value in values]), chunks.type.ordered
        ).used()
    return Factor(codes, plain_levels(name, values), chunks.type.ordered)
