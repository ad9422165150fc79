"""The model as an equation, level by level: the rows, then each random term with its covariance structure and its estimate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ranef.cells import number
from ranef.layouts.shown import pretty
from ranef.report.notation import Gap, Letter, Lines, Matrix, Name, Node, Number, Scripts, Sign, joined, row
from ranef.report.spreads import Spread, spreads

if TYPE_CHECKING:
    from ranef.fit.fit import Fit

MOST_TERMS = 12  # coefficients that are written out; more become x'beta
WIDEST = 62  # characters of a line, about
MOST_ENTRIES = 4  # rows of a covariance matrix that is written out


@dataclass(frozen=True)
class Level:
    """One level of the model: what it is about, in words, and its mathematics."""

    title: str
    lines: Lines
    words: str = ""


def levels(fit: Fit) -> list[Level]:
    """The rows first, then each random term."""
    terms = spreads(fit)
    return [_rows(fit, terms), *(_term(fit, term, place, len(terms)) for place, term in enumerate(terms))]


def _rows(fit: Fit, terms: list[Spread]) -> Level:
    response = Scripts(Name(fit.model.design.response), Letter("i"))
    parts = _mean(fit)
    for place, term in enumerate(terms):
        parts += _effects(term, place, len(terms))
    parts.append((Scripts(Letter("ε"), Letter("i")), 2))
    lines = _broken(response, parts)
    variance: Node = Scripts(Letter("σ"), sup=Number("2"))
    known, residual = fit.model.design.known_variances, fit.model.design.residual
    weighted = not known and (fit.model.schema.weights is not None or fit.model.design.weights is not None)
    if known:
        variance = Scripts(Letter("v"), Letter("i"))
    if weighted:
        variance = row(variance, Sign("/"), Scripts(Letter("w"), Letter("i")))
    if residual is not None:
        lines.append((Letter("ε"), row(Sign("~"), _normal(Letter("R")))))
    else:
        lines.append((Scripts(Letter("ε"), Letter("i")), row(Sign("~"), _normal(variance))))
    words = "v: the known sampling variances" if known else f"σ = {number(fit.sigma)}"
    words = words if residual is None else f"R: {residual.label}, residual standard deviation {number(fit.sigma)}"
    words += f". x′β: the {len(fit.params)} columns of the fixed part" if len(fit.params) > MOST_TERMS else ""
    words += f", w the weights ({fit.model.schema.weights or 'given as numbers'})" if weighted else ""
    return Level("Each row i", Lines(tuple(lines)), words + ".")


def _mean(fit: Fit) -> list[tuple[Node, int]]:
    """The fixed part, each summand with its width in characters."""
    names = list(fit.params.index)
    if len(names) > MOST_TERMS:
        fixed: list[tuple[Node, int]] = [(row(Scripts(Letter("x"), Letter("i"), Sign("′")), Letter("β")), 4)]
    else:
        fixed = [_product(Scripts(Letter("β"), Number(str(j))), name, 2) for j, name in enumerate(names)]
    schema = fit.model.schema
    offset = schema.offset or ("offset" if schema.loose_offset or schema.formula.offsets else "")
    return fixed + ([(Scripts(Name(offset), Letter("i")), len(offset) + 1)] if offset else [])


def _effects(term: Spread, place: int, count: int) -> list[tuple[Node, int]]:
    level = row(Name(term.group), Sign("["), Letter("i"), Sign("]"))
    out = []
    for j, name in enumerate(term.names):
        index = row(Number(str(j)), Sign(","), level) if term.size > 1 else level
        out.append(_product(_random(index, place, count), name, len(term.group) // 2 + 4))
    return out


def _product(coefficient: Node, name: str, width: int) -> tuple[Node, int]:
    if name == "(Intercept)":
        return coefficient, width
    return row(coefficient, Sign("·"), Scripts(Name(name), Letter("i"))), width + len(name) + 2


def _broken(left: Node, parts: list[tuple[Node, int]]) -> list[tuple[Node, Node]]:
    """left = sum of the parts, on lines that are not too wide."""
    lines: list[list[Node]] = [[]]
    used = 0
    for part, width in parts:
        if lines[-1] and used + width + 3 > WIDEST:
            lines.append([])
            used = 0
        lines[-1].append(part)
        used += width + 3
    sums = [joined(line, "+") for line in lines]
    return [(left, row(Sign("="), sums[0])), *((row(), row(Gap(), Gap(), Sign("+"), line)) for line in sums[1:])]


def _term(fit: Fit, term: Spread, place: int, count: int) -> Level:
    title = f"Each {term.group} j ({fit.ngroups[term.group]:,} levels)"
    each, which = Letter("j"), Number(str(place + 1)) if count > 1 else None
    if term.size == 1:
        variance = Scripts(Letter("τ"), which, Number("2"))
        lines: list[tuple[Node, Node]] = [(_random(each, place, count), row(Sign("~"), _normal(variance)))]
        return Level(title, Lines(tuple(lines)), f"{term.names[0]}: τ = {number(term.sd[0]) if term.sd[0] else 0}.")
    sigma: Node = Letter("Σ") if which is None else Scripts(Letter("Σ"), which)
    effects = tuple((_random(row(Number(str(j)), Sign(","), each), place, count),) for j in range(term.size))
    small = term.size <= MOST_ENTRIES
    lines = [(Matrix(effects) if small else _random(each, place, count), row(Sign("~"), _normal(sigma)))]
    lines += [(sigma, row(Sign("≈"), _numbers(term)))] if small else []
    names = "; ".join(f"{j} {name}" for j, name in enumerate(term.names))
    return Level(title, Lines(tuple(lines)), f"Covariance structure of Σ: {term.structure_title}. Effects: {names}.")


def _numbers(term: Spread) -> Matrix:
    """The estimated covariance matrix of a term."""
    every = range(term.size)
    values = [[term.covariance(i, j) for j in every] for i in every]
    return Matrix(tuple(tuple(Number(pretty(number(value) if value else "0")) for value in row) for row in values))


def _random(index: Node, place: int, count: int) -> Node:
    """b with its index; with the number of its term where there are several."""
    if count == 1:
        return Scripts(Letter("b"), index)
    return Scripts(Letter("b"), index, row(Sign("("), Number(str(place + 1)), Sign(")")))


def _normal(variance: Node) -> Node:
    return row(Letter("N"), Sign("("), Number("0"), Sign(","), variance, Sign(")"))
