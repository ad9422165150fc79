"""Every public name has an example in its docstring, which runs and prints what it says."""

import doctest
import inspect
from importlib.util import find_spec

import pytest

import ranef
from ranef.fit.fit import Fit
from ranef.means.marginal import Marginal

NAMES = {
    **{f"ranef.{name}": getattr(ranef, name) for name in ranef.PUBLIC},
    **{f"ranef.plot.{name}": getattr(ranef.plot, name) for name in ranef.plot.PUBLIC},
    "ranef.datasets.load": ranef.datasets.load,
    "ranef.datasets.describe": ranef.datasets.describe,
    "Fit": Fit,
    **{f"Marginal.{name}": value for name, value in vars(Marginal).items() if inspect.isfunction(value) and name[0] != "_"},
}


@pytest.mark.parametrize("name", NAMES)
def test_the_docstring_has_an_example_that_prints_what_it_says(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if name == "ranef.as_marginaleffects" and not find_spec("marginaleffects"):
        pytest.skip("needs marginaleffects, which has an environment of its own in .ci/run")
    text = inspect.getdoc(NAMES[name]) or ""
    test = doctest.DocTestParser().get_doctest(text, {}, name, None, 0)
    assert len(test.examples) > 1, f"{name} has no example"
    said: list[str] = []
    result = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE).run(test, out=said.append)
    assert result.failed == 0, "".join(said)
