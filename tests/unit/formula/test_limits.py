"""Long formulas are read, and formula bombs are refused: work that grew with what they write out would not end."""

from __future__ import annotations

import subprocess
import sys

import pytest

from ranef.errors import FormulaError
from ranef.formula import format, parse


def names(count: int) -> list[str]:
    return [f"x{number}" for number in range(count)]


LONG = {
    "a sum of 3,000": "y ~ " + "+".join(names(3000)),
    "a sum of 3,000 with differences": "y ~ " + "-".join(names(3000)),
    "one term of 2,500 factors": "y ~ " + ":".join(names(2500)),
    "all pairs of 90": "y ~ (" + "+".join(names(90)) + ")^2",
    "1,200 bars": "y ~ " + "+".join(f"(x|{name})" for name in names(1200)),
    "the same bar over and over": "y ~ " + "(1|g)+" * 3000 + "x",
    "nesting over and over": "y ~ " + "a/" * 5000 + "b",
    "nested parentheses": "y ~ " + "(" * 99 + "x" + ")" * 99,
    "nested calls": "y ~ " + "f(" * 99 + "x" + ")" * 99,
    "signs": "y ~ " + "-" * 10000 + "x",
    "a high power of few terms": "y ~ (a*b*c)^99999",
    "a high power of dot": "y ~ .^99999",
    "dot less much": "y ~ . " + "- x" * 4000,
}  # fmt: skip

BOMBS = {
    "power": "y ~ (" + "+".join(names(16)) + ")^16",
    "square": "y ~ (" + "+".join(names(3000)) + ")^2",
    "power of a power": "y ~ ((((a + b + c + d)^4 + e + f)^6 + g + h)^8 + i*j*k*l*m*n*o)^20",
    "product": "y ~ " + "*".join(names(40)),
    "product of sums": "y ~ (" + "+".join(names(900)) + "):(" + "+".join(names(900)) + ")",
    "group": "y ~ (1 | " + "*".join(names(40)) + ")",
    "double bar": "y ~ (" + "*".join(names(12)) + " || " + "*".join(names(12)) + ")",
    "nesting": "y ~ " + "/".join(names(2500)),
    "parentheses": "y ~ " + "(" * 9000,
    "closed parentheses": "y ~ " + "(" * 2000 + "x" + ")" * 2000,
    "calls": "y ~ " + "f(" * 101 + "x" + ")" * 101,
    "arithmetic": "y ~ I(" + "x+" * 5000 + "x)",
    "powers": "y ~ I(" + "x^" * 5000 + "x)",
    "signs in arithmetic": "y ~ I(" + "-" * 10000 + "x)",
    "response": "+".join(names(2000)) + " ~ x",
    "digits": "y ~ f(x, " + "1" * 15000 + ")",
    "length": "y ~ " + "x + " * 10000 + "x",
}  # fmt: skip


@pytest.mark.parametrize("text", LONG.values(), ids=LONG)
def test_long_formulas_are_read(text):
    formula = parse(text)
    assert parse(format(formula)[:20_000] if text == format(formula) else text) == formula


@pytest.mark.parametrize("text", BOMBS.values(), ids=BOMBS)
def test_bombs_are_refused(text):
    with pytest.raises(FormulaError):
        parse(text)


def test_a_formula_is_read_once():
    assert parse("y ~ x + (x | g)") is parse("y ~ x + (x | g)")


def test_the_package_needs_only_the_standard_library():
    code = (
        "import sys; import ranef.formula; "
        "print([name for name in ('numpy', 'pandas', 'formulaic', 'patsy', 'ranef.covariance') if name in sys.modules])"
    )
    out = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONPATH": ":".join(sys.path)}
    )
    assert out.stdout.strip() == "[]"
