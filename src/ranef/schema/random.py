"""Random terms: the columns of a bar, its grouping factor and its covariance."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ranef.covariance import STRUCTURES, Covariance, structure
from ranef.design import Array, Grouping, RandomTerm
from ranef.errors import ModelError
from ranef.formula.model import Bar, Term
from ranef.formula.text import options_text
from ranef.schema.coding import TermCoding, Variable, width
from ranef.schema.encode import INTERCEPT, encode
from ranef.schema.evaluate import text_of
from ranef.schema.related import SEVERAL, call_of, known_covariance
from ranef.schema.structured import covariance_of, is_position, shown
from ranef.schema.values import Value, level_text, objects

MOST_PARAMETERS = 2_000  # of one covariance matrix


def random_term(
    bar: Bar, codings: Sequence[TermCoding], variables: Mapping[str, Variable], values: Mapping[str, Value], group: Grouping,
    covariances: Mapping[str, Any], columns: Callable[[Sequence[TermCoding]], tuple[Array, tuple[str, ...]] | None],
) -> RandomTerm:  # fmt: skip
    """The RandomTerm of one bar; `columns` finds those that the fixed part has as well.

    Raises ModelError for an unknown structure, a bar without columns, and more covariance parameters than any data identify, the
    last before a column is made.
    """
    label = label_of(bar)
    k = width(codings, variables)
    if bar.structure not in STRUCTURES:
        raise ModelError(f"unknown covariance structure {bar.structure!r} in {label}", hint=f"Known: {', '.join(STRUCTURES)}.")
    if k == 0:
        raise ModelError(f"{label} has no columns", hint=f"Write (1 | {group.name}) for a random intercept.")
    covariance, names = _covariance(bar, k, codings, variables, covariances)
    levels = _levels_in_front(bar, codings, variables)
    if covariance.size > MOST_PARAMETERS:
        raise ModelError(
            f"{label} has {k:,} columns, so {covariance.size:,} covariance parameters; at most {MOST_PARAMETERS:,} are supported",
            hint="A factor with many levels in front of the bar is often meant to be a grouping factor: (1 | factor).",
        )
    if tuple(codings) == ((),):
        return RandomTerm(label, group, (INTERCEPT,), None, covariance)
    z, written = columns(codings) or encode(codings, variables, values, len(group.codes))
    return RandomTerm(label, group, names or written, z, covariance, levels)


def _covariance(
    bar: Bar, k: int, codings: Sequence[TermCoding], variables: Mapping[str, Variable], given: Mapping[str, Any]
) -> tuple[Covariance, tuple[str, ...]]:
    """The structure of the columns; and their names where levels are columns."""
    call = call_of(bar)
    if call is None:
        return covariance_of(bar, k, codings, variables), ()
    if call.function == SEVERAL:
        variable = variables[codings[0][0].variable]
        return structure("id", k), tuple(label.strip("[]") for label in variable.labels)
    levels = variables[codings[0][0].variable].levels
    columns = k // len(levels)
    own = covariance_of(bar, columns, codings, variables)
    texts = [level_text(level) for level in levels]
    heads = [":".join(text_of(node) for node in term.factors[1:]) or INTERCEPT for term in bar.terms]
    heads = heads if len(heads) == columns else [str(i + 1) for i in range(columns)]
    names = texts if columns == 1 else [f"{head}:{text}" for head in heads for text in texts]
    return known_covariance(bar, own, objects(list(levels)), given), tuple(names)


def label_of(bar: Bar) -> str:
    """The term as it would be written alone: `(Days | Subject)`, `diag(0 + x | g)`."""
    if len(bar.terms) == 1 and bar.terms[0].order == 1 and is_position(bar.terms[0].factors[0]):
        parts = shown(bar.terms[0].factors[0])
    else:
        terms = _written_terms(bar)
        parts = [":".join(map(text_of, term.factors)) for term in terms if term.order]
        if len(parts) == len(terms):
            parts.insert(0, "0")
        if call_of(bar) is not None and not bar.terms[0].factors[1:]:
            bar = replace(bar, structure="un") if bar.structure == "id" else bar
    group, word = ":".join(map(text_of, bar.group)), "" if bar.structure == "un" else bar.structure
    return f"{word}({' + '.join(parts) or '1'} | {group}{options_text(bar)})"


def _levels_in_front(bar: Bar, codings: Sequence[TermCoding], variables: Mapping[str, Variable]) -> int | None:
    if call_of(bar) is None:
        return None
    variable = variables[codings[0][0].variable]
    return len(variable.levels or variable.labels)


def _written_terms(bar: Bar) -> tuple[Term, ...]:
    """Without the levels that stand in front of a bar whose levels are columns."""
    return bar.terms if call_of(bar) is None else tuple(Term(term.factors[1:]) for term in bar.terms)
