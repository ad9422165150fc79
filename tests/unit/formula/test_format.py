"""`format` writes what `parse` reads: parse(format(f)) == f."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ranef.errors import FormulaError
from ranef.formula import Formula, Name, expression_text, format, parse, quoted, variables

PUBLISHED = (Path(__file__).parent / "published.txt").read_text(encoding="utf-8").splitlines()

CANONICAL = {
    "y~x": "y ~ x",
    "y~1+x": "y ~ x",
    "y~x-1": "y ~ 0 + x",
    "y~1": "y ~ 1",
    "~0": "~ 0",
    "y~(1|g)": "y ~ 1 + (1 | g)",
    "y~0+(1|g)": "y ~ 0 + (1 | g)",
    "y~a*b+(x||g)": "y ~ a + b + a:b + (1 | g) + (0 + x | g)",
    "y~b:a+a": "y ~ b:a + a",
    "y~a*b-a": "y ~ a:b + b",
    "y~a+b+a:c+b:c-a-b": "y ~ a - a + b - b + a:c + b:c",
    "y~(x>2)*z": "y ~ (x > 2) + z + (x > 2):z",
    "y~offset(log(t))+x": "y ~ x + offset(log(t))",
    "log( y )~I( x**2 )": "log(y) ~ I(x^2)",
    "y~.-a+(1|g)": "y ~ . - a + (1 | g)",
    "y~(.)^2": "y ~ .^2",
    "y~a/(.-b)": "y ~ a/(. - b)",
    "y~`TRUE`+`x`+`a b`": "y ~ `TRUE` + x + `a b`",
}  # fmt: skip


@pytest.mark.parametrize("text", CANONICAL)
def test_canonical_text(text):
    formula = parse(text)
    assert format(formula) == CANONICAL[text]
    assert parse(format(formula)) == formula


@pytest.mark.parametrize("text", PUBLISHED)
def test_published_formulas(text):
    """The formulas of the reference cases."""
    formula = parse(text)
    assert formula.response is not None
    assert parse(format(formula)) == formula
    assert all(name in text for name in variables(formula))
    assert len(formula.bars) >= text.count("|") - 2 * text.count("||") + text.count("||")


NAMES = st.one_of(
    st.sampled_from(["a", "b", "c", "x.y", "größe", "_z", "TRUE", "a b", "1x", "a`b", "a\\b", "a:b", "c", "offset", "I", "C"]),
    st.text(min_size=1, max_size=5).filter(lambda name: name != "." and not any("\ud800" <= letter <= "\udfff" for letter in name)),
)
columns = NAMES.map(quoted)
numbers = st.one_of(st.integers(-999, 10**9), st.floats(allow_nan=False, allow_infinity=False)).map(lambda value: repr(value))
constants = st.one_of(numbers, st.sampled_from(["TRUE", "FALSE", "NULL", "Inf", '"s"', "'\"'", "c(1, 2)", "c(-1, 2.5)", '"\\\\"']))


def joined(operators: str, operands: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.tuples(operands, st.sampled_from(operators.split()), operands).map(" ".join)


def in_parentheses(texts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return texts.map(lambda text: f"({text})")


def grow_values(values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        joined("+ - * / ^ ** %% & |", values),
        in_parentheses(values),
        values.map(lambda text: f"-{text}"),
        in_parentheses(joined("== != < <= > >=", in_parentheses(values))),
        values.map(lambda text: f"!({text})"),
        st.tuples(st.sampled_from(["log", "f.g", "splines::bs"]), values, constants).map(lambda p: f"{p[0]}({p[1]}, df = {p[2]})"),
    )


values = st.recursive(st.one_of(columns, constants), grow_values, max_leaves=8)
factors = st.one_of(
    columns, columns, values.map(lambda text: f"I({text})"), st.tuples(columns, columns).map(lambda p: f"({p[0]} > {p[1]})")
)


def grow_terms(terms: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(joined("+ + - : * / %in%", terms), in_parentheses(terms), terms.map(lambda text: f"({text} + a + b)^2"))


terms = st.recursive(factors, grow_terms, max_leaves=6)
rights = st.one_of(terms, terms.map(lambda text: f"0 + {text}"), terms.map(lambda text: f"{text} - 1"))
groups = st.recursive(factors, lambda inner: joined(": / * +", inner), max_leaves=3)
bars = st.tuples(st.sampled_from(["", "diag", "id", "us"]), rights, st.just("|"), groups) | st.tuples(
    st.just(""), rights, st.just("||"), groups
)


@st.composite
def formulas(draw):
    pieces = [draw(rights), *(f"{word}({left} {bar} {group})" for word, left, bar, group in draw(st.lists(bars, max_size=2)))]
    pieces += [f"offset({draw(values)})"] if draw(st.booleans()) else []
    response = draw(st.one_of(st.just(""), columns.map(lambda name: f"scale({name})")))
    return f"{response} ~ {' + '.join(pieces)}"


def read(text: str) -> Formula | FormulaError:
    try:
        return parse(text)
    except FormulaError as refusal:
        return refusal


@given(formulas())
def test_format_and_parse_are_inverse(text):
    formula = read(text)
    if isinstance(formula, FormulaError):  # more terms than allowed, or a bar whose terms were all taken away
        assert any(reason in str(formula) for reason in ("no terms", "more than", "grouping factor")), text
        return
    assert parse(format(formula)) == formula
    assert format(parse(format(formula))) == format(formula)


@given(NAMES)
def test_any_name_can_be_written(name):
    assert parse(f"~ {quoted(name)}").fixed[1].factors == (Name(name),)
    assert expression_text(Name(name)) == quoted(name)


@given(st.text(alphabet="abxy ~+-*/:^|()[],.=<>!&%`'\"1270\n$é", max_size=40))
def test_any_text_is_read_or_refused(text):
    formula = read(text)
    assert isinstance(formula, FormulaError) or parse(format(formula)) == formula


@given(st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(10**15) + 1, 10**15 - 1))
def test_numbers_keep_their_value(value):
    argument = parse(f"y ~ f(x, {value!r})").fixed[1].factors[0].arguments[1]
    assert argument.value == value
    assert parse(f"y ~ f(x, {expression_text(argument)})").fixed[1].factors[0].arguments[1].value == value
