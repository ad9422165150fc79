"""`.`: all columns that are neither in the response nor in a grouping factor."""

from __future__ import annotations

import pytest

from ranef.errors import FormulaError
from ranef.formula import Name, Term, expand_dot, format, parse, term_label, variables

COLUMNS = ("y", "a", "b", "my c", "g")

EXPANDED = {
    "y ~ .": "a b `my c` g",
    "log(y) ~ .": "a b `my c` g",
    "y ~ . + (1 | g)": "a b `my c`",
    "y ~ . + (a | g:b)": "a `my c`",
    "y ~ . - a": "b `my c` g",
    "y ~ . - a - 1": "b `my c` g",
    "y ~ a:b + . + (1 | g)": "a b `my c` a:b",
    "y ~ a*. + (1 | g/`my c`)": "a b a:b",
    "y ~ .^2 - . + (1|g)": "a:b a:`my c` b:`my c`",
    "y ~ .:b + (1|g)": "b a:b b:`my c`",
    "y ~ . + log(a) + (1 | g)": "a b `my c` log(a)",
    "y ~ . + offset(a) + (1 | g)": "a b `my c`",
    "~ . - y - g": "a b `my c`",
}  # fmt: skip


@pytest.mark.parametrize("text", EXPANDED)
def test_dot_is_put_in(text):
    formula = expand_dot(parse(text), COLUMNS)
    labels = [term_label(term) for term in formula.fixed if term.factors]
    assert labels == EXPANDED[text].replace("my c", "my_c").replace("my_c", "my\x00c").replace(" ", "|").replace("\x00", " ").split(
        "|"
    )
    assert not formula.dot
    assert (Term(()) in formula.fixed) == ("- 1" not in text)


def test_until_then_it_is_a_factor_and_the_text_is_kept():
    formula = parse("y ~ .^2 - a + (1 | g)")
    assert formula.dot
    assert Term((Name("."),)) in formula.fixed
    assert variables(formula) == ("y", "g")
    assert parse(format(formula)) == formula
    assert formula != parse("y ~ .^2 + (1 | g)")
    assert expand_dot(formula, COLUMNS).text == formula.text


def test_a_formula_without_dot_stays():
    formula = parse("y ~ a")
    assert expand_dot(formula, COLUMNS) is formula


def test_no_other_columns():
    assert expand_dot(parse("y ~ ."), ["y"]) == parse("y ~ 1")


def test_too_many_columns_are_refused_before_they_are_multiplied():
    with pytest.raises(FormulaError, match="more than 5,000 terms"):
        expand_dot(parse("y ~ .^3"), [f"x{number}" for number in range(100)])
