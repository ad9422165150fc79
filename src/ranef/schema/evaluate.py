"""From an expression of the formula to values: names are columns, calls come from closed tables, nothing is executed as Python."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ranef.design import Array
from ranef.errors import DataError, FormulaError
from ranef.formula import expression_text
from ranef.formula.expression import Call, Expression, Literal, Name, Operation, Sequence
from ranef.schema.clusters import CLUSTER_FUNCTIONS
from ranef.schema.frames import Frame, nearest
from ranef.schema.functions import ARITHMETIC, COMPARISONS, ELEMENTWISE, LOGIC
from ranef.schema.levels import FACTOR_FUNCTIONS
from ranef.schema.related import RELATED_FUNCTIONS
from ranef.schema.transforms import STATEFUL, Stateful, TransformError
from ranef.schema.values import Factor, Matrix, Numeric, Value, as_factor, as_number, nan_rows

UserFunctions = Mapping[str, Callable[..., Any]]


def text_of(node: Expression) -> str:
    """The name that a variable has in the model."""
    if type(node) is Name and node.name.isidentifier():
        return node.name
    return expression_text(node)


class Evaluator:
    """Evaluates the expressions of one formula on one frame, each distinct one once.

    With `states` None the stateful transforms are fitted and their state is kept in `states`; else the given states are applied.
    """

    def __init__(
        self, frame: Frame, text: str, *, states: Mapping[str, Any] | None = None, functions: UserFunctions | None = None
    ) -> None:
        self.frame, self.text = frame, text
        self.fitting = states is None
        self.states: dict[str, Any] = dict(states or {})
        self.functions = dict(functions or {})

    def variable(self, node: Expression) -> Value:
        """The value of a variable of a term: one entry (or row of a matrix) for each row of the data."""
        if type(node) is Name:
            return self.column(node)
        with np.errstate(all="ignore"):
            value = self.evaluate(node)
        if isinstance(value, Numeric | Matrix | Factor):
            return value
        if isinstance(value, bool | int | float):
            return Numeric(np.full(self.frame.size or 0, float(value)))
        raise self.error(node, "this is no variable")

    def group(self, node: Expression) -> Factor:
        """The value of a grouping variable; integers keep their exact values as levels."""
        if type(node) is Name:
            return self._column(node).levels
        value = self.variable(node)
        if isinstance(value, Matrix):
            raise self.error(node, "a grouping factor cannot have several columns")
        return as_factor(value)

    def column(self, node: Name) -> Value:
        return self._column(node).predictor

    def _column(self, node: Name) -> Any:
        try:
            return self.frame.column(node.name)
        except DataError as problem:
            if node.stop > node.start:
                caret = f"  {self.text}\n  {' ' * node.start}{'^' * (node.stop - node.start)}"
                raise DataError(f"{problem.message}\n{caret}", hint=problem.hint) from None
            raise

    def evaluate(self, node: Expression) -> Any:
        """A Value, or the Python value of a constant."""
        if isinstance(node, Name):
            if node.name == "pi" and "pi" not in self.frame.names:
                return math.pi
            return self.column(node)
        if isinstance(node, Literal):
            return node.value
        if isinstance(node, Sequence):
            return [self.constant(item) for item in node.items]
        if isinstance(node, Operation):
            return self._operation(node)
        if isinstance(node, Call):
            return self._call(node)
        raise self.error(node, "this cannot be evaluated")

    def constant(self, node: Expression) -> Any:
        """The value of an argument that must not depend on the data."""
        value = self.evaluate(node)
        if isinstance(value, Numeric | Matrix | Factor):
            raise self.error(node, "this argument must be a constant, not a column")
        return value

    def number(self, node: Expression) -> Any:
        """An operand of arithmetic: an array of numbers, or a number."""
        value = self.evaluate(node)
        if isinstance(value, Numeric):
            return value.values
        if isinstance(value, bool | int | float):
            return float(value)
        found = {Factor: "a factor", Matrix: "several columns", str: "text", list: "a list"}.get(type(value), "nothing")
        raise self.error(node, f"arithmetic needs numbers, and this is {found}")

    def _operation(self, node: Operation) -> Any:
        operator = node.operator
        if operator in COMPARISONS:
            return self._comparison(node)
        operands = [self.number(operand) for operand in node.operands]
        if len(operands) == 1:
            if operator == "!":
                return _logical(np.equal, [operands[0], 0.0])
            return _numeric(-operands[0] if operator == "-" else operands[0])
        if operator in LOGIC:
            return _logical(LOGIC[operator], operands)
        if operator not in ARITHMETIC:
            raise self.error(node, f"unknown operator {operator!r}")
        return _numeric(ARITHMETIC[operator](*operands))

    def _comparison(self, node: Operation) -> Any:
        left, right = (self.evaluate(operand) for operand in node.operands)
        if isinstance(left, Factor) or isinstance(right, Factor):
            factor, level = (left, right) if isinstance(left, Factor) else (right, left)
            if isinstance(level, str) and node.operator in ("==", "!="):
                return _compare_level(factor, level, equal=node.operator == "==")
            if not isinstance(level, Numeric | Matrix | Factor | str) and node.operator in ("==", "!=") and _all_numbers(factor):
                return _logical(COMPARISONS[node.operator], [as_number(factor), float(level)])
            raise self.error(node, "a factor can only be compared with one of its levels, by == or !=")
        operands = [self.number(operand) for operand in node.operands]
        return _logical(COMPARISONS[node.operator], operands)

    def _call(self, node: Call) -> Any:
        name = node.function.rsplit("::", 1)[-1]
        if name in self.functions:
            return self._user(node, self.functions[name])
        if name == "I":
            return self.evaluate(self._only(node))
        if name in ELEMENTWISE:
            return self._elementwise(node, *ELEMENTWISE[name])
        if name in STATEFUL:
            return self._stateful(node, STATEFUL[name])
        for table in (FACTOR_FUNCTIONS, CLUSTER_FUNCTIONS, RELATED_FUNCTIONS):
            if name in table:
                return table[name](self, node)
        known = sorted({*self.functions, *ELEMENTWISE, *STATEFUL, *FACTOR_FUNCTIONS, *CLUSTER_FUNCTIONS, "I", "offset"})
        raise self.error(node, f"unknown function {node.function!r}", nearest(name, known, "Functions"))

    def _only(self, node: Call) -> Expression:
        if len(node.arguments) != 1 or node.keywords:
            raise self.error(node, f"{node.function}() takes one argument")
        return node.arguments[0]

    def _elementwise(self, node: Call, function: Callable[..., Any], least: int, most: int) -> Any:
        arguments = [*node.arguments, *(value for key, value in node.keywords if key in ("base", "digits"))]
        unknown = [key for key, _ in node.keywords if key not in ("base", "digits")]
        if unknown or not least <= len(arguments) <= most:
            wanted = f"{least}" if least == most else f"{least} to {most}"
            raise self.error(node, f"{node.function}() takes {wanted} argument{'' if most == 1 else 's'} of numbers")
        return _numeric(function(*(self.number(argument) for argument in arguments)))

    def _stateful(self, node: Call, transform: Stateful) -> Value:
        given = self.bind(node, transform.parameters)
        values = self.number(node.arguments[0])
        if not isinstance(values, np.ndarray):
            raise self.error(node, f"{node.function}() needs a column")
        text = expression_text(node)
        if self.fitting and text not in self.states:
            self.states[text] = self._fit(node, transform, values, given)
        out = transform.apply(values, self.states[text])
        if out.ndim == 1:
            return Numeric(out)
        missing = nan_rows(values)
        if missing is not None:
            out[missing] = np.nan
        return Matrix(out, tuple(str(j + 1) for j in range(out.shape[1])))

    def _fit(self, node: Call, transform: Stateful, values: Array, given: Mapping[str, Any]) -> dict[str, Any]:
        present = values[~np.isnan(values)]
        if not np.isfinite(present).all():
            raise DataError(f"{expression_text(node)}: the values include infinity (row {first_rows(np.isinf(values))})")
        if len(present) == 0:
            raise DataError(f"{expression_text(node)}: all values are missing")
        try:
            return transform.fit(present, given)
        except TransformError as problem:
            raise self.error(node, f"{node.function}(): {problem}") from None

    def bind(self, node: Call, parameters: Mapping[str, Any], *, skip: int = 1) -> dict[str, Any]:
        """The constant arguments after the first `skip`, by name; `parameters` holds the defaults."""
        names = list(parameters)
        extra = node.arguments[skip:]
        if len(node.arguments) < skip or len(extra) > len(names):
            raise self.error(
                node,
                f"{node.function}() takes a column and at most {len(names)} further arguments",
                f"They are: {', '.join(names)}.",
            )
        given = dict(parameters) | {name: self.constant(value) for name, value in zip(names, extra, strict=False)}
        for key, value in node.keywords:
            name = {"boundary_knots": "Boundary.knots", "contrasts": "contrast"}.get(key, key)
            if name not in parameters:
                raise self.error(node, f"{node.function}() has no argument {key!r}", nearest(key, names, "Arguments"))
            given[name] = self.constant(value)
        return given

    def _user(self, node: Call, function: Callable[..., Any]) -> Value:
        arguments = [self._plain(argument) for argument in node.arguments]
        keywords = {key: self._plain(value) for key, value in node.keywords}
        try:
            out = np.asarray(function(*arguments, **keywords), dtype=np.float64)
        except Exception as problem:
            raise self.error(node, f"the function {node.function!r} failed: {type(problem).__name__}: {problem}") from problem
        if out.ndim not in (1, 2) or len(out) != self.frame.size:
            raise self.error(node, f"the function {node.function!r} returned shape {out.shape} for {self.frame.size} rows")
        return (
            Numeric(out.copy())
            if out.ndim == 1
            else Matrix(np.array(out, order="F"), tuple(str(j + 1) for j in range(out.shape[1])))
        )

    def _plain(self, node: Expression) -> Any:
        """An argument of a user's function: a copy of the numbers or labels, so that the data stay as they are."""
        value = self.evaluate(node)
        if isinstance(value, Numeric | Matrix):
            return value.values.copy()
        return value.labels() if isinstance(value, Factor) else value

    def error(self, node: Expression, message: str, hint: str | None = None) -> FormulaError:
        return FormulaError(message, text=self.text, start=node.start, stop=node.stop, hint=hint)


def first_rows(where: Any, most: int = 5) -> str:
    """Row numbers, counted from 0, as they are named in messages."""
    rows = np.flatnonzero(where)
    return ", ".join(map(str, rows[:most].tolist())) + (f" and {len(rows) - most} more" if len(rows) > most else "")


def _numeric(out: Any) -> Any:
    return Numeric(out) if isinstance(out, np.ndarray) else float(out)


def _logical(function: Callable[..., Any], operands: list[Any]) -> Any:
    """0/1 numbers, missing where an operand is."""
    out = np.asarray(function(*operands), dtype=np.float64)
    if out.ndim == 0:
        return bool(out)
    for operand in operands:
        missing = nan_rows(operand) if isinstance(operand, np.ndarray) else None
        out = out if missing is None else np.where(missing, np.nan, out)
    return Numeric(out, logical=True)


def _compare_level(factor: Factor, level: str, *, equal: bool) -> Numeric:
    matches = np.array([str(other) == level for other in factor.levels] + [False])
    out = np.where(factor.codes < 0, np.nan, matches[factor.codes] == equal)
    return Numeric(out, logical=True)


def _all_numbers(factor: Factor) -> bool:
    return all(isinstance(level, int | float) for level in factor.levels)
