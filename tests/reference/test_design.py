"""Model matrices against R's model.matrix, and random-effect designs against lme4's lFormula."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from ranef.formula import parse
from ranef.schema import Intake, ingest
from tests.reference import align, compare
from tests.reference.load import CONTRASTS, Case, reference_case, reference_cases, reference_data

DESIGNS = [(name, k) for name in reference_cases("design") for k in range(len(reference_case(name)["results"]["designs"]))]
FIXED = [(name, k) for name, k in DESIGNS if not name.startswith("zdesign")]
RANDOM = [(name, k) for name, k in DESIGNS if name.startswith("zdesign")]
RULE = compare.rule("design values")


def taken(name: str, k: int) -> tuple[Case, Case, Intake]:
    case = reference_case(name)
    design = case["results"]["designs"][k]
    contrasts = {variable: CONTRASTS[word] for variable, word in case.get("contrasts", {}).items()}
    used = {variable: word for variable, word in contrasts.items() if variable in design["formula"]}
    return case, design, ingest(parse(design["formula"]), reference_data(case["data"]), contrasts=used or None)


@pytest.mark.parametrize(("name", "k"), FIXED)
def test_model_matrix(name: str, k: int) -> None:
    _, d, intake = taken(name, k)
    X = intake.design.X
    assert X.shape == (d["rows"], len(d["columns"])), intake.design.names
    rows = X[np.array(d["row_numbers"]) - 1]
    compare.relative(rows, d["values"], RULE["rel"], "values", floor=RULE["floor"])
    size = np.abs(X).sum(axis=0)
    compare.within(X.sum(axis=0), d["column_sums"], RULE["rel"] * size + RULE["floor"], "column sums")
    compare.within(np.cos(np.arange(1, len(X) + 1)) @ X, d["column_wsums"], RULE["rel"] * size + RULE["floor"], "weighted sums")
    assert np.linalg.matrix_rank(X) == d["rank"]


@pytest.mark.parametrize(("name", "k"), [(n, k) for n, k in FIXED if "contrasts" not in reference_case(n)])
def test_names_of_columns(name: str, k: int) -> None:
    _, d, intake = taken(name, k)
    assert [align.r_name(column) for column in intake.design.names] == [align.plain(column) for column in d["columns"]]


@pytest.mark.parametrize(("name", "k"), [(n, k) for n, k in FIXED if "new_values" in reference_case(n)["results"]["designs"][k]])
def test_new_rows_have_the_basis_of_the_old(name: str, k: int) -> None:
    case, d, intake = taken(name, k)
    new = intake.schema.apply(pd.DataFrame(case["newdata"]))
    compare.relative(new.X, d["new_values"], RULE["rel"], "new rows", floor=RULE["floor"])


@pytest.mark.parametrize(("name", "k"), RANDOM)
def test_random_effects(name: str, k: int) -> None:
    _, d, intake = taken(name, k)
    design = intake.design
    assert len(design.names) == len(d["X_columns"])
    ours = sorted((tuple(sorted(t.group.name.split(":"))), t.width, t.group.size) for t in design.terms)
    theirs = sorted((tuple(sorted(t["group"].split(":"))), len(t["columns"]), t["n_levels"]) for t in d["terms"])
    assert ours == theirs
    assert sum(t.covariance.size for t in design.terms) == d["n_theta"]
    assert [design.nobs, sum(t.group.size * t.width for t in design.terms)] == d["Z_dim"]
    z = [np.ones((design.nobs, 1)) if t.z is None else t.z for t in design.terms]
    compare.relative(sum(float(block.sum()) for block in z), d["Z_sum"], 1e-10, "sum of Z")
    compare.relative(sum(float((block**2).sum()) for block in z), d["Z_sumsq"], 1e-10, "sum of squares of Z")
    assert sum(int(np.count_nonzero(block)) for block in z) == d["Z_nonzero"]
    wave = np.cos(np.arange(1, design.nobs + 1))
    sums = [np.bincount(t.group.codes, wave * column) for t, block in zip(design.terms, z, strict=True) for column in block.T]
    compare.relative(sum(float(s @ s) for s in sums), d["ZZt_wsum"], 1e-9, "|Z' cos|^2")
