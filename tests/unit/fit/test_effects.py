"""Random effects, their conditional covariances, coefficients by level and variance components."""

from __future__ import annotations

import numpy as np
import pytest
from tests.unit.fit.truth import FORMULAS, model, truth

import ranef
from ranef.fit.effects import coef, conditional_covariance, factors, ranef_table, varcorr

MIXED = [name for name in FORMULAS if name != "plain"]


@pytest.mark.parametrize("name", MIXED)
def test_effects_are_omega_z_p_y(name: str) -> None:
    fit, t = model(name), truth(model(name))
    b = t.omega @ t.Z.T @ t.P @ t.y
    ours = np.concatenate([effects.ravel() for effects in fit.solution.effects])
    np.testing.assert_allclose(ours, b, rtol=1e-8, atol=1e-8 * fit.sigma)


@pytest.mark.parametrize("name", MIXED)
def test_conditional_covariances_are_joint_over_the_terms_of_a_factor(name: str) -> None:
    """Var(b | y, beta) = Omega - Omega Z'V^-1 Z Omega, cut to the tile of each level."""
    fit, t = model(name), truth(model(name))
    full = t.sigma**2 * (t.omega - t.omega @ t.Z.T @ np.linalg.solve(t.V, t.Z) @ t.omega)
    at = 0
    for factor in factors(fit):
        m, k = len(factor.levels), len(factor.names)
        tiles = full[at : at + m * k, at : at + m * k].reshape(m, k, m, k)[np.arange(m), :, np.arange(m), :]
        np.testing.assert_allclose(conditional_covariance(fit, factor.name), tiles, rtol=1e-7, atol=1e-9 * fit.sigma**2)
        at += m * k


def test_table_lists_terms_then_levels_with_their_standard_deviations() -> None:
    fit = model("crossed")
    table = ranef_table(fit).frame
    assert list(table.columns) == ["group", "level", "term", "estimate", "std_error"]
    assert list(table["term"][table["group"] == "a"].unique()) == ["(Intercept)", "x", "w"]
    assert len(table) == 3 * 9 + 6
    one = table[(table["group"] == "a") & (table["term"] == "x") & (table["level"] == "a4")].iloc[0]
    assert one["estimate"] == fit.solution.effects[0][4, 1]
    assert one["std_error"] == pytest.approx(np.sqrt(conditional_covariance(fit, "a")[4, 1, 1]))


def test_table_without_variances_has_no_column_for_them() -> None:
    assert "std_error" not in ranef_table(model("slopes"), cond_var=False)


def test_model_without_random_effects_has_empty_answers() -> None:
    fit = model("plain")
    assert len(ranef_table(fit)) == 0
    assert coef(fit) == {}
    assert list(varcorr(fit)["group"]) == ["Residual"]


def test_unknown_group_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ranef.ModelError, match="grouping factors: Subject"):
        conditional_covariance(model("slopes"), "Day")


def test_coefficients_are_fixed_plus_random() -> None:
    fit = model("nested")
    table = coef(fit)
    assert list(table) == ["a", "a:b"]
    np.testing.assert_allclose(table["a"], fit.params.to_numpy() + fit.solution.effects[0])
    np.testing.assert_allclose(table["a:b"]["x"], fit.params["x"])
    assert list(table["a"].index) == [f"a{i}" for i in range(9)]


def test_coefficients_hold_random_effects_that_have_no_fixed_one() -> None:
    table = coef(model("no fixed effects"))["a"]
    assert list(table.columns) == ["(Intercept)"]
    np.testing.assert_allclose(table["(Intercept)"], model("no fixed effects").solution.effects[0][:, 0])


def test_variances_come_first_and_the_residual_last() -> None:
    table = varcorr(model("crossed"))
    rows = list(zip(table["group"], table["term1"], table["term2"], strict=True))
    assert rows == [
        ("a", "(Intercept)", None), ("a", "x", None), ("a", "(Intercept)", "x"), ("b", "(Intercept)", None), ("a", "w", None),
        ("Residual", None, None),
    ]  # fmt: skip
    vcov, sdcor = np.array(table["vcov"]), np.array(table["sdcor"])
    assert sdcor[2] == pytest.approx(vcov[2] / np.sqrt(vcov[0] * vcov[1]))
    np.testing.assert_allclose(np.delete(sdcor, 2) ** 2, np.delete(vcov, 2))


def test_published_variances_of_sleepstudy() -> None:
    """Bates et al. (2015), J. Stat. Softw. 67(1), section 5.2.1: 24.740, 5.922, 0.07, 25.592."""
    sdcor = varcorr(model("slopes"))["sdcor"]
    np.testing.assert_allclose(sdcor, [24.74045, 5.92213, 0.06555, 25.59182], atol=1e-5)


def test_factor_slopes_have_a_variance_for_each_level() -> None:
    names = varcorr(model("factor"))["term1"]
    assert {"f[low]", "f[mid]", "f[high]"} <= {name for name in names if name}
