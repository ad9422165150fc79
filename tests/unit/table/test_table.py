"""Tables: facts about the object, and its faces."""

import csv
import io
import json
import re
import timeit
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ranef.errors import DataError
from ranef.layouts.plain import folded
from ranef.table import Table

FIXED = {
    "term": ["(Intercept)", "Days"],
    "estimate": np.array([251.40510, 10.46729]),
    "std_error": np.array([6.82460, 1.54579]),
    "df": [17.0, 17.0],
    "statistic": [36.838, 6.771],
    "p_value": [1.2e-17, 3.26e-06],
}
HOSTILE = "<script>alert(1)</script>&\"'\\_{}$%#~^"


@pytest.fixture
def table():
    return Table(FIXED, title="Fixed effects", notes=("By Satterthwaite.",), headings={"statistic": "t"})


def test_text_is_what_a_reader_expects(table):
    assert str(table) == (
        "Fixed effects\n"
        "Term         Estimate  Std. error    df      t       p\n"
        "------------------------------------------------------\n"
        "(Intercept)   251.405       6.825  17.0  36.84  <0.001\n"
        "Days           10.467       1.546  17.0   6.77  <0.001\n"
        "By Satterthwaite."
    )


def test_rows_columns_and_length(table):
    assert len(table) == 2
    assert "df" in table
    assert table["term"] == ["(Intercept)", "Days"]
    assert [row["term"] for row in table] == ["(Intercept)", "Days"]
    with pytest.raises(DataError, match="no column `t_value`") as caught:
        table["t_value"]
    assert "statistic" in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "expected"), [("pandas", pd.DataFrame), ("dict", pd.DataFrame), ("polars", pl.DataFrame), ("pyarrow", pa.Table)]
)
def test_frame_is_of_the_users_kind(kind, expected):
    frame = Table({**FIXED, "group": [None, "g"]}, frame_kind=kind).frame
    assert isinstance(frame, expected)
    assert frame.shape == (2, 7)
    assert list(np.asarray(frame["estimate"])) == list(FIXED["estimate"])


def test_making_a_table_is_cheap():
    assert min(timeit.repeat(lambda: Table(FIXED, title="t"), number=1000, repeat=5)) / 1000 < 1e-5


def test_empty_tables_print():
    assert "(no rows)" in str(Table({}))
    assert "(no rows)" in str(Table({"term": []}))
    assert Table({"term": []}).to_html()
    assert Table({}).to_csv() == "\n"


def test_wide_tables_continue_below_with_the_columns_that_name_the_row():
    wide = Table({"term": ["a", "b"], **{f"column number {j}": [1.0 * j, 2.0 * j] for j in range(1, 12)}})
    lines = str(wide).splitlines()
    assert max(map(len, lines)) <= 80
    assert sum(line.startswith("Term") for line in lines) > 1
    assert all(f"column number {j}" in str(wide) for j in range(1, 12))


def test_long_tables_show_their_ends():
    text = str(Table({"level": [f"L{i}" for i in range(500)], "estimate": np.arange(500.0)}))
    assert "L0 " in text
    assert "L499" in text
    assert "... 450 more rows ..." in text
    assert len(text.splitlines()) < 60


def test_long_texts_are_folded():
    lines = str(Table({"name": ["a"], "message": ["many words " * 30]})).splitlines()
    assert max(map(len, lines)) <= 80


class Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.open, self.seen, self.text = [], set(), ""

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)
        self.seen.add(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def test_html_is_well_formed_and_escapes_everything():
    table = Table({"term": [HOSTILE], HOSTILE: [1.0]}, title=HOSTILE, notes=(HOSTILE,), headings={"term": HOSTILE})
    tags = Tags()
    tags.feed(table._repr_html_())
    assert tags.open == []
    assert "script" not in tags.seen
    assert tags.text.count("<script>") == 5
    assert "http" not in table._repr_html_()


def test_html_uses_real_minus_signs(table):
    assert "\N{MINUS SIGN}1.000" in Table({"estimate": [-1.0]}).to_html()


def test_latex_escapes_and_balances():
    latex = Table({"term": [HOSTILE, "a & b"], "estimate": [-1.0, 2.0]}, title=HOSTILE).to_latex()
    assert latex.count(r"\begin{") == latex.count(r"\end{") == 2
    body = latex.split(r"\midrule")[1]
    assert r"a \& b & 2.000 \\" in body
    assert "$-$1.000" in body
    assert re.search(r"(?<!\\)[#%_^~]", latex.replace(r"\_", "")) is None


def test_latex_numbers_stand_on_their_points():
    table = Table({"term": ["a", "b", "c"], "std_dev": [1234.5, 0.00123, None]}, title="T", notes=("A note.", "Another."))
    latex = table.to_latex(caption="Own", label="tab:own")
    assert r"\caption{Own}" + "\n" + r"\label{tab:own}" in latex
    assert r"\begin{tabular}{lr}" in latex
    rows = [line.split("&")[1].removesuffix(r" \\").strip() for line in latex.splitlines() if "&" in line][1:]
    lengths = {len(re.sub(r"\\phantom\{(.*)\}", r"\1", row).partition(".")[2]) for row in rows if row}
    assert len(lengths) == 1
    assert r"c & \\" in latex
    assert r"A note. \\" in latex
    assert "note" not in table.to_latex(notes=False)
    assert r"\caption" not in table.to_latex(caption="")


def test_a_line_of_latex_is_no_option_of_the_line_before():
    latex = Table({"term": ["[a]", "*b"], "estimate": [1.0, 2.0]}, notes=("First.", "* second.")).to_latex()
    assert "\n{}[a] & 1.000" in latex
    assert "\n{}*b & 2.000" in latex
    assert "\n{}* second." in latex


def test_markdown_is_a_pipe_table(table):
    lines = table.to_markdown().splitlines()
    assert lines[0] == "**Fixed effects**"
    assert len({len(line) for line in lines[2:6]}) == 1
    assert lines[3].count("-:") == 5
    assert lines[4].startswith("| (Intercept) |  251.405 |")
    assert "*By Satterthwaite.*" in lines
    hostile = Table({"term": ["a|b\n*c*", "<i>"], "estimate": [-1.0, 2.0]}).to_markdown()
    assert r"a\|b \*c\*" in hostile
    assert r"\<i\>" in hostile


def test_tables_for_word_carry_their_style_in_every_cell(table):
    html = table.to_html(inline=True)
    tags = Tags()
    tags.feed(html)
    assert tags.open == []
    assert "class=" not in html
    assert "<style" not in html
    assert html.count("<td") == html.count("<td style=") == 12
    assert html.count("border-bottom:1pt solid #000") == 6  # below the last row
    assert html.count("border-top:1pt solid #000") == 6


def test_html_heads_its_rows_and_columns(table):
    html = table.to_html()
    assert html.count('scope="col"') == 6
    assert html.count('scope="row"') == 2
    assert "<caption>Fixed effects</caption>" in html
    assert 'tabindex="0"' in html
    uneven = Table({"sd": [1234.5, 0.00123]}).to_html(style=False)
    assert "\N{FIGURE SPACE}" in uneven


def test_long_names_are_folded_where_that_saves_a_second_block():
    name = "covariate_one:treatment_condition[T.treatment with everything on top]"
    table = Table({"term": [name, "x"], **{f"column {j}": [1.25, 2.5] for j in range(5)}})
    lines = str(table).splitlines()
    assert max(map(len, lines)) <= 80
    assert sum(line.startswith("Term") for line in lines) == 1
    assert "".join(line[:30].strip() for line in lines[2:-1]).replace(" ", "").startswith("covariate_one:treatment_condition")


@given(st.text(max_size=60), st.integers(8, 30))
def test_folding_loses_nothing_but_spaces(name, room):
    lines = folded(name, room)
    assert "".join("".join(lines).split()) == "".join(name.split())
    assert all(len(line) <= room for line in lines)


def test_csv_has_every_digit_and_no_formulas():
    table = Table({"term": ["=1+1", "-x", "@y", "plain", "+z"], "estimate": [1 / 3, -2.0, np.nan, 4.0, 5.0]})
    rows = list(csv.reader(io.StringIO(table.to_csv())))
    assert [row[0] for row in rows[1:]] == ["'=1+1", "'-x", "'@y", "plain", "'+z"]
    assert float(rows[1][1]) == 1 / 3
    assert rows[2][1] == "-2.0"
    assert rows[3][1] == ""


def test_csv_goes_to_a_file(tmp_path, table):
    assert table.to_csv(tmp_path / "t.csv") is None
    assert pd.read_csv(tmp_path / "t.csv")["estimate"].tolist() == list(FIXED["estimate"])


def test_dict_is_json(table):
    assert json.loads(json.dumps(table.to_dict(), allow_nan=False))["df"] == [17.0, 17.0]
    assert Table({"x": [np.nan, np.inf]}).to_dict() == {"x": [None, None]}


def test_notes_follow_from_metadata():
    table = Table({"conf_low": [1.0], "conf_high": [2.0]}, level=0.9, adjustment="holm")
    assert any("0.9" in note for note in table.footnotes())
    assert "holm" in str(table)
    assert table.metadata == {"title": "", "level": 0.9, "adjustment": "holm", "notes": []}
