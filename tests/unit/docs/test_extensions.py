"""What the extensions of the site make of equations, plain formulas and docstrings."""

import runpy
from importlib.util import find_spec
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[3] / "docs/_ext"
NEEDED = ("sphinx", "docutils", "latex2mathml")
pytestmark = pytest.mark.skipif(
    not all(find_spec(name) for name in NEEDED), reason="Sphinx and latex2mathml belong to the extra for documentation"
)


def extension(name: str) -> dict:
    return runpy.run_path(str(FOLDER / f"{name}.py"))


def test_equations_become_mathml():
    mathml = extension("mathml")["mathml"]
    assert mathml(r"\frac{1}{n}", block=True).startswith("<math")
    assert 'display="block"' in mathml("x", block=True)
    assert "&#x0223C;" in mathml(r"e \sim N", block=False)


def test_bold_letters_are_letters_of_their_own():
    mathml = extension("mathml")["mathml"]
    assert "<mi>&#x1D72E;</mi>" in mathml(r"\boldsymbol{\Sigma}", block=False)  # MATHEMATICAL BOLD ITALIC CAPITAL SIGMA
    assert "<mi>&#x1D49A;</mi>" in mathml(r"\boldsymbol{y}", block=False)  # ... SMALL Y


def test_alignment_that_would_be_garbled_is_refused():
    with pytest.raises(ValueError, match="alignment"):
        extension("mathml")["mathml"](r"\begin{aligned} a &= b \end{aligned}", block=True)


def test_numbers_of_plain_formulas_have_a_column_of_their_own():
    html = extension("formulas")["as_html"]("y = Xb + e     (1)\nwith  e < 2")
    assert '<span>y = Xb + e</span><span class="eqno">(1)</span>' in html
    assert "<span>with  e &lt; 2</span></div>" in html


def test_indented_blocks_of_docstrings_stand_as_they_are():
    literal = extension("docstrings")["literal"]
    assert literal(["With these:", "", "    a  |b|", "", "by", "    text"]) == [
        "With these:",
        "",
        "::",
        "",
        "    a  |b|",
        "",
        "by",
        "    text",
    ]
    ready = ["As in::", "", "    x"]
    assert literal(ready) == ready
