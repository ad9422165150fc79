"""What a formula needs: every distinct expression of terms, groups and offsets, and the columns behind them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from ranef.formula.expression import Call, Expression, Name, Operation, Sequence
from ranef.formula.model import Formula
from ranef.formula.residual import ResidualFormula
from ranef.schema.evaluate import text_of


@dataclass(frozen=True)
class Needed:
    """Expressions by their text, for each role that they have."""

    fixed: Mapping[str, Expression]
    random: Mapping[str, Expression]
    groups: Mapping[str, Expression]
    offsets: Mapping[str, Expression]
    extras: Mapping[str, Expression] = field(default_factory=dict)  # of the residual structure: orders and covariates

    def variables(self) -> dict[str, Expression]:
        """Those of the terms, fixed and random."""
        return {**self.fixed, **self.random}

    def nodes(self) -> Iterator[Expression]:
        for role in (self.fixed, self.random, self.groups, self.offsets, self.extras):
            yield from role.values()


def needed_by(formula: Formula, residual: ResidualFormula | None = None) -> Needed:
    fixed = {text_of(node): node for term in formula.fixed for node in term.factors}
    random = {text_of(node): node for bar in formula.bars for term in bar.terms for node in term.factors}
    groups = {text_of(node): node for bar in formula.bars for node in bar.group}
    offsets = {text_of(node): node for node in formula.offsets}
    if residual is None:
        return Needed(fixed, random, groups, offsets)
    groups |= {text_of(node): node for node in residual.groups()}
    return Needed(fixed, random, groups, offsets, {text_of(node): node for node in residual.values()})


def names_in(node: Expression) -> Iterator[str]:
    """All names in an expression."""
    if isinstance(node, Name):
        yield node.name
    elif isinstance(node, Call):
        for part in (*node.arguments, *(value for _, value in node.keywords)):
            yield from names_in(part)
    elif isinstance(node, Operation | Sequence):
        for part in node.operands if isinstance(node, Operation) else node.items:
            yield from names_in(part)


def columns_of(nodes: Iterable[Expression], known: Iterable[str]) -> list[str]:
    """The columns that these expressions read; other names in calls may be words such as `sum` in `C(x, sum)`."""
    there = set(known)
    return list(dict.fromkeys(name for node in nodes for name in names_in(node) if name in there))
