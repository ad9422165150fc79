"""Random terms: the columns of a bar, its grouping factor and its covariance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ranef.covariance import STRUCTURES
from ranef.design import Grouping, RandomTerm
from ranef.errors import ModelError
from ranef.formula.model import Bar
from ranef.formula.text import options_text
from ranef.schema.coding import TermCoding, Variable, width
from ranef.schema.encode import INTERCEPT, encode
from ranef.schema.evaluate import text_of
from ranef.schema.structured import covariance_of, is_position, shown
from ranef.schema.values import Value

MOST_PARAMETERS = 2_000  # of one covariance matrix


def random_term(
    bar: Bar, codings: Sequence[TermCoding], variables: Mapping[str, Variable], values: Mapping[str, Value], group: Grouping
) -> RandomTerm:
    """The RandomTerm of one bar.

    Raises ModelError for an unknown structure, a bar without columns, and more covariance parameters than any data identify, the
    last before a column is made.
    """
    label = label_of(bar)
    k = width(codings, variables)
    if bar.structure not in STRUCTURES:
        raise ModelError(f"unknown covariance structure {bar.structure!r} in {label}", hint=f"Known: {', '.join(STRUCTURES)}.")
    if k == 0:
        raise ModelError(f"{label} has no columns", hint=f"Write (1 | {group.name}) for a random intercept.")
    covariance = covariance_of(bar, k, codings, variables)
    if covariance.size > MOST_PARAMETERS:
        raise ModelError(
            f"{label} has {k:,} columns, so {covariance.size:,} covariance parameters; at most {MOST_PARAMETERS:,} are supported",
            hint="A factor with many levels in front of the bar is often meant to be a grouping factor: (1 | factor).",
        )
    if tuple(codings) == ((),):
        return RandomTerm(label, group, (INTERCEPT,), None, covariance)
    z, names = encode(codings, variables, values, len(group.codes))
    return RandomTerm(label, group, names, z, covariance)


def label_of(bar: Bar) -> str:
    """The term as it would be written alone: `(Days | Subject)`, `diag(0 + x | g)`."""
    if len(bar.terms) == 1 and bar.terms[0].order == 1 and is_position(bar.terms[0].factors[0]):
        parts = shown(bar.terms[0].factors[0])
    else:
        parts = [":".join(map(text_of, term.factors)) for term in bar.terms if term.order]
        if len(parts) == len(bar.terms):
            parts.insert(0, "0")
    group, word = ":".join(map(text_of, bar.group)), "" if bar.structure == "un" else bar.structure
    return f"{word}({' + '.join(parts) or '1'} | {group}{options_text(bar)})"
