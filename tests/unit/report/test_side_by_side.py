"""Models side by side: the right number in the right cell, in every face."""

import re
from html.parser import HTMLParser

import pytest

import ranef
from ranef.errors import ModelError
from ranef.report.side_by_side import _ordered
from ranef.report.side_by_side_faces import pointed


@pytest.fixture(scope="module")
def models(fits):
    data = ranef.datasets.load("sleepstudy")
    return fits["linear"], fits["sleepstudy"], ranef.lmm("Reaction ~ Days + I(Days**2) + (1 | Subject)", data)


@pytest.fixture(scope="module")
def answer(models):
    return ranef.side_by_side(*models, names=["lm", "slopes", "square"], stars=True, title="Sleep <&>")


def cell(answer, label, name, below=False):
    labels = [row.label for part in answer.parts for row in part.rows]
    rows = [row for part in answer.parts for row in part.rows]
    return rows[labels.index(label) + below].cells[answer.names.index(name)]


def test_cells_hold_the_numbers_of_the_fits(answer, models):
    assert cell(answer, "Days", "slopes") == "10.47***"
    assert cell(answer, "Days", "slopes", below=True) == "(1.55)"
    assert cell(answer, "(Intercept)", "lm") == "251.41***"
    assert cell(answer, "I(Days^2)", "lm") == ""
    assert float(cell(answer, "I(Days^2)", "square")) == pytest.approx(models[2].params.iloc[2], abs=5e-4)
    assert cell(answer, "SD (Intercept) | Subject", "slopes") == "24.74"
    assert cell(answer, "Cor. (Intercept), Days | Subject", "slopes") == "0.066"
    assert cell(answer, "SD residual", "lm") == "47.71"
    assert cell(answer, "Levels of Subject", "lm") == ""
    assert cell(answer, "Estimation", "slopes") == "REML"
    assert cell(answer, "AIC", "slopes") == f"{models[1].aic:.2f}"
    assert cell(answer, "R² (marginal)", "lm") == "0.286"
    assert cell(answer, "R² (conditional)", "slopes") == "0.799"


def test_what_stands_below_is_a_choice(models):
    interval = ranef.side_by_side(models[1], below="conf_int", level=0.9)
    limits = next(iter(models[1].conf_int(level=0.9)))
    assert cell(interval, "(Intercept)", "(1)", below=True) == f"[{limits['conf_low']:.2f}, {limits['conf_high']:.2f}]"
    assert "90% confidence limits in brackets" in interval.notes[0]
    assert cell(ranef.side_by_side(models[1], below="p_value"), "Days", "(1)", below=True) == "(<0.001)"
    assert cell(ranef.side_by_side(models[1], below="statistic"), "Days", "(1)", below=True) == "(6.77)"
    plain = ranef.side_by_side(models[1], below=None, random=False, fit_rows=False)
    assert [part.title for part in plain.parts] == ["Fixed effects"]
    assert len(plain.parts[0].rows) == 2


def test_notes_warn_of_criteria_that_cannot_be_compared(answer, models):
    assert any("REML fits with different fixed effects" in note for note in answer.notes)
    assert not any("REML fits" in note for note in ranef.side_by_side(models[1], models[1]).notes)
    data = ranef.datasets.load("sleepstudy")
    fewer = ranef.lmm("Reaction ~ Days + (1 | Subject)", data.iloc[:170])
    assert "The models have different rows." in ranef.side_by_side(models[1], fewer).notes


def test_terms_keep_their_order():
    assert _ordered([["(Intercept)", "b", "a:b"], ["(Intercept)", "a", "b"]]) == ["(Intercept)", "a", "b", "a:b"]
    assert _ordered([[], ["x"]]) == ["x"]


def test_text_fits_the_screen_and_points_line_up(answer, models):
    lines = str(answer).splitlines()
    assert max(map(len, lines)) <= 80
    padded = pointed(["251.41***", "(6.61)", "180", "REML", "[1.0, 2.0]"])
    assert len({text.find(".") for text in (padded[0].rjust(12), padded[1].rjust(12))}) == 1
    assert padded[2].rjust(12).rstrip()[-1] == "0"
    assert len(padded[2]) == 3 + len(".41***")
    many = str(ranef.side_by_side(*models * 4))
    assert max(map(len, many.splitlines())) <= 80
    assert all(f"({j})" in many for j in range(1, 13))


class Reader(HTMLParser):
    def __init__(self):
        super().__init__()
        self.open, self.heads = [], []

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)
        if tag == "th":
            self.heads.append(dict(attrs)["scope"])

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_html_is_well_formed_with_headed_rows_and_groups(answer):
    for text in (answer._repr_html_(), answer.to_html(inline=True)):
        reader = Reader()
        reader.feed(text)
        assert reader.open == []
        assert "Sleep &lt;&amp;&gt;" in text
        assert "\N{MINUS SIGN}950.15" in text
    reader = Reader()
    reader.feed(answer.to_html(style=False))
    assert reader.heads.count("rowgroup") == 3
    assert reader.heads.count("col") == 3
    assert "row" in reader.heads
    assert "class=" not in answer.to_html(inline=True)


def test_latex_has_a_rule_between_the_parts_and_hanging_stars(answer):
    latex = answer.to_latex(label="tab:sleep")
    assert latex.count(r"\midrule") == 3
    assert r"\caption{Sleep $<$\&$>$}" in latex
    assert r"\label{tab:sleep}" in latex
    assert r"10.47\rlap{\textsuperscript{***}}\phantom{0}" in latex
    assert r"(1.55\rlap{)}\phantom{0}" in latex
    assert r"251.41\rlap{\textsuperscript{***}}\phantom{0}" in latex
    assert latex.count("{") == latex.count("}")
    assert r"\footnotesize" not in answer.to_latex(notes=False)


def test_markdown_and_frame(answer):
    lines = answer.to_markdown().splitlines()
    table = [line for line in lines if line.startswith("|")]
    assert len({len(line) for line in table}) == 1
    assert re.match(r"\|\s+\|\s+lm \|", table[0])
    frame = answer.frame
    assert list(frame.columns) == ["component", "term", "lm", "slopes", "square"]
    assert len(frame) == sum(len(part.rows) for part in answer.parts)


def test_wrong_use_is_refused(models):
    with pytest.raises(ModelError, match="needs a model"):
        ranef.side_by_side()
    with pytest.raises(ModelError, match="2 models and 1 names"):
        ranef.side_by_side(models[0], models[1], names=["a"])
    with pytest.raises(ModelError, match="below='se' is not known") as caught:
        ranef.side_by_side(models[0], below="se")
    assert "std_error" in str(caught.value)


def test_a_loaded_model_has_a_column(fits, tmp_path):
    fits["nested"].save(tmp_path / "m.ranef")
    answer = ranef.side_by_side(ranef.load(tmp_path / "m.ranef"))
    assert cell(answer, "Rows", "(1)") == "54"
    assert not any(row.label.startswith("R²") for part in answer.parts for row in part.rows)
