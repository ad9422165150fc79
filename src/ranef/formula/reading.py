"""Text to Formula: the three steps (tree, terms, bars) in one place."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from ranef.errors import FormulaError
from ranef.formula.bars import expand_bars
from ranef.formula.columns import variables
from ranef.formula.expression import Expression, Operation
from ranef.formula.model import Formula, Term
from ranef.formula.parser import Mode, Parser
from ranef.formula.source import Source
from ranef.formula.terms import Algebra
from ranef.formula.text import expression_text

MAX_LENGTH = 20_000


def parse(text: object) -> Formula:
    """What a formula says, without looking at data.

    Raises FormulaError, pointing at the token, where the text is no formula or would make more than 5,000 terms.
    """
    if not isinstance(text, str):
        shown = repr(text)[:80]
        raise FormulaError("A formula is a text such as 'y ~ x + (1 | g)'.", text=shown, start=0, stop=len(shown))
    return _parse(str(text))


def expand_dot(formula: Formula, columns: Sequence[str]) -> Formula:
    """The formula with the columns in the place of `.`: those that are neither in the response nor in a grouping factor.

    The text stays as written, so that places in it keep their meaning.
    """
    if not formula.dot:
        return formula
    named = set() if formula.response is None else set(variables(formula.response))
    for bar in formula.bars:
        named.update(*(variables(factor) for factor in bar.group))
    return _read(Source(formula.text), tuple(column for column in columns if column not in named))


@lru_cache(maxsize=256)
def _parse(text: str) -> Formula:
    source = Source(text)
    if len(text) > MAX_LENGTH:
        hint = "Many columns enter by `.`, which stands for all of them."
        message = f"This formula has {len(text):,} characters; the limit is {MAX_LENGTH:,}."
        raise source.error(message, MAX_LENGTH, MAX_LENGTH + 1, hint)
    return _read(source)


def _read(source: Source, columns: tuple[str, ...] | None = None) -> Formula:
    parser = Parser(source)
    tilde = _tilde(parser)
    response = parser.expression(0, tilde, Mode.VALUE) if tilde else None
    if response is not None:
        _check_response(source, response)
    tree = parser.expression(tilde + 1, parser.whole.close, Mode.TERMS)
    algebra = Algebra(source, columns)
    fixed = algebra.terms(tree)
    _check_fixed(source, response, fixed)
    bars = expand_bars(source, algebra.bars)
    dot = expression_text(tree) if algebra.dot and columns is None else ""
    return Formula(source.text, response, fixed, bars, tuple(algebra.offsets), dot)


def _tilde(parser: Parser) -> int:
    """The position of the one `~`, after a look at what else stands outside of all brackets."""
    whole, tokens = parser.whole, parser.tokens
    if not whole.close:
        raise parser.error("The formula is empty.", tokens[0], "Write response ~ terms, such as y ~ x + (1 | g).")
    if not whole.tildes:
        wrong = next((token for token in tokens if token.text in ("=", "==")), tokens[0])
        raise parser.error("The formula has no `~`.", wrong, "Write response ~ terms, such as y ~ x + (1 | g).")
    if len(whole.tildes) > 1:
        hint = "One `~` stands between the response and the terms."
        raise parser.error("The formula has two `~`.", tokens[whole.tildes[1]], hint)
    tilde = whole.tildes[0]
    if whole.bars:
        at = whole.bars[0]
        if at < tilde:
            raise parser.error("A bar has no place in the response.", tokens[at])
        raise parser.error("A bar stands in parentheses.", tokens[at], "Write y ~ x + (x | g).")
    if tilde == whole.close - 1:
        raise parser.error("Nothing follows `~`.", tokens[tilde], "Write y ~ 1 for a model with only an intercept.")
    return tilde


def _check_response(source: Source, response: Expression) -> None:
    if isinstance(response, Operation) and response.operator == "|":
        raise source.error("A bar has no place in the response.", response.start, response.stop)
    if not variables(response):
        raise source.error("The response names no column.", response.start, response.stop, "Write the column in front of `~`.")


def _check_fixed(source: Source, response: Expression | None, fixed: tuple[Term, ...]) -> None:
    for factor in (factor for term in fixed for factor in term.factors if factor == response):
        message = f"The response `{expression_text(factor)}` is also a term."
        raise source.error(message, factor.start, factor.stop, "Leave it out on the right of `~`.")
