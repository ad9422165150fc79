"""Random terms: the columns of a bar, its grouping factor and its covariance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ranef.covariance import STRUCTURES, structure
from ranef.design import Grouping, RandomTerm
from ranef.errors import ModelError
from ranef.formula.model import Bar
from ranef.schema.coding import TermCoding, Variable, width
from ranef.schema.encode import INTERCEPT, encode
from ranef.schema.evaluate import text_of
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
    covariance = structure(bar.structure, k)
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
    parts = [":".join(map(text_of, term.factors)) for term in bar.terms if term.order]
    if len(parts) == len(bar.terms):
        parts.insert(0, "0")
    group = ":".join(map(text_of, bar.group))
    return f"{'' if bar.structure == 'un' else bar.structure}({' + '.join(parts) or '1'} | {group})"
