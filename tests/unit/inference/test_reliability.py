"""Reliability and shrinkage of random effects, design effects, and power in two-level designs."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import nct
from tests.unit.inference.examples import crossed

import ranef
from ranef.errors import ModelError
from ranef.inference.power import TwoLevel


@pytest.fixture(scope="module")
def unbalanced():
    rng = np.random.default_rng(9)
    g = rng.integers(0, 15, 120)
    return {"y": rng.normal(size=15)[g] + rng.normal(size=120), "x": rng.normal(size=120), "g": g}


def test_lambda_of_a_random_intercept(unbalanced):
    m = ranef.lmm("y ~ x + (1 | g)", unbalanced)
    table = ranef.reliability(m)
    tau2 = m.varcorr["vcov"][0]
    expected = tau2 / (tau2 + m.sigma**2 / table["rows"])
    np.testing.assert_allclose(table["reliability"], expected)
    np.testing.assert_allclose(table["shrinkage"], 1 - expected)
    assert np.all((table["conf_low"] < expected) & (expected < table["conf_high"]))


def test_shrinkage_is_what_partial_pooling_takes_away():
    rng = np.random.default_rng(1)
    g = np.repeat(np.arange(8), [2, 3, 4, 5, 6, 7, 8, 9])
    m = ranef.lmm("y ~ 1 + (1 | g)", {"y": 2 * rng.normal(size=8)[g] + rng.normal(size=len(g)), "g": g})
    table, pooled = ranef.reliability(m), ranef.pooling(m)
    deviation = pooled["no_pooling"] - m.params["(Intercept)"]
    np.testing.assert_allclose(table["estimate"], table["reliability"] * deviation, rtol=1e-6)


def test_in_general_it_is_one_less_the_posterior_share():
    m = ranef.lmm("y ~ x + (x | g) + (1 | h)", crossed())
    table, conditional = ranef.reliability(m), m.ranef()
    prior = np.array(
        [
            {(r["group"], r["term1"]): r["vcov"] for r in m.varcorr if r["term2"] is None}[g, t]
            for g, t in zip(table["group"], table["term"], strict=True)
        ]
    )
    np.testing.assert_allclose(table["reliability"], 1 - conditional["std_error"] ** 2 / prior)
    np.testing.assert_allclose(table["estimate"], conditional["estimate"])


def test_units_do_not_matter_to_reliability():
    one = ranef.reliability(ranef.lmm("y ~ x + (x || g)", crossed()))
    two = ranef.reliability(ranef.lmm("y ~ x + (x || g)", crossed().assign(x=lambda d: 1e3 * d["x"])))
    for name in ("reliability", "conf_low", "conf_high"):
        np.testing.assert_allclose(two[name], one[name], rtol=1e-4)


def test_a_vanished_variance_shrinks_all():
    table = ranef.reliability(ranef.lmm("Yield ~ 1 + (1 | Batch)", ranef.datasets.load("Dyestuff2")))
    assert np.all(table["reliability"] == 0.0)
    assert np.all(table["shrinkage"] == 1.0)
    assert np.all((table["conf_high"] > 0.2) & (table["conf_high"] < 1.0))
    assert len(ranef.reliability(ranef.lm("y ~ x", crossed()))) == 0


def test_the_design_effect_is_that_of_the_mean(unbalanced):
    """Against the n x n covariance: n Var(mean) / Var(y)."""
    m = ranef.lmm("y ~ 1 + (1 | g)", unbalanced)
    tau2, sigma2 = m.varcorr["vcov"]
    g = unbalanced["g"]
    V = tau2 * (g[:, None] == g) + sigma2 * np.eye(len(g))
    table = ranef.design_effect(m)
    assert table["estimate"][0] == pytest.approx(V.mean() * len(g) / (tau2 + sigma2))
    assert table["effective_rows"][0] == pytest.approx(len(g) / table["estimate"][0])
    assert table["estimate"][1] == pytest.approx(sigma2 / (tau2 + sigma2))


def test_crossed_factors_and_slopes_together():
    m = ranef.lmm("y ~ x + (x | g) + (1 | h)", crossed())
    points = crossed()
    z = np.column_stack([np.ones(len(points)), points["x"]])
    V = m.sigma**2 * np.eye(len(points)) + m.varcorr["vcov"][3] * (points["h"].to_numpy()[:, None] == points["h"].to_numpy())
    omega = m.sigma**2 * m.solution.root(0) @ m.solution.root(0).T
    V += (z @ omega @ z.T) * (points["g"].to_numpy()[:, None] == points["g"].to_numpy())
    table = ranef.design_effect(m)
    assert list(table["group"]) == ["g", "h", None, None]
    assert table["estimate"][2] == pytest.approx(V.mean() * len(points) / np.mean(np.diag(V)))
    assert np.all(table["conf_low"] <= table["estimate"])
    assert np.all(table["estimate"] <= table["conf_high"])


def test_without_clustering_the_design_effect_is_one():
    table = ranef.design_effect(ranef.lmm("Yield ~ 1 + (1 | Batch)", ranef.datasets.load("Dyestuff2")))
    np.testing.assert_allclose(table["estimate"], 1.0)
    assert table["conf_high"][0] > 1.5
    assert table["conf_low"][1] < 0.9


def balanced(level: str) -> tuple[ranef.Fit, np.ndarray]:
    rng = np.random.default_rng(4)
    J, size = 16, 5
    g = np.repeat(np.arange(J), size)
    x = rng.normal(size=J)[g] if level == "between" else np.tile(rng.normal(size=size), J)
    m = ranef.lmm("y ~ x + (1 | g)", {"y": rng.normal(size=J)[g] + rng.normal(size=J * size), "x": x, "g": g})
    return m, x


@pytest.mark.parametrize("level", ["between", "within"])
def test_the_variance_formulas_are_those_of_balanced_fits(level):
    m, x = balanced(level)
    tau2, sigma2 = m.varcorr["vcov"]
    design = TwoLevel(16, 5, tau2, sigma2, level, variance=np.var(x))
    assert np.sqrt(design.effect_variance) == pytest.approx(m.bse["x"])
    assert design.df == pytest.approx(m.df["x"], rel=1e-5)


def test_a_random_slope_limits_a_within_effect():
    rng = np.random.default_rng(8)
    g, x = np.repeat(np.arange(12), 6), np.tile(np.linspace(-1, 1, 6), 12)
    y = rng.normal(size=12)[g] + rng.normal(size=12)[g] * x + 0.5 * rng.normal(size=72)
    m = ranef.lmm("y ~ x + (x || g)", {"y": y, "x": x, "g": g})
    design = TwoLevel(12, 6, m.varcorr["vcov"][0], m.sigma**2, "within", np.var(x), m.varcorr["vcov"][1])
    assert np.sqrt(design.effect_variance) == pytest.approx(m.bse["x"])
    assert design.df == pytest.approx(m.df["x"], rel=1e-5)


def test_single_rows_are_the_two_sample_t_test():
    """R: power.t.test(n = 17, delta = 1, sd = 1) gives 0.8070367."""
    table = ranef.power_two_level(effect=1.0, clusters=34, size=1, icc=0.0)
    assert table["power"][0] == pytest.approx(0.8070367, abs=1e-6)
    assert ranef.power_two_level(effect=1.0, power=0.8, size=1, icc=0.0)["clusters"][0] == 34


def test_each_of_the_four_follows_from_the_others():
    found = ranef.power_two_level(effect=0.4, clusters=30, size=10, icc=0.1)
    power, df = found["power"][0], found["df"][0]
    assert power == pytest.approx(nct.sf(2.048407, df, 0.4 / found["std_error"][0]), abs=1e-4)
    assert ranef.power_two_level(power=power, clusters=30, size=10, icc=0.1)["effect_size"][0] == pytest.approx(0.4)
    assert ranef.power_two_level(effect=0.4, power=power - 1e-9, size=10, icc=0.1)["clusters"][0] == 30
    assert ranef.power_two_level(effect=0.4, power=power - 1e-9, clusters=30, icc=0.1)["cluster_size"][0] == 10
    within = ranef.power_two_level(effect=0.4, clusters=30, size=10, icc=0.1, level="within")
    assert within["power"][0] > power


def test_more_rows_do_not_make_up_for_clusters():
    with pytest.raises(ModelError, match=r"No number of rows in each cluster"):
        ranef.power_two_level(effect=0.3, power=0.8, clusters=10, icc=0.2)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"effect": 1.0, "clusters": 10}, "Give three"),
        ({"effect": 1.0, "clusters": 10, "size": 5, "power": 0.8}, "Give three"),
        ({"effect": 1.0, "clusters": 10, "size": 5, "icc": 1.0}, "icc"),
        ({"effect": 1.0, "clusters": 10, "size": 5, "icc": 0.1, "tau2": 1.0}, "icc"),
        ({"effect": 1.0, "clusters": 10, "size": 5}, "variances are not known"),
        ({"effect": 1.0, "clusters": 10, "size": 5, "icc": 0.1, "level": "both"}, "level="),
        ({"effect": 1.0, "clusters": 10, "size": 5, "icc": 0.1, "variance": 0.0}, "variance must be positive"),
        ({"effect": 1.0, "clusters": 10, "size": 5, "icc": 0.1, "slope": 1.0}, "no random slope"),
        ({"effect": 0.0, "clusters": 10, "size": 5, "icc": 0.1}, "zero"),
        ({"effect": 1.0, "clusters": 1, "size": 5, "icc": 0.1}, "too small"),
        ({"effect": 1.0, "power": 0.01, "size": 5, "icc": 0.1}, "alpha"),
        ({"power": 0.8, "clusters": 2, "size": 5, "icc": 0.1}, "degrees of freedom"),
    ],
)
def test_contradictions_are_said(arguments, said):
    with pytest.raises(ModelError, match=said):
        ranef.power_two_level(**arguments)
