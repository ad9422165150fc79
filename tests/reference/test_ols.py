"""Ordinary regression against R's lm: everything to 1e-8 relative, as tolerances.json asks.

Compared: sizes, likelihood, coefficients with tests and limits, covariance matrix, R squared, fitted values, residuals, leverage,
standardised and studentised residuals, predictions with both intervals, the model matrix. Tables of F tests are compared in
`test_inference_ddf.py`.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tests.reference import align, compare
from tests.reference.load import Case, fitted, predictions, reference_case, reference_cases

CASES = reference_cases("ols")
REL = compare.rule("ols everything")["rel"]


def results(case_id: str) -> Case:
    return reference_case(case_id)["results"]


@pytest.mark.parametrize("case_id", CASES)
def test_sizes_and_likelihood(case_id: str) -> None:
    m, r = fitted(case_id), results(case_id)
    assert (m.nobs, m.npar, m.df_residual, len(m.params)) == (r["nobs"], r["npar"], r["df_residual"], r["rank"])
    compare.relative([m.sigma, m.llf, m.aic, m.bic], [r["sigma"], r["loglik"], r["aic"], r["bic"]], REL, "sigma, loglik, aic, bic")
    assert list(m.dropped) == r.get("dropped_columns", [])


@pytest.mark.parametrize("case_id", CASES)
def test_coefficients(case_id: str) -> None:
    m, r = fitted(case_id), results(case_id)
    c = r["coefficients"]
    se = compare.numbers(c["se"])
    compare.within(m.params, c["estimate"], REL * np.maximum(np.abs(compare.numbers(c["estimate"])), se), "estimate")
    compare.relative(m.bse, c["se"], REL, "se")
    compare.relative(m.df, c["df"], 1e-12, "df")
    compare.within(m.tvalues, c["t"], REL * np.maximum(1, np.abs(compare.numbers(c["t"]))), "t")
    compare.relative(m.pvalues, c["p"], 1e-6, "p", floor=REL)
    limits = m.conf_int()
    compare.within(limits["conf_low"], c["lower"], REL * np.maximum(np.abs(compare.numbers(c["lower"])), se), "lower")
    compare.within(limits["conf_high"], c["upper"], REL * np.maximum(np.abs(compare.numbers(c["upper"])), se), "upper")
    compare.within(m.cov_params(), r["vcov"], REL * np.outer(se, se), "vcov")


@pytest.mark.parametrize("case_id", [c for c in CASES if "contrasts" not in reference_case(c)])
def test_names_are_those_of_r(case_id: str) -> None:
    assert [align.r_name(name) for name in fitted(case_id).params.index] == [
        align.plain(name) for name in results(case_id)["coefficients"]["term"]
    ]


@pytest.mark.parametrize("case_id", CASES)
def test_rows(case_id: str) -> None:
    """Fitted values, residuals, leverage and scaled residuals; checksums are of finite values, as in the files."""
    m, r = fitted(case_id), results(case_id)
    size = max(abs(r["fitted"]["max"]), abs(r["fitted"]["min"]))
    compare.checksum(m.fittedvalues, r["fitted"], "fitted", rel=REL, floor=REL * size)
    compare.checksum(m.resid, r["residuals"], "residuals", rel=REL, floor=REL * size)
    compare.checksum(m.hat_values(), r["influence"]["leverage"], "leverage", rel=REL, floor=REL)
    for kind, name in (("standardised", "rstandard"), ("studentised", "rstudent")):
        values = np.asarray(m.residuals(kind=kind))
        compare.checksum(values[np.isfinite(values)], r["influence"][name], kind, rel=1e-7, floor=1e-7)


@pytest.mark.parametrize("case_id", CASES)
def test_r_squared_from_its_definition(case_id: str) -> None:
    """The share of the (weighted) sum of squares about the mean; about zero in a model without an intercept."""
    m, r = fitted(case_id), results(case_id)
    design = m.model.design
    w = np.ones(m.nobs) if design.weights is None else design.weights
    center = np.average(design.y, weights=w) if design.intercept is not None else 0.0
    rest, total = np.sum(w * np.asarray(m.resid) ** 2), np.sum(w * (design.y - center) ** 2)
    compare.within(1 - rest / total, r["r_squared"], REL, "R squared")


@pytest.mark.parametrize(("case_id", "k"), list(predictions("ols")))
def test_predictions_and_intervals(case_id: str, k: int) -> None:
    m, request = fitted(case_id), results(case_id)["predictions"][k]
    new = pd.DataFrame(request["newdata"])
    confidence, prediction = m.predict(new, interval="confidence"), m.predict(new, interval="prediction")
    compare.relative(confidence["fit"], request["fit"], REL, "fit")
    compare.relative(confidence["std_error"], request["se"], REL, "se")
    for table, prefix in ((confidence, "ci"), (prediction, "pi")):
        compare.relative(table["conf_low"], request[f"{prefix}_lower"], REL, f"{prefix} lower")
        compare.relative(table["conf_high"], request[f"{prefix}_upper"], REL, f"{prefix} upper")


@pytest.mark.parametrize("case_id", CASES)
def test_model_matrix(case_id: str) -> None:
    m, x = fitted(case_id), results(case_id)["X"]
    X = m.model.design.X
    assert X.shape[0] == x["rows"]
    X = X[:, : len(x["columns"])] if X.shape[1] != len(x["columns"]) else X
    size = np.abs(X).sum(axis=0)
    compare.within(X.sum(axis=0), x["column_sums"], 1e-9 * size + 1e-10 * len(X), "column sums")
    compare.within(np.cos(np.arange(1, len(X) + 1)) @ X, x["column_wsums"], 1e-9 * size + 1e-10 * len(X), "weighted column sums")
