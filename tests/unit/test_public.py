"""What `import ranef` offers, and what it costs."""

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import ranef

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", ranef.PUBLIC)
def test_every_public_name_resolves(name):
    assert getattr(ranef, name) is not None
    assert name in dir(ranef)


def test_the_list_of_names_is_what_type_checkers_see():
    tree = ast.parse((ROOT / "src/ranef/__init__.py").read_text(encoding="utf-8"))
    guarded = next(node for node in tree.body if isinstance(node, ast.If))
    seen = {alias.asname for node in ast.walk(guarded) if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert seen == set(ranef.PUBLIC)
    assert set(ranef.__all__) == {"__version__", *ranef.PUBLIC}


def test_unknown_names_are_attribute_errors():
    with pytest.raises(AttributeError, match="no attribute 'lmer'"):
        _ = ranef.lmer


def test_the_version_is_that_of_the_project_file():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert project["project"]["version"] == ranef.__version__


def test_import_loads_nothing_heavy():
    heavy = "numpy scipy pandas numba matplotlib polars pyarrow narwhals joblib"
    code = f"import sys, ranef; print([name for name in {heavy.split()!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT, env=_environment())
    assert done.stdout.strip() == "[]"


def test_a_small_fit_loads_no_library_that_it_does_not_use():
    heavy = "scipy.optimize scipy.stats scipy.sparse numba matplotlib polars narwhals joblib"
    fit = "ranef.lmm('Reaction ~ Days + (Days | Subject)', ranef.datasets.load('sleepstudy')).pvalues"
    code = f"import sys, ranef; {fit}; print([name for name in {heavy.split()!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT, env=_environment())
    assert done.stdout.strip() == "[]"


def test_embedded_data_need_no_pandas():
    code = "import sys; from ranef import datasets; datasets.load('cake', as_='dict'); print('pandas' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT, env=_environment())
    assert done.stdout.strip() == "False"


def test_report_is_a_function_and_a_package():
    import ranef.report.write

    assert callable(ranef.report)
    assert ranef.report.write.report.__name__ == "report"


def _environment() -> dict[str, str]:
    import os

    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
