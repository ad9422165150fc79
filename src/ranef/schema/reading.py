"""Everything that a formula reads from one table, on all of its rows: response, variables of terms, groups, offsets, weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ranef.design import Array
from ranef.errors import DataError, FormulaError
from ranef.formula.expression import Expression, Name
from ranef.formula.model import Formula
from ranef.formula.residual import ResidualFormula
from ranef.schema.collect import Needed, columns_of, needed_by
from ranef.schema.evaluate import Evaluator, UserFunctions, first_rows, text_of
from ranef.schema.frames import Frame, aligned, numbers_of
from ranef.schema.rows import Missing
from ranef.schema.sampling import refuse_unusable
from ranef.schema.values import Factor, Mask, Matrix, Numeric, Value, as_factor


@dataclass(frozen=True, eq=False)
class Reading:
    """Values by the text of their expression; `missing` and the checks look at all rows, `take` leaves the kept ones."""

    frame: Frame
    evaluator: Evaluator
    needed: Needed
    response_node: Expression
    response: Array
    terms: Mapping[str, Value]
    groups: Mapping[str, Factor]
    offsets: Mapping[str, Array]
    weights: Array | None = None
    offset: Array | None = None
    weights_name: str | None = None
    offset_name: str | None = None
    known: bool = False  # the weights are sampling variances

    states: Mapping[str, Any] = field(default_factory=dict)
    extras: Mapping[str, Value] = field(default_factory=dict)

    def take(self, kept: Mask) -> Reading:
        """The same on some of the rows."""
        return replace(
            self,
            response=self.response[kept],
            terms={text: value.take(kept) for text, value in self.terms.items()},
            groups={text: value.take(kept) for text, value in self.groups.items()},
            offsets={text: value[kept] for text, value in self.offsets.items()},
            weights=None if self.weights is None else self.weights[kept],
            offset=None if self.offset is None else self.offset[kept],
            extras={text: value.take(kept) for text, value in self.extras.items()},
        )

    def missing(self) -> Missing:
        """Missing values of everything that was read."""
        gone = Missing(len(self.response))
        gone.add_variable(text_of(self.response_node), self.response_node, Numeric(self.response), self._inputs)
        for text, node in (self.needed.variables()).items():
            gone.add_variable(text, node, self.terms[text], self._inputs)
        for text, node in self.needed.groups.items():
            gone.add_variable(text, node, self.groups[text], self._inputs)
        for text, node in self.needed.offsets.items():
            gone.add_variable(
                text if isinstance(node, Name) else f"offset({text})", node, Numeric(self.offsets[text]), self._inputs
            )
        for text, node in self.needed.extras.items():
            gone.add_variable(text, node, self.extras[text], self._inputs)
        gone.add_numbers(self.weights_name or ("sampling_variance" if self.known else "precision_weights"), self.weights)
        gone.add_numbers(self.offset_name or "offset", self.offset)
        return gone

    def _inputs(self, node: Expression) -> dict[str, Mask]:
        """Which rows each column behind an expression lacks."""
        found = {name: self.frame.column(name).missing() for name in columns_of([node], self.frame.names)}
        return {name: rows for name, rows in found.items() if rows is not None}

    def zero_weights(self, missing: Mask | None) -> Mask | None:
        """Rows of weight zero among the complete ones, or None.

        Raises DataError for negative or infinite weights, and for sampling variances that are not positive.
        """
        if self.weights is None:
            return None
        if self.known:
            refuse_unusable(self.weights, missing)
            return None
        bad = (self.weights < 0) | np.isinf(self.weights)
        if bad.any():
            raise DataError(
                f"the weights {self.weights_name or ''} are negative or infinite in row {first_rows(bad)}".replace("  ", " "),
                hint="Weights are precisions: the residual variance of a row is sigma^2 / weight.",
            )
        zero = self.weights == 0
        zero = zero if missing is None else zero & ~missing
        return zero if zero.any() else None

    def total_offset(self) -> Array | None:
        parts = [*self.offsets.values()] + ([] if self.offset is None else [self.offset])
        return np.sum(parts, axis=0) if parts else None


STEPLESS = ("un", "cor", "corh", "diag", "id", "cs", "csh", "ad", "adh")  # steps between visits mean nothing: dates are levels


@dataclass(frozen=True, eq=False)
class Arguments:
    """What is given beside formula and data, and the text that errors point into."""

    text: str
    weights: Any = None
    offset: Any = None
    functions: UserFunctions | None = None
    known: bool = False  # the weights are sampling variances
    residual: ResidualFormula | None = None


def read(formula: Formula, frame: Frame, given: Arguments) -> Reading:
    """Reads what the formula needs; raises DataError and FormulaError for what cannot be had."""
    weights, offset = given.weights, given.offset
    if formula.response is None:
        raise FormulaError("the formula has no response", text=given.text, start=0, stop=1, hint="Write: response ~ terms.")
    needed = needed_by(formula, given.residual)
    arguments = [name for name in (weights, offset) if isinstance(name, str)]
    frame = frame.select([*columns_of([formula.response, *needed.nodes()], frame.names), *arguments])
    if not frame.size:
        raise DataError("the data have no rows")
    evaluator = Evaluator(frame, given.text, functions=given.functions)
    extras = _of_residual(given, frame)
    terms, groups, offsets = evaluate_needed(needed, evaluator)
    return Reading(
        frame=frame, evaluator=evaluator, needed=needed,
        response_node=formula.response, response=response_of(formula.response, evaluator),
        terms=terms, groups=groups, offsets=offsets,
        weights=argument(frame, weights, "sampling_variance" if given.known else "precision_weights"), known=given.known,
        offset=argument(frame, offset, "offset"),
        weights_name=weights if isinstance(weights, str) else None, offset_name=offset if isinstance(offset, str) else None,
        states=evaluator.states, extras=extras,
    )  # fmt: skip


def _of_residual(given: Arguments, frame: Frame) -> dict[str, Value]:
    """What orders or scales the rows of a residual structure; errors, of its subject too, point into its own text."""
    if given.residual is None:
        return {}
    evaluator = Evaluator(frame, given.residual.text, functions=given.functions)
    for node in given.residual.groups():
        evaluator.group(node)
    out = {}
    for ordering in given.residual.orderings:
        for node in ordering.positions:
            dates = isinstance(node, Name) and ordering.word in STEPLESS and frame.column(node.name).kind == "time"
            out[text_of(node)] = evaluator.group(node) if dates else evaluator.variable(node)
    scales = (scaling.covariate for scaling in given.residual.scalings)
    return out | {text_of(node): evaluator.variable(node) for node in scales if node is not None}


def evaluate_needed(needed: Needed, evaluator: Evaluator) -> tuple[dict[str, Value], dict[str, Factor], dict[str, Array]]:
    """Values of the variables of terms, of groups and of offsets."""
    terms: dict[str, Value] = {}
    for text, node in (needed.variables()).items():
        value = evaluator.variable(node)
        terms[text] = as_factor(value) if isinstance(value, Numeric) and value.logical else value
    groups = {text: evaluator.group(node) for text, node in needed.groups.items()}
    return terms, groups, {text: offset_of(node, evaluator) for text, node in needed.offsets.items()}


def offset_of(node: Expression, evaluator: Evaluator) -> Array:
    value = evaluator.variable(node)
    if not isinstance(value, Numeric):
        raise evaluator.error(node, "an offset must be one number for each row")
    return value.values


def response_of(node: Expression, evaluator: Evaluator) -> Array:
    """(n,) a copy of the response; True and False count as 1 and 0.

    Raises DataError when it is text or categories.
    """
    value = evaluator.variable(node)
    if isinstance(value, Numeric):
        return np.array(value.values, dtype=np.float64)
    if isinstance(value, Matrix):
        raise evaluator.error(node, "the response must be one number for each row")
    what = "column" if isinstance(node, Name) else "expression"
    shown = ", ".join(map(repr, value.levels[:5].tolist()))
    raise DataError(
        f"the response {text_of(node)!r} is not numeric: the {what} has the levels {shown}", hint="A response must be numbers."
    )


def argument(frame: Frame, given: Any, what: str) -> Array | None:
    """Weights or an offset: by the name of a column, or as an array aligned with the rows."""
    if given is None:
        return None
    numbers: Array = (
        numbers_of(frame.column(given), what) if isinstance(given, str) else aligned(given, frame.size or 0, what, frame.index)
    )
    return numbers
