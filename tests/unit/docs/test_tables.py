"""The tables of the pages "coming from ...": every cell of our own code runs, from top to bottom of its page."""

import doctest
import re
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[3] / "docs/how-to"
PAGES = sorted(FOLDER.glob("from-*.md"))
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
CELLS = re.compile(r"(?<!\\)\|")
CODE = re.compile(r"`([^`]+)`")
LEAST = {"from-lme4.md": 40}


def rows(page: Path) -> list[tuple[str, list[str]]]:
    """What each row of the page's tables is about, and the code of its last cell."""
    found = []
    for line in page.read_text(encoding="utf-8").splitlines():
        if line.startswith("| ") and not line.startswith(("| ---", "| task", "| question")):
            cells = [cell.strip() for cell in CELLS.split(line)[1:-1]]
            found.append((cells[0], [code.replace("\\|", "|") for code in CODE.findall(cells[-1])]))
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_row_runs(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    for block in BLOCK.findall(page.read_text(encoding="utf-8")):
        for example in doctest.DocTestParser().get_examples(block):
            exec(example.source, names)
    table = rows(page)
    assert len({task for task, code in table if code}) >= LEAST.get(page.name, 8)
    for task, code in table:
        assert code, f"{task}: no code in the last cell"
        for line in code:
            try:
                exec(line, names)
            except Exception as error:
                pytest.fail(f"{task}: {line}\n{type(error).__name__}: {error}")
