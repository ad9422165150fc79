"""Random terms: double bars and nested groups written out as lme4 does; structures by their words."""

from __future__ import annotations

import pytest

from ranef.covariance import STRUCTURES
from ranef.formula import bar_text, parse
from ranef.formula.structures import known_structures, structure_of

EXPANDED = {
    "(1|g)": "(1 | g)",
    "(x|g)": "(x | g)",
    "(1 + x|g)": "(x | g)",
    "(x + 1|g)": "(x | g)",
    "(0 + x|g)": "(0 + x | g)",
    "(x - 1|g)": "(0 + x | g)",
    "(-1 + x|g)": "(0 + x | g)",
    "((x|g))": "(x | g)",
    "(x||g)": "(1 | g) + (0 + x | g)",
    "(0 + x||g)": "(0 + x | g)",
    "(1 + x + z||g)": "(1 | g) + (0 + x | g) + (0 + z | g)",
    "(x*z||g)": "(1 | g) + (0 + x | g) + (0 + z | g) + (0 + x:z | g)",
    "(x*z|g)": "(x + z + x:z | g)",
    "(I(x^2) + x|g)": "(I(x^2) + x | g)",
    "(poly(x, 2)|g)": "(poly(x, 2) | g)",
    "(1|g/h)": "(1 | g) + (1 | g:h)",
    "(1|g/h/k)": "(1 | g) + (1 | g:h) + (1 | g:h:k)",
    "(1|g/(h + k))": "(1 | g) + (1 | g:h) + (1 | g:k)",
    "(1|g:h)": "(1 | g:h)",
    "(1|g*h)": "(1 | g) + (1 | h) + (1 | g:h)",
    "(1|g + h)": "(1 | g) + (1 | h)",
    "(1|h %in% g)": "(1 | h:g)",
    "(x|g/h)": "(x | g) + (x | g:h)",
    "(x||g/h)": "(1 | g) + (0 + x | g) + (1 | g:h) + (0 + x | g:h)",
    "(1|factor(g))": "(1 | factor(g))",
    "(1|C(g):h)": "(1 | C(g):h)",
    "(1|(x > 2))": "(1 | (x > 2))",
    "(1|mm(a, b))": "(1 | mm(a, b))",
    "(1|gr(id, cov = A))": "(1 | gr(id, cov = A))",
    "(1|`my group`)": "(1 | `my group`)",
    "(1|g) + (0 + x|g)": "(1 | g) + (0 + x | g)",
    "(1|g) + (x|g)": "(1 | g) + (x | g)",
    "(1|g) + (1|g)": "(1 | g)",
    "(x||g) + (1|g)": "(1 | g) + (0 + x | g)",
    "(a + (x|g))": "(x | g)",
    "diag(x|g)": "diag(x | g)",
    "diag(1 + x|g/h)": "diag(x | g) + diag(x | g:h)",
    "diag(0 + x:z|g)": "diag(0 + x:z | g)",
    "us(x|g)": "(x | g)",
    "un(x|g)": "(x | g)",
    "UN(x|g)": "(x | g)",
    "vc(x|g)": "diag(x | g)",
    "id(0 + f|g)": "id(0 + f | g)",
    "homdiag(0 + f|g)": "id(0 + f | g)",
    "( x |g )\n + diag ( z|h )": "(x | g) + diag(z | h)",
}  # fmt: skip


@pytest.mark.parametrize("text", EXPANDED)
def test_bars_are_written_out(text):
    bars = parse(f"y ~ a + {text}").bars
    assert " + ".join(map(bar_text, bars)) == EXPANDED[text]


def test_bars_remember_how_they_were_written():
    assert [bar.text for bar in parse("y ~ (x||g/h) + diag( z |k)").bars] == ["(x||g/h)"] * 4 + ["diag( z |k)"]


def test_a_bar_may_be_all_there_is():
    formula = parse("y ~ (1 | g)")
    assert [term.factors for term in formula.fixed] == [()]
    assert len(formula.bars) == 1


def test_the_words_are_those_of_the_registry():
    assert all(f"`{word}`" in known_structures() for word in STRUCTURES)
    assert all(structure_of(word) == word for word in STRUCTURES)


def test_offsets():
    formula = parse("y ~ x + offset(log(t)) + (1 | g) + offset(w)")
    assert formula == parse("y ~ offset(log(t)) + x + offset(w) + (1 | g)")
    assert len(formula.offsets) == 2
    assert [len(term.factors) for term in formula.fixed] == [0, 1]
    assert parse("y ~ offset").fixed[1].factors[0].name == "offset"
