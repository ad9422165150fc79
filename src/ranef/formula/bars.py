"""`(terms | group)` to covariance blocks: double bars and nested groups written out, as lme4 does."""

from __future__ import annotations

from ranef.formula.expression import Call, Expression, Literal, Operation
from ranef.formula.model import Bar, Options, Term
from ranef.formula.source import Source
from ranef.formula.structures import options_of, structure_of
from ranef.formula.terms import MAX_TERMS, Algebra


def expand_bars(source: Source, nodes: list[Expression]) -> tuple[Bar, ...]:
    """One Bar for each block and grouping factor; blocks that are written twice count once.

    Raises FormulaError where a side of a bar is no sum of terms, and where all bars together hold more than 5,000 terms.
    """
    bars: dict[Bar, None] = {}
    total = 0
    for node in nodes:
        blocks, groups, structure, options = _read(source, node)
        total += sum(map(len, blocks)) * len(groups)
        if total > MAX_TERMS:
            raise source.error(f"The bars make more than {MAX_TERMS:,} terms.", node.start, node.stop)
        text = source.text[node.start : node.stop]
        bars |= {Bar(block, group.factors, structure, options, text): None for group in groups for block in blocks}
    return tuple(bars)


Read = tuple[list[tuple[Term, ...]], tuple[Term, ...], str, Options]


def _read(source: Source, node: Expression) -> Read:
    """The blocks of terms, the grouping factors, the structure of one bar and its options."""
    structure: str | None = None
    options: Options = ()
    if isinstance(node, Call):
        structure = structure_of(node.function)
        options = _options(source, structure or "", node)
        node = node.arguments[0]
    assert isinstance(node, Operation)
    left, right = node.operands
    terms = Algebra(source, additions=False).terms(left)
    if not terms:
        hint = "0 takes the intercept away; write (1 | g) or (0 + x | g)."
        raise source.error("The bar has no terms.", left.start, left.stop, hint)
    if node.operator == "|":
        return [terms], _groups(source, right), structure or "un", options
    if structure is not None:
        hint = "Write `diag(x | g)` for a variance for each column, or `(x || g)` for a block for each term."
        raise source.error("A double bar takes no structure.", node.start, node.stop, hint)
    return [(term,) for term in terms], _groups(source, right), "un", ()


def _options(source: Source, structure: str, node: Call) -> Options:
    """The options of a structure, which are numbers."""
    known = options_of(structure)
    for name, value in node.keywords:
        if name not in known:
            hint = f"It takes: {', '.join(known)}." if known else "It takes none."
            raise source.error(f"`{structure}` has no option `{name}`.", value.start, value.stop, hint)
        if not isinstance(value, Literal) or type(value.value) not in (int, float):
            raise source.error(f"The option `{name}` is a number.", value.start, value.stop)
    return tuple((name, value.value) for name, value in node.keywords)  # type: ignore[attr-defined]


def _groups(source: Source, node: Expression) -> tuple[Term, ...]:
    algebra = Algebra(source, additions=False)
    groups = algebra.terms(node)
    if algebra.intercept_given or len(groups) < 2:
        hint = "Write (1 | g), where g is a column."
        raise source.error("A grouping factor is a column of the data, not a number.", node.start, node.stop, hint)
    return groups[1:]
