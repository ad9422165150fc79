"""Residuals and leverages against their n x n definitions; R's numbers are in tests/reference."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from tests.reference import compare
from tests.reference.load import fitted, reference_case, reference_cases
from tests.unit.fit.truth import FORMULAS, data_of, model, truth

import ranef
from ranef.fit.residuals import augment, hat_values, residuals

NAMES = list(FORMULAS)


@pytest.mark.parametrize("name", NAMES)
def test_raw_residuals_leave_out_the_random_effects_or_not(name: str) -> None:
    fit, t = model(name), truth(model(name))
    np.testing.assert_allclose(residuals(fit), t.P @ t.y / t.W, atol=1e-8 * t.sigma)
    np.testing.assert_allclose(residuals(fit, level="marginal"), t.V @ t.P @ t.y, atol=1e-8 * t.sigma)
    np.testing.assert_allclose(fit.resid, residuals(fit), rtol=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_leverage_is_the_derivative_of_the_fitted_value(name: str) -> None:
    fit, t = model(name), truth(model(name))
    hat = np.eye(len(t.y)) - t.P / t.W[:, None]
    np.testing.assert_allclose(hat_values(fit), np.diag(hat), atol=1e-9)
    solved = np.linalg.solve(t.V, t.X)
    marginal = t.X @ np.linalg.solve(t.X.T @ solved, solved.T)
    np.testing.assert_allclose(hat_values(fit, "marginal"), np.diag(marginal), atol=1e-9)
    assert hat_values(fit, "marginal").sum() == pytest.approx(len(fit.params))


@pytest.mark.parametrize("name", NAMES)
def test_standardised_residuals_are_over_their_own_standard_deviation(name: str) -> None:
    fit, t = model(name), truth(model(name))
    raw = {"conditional": t.P @ t.y / t.W, "marginal": t.V @ t.P @ t.y}
    variance = {"conditional": np.diag(t.P) / t.W**2, "marginal": np.diag(t.V @ t.P @ t.V)}
    own = {"conditional": 1 / t.W, "marginal": np.diag(t.V)}
    for level, r in raw.items():
        np.testing.assert_allclose(residuals(fit, "standardised", level), r / (t.sigma * np.sqrt(variance[level])), atol=1e-7)
        np.testing.assert_allclose(residuals(fit, "pearson", level), r / np.sqrt(own[level]), atol=1e-8 * t.sigma)


@pytest.mark.parametrize("name", ["slopes", "nested", "plain"])
def test_studentised_residuals_use_sigma_without_the_row(name: str) -> None:
    """Leaving row i out with theta held: sigma^2 of the rest by generalised least squares, and the error of predicting y_i from it."""
    fit, t = model(name), truth(model(name))
    studentised = residuals(fit, "studentised").to_numpy()
    for i in (0, 7, 50):
        rest = np.arange(len(t.y)) != i
        V, X, y = t.V[np.ix_(rest, rest)], t.X[rest], t.y[rest]
        beta = np.linalg.solve(X.T @ np.linalg.solve(V, X), X.T @ np.linalg.solve(V, y))
        e = y - X @ beta
        sigma = np.sqrt(e @ np.linalg.solve(V, e) / (len(y) - X.shape[1]))
        weights = np.linalg.solve(V, t.V[rest, i])
        gap = t.X[i] - X.T @ weights
        error = t.y[i] - t.X[i] @ beta - weights @ e
        variance = t.V[i, i] - weights @ t.V[rest, i] + gap @ np.linalg.solve(X.T @ np.linalg.solve(V, X), gap)
        assert studentised[i] == pytest.approx(error / (sigma * np.sqrt(variance)), rel=1e-6)


def test_levels_agree_without_random_effects() -> None:
    fit = model("plain")
    for kind in ("raw", "pearson", "standardised", "studentised"):
        np.testing.assert_allclose(residuals(fit, kind), residuals(fit, kind, "marginal"), rtol=1e-9)


def test_row_that_determines_its_own_fit_has_no_standardised_residual() -> None:
    data = pd.DataFrame({"y": [1.0, 2.0, 4.0, 5.5, 9.0], "g": list("aaabb"), "d": [0, 0, 0, 0, 1]})
    fit = ranef.lm("y ~ g + d", data)
    assert hat_values(fit).iloc[4] == pytest.approx(1.0)
    assert np.isnan(residuals(fit, "standardised").iloc[3:]).all()
    assert np.isfinite(residuals(fit, "studentised").iloc[:3]).all()


def test_index_is_the_users() -> None:
    assert residuals(model("crossed")).index.equals(data_of("crossed").index)


def test_missing_rows_are_left_out_of_the_index() -> None:
    data = data_of("plain")
    data.loc[[100, 103], "x"] = np.nan
    fit = ranef.lm("y ~ x", data)
    assert list(hat_values(fit).index[:2]) == [106, 109]
    assert list(augment(fit)["case"][:2]) == [106, 109]
    assert len(augment(fit)) == len(data) - 2


@pytest.mark.parametrize(("options", "match"), [({"kind": "deviance"}, "pearson"), ({"level": "subject"}, "marginal")])
def test_unknown_kinds_are_refused_with_the_known_ones(options: dict[str, str], match: str) -> None:
    with pytest.raises(ranef.ModelError, match=match):
        residuals(model("plain"), **options)


def test_augment_has_the_columns_of_the_formula_and_of_the_fit() -> None:
    fit = model("crossed")
    table = augment(fit).frame
    assert list(table.columns) == ["case", "y", "x", "w", "a", "b", "fitted", "resid", "hat", "std_resid", "mu"]
    np.testing.assert_allclose(table["fitted"] + table["resid"], table["y"])
    np.testing.assert_allclose(table["std_resid"], residuals(fit, "standardised"))
    np.testing.assert_allclose(table["mu"] + residuals(fit, "raw", "marginal").to_numpy(), table["y"])
    assert list(table["a"]) == list(data_of("crossed")["a"])


def test_augment_of_a_dict_counts_rows() -> None:
    data = {name: data_of("plain")[name].to_numpy() for name in ("y", "x")}
    assert list(augment(ranef.lm("y ~ x", data))["row"][:3]) == [0, 1, 2]


@pytest.mark.parametrize("case_id", reference_cases("lmm", "influence"))
def test_leverage_and_residuals_are_those_of_lme4(case_id: str) -> None:
    """lme4's hatvalues, residuals(type="pearson") and residuals(scaled=TRUE); leverages follow theta, known to 1e-5 or so."""
    fit, theirs = fitted(case_id), reference_case(case_id)["results"]["influence"]
    compare.checksum(hat_values(fit), theirs["leverage"], "leverage", rel=1e-5)
    compare.checksum(residuals(fit, "pearson"), theirs["residuals_pearson"], "pearson", rel=1e-5, floor=1e-5 * fit.sigma)
    compare.checksum(residuals(fit, "pearson") / fit.sigma, theirs["residuals_scaled"], "scaled", rel=1e-5, floor=1e-5)


def test_what_lme4_calls_rstudent_is_standardised() -> None:
    """lme4 1.1-31: rstudent(lmer(Reaction ~ Days + (Days | Subject), sleepstudy))[c(1, 57, 180)]."""
    fit = ranef.lmm("Reaction ~ Days + (Days | Subject)", ranef.datasets.load("sleepstudy"))
    np.testing.assert_allclose(fit.residuals("standardised").iloc[[0, 56, 179]], [-0.1826538, 5.5270053, -0.2490211], atol=1e-5)
