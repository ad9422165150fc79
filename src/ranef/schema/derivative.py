"""Exact slopes of the columns of X in one predictor: the chain rule over the expressions of the formula, the product rule over
terms.

Every transform that new data can pass through has its derivative here: arithmetic, elementwise functions, polynomials by their
recurrence, splines by those of their pieces. A user's function has none; its slope is a central difference of sixth order, whose
relative error is about 1e-10 for a smooth function.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ranef.design import Array
from ranef.errors import DataError, ModelError
from ranef.formula import expression_text, parse
from ranef.formula.expression import Call, Expression, Literal, Name, Operation
from ranef.schema.apply import conform
from ranef.schema.collect import columns_of, needed_by
from ranef.schema.encode import encode
from ranef.schema.evaluate import Evaluator
from ranef.schema.frames import nearest, open_frame
from ranef.schema.functions import ELEMENTWISE
from ranef.schema.levels import FACTOR_FUNCTIONS
from ranef.schema.model import Schema
from ranef.schema.polynomials import polynomial_slopes, power_slopes
from ranef.schema.splines import bspline_slopes, cardinal_slopes, natural_slopes
from ranef.schema.transforms import STATEFUL
from ranef.schema.values import Factor, Matrix, Numeric, Value

STEP = 1e-2  # of the spread of the predictor, for functions without a derivative; the error is of order STEP^6
SIXTH = ((1, 45.0 / 60.0), (2, -9.0 / 60.0), (3, 1.0 / 60.0))  # Fornberg (1988), Math. Comp. 51, table 1
FLAT = ("sign", "floor", "ceil", "ceiling", "round")

SLOPES: dict[str, Callable[[Array], Array]] = {
    "log": lambda x: 1.0 / x, "log1p": lambda x: 1.0 / (1.0 + x), "log2": lambda x: 1.0 / (x * np.log(2.0)),
    "log10": lambda x: 1.0 / (x * np.log(10.0)), "exp": np.exp, "expm1": np.exp, "sqrt": lambda x: 0.5 / np.sqrt(x),
    "abs": np.sign, "sin": np.cos, "cos": lambda x: -np.sin(x), "tan": lambda x: 1.0 / np.cos(x) ** 2,
}  # fmt: skip

BASES: dict[str, Callable[[Array, Any], Array]] = {
    "scale": lambda x, state: np.full_like(x, 1.0 / state["scale"]),
    "center": lambda x, state: np.full_like(x, 1.0 / state["scale"]),
    "standardize": lambda x, state: np.full_like(x, 1.0 / state["scale"]),
    "poly": lambda x, state: power_slopes(x, state["raw"]) if "raw" in state else polynomial_slopes(x, state),
    "bs": bspline_slopes,
    "ns": natural_slopes,
    "cr": cardinal_slopes,
}


def design_slopes(schema: Schema, data: Mapping[str, Any], variable: str) -> Array:
    """(g, p) derivatives of the columns of X in `variable`, a column of the data or an expression of one such as `log(x)`.

    In an expression f(x) they are dX/dx over df/dx. Raises ModelError where no column of X depends on it as a number.
    """
    node = _variable(variable)
    frame = open_frame(data)
    names = columns_of([node], frame.names)
    if len(names) != 1:
        raise ModelError(
            f"A trend needs one predictor, and {variable!r} has {len(names)} of the model.", hint=nearest(variable, frame.names)
        )
    evaluator = Evaluator(frame, schema.formula.text, states=schema.states, functions=schema.functions)
    slope = _Slope(evaluator, names[0], data)
    out = _columns(schema, evaluator, slope, frame.size or 0)
    if not np.any(out):
        raise ModelError(
            f"No column of the fixed part depends on {names[0]!r} as a number.", hint="A factor has contrasts, not a trend."
        )
    if isinstance(node, Name):
        return out
    inner = _Slope(Evaluator(frame, variable, states=schema.states, functions=schema.functions), names[0], data).of(node)
    return out / np.asarray(inner)[:, None]


def _variable(text: str) -> Expression:
    """The expression that a text such as `log(x)` means."""
    term = parse(f"~ 0 + {text}").fixed[0] if text.strip() else None
    if term is None or len(term.factors) != 1:
        raise ModelError(f"{text!r} is no predictor.", hint='For example "age" or "log(age)".')
    return term.factors[0]


def _columns(schema: Schema, evaluator: Evaluator, slope: _Slope, size: int) -> Array:
    """The product rule: for each variable that moves, the terms that hold it, with its slope in its place."""
    variables = needed_by(schema.formula).fixed
    values: dict[str, Value] = {text: conform(schema.variables[text], node, evaluator) for text, node in variables.items()}
    out = np.zeros((size, len(schema.names)))
    for text, node in variables.items():
        moved = slope.of(node)
        if moved is None:
            continue
        value = values[text]
        assert not isinstance(value, Factor)
        changed = Numeric(np.asarray(moved)) if isinstance(value, Numeric) else Matrix(np.asfortranarray(moved), value.labels)
        at = 0
        for term in schema.fixed:
            X, names = encode([term], schema.variables, {**values, text: changed}, size)
            if any(coding.variable == text for coding in term):
                out[:, at : at + len(names)] += X
            at += len(names)
    return out


class _Slope:
    """Derivatives of expressions in one column; None where an expression does not depend on it."""

    def __init__(self, evaluator: Evaluator, name: str, data: Mapping[str, Any]) -> None:
        self.evaluator, self.name, self.data = evaluator, name, data

    def of(self, node: Expression) -> Array | None:
        """(g,) or, for several columns, (g, k)."""
        if isinstance(node, Name):
            return np.ones(self.evaluator.frame.size or 0) if node.name == self.name else None
        if isinstance(node, Literal) or self.name not in columns_of([node], [self.name]):
            return None
        if isinstance(node, Operation):
            return self._operation(node)
        if isinstance(node, Call):
            return self._call(node)
        raise self.evaluator.error(node, "this has no slope")

    def _operation(self, node: Operation) -> Array | None:
        inner = [self.of(operand) for operand in node.operands]
        if len(inner) == 1:
            return None if inner[0] is None or node.operator == "!" else -inner[0] if node.operator == "-" else inner[0]
        values = [self.evaluator.number(operand) for operand in node.operands]
        du, dv = (0.0 if part is None else part for part in inner)
        u, v = values
        with np.errstate(all="ignore"):
            rules: dict[str, Callable[[], Any]] = {
                "+": lambda: du + dv, "-": lambda: du - dv, "*": lambda: du * v + u * dv, "/": lambda: (du - u / v * dv) / v,
                "**": lambda: _power_slope(u, v, du, dv), "%": lambda: du,
            }  # fmt: skip
            if node.operator not in rules:
                return None
            return np.asarray(rules[node.operator]())

    def _call(self, node: Call) -> Array | None:
        name = node.function.rsplit("::", 1)[-1]
        if name in self.evaluator.functions:
            return self._difference(node)
        if name == "I":
            return self.of(node.arguments[0])
        if name in FACTOR_FUNCTIONS or name in FLAT:
            return None
        inner = self.of(node.arguments[0])
        if name in SLOPES:
            return None if inner is None else self._elementwise(name, node) * inner
        if name in STATEFUL and name in BASES:
            if inner is None:
                return None
            slope = BASES[name](self.evaluator.number(node.arguments[0]), self.evaluator.states[expression_text(node)])
            return slope * (inner if slope.ndim == 1 else inner[:, None])
        if name in ELEMENTWISE:
            return self._chosen(node)
        return self._difference(node)

    def _elementwise(self, name: str, node: Call) -> Array:
        x = self.evaluator.number(node.arguments[0])
        extra = [*node.arguments[1:], *(value for key, value in node.keywords if key == "base")]
        divisor = np.log(self.evaluator.number(extra[0])) if extra and name == "log" else 1.0
        return SLOPES[name](x) / divisor

    def _chosen(self, node: Call) -> Array:
        """`pmin` and `pmax`: the slope of the argument that is taken."""
        value = self.evaluator.number(node)
        out = np.zeros_like(value)
        for argument in reversed(node.arguments):
            inner = self.of(argument)
            out = np.where(self.evaluator.number(argument) == value, 0.0 if inner is None else inner, out)
        return out

    def _difference(self, node: Expression) -> Array:
        """A central difference of sixth order, for functions whose inside is not known."""
        x = np.asarray(self.data[self.name], dtype=np.float64)
        h = STEP * (float(np.ptp(x)) or float(np.abs(x).max()) or 1.0)
        total: Any = 0.0
        for steps, weight in SIXTH:
            total = total + weight * (self._shifted(node, steps * h) - self._shifted(node, -steps * h))
        return np.asarray(total / h)

    def _shifted(self, node: Expression, by: float) -> Array:
        moved = open_frame({**self.data, self.name: np.asarray(self.data[self.name], dtype=np.float64) + by})
        there = Evaluator(moved, self.evaluator.text, states=self.evaluator.states, functions=self.evaluator.functions)
        value = there.variable(node)
        if isinstance(value, Factor):
            raise DataError(f"{expression_text(node)} is a factor, so it has no slope")
        return value.values


def _power_slope(u: Any, v: Any, du: Any, dv: Any) -> Any:
    base = v * u ** (np.asarray(v, dtype=float) - 1.0) * du
    return base if np.ndim(dv) == 0 and dv == 0.0 else base + u**v * np.log(u) * dv
