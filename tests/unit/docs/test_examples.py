"""The examples of the README and of the documentation run and print what they say."""

import doctest
import re
import runpy
import shutil
import sys
import textwrap
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
NEEDS_MATPLOTLIB = () if find_spec("matplotlib") else ("shrinkage_picture.py", "growth_curves.py", "how_many_clinics.py")
SCRIPTS = [path for path in sorted((ROOT / "examples").glob("*.py")) if path.name not in NEEDS_MATPLOTLIB]
BLOCK = re.compile(r"^ *```python\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)


def named(page: Path) -> str:
    return str(page.relative_to(ROOT))


WITH_EXAMPLES = [page for page in PAGES if any(">>>" in block for block in BLOCK.findall(page.read_text(encoding="utf-8")))]


@pytest.mark.filterwarnings("error:More than 20 figures")
@pytest.mark.parametrize("page", WITH_EXAMPLES, ids=named)
def test_examples_print_what_the_page_says(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = page.read_text(encoding="utf-8")
    blocks = [textwrap.dedent(block) for block in BLOCK.findall(text) if ">>>" in block]
    test = doctest.DocTestParser().get_doctest("\n".join(blocks), {}, named(page), str(page), 0)
    said: list[str] = []
    result = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE).run(test, out=said.append)
    assert result.failed == 0, "".join(said)
    assert result.attempted > 0
    if "pyplot.close" in text:
        assert sys.modules["matplotlib.pyplot"].get_fignums() == []


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_links_lead_to_files(page):
    targets = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    missing = [target for target in targets if not target.startswith("http") and not (page.parent / target).exists()]
    assert missing == []


def test_the_readme_names_a_command_that_exists():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert '.venv/bin/ranef fit sleepstudy "Reaction ~ Days + (Days | Subject)" --report report.html' in text


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_scripts_run(script, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    copy = shutil.copy(script, tmp_path / script.name)
    monkeypatch.setattr("sys.argv", [str(copy)])
    runpy.run_path(str(copy), run_name="__main__")
    files = {path.suffix for path in tmp_path.iterdir() if path != copy}
    assert files & {".html", ".png"} or len(capsys.readouterr().out.splitlines()) > 2


def test_every_script_is_on_the_page_of_examples():
    page = (ROOT / "docs/how-to/examples.md").read_text(encoding="utf-8")
    assert [path.name for path in SCRIPTS if f"examples/{path.name}" not in page] == []


@pytest.mark.slow
@pytest.mark.skipif(not find_spec("matplotlib"), reason="pictures need matplotlib")
def test_the_pictures_of_the_tutorial_can_be_drawn_again(tmp_path):
    script = runpy.run_path(str(ROOT / "docs/pictures.py"))
    script["main"](tmp_path, [])
    there = {path.name for path in (ROOT / "docs/images/tutorial").glob("*.png")}
    drawn = {path.name for path in tmp_path.glob("*.png")}
    assert drawn == {f"{name}.png" for name in script["DRAWN"]}
    assert drawn <= there  # the others are drawn by the code of the pages
    shown = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    assert [name for name in sorted(there) if name not in shown] == []
