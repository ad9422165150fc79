"""New data through the door of a fit: the same columns, the same levels, the same knots."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import pandas as pd

from ranef.design import Array, Codes
from ranef.errors import DataError
from ranef.formula.expression import Expression, Name
from ranef.schema.coding import Variable
from ranef.schema.collect import Needed, columns_of, needed_by
from ranef.schema.encode import encode
from ranef.schema.evaluate import Evaluator, first_rows, text_of
from ranef.schema.frames import Frame, open_frame
from ranef.schema.grouping import match_levels, row_labels
from ranef.schema.model import Schema
from ranef.schema.reading import argument, offset_of, response_of
from ranef.schema.rows import refuse_infinite
from ranef.schema.values import Factor, Levels, Matrix, Numeric, Value, as_factor, level_text, nan_rows, objects


@dataclass(frozen=True, eq=False)
class NewTerm:
    """One random term on new rows: codes of the levels of the fit (-1 for others), columns (None for ones), labels of the rows."""

    codes: Codes
    z: Array | None
    labels: Levels

    def __iter__(self) -> Any:
        return iter((self.codes, self.z, self.labels))


@dataclass(frozen=True, eq=False)
class NewDesign:
    """New rows as the columns of the fit; NaN where something is missing."""

    X: Array  # (n, p)
    terms: tuple[NewTerm, ...]
    offset: Array | None
    index: pd.Index | None
    frame: str
    y: Array | None = None
    weights: Array | None = None

    @property
    def nobs(self) -> int:
        return len(self.X)


def apply_schema(
    schema: Schema,
    data: Any,
    *,
    response: bool = False,
    random: bool | Collection[int] = True,
    levels: Collection[int] | None = None,
    weights: Any = None,
    offset: Any = None,
    missing: Literal["keep", "raise"] = "keep",
) -> NewDesign:
    """The columns of the fit for new rows.

    response: also y (and the weights, when the fit took them from a column or `weights` gives them). random: the bars whose
    columns are wanted, all, none or by their places; levels: the bars whose grouping factors are wanted, those of `random` unless
    given. Other codes are -1 and need no columns of the data. offset: a column or an array, needed when the fit was given an
    array.

    Raises DataError for absent columns, for levels of a fixed factor that the fit has not seen, and, with missing="raise", for
    missing values.
    """
    if missing not in ("keep", "raise"):
        raise DataError(f'missing={missing!r} is not known; it is "keep" or "raise"')
    every = range(len(schema.formula.bars))
    chosen = set(random) if not isinstance(random, bool) else set(every if random else ())
    grouped = chosen if levels is None else set(levels)
    frame, needed = _open(schema, data, response=response, chosen=chosen, grouped=grouped, arguments=(weights, offset))
    evaluator = Evaluator(frame, schema.formula.text, states=schema.states, functions=schema.functions)
    values = {text: conform(schema.variables[text], node, evaluator) for text, node in needed.variables().items()}
    size = frame.size or 0
    X, _ = encode(schema.fixed, schema.variables, values, size)
    groups = {text: evaluator.group(node) for text, node in needed.groups.items()}
    terms = (
        tuple(_new_term(schema, i, values if i in chosen else None, groups if i in grouped else None, size) for i in every)
        if random
        else ()
    )
    y = response_of(schema.formula.response, evaluator) if response and schema.formula.response is not None else None
    found = NewDesign(
        X,
        terms,
        _offset(schema, needed, evaluator, offset),
        frame.index,
        frame.kind,
        y,
        _weights(schema, frame, weights, wanted=response),
    )
    if missing == "raise":
        _refuse_missing(found)
    return found


def _open(
    schema: Schema, data: Any, *, response: bool, chosen: Collection[int], grouped: Collection[int], arguments: tuple[Any, ...]
) -> tuple[Frame, Needed]:
    """The frame with the columns that are needed, and what is needed of the formula."""
    bars = schema.formula.bars
    columns = needed_by(replace(schema.formula, bars=tuple(bars[i] for i in chosen)))
    groups = needed_by(replace(schema.formula, bars=tuple(bars[i] for i in grouped)))
    needed = Needed(columns.fixed, columns.random, groups.groups, columns.offsets)
    nodes = [*needed.nodes(), *([schema.formula.response] if response and schema.formula.response is not None else [])]
    frame = open_frame(data)
    optional = [name for name in (schema.weights if response else None, schema.offset) if name in frame.names]
    named = [name for name in arguments if isinstance(name, str)]
    return frame.select([*columns_of(nodes, frame.names), *optional, *named]), needed


def conform(variable: Variable, node: Expression, evaluator: Evaluator) -> Value:
    """The value of a variable on new rows, its levels numbered as in the fit.

    Raises DataError for a level that the fit has not seen, and where the fit had numbers and the new data have text.
    """
    if variable.kind == "factor":
        value: Value = evaluator.group(node) if isinstance(node, Name) else evaluator.variable(node)
        if isinstance(value, Matrix):
            raise evaluator.error(node, "this had one column in the fit and has several in the new data")
        return _known_levels(variable, as_factor(value))
    value = evaluator.variable(node)
    expected = Matrix if variable.kind == "matrix" else Numeric
    if not isinstance(value, expected):
        raise DataError(f"{variable.text!r} was numeric in the fit and is not in the new data")
    if isinstance(value, Matrix) and value.labels != variable.labels:
        raise evaluator.error(
            node, f"this had {len(variable.labels)} columns in the fit and has {len(value.labels)} in the new data"
        )
    refuse_infinite(variable.text, value.values, None)
    return value


def _known_levels(variable: Variable, factor: Factor) -> Factor:
    places = match_levels(factor.levels, objects(variable.levels))
    codes = places[factor.codes]
    unknown = (codes < 0) & (factor.codes >= 0)
    if unknown.any():
        new = sorted({level_text(factor.levels[code]) for code in np.unique(factor.codes[unknown])})
        known = ", ".join(map(level_text, variable.levels[:20])) + (", …" if len(variable.levels) > 20 else "")
        raise DataError(
            f"{variable.text!r} has the level {', '.join(map(repr, new[:5]))} in row {first_rows(unknown)}, "
            "which was not in the data of the fit",
            hint=f"Known levels: {known}.",
        )
    return Factor(codes, objects(variable.levels))


def _new_term(
    schema: Schema, place: int, values: Mapping[str, Value] | None, groups: Mapping[str, Factor] | None, size: int
) -> NewTerm:
    codings = schema.bars[place]
    z = None if codings == ((),) or values is None else encode(codings, schema.variables, values, size)[0]
    if groups is None:
        return NewTerm(np.full(size, -1, dtype=np.intp), z, np.full(size, None, dtype=object))
    texts = tuple(map(text_of, schema.formula.bars[place].group))
    factors = [groups[text] for text in texts]
    return NewTerm(schema.groups[":".join(texts)].codes_of(factors), z, row_labels(factors))


def _offset(schema: Schema, needed: Needed, evaluator: Evaluator, given: Any) -> Array | None:
    """The sum of the offsets of the formula and of the argument."""
    parts = [offset_of(node, evaluator) for node in needed.offsets.values()]
    if given is None and schema.loose_offset:
        raise DataError(
            "the fit was given an offset as an array, so new data need one too", hint="Give offset= one number for each new row."
        )
    extra = argument(evaluator.frame, schema.offset if given is None else given, "offset")
    parts += [] if extra is None else [extra]
    return np.sum(parts, axis=0) if parts else None


def _weights(schema: Schema, frame: Frame, given: Any, *, wanted: bool) -> Array | None:
    if given is None and wanted and schema.weights in frame.names:
        given = schema.weights
    return argument(frame, given, "precision_weights")


def _refuse_missing(found: NewDesign) -> None:
    blocks = [found.X, found.offset, found.y, *(term.z for term in found.terms)]
    rows = np.zeros(found.nobs, dtype=bool)
    for block in blocks:
        where = None if block is None else nan_rows(block)
        rows |= False if where is None else where
    for term in found.terms:
        rows |= np.array([label is None for label in term.labels])
    if rows.any():
        raise DataError(f"values that the model needs are missing in row {first_rows(rows)} of the new data")
