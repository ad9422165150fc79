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
def hostile():
    """A model whose names and levels try to be HTML, with missing values."""
    data = ranef.datasets.load("sleepstudy").astype({"Subject": str})
    data["Subject"] = "<b>&" + data["Subject"]
    data = data.rename(columns={"Subject": "<script>alert(1)</script>"})
    data.loc[[3, 7], "Reaction"] = np.nan
    assert isinstance(data, pd.DataFrame)
    return ranef.lmm("Reaction ~ Days + (1 | `<script>alert(1)</script>`)", data)
