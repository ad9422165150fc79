"""What a structure makes of the terms in front of its bar.

ar1(visit | id), cs(cond | id)     a factor is read by its levels, with or without `0 +`: a column for each
sp_exp(x + y | g), ou(day | id)    numbers are coordinates: a column for each distinct position
csh(1 + x | g), rr(0 + a + x | g)  else the columns are those of the terms
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from ranef.covariance import STRUCTURES, Correlation, Covariance, structure
from ranef.covariance.correlation import Positions
from ranef.errors import DataError, FormulaError, ModelError
from ranef.formula.expression import Call, Expression
from ranef.formula.model import Bar, Formula, Term
from ranef.schema.coding import TermCoding, Variable
from ranef.schema.evaluate import text_of
from ranef.schema.levels import position_of
from ranef.schema.related import with_levels

POSITION = "position"
PLACED = (POSITION, "numFactor")
ORDERED = ("ar1", "toep", "ad", "arma11")


def with_positions(formula: Formula) -> Formula:
    """The coordinates in front of the bars of spatial structures gathered into `position(x, y)`, whose levels are the positions."""
    return replace(formula, bars=tuple(with_levels(_placed(bar, formula.text), formula.text) for bar in formula.bars))


def _placed(bar: Bar, text: str) -> Bar:
    if not STRUCTURES[bar.structure].about.coordinates:
        return bar
    terms = [term for term in bar.terms if term.order]
    if not terms or any(term.order > 1 for term in terms):
        at = max(text.find(bar.text), 0)
        hint = f"Write {bar.structure}(x + y | g), where x and y are columns of numbers."
        raise FormulaError(f"`{bar.structure}` needs coordinates.", text=text, start=at, stop=at + max(len(bar.text), 1), hint=hint)
    nodes = tuple(term.factors[0] for term in terms)
    if len(nodes) == 1 and is_position(nodes[0]):
        return replace(bar, terms=(Term(nodes),))
    place = Call(POSITION, nodes, start=nodes[0].start, stop=nodes[-1].stop)
    return replace(bar, terms=(Term((place,)),))


def is_position(node: Expression) -> bool:
    return isinstance(node, Call) and node.function in PLACED


def terms_of(bar: Bar, variables: Mapping[str, Variable]) -> tuple[Term, ...]:
    """The terms whose columns the structure relates; a factor stands for its levels, so that the intercept says nothing more.

    Raises ModelError for an ordered structure of numbers beside an intercept, which have no order.
    """
    entry = STRUCTURES[bar.structure]
    others = tuple(term for term in bar.terms if term.order)
    if not issubclass(entry.kind, Correlation) or len(others) == len(bar.terms) or not others:
        return bar.terms
    if len(others) == 1 and all(variables[text_of(node)].kind == "factor" for node in others[0].factors):
        return others
    if entry.about.word in ORDERED:
        name = text_of(others[0].factors[0])
        raise ModelError(
            f"{bar.structure} relates ordered positions, and {name} is no factor.",
            hint=f"Write {bar.structure}(factor({name}) | ...), or car1({name} | ...) for a correlation that falls with time.",
        )
    return bar.terms


def covariance_of(bar: Bar, k: int, codings: Sequence[TermCoding], variables: Mapping[str, Variable]) -> Covariance:
    """The structure of a bar with k columns.

    Raises ModelError for a single column where the structure is one of correlations, and for options out of range.
    """
    entry, positions = STRUCTURES[bar.structure], None
    if issubclass(entry.kind, Correlation) and k < 2:
        raise ModelError(
            f"{bar.structure} needs at least two columns to relate.", hint="A factor in front of the bar gives one for each level."
        )
    if entry.about.coordinates:
        positions = _positions(variables[codings[0][0].variable])
    options = {name: int(value) if name in WHOLE else value for name, value in bar.options}
    try:
        return structure(bar.structure, k, positions, **options)
    except ValueError as problem:
        raise ModelError(f"{problem}.") from None


WHOLE = ("d", "bands")


def _positions(variable: Variable) -> Positions:
    try:
        return tuple(position_of(level) for level in variable.levels)
    except (TypeError, ValueError):
        raise DataError(f"{variable.text} has levels that are no coordinates.") from None


def shown(node: Expression) -> list[str]:
    """The coordinates of a position as they were written, else the text of the node."""
    if isinstance(node, Call) and is_position(node):
        return [text_of(argument) for argument in node.arguments]
    return [text_of(node)]
