"""From a formula and data to a Design: read, mask, drop what is unused, choose codings, encode."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from ranef.design import Array, Design, Grouping, ResidualTerm
from ranef.errors import DataError, ModelError
from ranef.formula import expand_dot
from ranef.formula.model import Formula
from ranef.formula.residual import ResidualFormula
from ranef.schema.coding import TermCoding, Variable, code_terms, describe_value
from ranef.schema.contrasts import Contrast, contrast_of
from ranef.schema.encode import INTERCEPT, encode, shared
from ranef.schema.evaluate import UserFunctions, text_of
from ranef.schema.frames import nearest, open_frame
from ranef.schema.grouping import GroupLevels, make_grouping
from ranef.schema.model import Schema
from ranef.schema.random import random_term
from ranef.schema.reading import Arguments, Reading, read
from ranef.schema.residual import residual_term
from ranef.schema.rows import Missing, Rows
from ranef.schema.sampling import correlated_errors, relative_weights
from ranef.schema.structured import terms_of, with_positions
from ranef.schema.values import Factor, Mask

POLY, TREATMENT = Contrast("poly"), Contrast("treatment")


@dataclass(frozen=True, eq=False)
class Intake:
    """What came through the door: the design, what new data need, and which rows were used."""

    design: Design
    schema: Schema
    rows: Rows


def ingest(
    formula: Formula,
    data: Any,
    *,
    weights: Any = None,
    offset: Any = None,
    contrasts: Mapping[str, Any] | None = None,
    missing: Literal["drop", "raise"] = "drop",
    functions: UserFunctions | None = None,
    covariances: Mapping[str, Any] | None = None,
    known: bool = False,
    errors: Array | None = None,
    residual: ResidualFormula | None = None,
) -> Intake:
    """The Design of a formula on data.

    weights, offset: the name of a column, or one number for each row of the data. contrasts: by factor, for the fixed part (as in
    lme4; `C(x, sum)` codes a factor everywhere). missing: leave incomplete rows out, or refuse them. functions: further functions
    that the formula may call, each from arrays to an array of the same length. known: the weights are sampling variances, and
    `errors` (n, n) has the covariances of all rows of the data. residual: the covariance structure of the residuals.

    Raises DataError for what the data lack, FormulaError for what the formula asks in vain, ModelError for codings that do not
    fit, and MemoryEstimateError for a model matrix that is too large.
    """
    if missing not in ("drop", "raise"):
        raise DataError(f'missing={missing!r} is not known; it is "drop" or "raise"')
    frame = open_frame(data)
    resolved = with_positions(expand_dot(formula, frame.names) if formula.dot else formula)
    reading = read(resolved, frame, Arguments(formula.text, weights, offset, functions, known, residual))
    gone = reading.missing()
    if missing == "raise":
        gone.refuse()
    zeros = reading.zero_weights(gone.rows)
    kept = gone.keep(zeros)
    gone.refuse_infinite(kept)
    reading, unused = _reduce(reading, kept)
    design, schema = _assemble(resolved, reading, contrasts or {}, covariances or {})
    if errors is not None:
        used = errors if kept is None else errors[np.ix_(kept, kept)]
        design = replace(design, residual=correlated_errors(used))
    if residual is not None:
        design = _structured(design, residual_term(residual, reading))
    schema = replace(schema, functions=dict(functions or {}))
    return Intake(design, schema, _rows(reading, gone, kept, unused, zeros))


def _structured(design: Design, term: ResidualTerm) -> Design:
    """The design with a residual structure; sampling variances that come with the data are added to its own."""
    if design.sigma is None or design.weights is None:
        return replace(design, residual=term)
    return replace(design, residual=replace(term, known=design.sigma**2 / design.weights), weights=None, sigma=None)


def _rows(reading: Reading, gone: Missing, kept: Mask | None, unused: Mapping[str, int], zeros: Mask | None) -> Rows:
    index = reading.frame.index
    return Rows(
        n_total=gone.size,
        kept=kept,
        index=index if index is None or kept is None else index[kept],
        missing=gone.counts,
        created=gone.created,
        unused_levels=unused,
        zero_weights=0 if zeros is None else int(np.count_nonzero(zeros)),
        frame=reading.frame.kind,
    )


def _reduce(reading: Reading, kept: Mask | None) -> tuple[Reading, dict[str, int]]:
    """The kept rows only, factors without the levels that these do not have, and how many levels each lost."""
    reading = reading if kept is None else reading.take(kept)
    unused: dict[str, int] = {}

    def used(text: str, factor: Factor, logical_too: bool) -> Factor:
        out = factor.used() if logical_too or not factor.logical else factor
        if len(out.levels) < len(factor.levels):
            unused[text] = len(factor.levels) - len(out.levels)
        return out

    terms = {text: used(text, value, False) if isinstance(value, Factor) else value for text, value in reading.terms.items()}
    groups = {text: used(text, value, True) for text, value in reading.groups.items()}
    return replace(reading, terms=terms, groups=groups), unused


def _assemble(
    formula: Formula, reading: Reading, asked: Mapping[str, Any], covariances: Mapping[str, Any]
) -> tuple[Design, Schema]:
    variables = {text: describe_value(text, value) for text, value in reading.terms.items()}
    defaults = {text: _default(value) for text, value in reading.terms.items() if isinstance(value, Factor)}
    fixed = code_terms(formula.fixed, variables, defaults | _asked_contrasts(asked, formula, variables))
    bars = tuple(code_terms(terms_of(bar, variables), variables, defaults) for bar in formula.bars)
    size = len(reading.response)
    X, names = encode(fixed, variables, reading.terms, size)
    groupings = _groupings(formula, reading)

    def columns(codings: Sequence[TermCoding]) -> tuple[Array, tuple[str, ...]] | None:
        return shared(codings, fixed, variables, X, names)

    terms = tuple(
        random_term(bar, codings, variables, reading.terms, groupings[tuple(map(text_of, bar.group))][0], covariances, columns)
        for bar, codings in zip(formula.bars, bars, strict=True)
    )
    weights, sigma = reading.weights, None
    if reading.known and weights is not None:
        weights, sigma = relative_weights(weights)
    design = Design(
        response=text_of(reading.response_node), y=reading.response, X=X, names=names, terms=terms,
        offset=reading.total_offset(), weights=weights, intercept=names.index(INTERCEPT) if () in fixed else None, sigma=sigma,
    )  # fmt: skip
    return design, _schema(formula, reading, variables, names, (fixed, bars), {made.name: made for _, made in groupings.values()})


def _schema(
    formula: Formula,
    reading: Reading,
    variables: Mapping[str, Variable],
    names: tuple[str, ...],
    codings: tuple[tuple[TermCoding, ...], tuple[tuple[TermCoding, ...], ...]],
    groups: Mapping[str, GroupLevels],
) -> Schema:
    loose = reading.offset is not None and reading.offset_name is None
    return Schema(
        formula=formula, names=names, variables=variables, fixed=codings[0], bars=codings[1], groups=groups, states=reading.states,
        weights=None if reading.known else reading.weights_name, offset=reading.offset_name, loose_offset=loose,
    )  # fmt: skip


def _default(value: Factor) -> Contrast:
    return value.contrast or (POLY if value.ordered else TREATMENT)


def _asked_contrasts(asked: Mapping[str, Any], formula: Formula, variables: Mapping[str, Variable]) -> dict[str, Contrast]:
    """Per-call contrasts.

    Raises ModelError for a name that is no factor of the fixed part.
    """
    if not asked:
        return {}
    fixed = {text_of(node) for term in formula.fixed for node in term.factors}
    factors = [text for text in variables if text in fixed and variables[text].kind == "factor"]
    for name in asked:
        if name in fixed and name not in factors:
            raise ModelError(
                f"contrasts were given for {name!r}, which is numeric",
                hint=f"Write factor({name}) in the formula to make it a factor.",
            )
        if name not in factors:
            raise ModelError(
                f"contrasts were given for {name!r}, which is no factor of the fixed part", hint=nearest(name, factors, "Factors")
            )
    return {name: contrast_of(wanted, name) for name, wanted in asked.items()}


def _groupings(formula: Formula, reading: Reading) -> dict[tuple[str, ...], tuple[Grouping, GroupLevels]]:
    """One grouping factor for each distinct group of the bars, shared among the terms that have it."""
    out: dict[tuple[str, ...], tuple[Grouping, GroupLevels]] = {}
    for bar in formula.bars:
        texts = tuple(map(text_of, bar.group))
        if texts not in out:
            out[texts] = make_grouping(texts, [reading.groups[text] for text in texts])
    return out
