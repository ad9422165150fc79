"""The variables behind the fixed part: which are factors, with which levels, and how often these occur in the rows used.

A numeric column counts as a factor where the formula makes it one, as in `factor(week)`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ranef.design import Array, Codes
from ranef.formula.expression import Call, Expression, Name, Operation, Sequence
from ranef.schema.collect import columns_of
from ranef.schema.frames import open_frame
from ranef.schema.levels import FACTOR_FUNCTIONS
from ranef.schema.model import Schema
from ranef.schema.values import Factor, Mask, Numeric, as_factor

FEW = 2  # a numeric column with at most so many values is not replaced by its mean
MANY = 10  # nor is one with at most so many that means are asked for by name


@dataclass(frozen=True, eq=False)
class Predictor:
    """One column of the data in the rows used. A factor has `levels` and `codes` (-1 where missing); numbers have `values`."""

    name: str
    levels: tuple[Any, ...] | None
    codes: Codes | None = None
    values: Array | None = None

    @property
    def is_factor(self) -> bool:
        return self.levels is not None

    @cached_property
    def distinct(self) -> tuple[float, ...]:
        """Up to MANY + 1 different numbers, in order; more are cut off."""
        assert self.values is not None
        first = self.values[:1000]
        found = np.unique(first[~np.isnan(first)])
        if len(found) <= MANY:
            found = np.unique(self.values[~np.isnan(self.values)])
        return tuple(found[: MANY + 1].tolist())

    def column(self, levels: Iterable[Any]) -> NDArray[Any]:
        """Levels as a column of new data: numbers as floats, others as objects."""
        chosen = list(levels)
        if all(isinstance(level, int | float | np.number) and not isinstance(level, bool) for level in chosen):
            return np.array(chosen, dtype=np.float64)
        if all(isinstance(level, bool | np.bool_) for level in chosen):
            return np.array(chosen, dtype=bool)
        return np.array(chosen, dtype=object)


def predictors(schema: Schema, data: Any, kept: Mask | None) -> dict[str, Predictor]:
    """The predictors of the fixed part, offsets included, in the order in which the formula names them."""
    nodes = [*(node for term in schema.formula.fixed for node in term.factors), *schema.formula.offsets]
    nodes.sort(key=lambda node: node.start)
    frame = open_frame(data)
    names = columns_of(nodes, frame.names)
    frame, factors = frame.select(names), set(_made_factors(nodes))
    out = {}
    for name in names:
        column = frame.column(name)
        value = column.levels if name in factors and column.kind != "logical" else column.predictor
        out[name] = _predictor(name, value if kept is None else value.take(kept), schema)
    return out


def _predictor(name: str, value: Numeric | Factor, schema: Schema) -> Predictor:
    if isinstance(value, Numeric) and not value.logical:
        return Predictor(name, None, values=value.values)
    factor = as_factor(value)
    if not factor.logical:
        factor = factor.used()
    variable = schema.variables.get(name)
    if variable is not None and variable.kind == "factor" and set(variable.levels) <= set(factor.levels):
        place = {level: code for code, level in enumerate(variable.levels)}
        position = np.array([place.get(level, -1) for level in factor.levels] + [-1], dtype=np.intp)
        return Predictor(name, variable.levels, codes=position[factor.codes])
    return Predictor(name, tuple(factor.levels.tolist()), codes=factor.codes)


def _made_factors(nodes: Iterable[Expression]) -> Iterator[str]:
    """Columns that are arguments of `factor(...)` and its kin."""
    for node in nodes:
        if isinstance(node, Call):
            first = node.arguments[0] if node.arguments else None
            if node.function in FACTOR_FUNCTIONS and isinstance(first, Name):
                yield first.name
            yield from _made_factors((*node.arguments, *(value for _, value in node.keywords)))
        elif isinstance(node, Operation | Sequence):
            yield from _made_factors(node.operands if isinstance(node, Operation) else node.items)


def base_terms(schema: Schema, names: Mapping[str, Predictor]) -> tuple[frozenset[str], ...]:
    """The terms of the fixed part, each as the set of the columns that it reads."""
    return tuple(frozenset(columns_of(term.factors, names)) for term in schema.formula.fixed)
