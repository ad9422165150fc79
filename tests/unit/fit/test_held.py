"""Covariance parameters that are held: equal to models without them, counted as what they are, and what is refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2

import ranef
from ranef.covariance import structure
from ranef.covariance.held import Held
from ranef.errors import ModelError

COR = "cor__(Intercept).Days"


def sleep() -> pd.DataFrame:
    return ranef.datasets.load("sleepstudy")


def orthodont() -> pd.DataFrame:
    return ranef.datasets.load("Orthodont")


def test_a_correlation_of_zero_is_the_structure_without_it() -> None:
    formula = "Reaction ~ Days + (Days {} Subject)"
    held = ranef.lmm(formula.format("|"), sleep(), hold={"Subject": {COR: 0}})
    diag = ranef.lmm(formula.format("||"), sleep())
    assert held.llf == pytest.approx(diag.llf, abs=1e-9)
    assert held.npar == diag.npar == 5
    assert held.aic == pytest.approx(diag.aic)
    for ddf in ("satterthwaite", "kenward-roger", "kenward-roger-observed"):
        ours, theirs = held.anova(ddf=ddf), diag.anova(ddf=ddf)
        np.testing.assert_allclose(ours["den_df"], theirs["den_df"], rtol=1e-6)
        np.testing.assert_allclose(ours["statistic"], theirs["statistic"], rtol=1e-6)
    np.testing.assert_allclose(held.ranef()["estimate"], diag.ranef()["estimate"], atol=1e-5)


def test_a_likelihood_ratio_counts_what_is_held() -> None:
    full = ranef.lmm("Reaction ~ Days + (Days | Subject)", sleep())
    held = ranef.lmm("Reaction ~ Days + (Days | Subject)", sleep(), hold={"(Days|Subject)": {COR: 0}})
    table = ranef.compare(held, full)
    assert table["df"][1] == 1
    assert table["p_mixture"][1] == pytest.approx(chi2.sf(held.deviance - full.deviance, 1), rel=1e-9)


def test_entries_of_theta_are_those_of_the_user() -> None:
    formula = "Reaction ~ Days + (Days | Subject)"
    full = ranef.lmm(formula, sleep())
    at = full.theta
    held = ranef.lmm(formula, sleep(), hold={"Subject": {1: at[1], 2: at[2]}})
    assert held.deviance == pytest.approx(full.deviance, abs=1e-8)
    np.testing.assert_allclose(held.theta, at[:1], rtol=1e-4)
    moved = ranef.lmm(formula, sleep(), hold={"Subject": {1: 0.1, 2: 0.3}})
    best = min(full.deviance_at([moved.theta[0] + step, 0.1, 0.3]) for step in (-1e-3, 0.0, 1e-3))
    assert moved.deviance == pytest.approx(best, abs=1e-8)
    assert moved.npar == full.npar - 2


def test_all_of_theta() -> None:
    plain = ranef.lmm("Reaction ~ Days + (1 | Subject)", sleep())
    held = ranef.lmm("Reaction ~ Days + (1 | Subject)", sleep(), hold={"Subject": {0: 0.8}})
    assert held.deviance == pytest.approx(plain.deviance_at([0.8]), abs=1e-9)
    assert held.npar == 3
    assert len(held.theta) == 0


def test_residual_parameters_against_the_definition() -> None:
    data = orthodont()
    held = ranef.lmm("distance ~ age * Sex", data, residual="ar1(age | Subject)", hold={"Residual": {"rho": 0.5}})
    X = np.column_stack([np.ones(len(data)), data.age, data.Sex == "Female", data.age * (data.Sex == "Female")]).astype(float)
    lag = np.abs(np.subtract.outer(data.age.to_numpy(), data.age.to_numpy())) / 2.0
    C = np.where(np.equal.outer(data.Subject.to_numpy(), data.Subject.to_numpy()), 0.5**lag, 0.0)
    W, y, nu = np.linalg.inv(C), data.distance.to_numpy(), len(data) - 4
    inner = X.T @ W @ X
    r = y - X @ np.linalg.solve(inner, X.T @ W @ y)
    s2 = r @ W @ r / nu
    expected = nu * (1 + np.log(2 * np.pi * s2)) + np.linalg.slogdet(C)[1] + np.linalg.slogdet(inner)[1]
    assert held.deviance == pytest.approx(expected, abs=1e-8)
    np.testing.assert_allclose(held.bse, np.sqrt(s2 * np.diag(np.linalg.inv(inner))), rtol=1e-8)
    np.testing.assert_allclose(held.df, nu, rtol=1e-6)  # one variance is left to estimate
    table = held.residual_parameters()
    assert table["estimate"][0] == pytest.approx(np.sqrt(s2), rel=1e-7)
    assert table["estimate"][1] == pytest.approx(0.5)
    assert np.isnan(table["std_error"][1])
    assert table["std_error"][0] == pytest.approx(np.sqrt(s2 / (2 * nu)), rel=1e-5)
    assert "was held" in str(held.summary())
    free = ranef.lmm("distance ~ age * Sex", data, residual="ar1(age | Subject)")
    assert ranef.compare(held, free)["df"][1] == 1
    assert held.anova(ddf="kenward-roger")["den_df"] == pytest.approx(np.full(3, nu), rel=1e-6)


@pytest.mark.parametrize(
    ("word", "theta", "places", "values"),
    [
        ("un", (1.5, 0.7, 0.4, 1.2, 0.4, 1.0), (1, 4), (0.0, 0.3)),
        ("ar1h", (0.2, 0.5, 0.0, 0.7), (3,), (0.7,)),
        ("toep", (1.5, 0.6, 0.1), (2,), (0.2,)),
        ("cs", (1.5, 0.4), (0,), (1.1,)),
    ],
)
def test_derivatives_are_those_of_the_free_parameters(word, theta, places, values) -> None:
    inner = structure(word, 3)
    held = Held(inner, places, values)
    at = np.delete(np.array(theta), places)
    for i, step in enumerate(1e-6 * np.eye(len(at))):
        slope = (held.matrix(at + step) - held.matrix(at - step)) / 2e-6
        np.testing.assert_allclose(held.gradient(at)[i], slope, atol=1e-8)
        root = (held.factor(at + step) - held.factor(at - step)) / 2e-6
        np.testing.assert_allclose(held.jacobian(at)[i], root, atol=1e-8)
        bend = (held.gradient(at + step) - held.gradient(at - step)) / 2e-6
        np.testing.assert_allclose(held.second(at)[i], bend, atol=1e-7)
    np.testing.assert_allclose(held.matrix(held.canonical(at)), held.matrix(at), atol=1e-12)
    psi = held.kr_parameters(at)
    assert psi.value.shape == (held.size,)
    assert np.linalg.matrix_rank(psi.first) == held.size


def test_saving_and_updating(tmp_path) -> None:
    m = ranef.lmm("Reaction ~ Days + (Days | Subject)", sleep(), hold={"Subject": {COR: 0}})
    m.save(tmp_path / "m")
    again = ranef.load(tmp_path / "m")
    assert again.model.design.terms[0].covariance == m.model.design.terms[0].covariance
    np.testing.assert_array_equal(again.predict(sleep().head(7)), m.predict(sleep().head(7)))
    assert m.update(reml=False).npar == 5
    assert m.update(hold=None).npar == 6


@pytest.mark.parametrize(
    ("hold", "message"),
    [
        ({"Item": {COR: 0}}, "no term of that name"),
        ({"Subject": {"rho": 0}}, "un has no parameter 'rho'"),
        ({"Subject": {COR: 0.5}}, "a condition on 2 parameters"),
        ({"Subject": {COR: 1.0}}, "does not lie between"),
        ({"Subject": {"sd__Days": 1.0}}, "cannot be held by name"),
        ({"Subject": {3: 1.0}}, "has 3 entries of theta"),
        ({"Subject": {1: 0.0, COR: 0}}, "determined by what else is held"),
        ({"Subject": {1: "x"}}, "which is no number"),
        ({"Subject": 3}, "is 3"),
        ({"Residual": {"rho": 0.5}}, "no residual structure"),
    ],
)
def test_refusals(hold, message) -> None:
    with pytest.raises(ModelError, match=message):
        ranef.lmm("Reaction ~ Days + (Days | Subject)", sleep(), hold=hold)


def test_theta_has_no_scale_beside_a_residual_structure() -> None:
    for key in ("Subject", "Residual"):
        with pytest.raises(ModelError, match="held by name"):
            ranef.lmm("distance ~ age + (1 | Subject)", orthodont(), residual="ar1(age | Subject)", hold={key: {0: 1.0}})


def test_both_sides_at_once() -> None:
    """Exchangeable random effects of three columns and correlated residuals, both with a held correlation."""
    formula, data = "distance ~ age + csh(0 + Sex | Subject)", orthodont()
    hold = {"Subject": {"rho": 0.3}, "Residual": {"rho": 0.2}}
    m = ranef.lmm(formula, data, residual="ar1(age | Subject)", hold=hold)
    free = ranef.lmm(formula, data, residual="ar1(age | Subject)")
    assert m.npar == free.npar - 2
    assert m.deviance >= free.deviance - 1e-8
    assert [v for v in m.varcorr["sdcor"] if v in (pytest.approx(0.3), pytest.approx(0.2))] == pytest.approx([0.3, 0.2])


def test_ranova_does_not_guess() -> None:
    m = ranef.lmm("Reaction ~ Days + (Days | Subject)", sleep(), hold={"Subject": {COR: 0}})
    with pytest.raises(ModelError, match="does not know what to hold"):
        ranef.ranova(m)
