"""The reference has every public name, and an example of every fact and question of a fit."""

import re
from pathlib import Path

import pytest

import ranef
from ranef.fit.fit import Fit

FOLDER = Path(__file__).parents[3] / "docs/reference"
PAGES = {path.name: path.read_text(encoding="utf-8") for path in sorted(FOLDER.glob("*.md"))}
ELSEWHERE = {"report": "ranef.report.write.report", "datasets": "ranef.datasets.load", "plot": "ranef.plot.trajectories"}
PARTS = ("criterion", "optimum", "solution")  # what a fit is made of, for other modules
OF_A_FIT = [name for name in vars(Fit) if name[0] != "_" and name not in PARTS]


@pytest.mark.parametrize("name", ranef.PUBLIC)
def test_every_public_name_has_its_place(name):
    wanted = rf"^\.\. auto(function|class):: {re.escape(ELSEWHERE.get(name, f'ranef.{name}'))}$"
    assert [page for page, text in PAGES.items() if re.search(wanted, text, re.MULTILINE)], (
        f"{name} is on no page of docs/reference"
    )


@pytest.mark.parametrize("name", OF_A_FIT)
def test_every_question_to_a_fit_has_an_example(name):
    assert re.search(rf"^>>> .*\bm\.{name}\b", PAGES["fit.md"], re.MULTILINE), f"no example of Fit.{name} in docs/reference/fit.md"


@pytest.mark.parametrize("name", ranef.PUBLIC)
def test_the_index_has_every_public_name(name):
    assert f"`{name}`" in PAGES["index.md"]
