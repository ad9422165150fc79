"""The data sets `square*` give the tables that a primer on mixed models prints (R's lm, lmerTest and emmeans), digit by digit or nearly."""

import pytest

import ranef

PRINTED = {  # formula: the printed estimates with their standard errors, and the residual standard deviation
    "score ~ 1": ([15.086], [0.251], 2.004),
    "score ~ arm": ([14.282, 1.609], [0.327, 0.462], 1.848),
    "score ~ age": ([10.987, 0.071], [0.618, 0.010], 1.513),
    "score ~ age_d": ([14.206, 1.877], [0.306, 0.446], 1.782),
    "score ~ age * therapy": ([9.050, 0.131, -2.102, -0.013], [0.684, 0.015, 1.266, 0.021], 1.112),
    "score ~ age + therapy": ([9.335, 0.125, -2.849], [0.504, 0.010, 0.384], 1.106),
    "score ~ therapy": ([14.910, 0.351], [0.356, 0.503], 2.012),
    "score ~ age + group": (
        [14.327, 0.071, -1.458, -2.021, -2.652, -3.347, -4.245, -4.623, -5.230, -5.914],
        [0.213, 0.002, 0.221, 0.189, 0.188, 0.174, 0.188, 0.188, 0.221, 0.218],
        0.306,
    ),
}


@pytest.fixture(scope="module")
def square():
    return ranef.datasets.load("square")


@pytest.mark.parametrize("formula", PRINTED)
def test_regressions(formula, square):
    estimates, errors, sigma = PRINTED[formula]
    m = ranef.lm(formula, square)
    assert m.params.to_list() == pytest.approx(estimates, abs=0.0016)
    assert m.bse.to_list() == pytest.approx(errors, abs=0.0011)
    assert m.sigma == pytest.approx(sigma, abs=0.001)


def test_random_intercept(square):
    m = ranef.lmm("score ~ age + (1 | group)", square)
    assert m.params.to_list() == pytest.approx([11.0488, 0.0709], abs=6e-5)
    assert m.bse.to_list() == pytest.approx([0.6521, 0.0022], abs=6e-5)
    assert m.df.to_list() == pytest.approx([8.6207, 54.0537], abs=2e-3)
    assert m.varcorr["sdcor"] == pytest.approx([1.9144, 0.3059], abs=6e-5)
    assert m.aic == pytest.approx(95.136, abs=0.03)


def test_within_and_between(square):
    m = ranef.lmm("score ~ between(age, group) + within(age, group) + (1 | group)", square)
    assert m.params.to_list() == pytest.approx([8.8772, 0.1089, 0.0709], abs=0.01)
    assert m.df.to_list() == pytest.approx([6.9933, 6.9917, 53.9835], abs=2e-3)


def test_uncorrelated_slope_vanishes(square):
    m = ranef.lmm("score ~ age + (age || group)", square)
    assert m.status == "optimum on the boundary"
    assert m.varcorr["sdcor"] == pytest.approx([1.9146, 0.0, 0.3059], abs=3e-4)


def test_correlated_slopes():
    m = ranef.lmm("score ~ age + (age | group)", ranef.datasets.load("square_slopes"))
    assert m.params.to_list() == pytest.approx([10.9977, 0.0736], rel=0.005)
    assert m.varcorr["sdcor"] == pytest.approx([3.0292, 0.0701, -0.8820, 0.2751], rel=0.005)


def test_visits():
    m = ranef.lmm("score ~ visit + (1 | patient)", ranef.datasets.load("square_visits"), ddf="kenward-roger")
    pairs = ranef.emmeans(m, "visit").contrast("pairwise")
    assert pairs["estimate"] == pytest.approx([-0.799, -1.170, -2.201, -0.371, -1.402, -1.031], abs=2e-4)
    assert pairs["std_error"] == pytest.approx([0.245] * 6, abs=1e-4)
    assert pairs["df"] == pytest.approx([24] * 6)
    assert pairs["p_value"] == pytest.approx([0.0166, 0.0004, 0.0001, 0.4475, 0.0001, 0.0017], abs=0.003)
