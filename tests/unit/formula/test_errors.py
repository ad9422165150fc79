"""Every refusal names what is wrong, points at the token, and says what to do."""

from __future__ import annotations

import pytest

from ranef.errors import FormulaError
from ranef.formula import parse

# formula, the text that the carets stand under (with its place, where it occurs more than once), a piece of the message
WRONG = [
    ("", "", "formula is empty"),
    ("   ", "", "formula is empty"),
    ("y", "y", "no `~`"),
    ("y x", "y", "no `~`"),
    ("y <- x", "y", "no `~`"),
    ("y = x", "=", "no `~`"),
    ("y == x", "==", "no `~`"),
    ("~", "~", "Nothing follows `~`"),
    ("y ~", "~", "Nothing follows `~`"),
    ("y ~ a ~ b", ("~", 6), "two `~`"),
    ("y ~ a +", "+", "Nothing follows `+`"),
    ("y ~ -", "-", "Nothing follows `-`"),
    ("y ~ a %in% ", "%in%", "Nothing follows `%in%`"),
    ("y ~ a + * b", "*", "missing in front of `*`"),
    ("y ~ * b", "*", "missing in front of `*`"),
    ("y ~ (a", "(", "never closed"),
    ("y ~ (1 | g", "(", "never closed"),
    ("y ~ log(a", "(", "never closed"),
    ("log(y ~ x", "(", "never closed"),
    ("y ~ a)", ")", "closes nothing"),
    ("y ~ (a]", "]", "does not close `(`"),
    ("y ~ ()", "(", "nothing between the parentheses"),
    ("y ~ x | g", "|", "A bar stands in parentheses"),
    ("y ~ x + x || g", "||", "A bar stands in parentheses"),
    ("y ~ (1|)", "|", "No grouping factor"),
    ("y ~ (|g)", "|", "in front of the bar"),
    ("y ~ diag(|g)", "|", "in front of the bar"),
    ("y ~ (1|g|h)", ("|", 8), "two bars"),
    ("y ~ (1||g||h)", ("||", 9), "two bars"),
    ("y ~ (0|g)", "0", "The bar has no terms"),
    ("y ~ (1|1)", ("1", 7), "A grouping factor is a column"),
    ("y ~ (1|g + 0)", "g + 0", "A grouping factor is a column"),
    ("y ~ (1|'g')", "'g'", "A string is no term"),
    ("y ~ (1|g)*x", "(1|g)", "can only be added"),
    ("y ~ x:(1|g)", "(1|g)", "can only be added"),
    ("y ~ x - (1|g)", "(1|g)", "can only be added"),
    ("y ~ ((1|g)|h)", "(1|g)", "can only be added"),
    ("y ~ (x + (1|g) | h)", "(1|g)", "can only be added"),
    ("y ~ (a > 2 | b)", ">", "A comparison cannot stand beside a bar"),
    ("y ~ foo(x | g)", "foo", "no covariance structure"),
    ("y ~ foo(0 + x:z || g)", "foo", "Known are `un`, `diag`"),
    ("y ~ diag(x || g)", "diag(x || g)", "A double bar takes no structure"),
    ("y ~ diag(x | g, 2)", ",", "options by name"),
    ("y ~ diag(x | g, d=2)", "2", "has no option `d`"),
    ("y ~ rr(x | g, d=w)", "w", "is a number"),
    ("y | g ~ x", "|", "no place in the response"),
    ("(1|g) ~ x", "1|g", "no place in the response"),
    ("1 ~ x", "1", "The response names no column"),
    ("'y' ~ x", "'y'", "The response names no column"),
    (". ~ x", ".", "only as a term"),
    ("y ~ y + x", ("y", 4), "also a term"),
    ("log(y) ~ x*log(y)", ("log(y)", 11), "also a term"),
    ("y ~ 2", "2", "2 is no term"),
    ("y ~ 2*x", "2", "2 is no term"),
    ("y ~ .5", ".5", "0.5 is no term"),
    ("y ~ a:1", "1", "A number cannot stand beside `:`"),
    ("y ~ 1/a", "1", "A number cannot stand beside `/`"),
    ("y ~ x^2", "x^2", "Write I(x^2)"),
    ("y ~ x ** 2", "x ** 2", "Write I(x^2)"),
    ("y ~ (a + b)^c", "c", "whole number"),
    ("y ~ (a + b)^1.5", "1.5", "whole number"),
    ("y ~ (a + b)^0", "0", "whole number"),
    ("y ~ (a + b)^-1", "-1", "whole number"),
    ("y ~ 'x'", "'x'", "in back-quotes: `x`"),
    ("y ~ TRUE", "TRUE", "no term"),
    ("y ~ None", "None", "no term"),
    ("y ~ a == b", "==", "Write I(a == b)"),
    ("y ~ a + b > 2", ">", "Write I(a > b)"),
    ("y ~ !a", "!", "Write I(!x)"),
    ("y ~ a && b", "&&", "`and` is written `&`"),
    ("y ~ a %% b", "%%", "Write I(a %% b)"),
    ("y ~ a %o% b", "%o%", "no meaning here"),
    ("y ~ I(a < b < c)", ("<", 12), "cannot be chained"),
    ("y ~ I(a || b)", "||", "`or` is written `|`"),
    ("y ~ I(a and b)", "and", "`and` is written `&`"),
    ("y ~ I(a %in% b)", "%in%", "no meaning here"),
    ("y ~ I(a %/% b)", "%/%", "floor"),
    ("y ~ f(a:b)", ":", "no meaning here"),
    ("y ~ f(a ~ b)", ("~", 8), "one `~`"),
    ("y ~ (a = 2)", "=", "no meaning here"),
    ("y ~ a, b", ",", "A comma only separates"),
    ("y ~ (a, b)", ",", "A comma only separates"),
    ("y ~ a b", "b", "An operator is missing"),
    ("y ~ a 'b'", "'b'", "An operator is missing"),
    ("y ~ 2x", "x", "An operator is missing"),
    ("y ~ x[0]", "[", "Subscripts"),
    ("y ~ x['a']", "[", "Subscripts"),
    ("y ~ [a]", "[", "A list only stands"),
    ("y ~ c(a, b)", "c", "only stands as an argument"),
    ("y ~ f(x, c(a = 1))", "c", "have no names"),
    ("y ~ f(x)(z)", ("(", 8), "no function"),
    ("y ~ (a)(b)", ("(", 7), "no function"),
    ("y ~ `f`(x)", "(", "no function"),
    ("y ~ lambda x: x", ("x", 11), "An operator is missing"),
    ("y ~ x if z else w", "if", "An operator is missing"),
    ("y ~ __import__('os').system('ls')", ".system", "An operator is missing"),
    ("y ~ {x}", "{", "no code"),
    ("y ~ a; b", ";", "One formula at a time"),
    ("y ~ data$x", "$", "not `data$x`"),
    ("y ~ a @ b", "@", "no meaning"),
    ("y ~ a ? b", "?", "no meaning"),
    ("y ~ a\\b", "\\", "no meaning"),
    ("y ~ x\x00", "\x00", "no meaning"),
    ("y ~ “x”", "“", "straight quotes"),
    ("y ~ a – b", "–", "minus sign"),
    ("y ~ a × b", "×", "Use *"),
    ("y ~ `a", "`", "never closed"),
    ("y ~ 'a", "'", "never closed"),
    ("y ~ ``", "``", "must have a name"),
    ("y ~ `.`", "`.`", "must have a name"),
    ("y ~ a::b", "::", "in front of a function"),
    ("y ~ splines::", "::", "in front of a function"),
    ("y ~ log(x,)", ")", "An argument is missing"),
    ("y ~ log(,x)", ",", "An argument is missing"),
    ("y ~ bs(x, df = )", "=", "has no value"),
    ("y ~ bs(x, df = 3, df = 4)", ("df", 18), "given twice"),
    ("y ~ bs(x, 3 = 4)", "3", "a plain word"),
    ("y ~ bs(x, TRUE = 4)", "TRUE", "a plain word"),
    ("y ~ log(.)", ".", "only as a term"),
    ("y ~ (. | g)", ".", "among the fixed terms"),
    ("y ~ (1 | .)", ".", "among the fixed terms"),
    ("y ~ offset()", "offset()", "takes one expression"),
    ("y ~ offset(a, b)", "offset(a, b)", "takes one expression"),
    ("y ~ x - offset(z)", "offset(z)", "can only be added"),
    ("y ~ offset(z):x", "offset(z)", "can only be added"),
    ("y ~ (offset(z) | g)", "offset(z)", "can only be added"),
    ("y ~ 1e999", "1e999", "too large"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "token", "message"), WRONG, ids=[repr(text) for text, _, _ in WRONG])
def test_refusals_point_at_the_token(text, token, message):
    with pytest.raises(FormulaError) as caught:
        parse(text)
    error = caught.value
    assert message in str(error)
    token, place = token if isinstance(token, tuple) else (token, text.find(token))
    if token:
        assert (text[error.start : error.stop], error.start) == (token, place)
    lines = str(error).split("\n")
    assert lines[2] == " " * (2 + error.start) + "^" * (error.stop - error.start)


def test_line_breaks_are_blanks():
    text = "y ~ x +\n\tz ?"
    with pytest.raises(FormulaError) as caught:
        parse(text)
    assert caught.value.text == "y ~ x +  z ?"
    assert parse("y ~ x\n  + (1 | g)") == parse("y ~ x + (1 | g)")


def test_of_a_long_formula_the_neighbourhood_is_shown():
    text = (
        "y ~ " + " + ".join(f"x{number}" for number in range(200)) + " + ? + " + " + ".join(f"z{number}" for number in range(200))
    )
    with pytest.raises(FormulaError) as caught:
        parse(text)
    error = caught.value
    assert error.text.startswith("...")
    assert error.text.endswith("...")
    assert error.text[error.start : error.stop] == "?"
    assert len(error.text) < 140


@pytest.mark.parametrize("value", [None, 3, ["y ~ x"], b"y ~ x"])
def test_a_formula_is_a_text(value):
    with pytest.raises(FormulaError, match="A formula is a text"):
        parse(value)
