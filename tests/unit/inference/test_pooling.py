"""Complete, no and partial pooling, the Hausman test, and contextual effects."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import chdtrc
from tests.unit.inference.examples import crossed

import ranef
from ranef.errors import ModelError


@pytest.fixture(scope="module")
def sleep():
    return ranef.datasets.load("sleepstudy")


def confounded(seed: int = 1) -> dict[str, np.ndarray]:
    """The covariate correlates with the group effects; a covariate of the groups, too."""
    rng = np.random.default_rng(seed)
    g = rng.integers(0, 20, 160)
    effect = rng.normal(size=20)
    x = 1.5 * effect[g] + rng.normal(size=160)
    w = rng.normal(size=20)[g]
    return {"y": x - 2 * effect[g] + 0.5 * w + rng.normal(size=160), "x": x, "w": w, "g": g}


def test_no_pooling_is_least_squares_with_dummies(sleep):
    table = ranef.pooling(ranef.lmm("Reaction ~ Days + (Days | Subject)", sleep))
    dummies = ranef.lm("Reaction ~ 0 + factor(Subject) + factor(Subject):Days", sleep)
    np.testing.assert_allclose(table["no_pooling"], dummies.params, rtol=1e-6)
    np.testing.assert_allclose(table["no_pooling_se"], dummies.bse, rtol=1e-6)


def test_partial_pooling_is_coef_and_complete_pooling_the_regression(sleep):
    m = ranef.lmm("Reaction ~ Days + (Days | Subject)", sleep)
    table, coef = ranef.pooling(m), m.coef()["Subject"]
    np.testing.assert_allclose(table["partial_pooling"], np.r_[coef["(Intercept)"], coef["Days"]])
    np.testing.assert_allclose(table["complete_pooling"], np.repeat(ranef.lm("Reaction ~ Days", sleep).params, 18))


def test_partial_pooling_lies_between_in_the_simple_model():
    m = ranef.lmm("y ~ 1 + (1 | g)", confounded())
    table, mean = ranef.pooling(m), m.params["(Intercept)"]
    low, high = np.minimum(table["no_pooling"], mean), np.maximum(table["no_pooling"], mean)
    assert np.all((table["partial_pooling"] >= low) & (table["partial_pooling"] <= high))
    assert np.all(table["partial_pooling_se"] < table["no_pooling_se"])


def test_covariates_of_the_groups_belong_to_their_coefficients():
    data = confounded()
    m = ranef.lmm("y ~ x + w + (1 | g)", data)
    table = ranef.pooling(m)
    dummies = ranef.lm("y ~ 0 + factor(g) + x", data)
    np.testing.assert_allclose(table["no_pooling"], dummies.params.iloc[:20], rtol=1e-6, atol=1e-8)
    w = np.array([data["w"][data["g"] == level][0] for level in range(20)])
    plain = m.coef()["g"]
    np.testing.assert_allclose(table["partial_pooling"], plain["(Intercept)"] + m.params["w"] * w)


def test_a_level_that_does_not_determine_its_line_has_none():
    data = {name: np.append(values, values[0]) for name, values in confounded().items()}
    data["g"][-1] = 99
    table = ranef.pooling(ranef.lmm("y ~ x + (x | g)", data))
    lone = np.array([level == 99 for level in table["level"]])
    assert np.isnan(table["no_pooling"][lone]).all()
    assert np.isfinite(table["no_pooling"][~lone]).all()
    assert np.isfinite(table["partial_pooling"]).all()
    assert any("alone" in note for note in table.notes)


def test_other_factors_keep_their_covariances():
    m = ranef.lmm("y ~ x + (1 | g) + (1 | h)", crossed())
    table = ranef.pooling(m, "g")
    data = crossed()
    V = np.eye(len(data)) + m.solution.root(1)[0, 0] ** 2 * (data["h"].to_numpy()[:, None] == data["h"].to_numpy())
    levels = list(table["level"])
    D = (data["g"].to_numpy()[:, None] == np.array(levels)).astype(float)
    X = np.column_stack([D, data["x"]])
    expected = np.linalg.solve(X.T @ np.linalg.solve(V, X), X.T @ np.linalg.solve(V, data["y"]))
    np.testing.assert_allclose(table["no_pooling"], expected[:-1], rtol=1e-6)
    with pytest.raises(ModelError, match="several grouping factors"):
        ranef.pooling(m)


def test_a_singular_fit_is_completely_pooled():
    table = ranef.pooling(ranef.lmm("Yield ~ 1 + (1 | Batch)", ranef.datasets.load("Dyestuff2")))
    np.testing.assert_allclose(table["partial_pooling"], table["complete_pooling"])
    with pytest.raises(ModelError, match="no random effects"):
        ranef.pooling(ranef.lm("y ~ x", crossed()))
    with pytest.raises(ModelError, match="no grouping factor 'h'"):
        ranef.pooling(ranef.lmm("y ~ x + (1 | g)", crossed()), "h")


def test_hausman_is_the_difference_from_dummies():
    data = confounded()
    m = ranef.lmm("y ~ x + w + (1 | g)", data)
    table, dummies = ranef.hausman(m), ranef.lm("y ~ 0 + factor(g) + x", data)
    assert list(table["term"]) == ["x", "all"]
    difference = dummies.params["x"] - m.params["x"]
    variance = (dummies.bse["x"] * m.sigma / dummies.sigma) ** 2 - m.bse["x"] ** 2
    assert table["estimate"][0] == pytest.approx(difference, rel=1e-6)
    assert table["statistic"][1] == pytest.approx(difference**2 / variance, rel=1e-5)
    assert table["p_value"][1] == pytest.approx(chdtrc(1, difference**2 / variance), rel=1e-4)
    assert table["p_value"][1] < 0.001


def test_balanced_designs_leave_nothing_to_test():
    """Dummies and random effects give the same slope, so that there is no evidence either way."""
    data = ranef.datasets.load("sleepstudy")
    table = ranef.hausman(ranef.lmm("Reaction ~ Days + (1 | Subject)", data))
    assert list(table["df"]) == [0, 0]
    assert list(table["p_value"]) == [1.0, 1.0]
    with pytest.raises(ModelError, match="absorbed"):
        ranef.hausman(ranef.lmm("Reaction ~ Days + (Days | Subject)", data))


def test_contextual_effects_of_a_model_with_and_without_the_means():
    data = confounded()
    plain = ranef.contextual(ranef.lmm("y ~ x + w + (1 | g)", data), "x")
    m = ranef.lmm("y ~ within(x, g) + between(x, g) + w + (1 | g)", data)
    split = ranef.contextual(m, "x")
    for name in ("estimate", "std_error", "df", "p_value"):
        np.testing.assert_allclose(plain[name], split[name], rtol=1e-5, atol=1e-12)
    assert split["estimate"][0] == m.params["within(x, g)"]
    assert split["estimate"][2] == pytest.approx(m.params["between(x, g)"] - m.params["within(x, g)"])
    half = ranef.contextual(ranef.lmm("y ~ within(x, g) + w + (1 | g)", data), "x")
    np.testing.assert_allclose(half["estimate"], split["estimate"], rtol=1e-5)
    assert list(split["effect"]) == ["within", "between", "contextual"]


def test_contextual_says_what_it_cannot_answer():
    data = confounded()
    m = ranef.lmm("y ~ x + w + (1 | g)", data)
    with pytest.raises(ModelError, match="both within and between"):
        ranef.contextual(m, "w")
    with pytest.raises(ModelError, match="neither 'z'"):
        ranef.contextual(m, "z")
    with pytest.raises(ModelError, match="no grouping factor 'h'"):
        ranef.contextual(m, "x", "h")
    with pytest.raises(ModelError, match="2 grouping factors"):
        ranef.contextual(ranef.lmm("y ~ x + (1 | g) + (1 | h)", crossed()), "x")
