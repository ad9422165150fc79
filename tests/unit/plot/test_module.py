"""`ranef.plot` is a list of names: it loads matplotlib when a picture is drawn, and says what is missing without it."""

import ast
import doctest
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import ranef

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("name", ranef.plot.PUBLIC)
def test_every_picture_has_an_example_that_runs(name):
    text = inspect.getdoc(getattr(ranef.plot, name)) or ""
    test = doctest.DocTestParser().get_doctest(text, {}, name, None, 0)
    assert len(test.examples) > 1, f"{name} has no example"
    said: list[str] = []
    assert doctest.DocTestRunner().run(test, out=said.append).failed == 0, "".join(said)


def test_the_list_of_names_is_what_type_checkers_see():
    tree = ast.parse((ROOT / "src/ranef/plot/__init__.py").read_text(encoding="utf-8"))
    guarded = next(node for node in tree.body if isinstance(node, ast.If))
    seen = {alias.asname for node in ast.walk(guarded) if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert seen == set(ranef.plot.PUBLIC) == set(ranef.plot.__all__)
    assert set(ranef.plot.PUBLIC) <= set(dir(ranef.plot))


def test_unknown_pictures_are_attribute_errors():
    with pytest.raises(AttributeError, match="no attribute 'pie'"):
        _ = ranef.plot.pie


CODE = """
import sys, ranef
plot = ranef.plot
m = ranef.lmm("Yield ~ 1 + (1 | Batch)", ranef.datasets.load("Dyestuff"))
draw = plot.qq
print("matplotlib" in sys.modules)
sys.modules["matplotlib"] = None
try:
    draw(m)
except ranef.ModelError as problem:
    print(str(problem).splitlines()[-1])
"""


def test_matplotlib_is_loaded_by_a_picture_alone_and_its_absence_is_told():
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True, env=_environment())
    assert done.stdout.splitlines() == ["False", "Install it: pip install 'ranef[plot]'."]


def _environment():
    import os

    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
