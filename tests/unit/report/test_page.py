"""The page: complete in itself, well formed, accessible, and true."""

import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from itertools import pairwise

import numpy as np
import pytest

import ranef
from ranef.errors import ModelError
from ranef.report import words
from ranef.report.charts import thinned
from ranef.report.charts.checks import check_pictures
from ranef.report.charts.effects import effect_pictures
from ranef.report.charts.random import caterpillars, shrinkage
from ranef.report.equation import levels
from ranef.report.notation import latex, mathml
from ranef.report.page import page
from ranef.report.svg import hexagonal, span
from ranef.report.ticks import labels, ticks

VOID = {"meta", "br", "circle", "path", "polyline", "polygon", "rect", "mspace"}
KEYS = ["sleepstudy", "nested", "full", "uncorrelated", "boundary", "linear"]
TITLES = ["The question", "The model", "The data", "Fixed effects", "Random effects", "Tests", "Effect sizes", "Diagnostics",
          "Methods, for a paper", "Code"]  # fmt: skip


class Reader(HTMLParser):
    """Checks that elements are closed, and collects what assistive software needs."""

    def __init__(self):
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict]] = []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def of(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def seen(self):
        return {tag for tag, _ in self.elements}


def read(text):
    reader = Reader()
    reader.feed(text)
    assert reader.open == []
    return reader


@pytest.fixture(scope="module")
def pages(fits):
    return {key: page(fits[key]) for key in KEYS}


@pytest.mark.parametrize("key", KEYS)
def test_a_page_is_well_formed_and_loads_nothing(pages, key):
    reader = read(pages[key])
    assert not {"script", "img", "link", "iframe", "object"} & reader.seen
    addresses = [attributes["href"] for attributes in reader.of("a")]
    assert all(address.startswith("#") for address in addresses)
    text = pages[key].replace('xmlns="http://www.w3.org/2000/svg"', "")
    assert re.search(r"src=|url\(|@import|https?://", text) is None


@pytest.mark.parametrize("key", KEYS)
def test_a_page_is_accessible(pages, key):
    """What axe-core asks of such a page, without a browser."""
    reader = read(pages[key])
    assert reader.of("html") == [{"lang": "en"}]
    assert {"header", "nav", "main", "footer", "title"} <= reader.seen
    ids = [attributes["id"] for _, attributes in reader.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {attributes["href"][1:] for attributes in reader.of("a")} <= set(ids)
    heads = [int(tag[1]) for tag, _ in reader.elements if re.fullmatch(r"h[1-6]", tag)]
    assert heads[0] == 1
    assert heads.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(heads))
    assert all(attributes["role"] == "img" and attributes["aria-label"] for attributes in reader.of("svg"))
    assert all("scope" in attributes for attributes in reader.of("th"))
    assert len(reader.of("caption")) == len(reader.of("table"))
    scrolling = [a for tag, a in reader.elements if a.get("class") in ("scroll", "wide") or tag == "pre"]
    assert scrolling
    assert all(a["tabindex"] == "0" and a["aria-label"] and a["role"] == "group" for a in scrolling)


def test_report_writes_the_page(fits, tmp_path):
    path = ranef.report(fits["sleepstudy"], tmp_path / "r.html", title="Sleep & <reaction>", data="sleepstudy")
    text = path.read_text(encoding="utf-8")
    assert "Sleep &amp; &lt;reaction&gt;" in text
    assert "251.405" in text
    assert "ranef.datasets.load(&#x27;sleepstudy&#x27;)" in text
    assert re.findall(r"<h2 [^>]*>([^<]*)</h2>", text) == TITLES


def test_a_linear_model_has_no_chapter_on_random_effects(pages):
    titles = re.findall(r"<h2 [^>]*>([^<]*)</h2>", pages["linear"])
    assert titles == [title for title in TITLES if title != "Random effects"]
    assert "Multiple R2 0.2865" in pages["linear"]


def test_a_report_of_another_kind_is_refused(fits, tmp_path):
    with pytest.raises(ModelError, match="cannot write") as caught:
        ranef.report(fits["linear"], tmp_path / "r.pdf")
    assert ".html or .md" in str(caught.value)


def test_markdown_has_the_same_chapters_and_its_pictures_beside_it(fits, tmp_path):
    path = ranef.report(fits["sleepstudy"], tmp_path / "sleep.md", data="sleepstudy")
    text = path.read_text(encoding="utf-8")
    assert re.findall(r"^## (.*)$", text, re.M) == TITLES
    assert "| Days        |   10.467 |" in text
    assert text.count("$$") == 4
    pictures = re.findall(r"\]\((sleep_files/[^)]+)\)", text)
    assert sorted(pictures) == sorted(f"sleep_files/{file.name}" for file in (tmp_path / "sleep_files").iterdir())
    for name in pictures:
        root = ET.fromstring((tmp_path / name).read_text(encoding="utf-8"))
        assert "--c0:" in root[0].text


def test_names_are_escaped_everywhere(hostile):
    text = page(hostile)
    reader = read(text)
    assert "script" not in reader.seen
    assert "<b>&3" not in text
    assert "2 values of Reaction are missing" in text


@pytest.mark.parametrize("key", KEYS)
def test_pictures_are_xml_with_finite_numbers(fits, key):
    checked = check_pictures(ranef.check(fits[key], n=20))
    pictures = [checked, *(make(fits[key]) for make in (effect_pictures, caterpillars, shrinkage))]
    found = [picture for some in pictures for picture in some]
    assert len(found) >= 3
    for picture in found:
        assert picture.caption
        assert ET.fromstring(picture.svg).attrib["role"] == "img"
        assert not re.search(r"(?<![a-z])nan(?![a-z])", picture.svg)
        assert not re.search(r"(?<![a-z])inf(?![a-z])", picture.svg)


def test_a_picture_shows_every_level_in_order(fits):
    svg = caterpillars(fits["sleepstudy"])[0].svg
    table = fits["sleepstudy"].ranef()
    intercepts = [(row["estimate"], row["level"]) for row in table if row["term"] == "(Intercept)"]
    texts = ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")
    assert [element.text for element in texts if element.attrib["text-anchor"] == "end"] == [
        level for _, level in sorted(intercepts)
    ]


def test_many_levels_become_a_band_and_many_rows_hexagons():
    rng = np.random.default_rng(1)
    g = rng.integers(0, 900, 6000)
    x = rng.normal(size=6000)
    m = ranef.lmm("y ~ x + (1 | g)", {"y": rng.normal(size=900)[g] + x + rng.normal(size=6000), "x": x, "g": g})
    text = page(m)
    assert "6,000 rows are counted in hexagons" in text
    assert text.count("<polygon") >= 3
    assert len(text) < 250_000


def test_brackets_are_as_high_as_letters_and_relations_have_room(fits):
    marks = [mark for level in levels(fits["sleepstudy"]) for mark in ET.fromstring(mathml(level.lines)).iter("mo")]
    assert {mark.get("stretchy") for mark in marks if mark.text in "()[]"} == {"false"}
    assert {(mark.get("lspace"), mark.get("rspace")) for mark in marks if mark.text == "∼"} == {("0.28em", "0.28em")}
    assert not [mark for mark in marks if mark.text == "~"]


def test_hexagons_count_every_point():
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(2, 5000)) * 50
    centres, counts = hexagonal(x, y, 6.0)
    assert counts.sum() == 5000
    slow = np.argmin((centres[:, 0][:, None] - x) ** 2 + (centres[:, 1][:, None] - y) ** 2, axis=0)
    assert np.array_equal(np.bincount(slow, minlength=len(centres)), counts)


def test_equations_are_xml_and_latex(fits, hostile):
    for fit in (*fits.values(), hostile):
        for level in levels(fit):
            ET.fromstring(mathml(level.lines))
            text = latex(level.lines)
            assert text.count("{") == text.count("}")
            assert text.count(r"\begin") == text.count(r"\end")
    assert r"\Sigma &\approx \begin{bmatrix} 612.1 & 9.60" in latex(levels(fits["sleepstudy"])[1].lines)
    assert r"{\tau}_{2}^{2}" in latex(levels(fits["nested"])[2].lines)
    assert "Covariance structure of Σ: unstructured" in levels(fits["full"])[1].words
    assert len(levels(fits["uncorrelated"])) == 3


def test_words_give_the_numbers(fits):
    sentences = " ".join(words.in_words(fits["sleepstudy"]))
    assert "With one unit more of Days, Reaction rises on average by 10.467 (95 % interval 7.206 to 13.729)." in sentences
    assert "their correlation is 0.066" in sentences
    assert words.in_words(fits["boundary"])[0].startswith("The mean of Yield is 5.6656 (95 % interval")
    assert "For Machine B, score is on average 7.967 higher than for A (95 % interval" in " ".join(words.in_words(fits["full"]))
    assert words.question(fits["linear"]) == "How does Reaction depend on Days?"
    assert "18 levels of Subject, which differ in their means and in the effects of Days?" in words.question(fits["sleepstudy"])


def test_the_effect_of_a_number_is_not_told_alone_when_its_square_is_there():
    data = ranef.datasets.load("sleepstudy")
    sentences = " ".join(words.in_words(ranef.lmm("Reaction ~ Days + I(Days**2) + (1 | Subject)", data)))
    assert "one unit more" not in sentences
    assert "For I(Days^2) F(1, 160.0) is " in sentences


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


def test_the_code_is_python_with_arguments_that_have_no_text():
    data = ranef.datasets.load("cake")
    m = ranef.lmm(
        "angle ~ recipe + temp + (1 | recipe:replicate)", data, precision_weights=np.ones(270), offset=np.ones(270),
        contrasts={"recipe": "sum"},
    )  # fmt: skip
    text = words.code(m, "cake")
    assert "contrasts={'recipe': 'sum'}" in text
    assert max(map(len, text.splitlines())) <= 100
    scope: dict[str, object] = {}
    made = text.replace("precision_weights = ...", "precision_weights = [1.0] * 270").replace(
        "offset = ...", "offset = [1.0] * 270"
    )
    exec(made.rsplit("\n", 1)[0], scope)
    assert scope["m"].llf == m.llf


def test_a_loaded_model_has_a_page(fits, tmp_path):
    fits["nested"].save(tmp_path / "m.ranef")
    text = page(ranef.load(tmp_path / "m.ranef"))
    assert "Coefficients" in text
    assert "Residuals against fitted" not in text
    assert "Random effects of Worker" in text


@pytest.mark.parametrize(("low", "high"), [(0, 1), (-3.2, 5.1), (1e-9, 3e-9), (1e9, 1e9 + 5), (-1e300, 1e300), (0.0, 1e-300)])
def test_ticks_are_round_and_inside(low, high):
    marks = ticks(low, high)
    assert 3 <= len(marks) <= 11
    assert all(low <= mark <= high for mark in marks)


def test_labels_share_their_decimals():
    assert labels([-0.5, 0.0, 0.5]) == ["\N{MINUS SIGN}0.5", "0.0", "0.5"]
    assert labels([0, 500000000000, 1000000000000]) == ["0", "5e+11", "1e+12"]
    assert labels([]) == []


def test_the_range_of_one_value_is_not_empty():
    low, high = span([3.0, 3.0])
    assert low < 3 < high
    low, high = span([0.0])
    assert low < 0 < high


def test_thinning_keeps_the_ends():
    assert list(thinned(np.arange(1000), 4)) == [0, 333, 666, 999]
    assert list(thinned(np.arange(3), 4)) == [0, 1, 2]
