"""Expressions: what stands between the operators of a formula, as a tree that is looked at and never executed as Python.

Every node knows where it stands in the text, so that an error can point at it. Nodes are compared by meaning, not by place.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Expression:
    """Base of all nodes; `start` and `stop` delimit the node in the text of the formula."""

    start: int = field(default=0, compare=False, kw_only=True)
    stop: int = field(default=0, compare=False, kw_only=True)


@dataclass(frozen=True)
class Name(Expression):
    """A column (back-quoted in the text when it is no identifier)."""

    name: str


@dataclass(frozen=True)
class Literal(Expression):
    """A number, a string, True/False, or None."""

    value: float | int | str | bool | None


@dataclass(frozen=True)
class Sequence(Expression):
    """`[a, b]`, or R's `c(a, b)`, as an argument: `bs(x, knots=[1, 2])`."""

    items: tuple[Expression, ...]


@dataclass(frozen=True)
class Operation(Expression):
    """Arithmetic, comparison or logic, inside a call such as `I(...)`: `+ - * / ** % == != < <= > >= & | !`.

    Before terms are expanded it also holds the operators of formulas: `: %in% | ||`.
    """

    operator: str
    operands: tuple[Expression, ...]  # one (unary) or two


@dataclass(frozen=True)
class Call(Expression):
    """`function(arguments, key=value)`; the function is looked up in a closed table when data are at hand."""

    function: str
    arguments: tuple[Expression, ...] = ()
    keywords: tuple[tuple[str, Expression], ...] = ()
