"""Each model of these tests is fitted once."""

import numpy as np
import pandas as pd
import pytest

import ranef

MODELS = {
    "sleepstudy": ("sleepstudy", "Reaction ~ Days + (Days | Subject)"),
    "nested": ("Machines", "score ~ Machine + (1 | Worker / Machine)"),
    "full": ("Machines", "score ~ Machine + (0 + Machine | Worker)"),
    "uncorrelated": ("sleepstudy", "Reaction ~ Days + (Days || Subject)"),
    "boundary": ("Dyestuff2", "Yield ~ 1 + (1 | Batch)"),
    "linear": ("sleepstudy", "Reaction ~ Days"),
}


@pytest.fixture(scope="session")
def fits():
    return {key: ranef.lmm(formula, ranef.datasets.load(data)) for key, (data, formula) in MODELS.items()}


@pytest.fixture(scope="session")
def wide():
    """Long names, seven random effects of one factor, a dropped column, missing values, weights, an offset, ML."""
    rng = np.random.default_rng(3)
    n = 400
    data = pd.DataFrame(rng.normal(size=(n, 5)), columns=[f"a_covariate_with_a_name_{j}" for j in range(5)])
    data["condition"] = rng.choice(["control", "the treatment with everything on top of it"], n)
    data["school"] = rng.integers(0, 25, n).astype(str)
    data["copy"] = 2.0 * data["a_covariate_with_a_name_0"]
    slopes = rng.normal(size=(25, 6)) * 2.0
    Z = np.column_stack([np.ones(n), data.iloc[:, :5]])
    data["y"] = (Z * slopes[data["school"].astype(int)]).sum(1) + rng.normal(size=n)
    data.loc[[1, 5, 9], "a_covariate_with_a_name_0"] = np.nan
    data["w"] = rng.uniform(0.5, 2.0, n)
    slopes_text = " + ".join(f"a_covariate_with_a_name_{j}" for j in range(5))
    formula = f"y ~ a_covariate_with_a_name_0 * condition + copy + ({slopes_text} | school)"
    return ranef.lmm(formula, data, reml=False, precision_weights="w", offset=np.ones(n), ddf="asymptotic")


@pytest.fixture(scope="session")
def hostile():
    """A model whose names and levels try to be HTML, with missing values."""
    data = ranef.datasets.load("sleepstudy").astype({"Subject": str})
    data["Subject"] = "<b>&" + data["Subject"]
    data = data.rename(columns={"Subject": "<script>alert(1)</script>"})
    data.loc[[3, 7], "Reaction"] = np.nan
    assert isinstance(data, pd.DataFrame)
    return ranef.lmm("Reaction ~ Days + (1 | `<script>alert(1)</script>`)", data)
