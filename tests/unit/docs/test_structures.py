"""The table of structures is that of the registry, and the structure of the how-to page is one."""

import importlib.util
import re
import sys
from pathlib import Path

import numpy as np

from ranef.covariance import Scaled
from ranef.covariance.correlation import steps

DOCS = Path(__file__).parents[3] / "docs"


def imported(name: str, path: Path):
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def test_the_table_is_that_of_the_registry():
    written = (DOCS / "reference/structures.md").read_text(encoding="utf-8")
    assert written == imported("docs_structures", DOCS / "structures.py").page(), "run: python docs/structures.py"


def test_the_example_is_a_structure(tmp_path):
    page = (DOCS / "how-to/add-a-structure.md").read_text(encoding="utf-8")
    (tmp_path / "root_lag.py").write_text(re.search(r"```python\n(.*?)```", page, re.DOTALL)[1], encoding="utf-8")
    kind = imported("root_lag", tmp_path / "root_lag.py").RootLag
    made = Scaled(kind(steps(4)), heterogeneous=True)
    theta = np.array([0.1, 0.2, 0.3, 0.4, -0.5])
    rho = np.exp(-np.exp(-0.5))
    assert np.isclose(made.matrix(theta)[1, 3], np.exp(0.6) * rho ** np.sqrt(2.0))
    numeric = [(made.matrix(theta + h) - made.matrix(theta - h)) / 2e-6 for h in 1e-6 * np.eye(5)]
    np.testing.assert_allclose(made.gradient(theta), numeric, atol=1e-8)
    assert made.natural(theta, ("a", "b", "c", "d")).names[-1] == "rho"
