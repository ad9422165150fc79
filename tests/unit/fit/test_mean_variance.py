"""Residual variances that depend on the fitted mean: the fixed point, against nlme and against the same covariate in the data."""

import numpy as np
import pytest

import ranef

GROWTH = "distance ~ age * Sex"
NLME = [  # nlme 3.1: gls and lme with weights = varPower(), tolerance 1e-12; lme repeated with its own fitted values until they settle
    ("", "power(fitted)", True, -241.733143307, 0.914581, 0.284244),
    ("", "power(fitted)", False, -239.060270101, 0.800585, 0.320216),
    ("", "ar1(age | Subject) * power(fitted)", True, -221.361732635, 0.0383252, 1.288799),
    (" + (1 | Subject)", "power(fitted)", True, -216.29608008, 0.0472257, 1.063391),
]


@pytest.fixture(scope="module")
def growth():
    return ranef.datasets.load("Orthodont")


@pytest.mark.parametrize(("random", "residual", "reml", "llf", "sd", "power"), NLME)
def test_fixed_point_is_that_of_nlme(growth, random, residual, reml, llf, sd, power):
    fit = ranef.lmm(GROWTH + random, growth, residual=residual, reml=reml)
    found = dict(zip(fit.residual_parameters()["term"], fit.residual_parameters()["estimate"], strict=True))
    assert fit.llf == pytest.approx(llf, abs=1e-6)
    assert found["power(fitted)"] == pytest.approx(power, rel=3e-5)
    assert found["sd"] == pytest.approx(sd, rel=3e-5)


@pytest.mark.parametrize("word", ["power", "exponential"])
@pytest.mark.parametrize("random", ["", " + (1 | Subject)"])
def test_fitted_values_in_the_data_give_the_same(growth, word, random):
    """The conditional mean is the covariate: given it, the fit does not move."""
    fit = ranef.lmm(GROWTH + random, growth, residual=f"{word}(fitted)")
    given = ranef.lmm(GROWTH + random, growth.assign(v=fit.fittedvalues), residual=f"{word}(v)")
    assert fit.llf == pytest.approx(given.llf, abs=1e-6)
    np.testing.assert_allclose(fit.params, given.params, rtol=1e-5)
    np.testing.assert_allclose(fit.bse, given.bse, rtol=1e-4)
    assert fit.npar == given.npar


def test_constant_and_power():
    rng = np.random.default_rng(9)
    x = rng.uniform(0.1, 8.0, 1500)
    data = {"x": x, "y": 0.5 + x + 0.3 * (1.0 + (0.5 + x) ** 1.5) * rng.normal(size=1500)}
    fit = ranef.lmm("y ~ x", data, residual="constpower(fitted)")
    given = ranef.lmm("y ~ x", {**data, "v": fit.fittedvalues.to_numpy()}, residual="constpower(v)")
    assert fit.llf == pytest.approx(given.llf, abs=1e-6)
    table = fit.residual_parameters()
    for truth, low, high in zip((0.3, 1.0, 1.5), table["conf_low"], table["conf_high"], strict=True):
        assert low < truth < high


def test_units_of_the_response_change_only_units(growth):
    fit, scaled = (
        ranef.lmm(GROWTH, growth.assign(distance=factor * growth["distance"]), residual="power(fitted)") for factor in (1.0, 40.0)
    )
    np.testing.assert_allclose(scaled.params, 40.0 * fit.params, rtol=1e-6)
    np.testing.assert_allclose(scaled.tvalues, fit.tvalues, rtol=1e-6)


def test_refit_moves_the_covariate(growth):
    fit = ranef.lmm(GROWTH + " + (1 | Subject)", growth, residual="power(fitted)")
    y = growth["distance"].to_numpy() ** 1.2
    again = fit.refit(y)
    fresh = ranef.lmm(GROWTH + " + (1 | Subject)", growth.assign(distance=y), residual="power(fitted)")
    assert again.llf == pytest.approx(fresh.llf, abs=1e-6)
    np.testing.assert_allclose(again.params, fresh.params, rtol=1e-5)


def test_recovers_the_power():
    rng = np.random.default_rng(4)
    x = rng.uniform(1.0, 5.0, 3000)
    mean = 2.0 + 3.0 * x
    fit = ranef.lmm("y ~ x", {"x": x, "y": mean + 0.2 * mean**0.8 * rng.normal(size=3000)}, residual="power(fitted)")
    table = fit.residual_parameters()
    low, high = table["conf_low"][1], table["conf_high"][1]
    assert low < 0.8 < high
    assert high - low < 0.2


def test_a_mean_of_both_signs_is_a_finding():
    rng = np.random.default_rng(5)
    x = np.linspace(-1.0, 1.0, 61)
    data = {"x": x, "y": x + 0.3 * rng.normal(size=61)}
    found = {finding.code for finding in ranef.lmm("y ~ x", data, residual="power(fitted)").findings}
    assert "mean_near_zero" in found
    assert "mean_near_zero" not in {finding.code for finding in ranef.lmm("y ~ x", data, residual="exponential(fitted)").findings}


def test_a_mean_of_zero_has_no_power():
    data = {"y": [-2.0, -1.0, 1.0, 2.0, 0.5, -0.5]}
    with pytest.raises(ranef.ModelError, match=r"A fitted value is zero"):
        ranef.lmm("y ~ 0 + x", {**data, "x": [0.0, 0.0, 1.0, 2.0, 3.0, 1.5]}, residual="power(fitted)")


def test_strata_are_not_a_function_of_the_mean(growth):
    with pytest.raises(ranef.ModelError, match=r"ident\(\) takes a factor"):
        ranef.lmm(GROWTH, growth, residual="ident(fitted)")
