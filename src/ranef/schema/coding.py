"""Which columns a term has: R's contrast rule, before any column is computed.

A factor in a term is coded by contrasts when an earlier term holds everything else of the term (the margin), and by one indicator
for each level when none does (Chambers and Hastie 1992, Statistical Models in S, 2.4.1). Without an intercept the first factor of
the first term that has one gets indicators.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ranef.formula.model import Term
from ranef.schema.contrasts import FULL, Contrast
from ranef.schema.evaluate import text_of
from ranef.schema.values import Factor, Matrix, Numeric


@dataclass(frozen=True)
class Variable:
    """What a variable of the terms is: `numeric`, a `matrix` with labels, or a `factor` with levels."""

    text: str
    kind: str
    labels: tuple[str, ...] = ()
    levels: tuple[Any, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return {"text": self.text, "kind": self.kind, "labels": list(self.labels), "levels": list(self.levels)}

    @classmethod
    def from_json(cls, saved: Mapping[str, Any]) -> Variable:
        return cls(saved["text"], saved["kind"], tuple(saved["labels"]), tuple(saved["levels"]))


@dataclass(frozen=True)
class Coding:
    """One variable as it enters one term; `contrast` is None unless it is a factor."""

    variable: str
    contrast: Contrast | None = None

    def width(self, variables: Mapping[str, Variable]) -> int:
        variable = variables[self.variable]
        if self.contrast is not None:
            return self.contrast.width(len(variable.levels))
        return len(variable.labels) if variable.kind == "matrix" else 1


TermCoding = tuple[Coding, ...]


def describe_value(text: str, value: Numeric | Matrix | Factor) -> Variable:
    """The Variable that a value of the fit makes."""
    if isinstance(value, Factor):
        return Variable(text, "factor", levels=tuple(value.levels.tolist()))
    return Variable(text, "matrix", labels=value.labels) if isinstance(value, Matrix) else Variable(text, "numeric")


def variable_order(terms: Iterable[Term]) -> dict[str, int]:
    """Variables in the order in which they stand in the text; R writes the factors of every interaction in this order."""
    first: dict[str, int] = {}
    for term in terms:
        for node in term.factors:
            text = text_of(node)
            first[text] = min(node.start, first.get(text, node.start))
    return {text: place for place, text in enumerate(sorted(first, key=first.__getitem__))}


def code_terms(
    terms: Sequence[Term], variables: Mapping[str, Variable], contrasts: Mapping[str, Contrast]
) -> tuple[TermCoding, ...]:
    """The coding of every term; `contrasts` holds one for each factor."""
    if all(term.order <= 1 for term in terms) and terms and terms[0].order == 0:
        return tuple(tuple(Coding(text, contrasts.get(text)) for text in map(text_of, term.factors)) for term in terms)
    order = variable_order(terms)
    names = [sorted(dict.fromkeys(map(text_of, term.factors)), key=order.__getitem__) for term in terms]
    sets = [frozenset(row) for row in names]
    full = {(i, text) for i, row in enumerate(names) for text in row if text in contrasts and not _has_margin(sets, i, text)}
    if frozenset() not in sets:
        full |= _first_factor(names, contrasts)
    return tuple(
        tuple(Coding(text, FULL if (i, text) in full else contrasts.get(text)) for text in row) for i, row in enumerate(names)
    )  # fmt: skip


def _has_margin(sets: list[frozenset[str]], place: int, text: str) -> bool:
    margin = sets[place] - {text}
    return not margin or any(margin <= earlier for earlier in sets[:place])


def _first_factor(names: list[list[str]], contrasts: Mapping[str, Contrast]) -> set[tuple[int, str]]:
    for place, row in enumerate(names):
        factors = [text for text in row if text in contrasts]
        if factors:
            return {(place, factors[0])}
    return set()


def width(codings: Sequence[TermCoding], variables: Mapping[str, Variable]) -> int:
    """Number of columns of these terms, without making one."""
    return sum(math.prod(coding.width(variables) for coding in term) for term in codings)
