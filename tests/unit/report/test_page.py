"""The page: complete in itself, well formed, and true."""

import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser

import numpy as np
import pytest

import ranef
from ranef.report import words
from ranef.report.charts import caterpillars, residual_charts, thinned
from ranef.report.equation import equation
from ranef.report.page import page
from ranef.report.svg import span, ticks

VOID = {"meta", "br", "circle", "path", "polyline"}
KEYS = ["sleepstudy", "nested", "full", "uncorrelated", "boundary", "linear"]


class Balance(HTMLParser):
    def __init__(self):
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()

    def handle_starttag(self, tag, attrs):
        self.seen.add(tag)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag


@pytest.mark.parametrize("key", KEYS)
def test_a_page_is_well_formed_and_loads_nothing(fits, key):
    text = page(fits[key])
    parser = Balance()
    parser.feed(text)
    assert parser.open == []
    assert "script" not in parser.seen
    assert re.search(r"(src|href)=|url\(|@import|https?://", text) is None


def test_report_writes_the_page(fits, tmp_path):
    path = ranef.report(fits["sleepstudy"], tmp_path / "r.html", title="Sleep & <reaction>", data="sleepstudy")
    text = path.read_text(encoding="utf-8")
    assert "Sleep &amp; &lt;reaction&gt;" in text
    assert "251.405" in text
    assert "ranef.datasets.load(&#x27;sleepstudy&#x27;)" in text
    for section in (
        "in words",
        "as an equation",
        "Fixed effects",
        "Random effects",
        "Residuals",
        "Data",
        "Findings",
        "Repeat it",
        "Cite it",
    ):
        assert section in text


def test_names_are_escaped_everywhere(hostile):
    text = page(hostile)
    parser = Balance()
    parser.feed(text)
    assert "script" not in parser.seen
    assert "b" in parser.seen
    assert "<b>&3" not in text
    assert "Missing values" in text


@pytest.mark.parametrize("key", KEYS)
def test_pictures_are_xml_with_finite_numbers(fits, key):
    charts = residual_charts(fits[key]) + (caterpillars(fits[key]) if fits[key].ngroups else [])
    assert len(charts) >= 2
    for caption, svg in charts:
        assert caption
        assert ET.fromstring(svg).attrib["role"] == "img"
        assert "nan" not in svg
        assert "inf" not in svg


def test_a_picture_shows_every_level_in_order(fits):
    _, svg = caterpillars(fits["sleepstudy"])[0]
    table = fits["sleepstudy"].ranef()
    intercepts = [(row["estimate"], row["level"]) for row in table if row["term"] == "(Intercept)"]
    names = [element.text for element in ET.fromstring(svg).iter("text") if element.attrib["text-anchor"] == "end"]
    assert names == [level for _, level in sorted(intercepts)]


def test_equations_are_xml(fits, hostile):
    for fit in (*fits.values(), hostile):
        ET.fromstring(f"<div>{equation(fit)}</div>")
    assert "Σ" in equation(fits["sleepstudy"])
    assert "τ" in equation(fits["nested"])


def test_words_give_the_numbers(fits):
    sentences = " ".join(words.in_words(fits["sleepstudy"]))
    assert "With one unit more of Days it changes by 10.467 (95 % interval 7.206 to 13.729)." in sentences
    assert "their correlation is 0.066" in sentences
    assert "has one overall mean" in words.in_words(fits["boundary"])[0]
    assert "unit more" not in " ".join(words.in_words(fits["full"]))


@pytest.mark.parametrize("key", KEYS)
def test_the_code_makes_the_same_fit(fits, key):
    from .conftest import MODELS

    scope: dict[str, object] = {}
    exec(words.code(fits[key], MODELS[key][0]).rsplit("\n", 1)[0], scope)
    assert scope["m"].llf == fits[key].llf


def test_the_code_repeats_options():
    data = ranef.datasets.load("sleepstudy")
    m = ranef.lmm("Reaction ~ Days + (1 | Subject)", data, reml=False, ddf="residual")
    assert "data, reml=False, ddf='residual')" in words.code(m)
    assert "data = ..." in words.code(m)


def test_a_loaded_model_has_a_page(fits, tmp_path):
    fits["nested"].save(tmp_path / "m.ranef")
    text = page(ranef.load(tmp_path / "m.ranef"))
    assert "Fixed effects" in text
    assert "Normal quantile" not in text


@pytest.mark.parametrize(("low", "high"), [(0, 1), (-3.2, 5.1), (1e-9, 3e-9), (1e9, 1e9 + 5), (-1e300, 1e300), (0.0, 1e-300)])
def test_ticks_are_round_and_inside(low, high):
    marks = ticks(low, high)
    assert 3 <= len(marks) <= 11
    assert all(low <= mark <= high for mark in marks)


def test_the_range_of_one_value_is_not_empty():
    low, high = span([3.0, 3.0])
    assert low < 3 < high
    low, high = span([0.0])
    assert low < 0 < high


def test_thinning_keeps_the_ends():
    assert list(thinned(np.arange(1000), 4)) == [0, 333, 666, 999]
    assert list(thinned(np.arange(3), 4)) == [0, 1, 2]
