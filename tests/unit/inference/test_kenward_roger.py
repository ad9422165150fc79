"""Kenward and Roger's method against n x n algebra, and its limits."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import f_oneway
from tests.reference.load import fitted as reference
from tests.reference.load import reference_case
from tests.unit.inference.examples import Twin, crossed

import ranef
from ranef.core.information import _differenced, expected_traces
from ranef.core.kenward_roger import KenwardRoger, scaled_df

FORMULAS = {
    "slopes": "y ~ x + a + (x | g)",
    "crossed": "y ~ x * b + (x | g) + (1 | h)",
    "diagonal": "y ~ x + diag(x | g)",
    "identity": "y ~ x + id(x | g)",
    "factor slopes": "y ~ a + (a | g)",
    "same group twice": "y ~ x + (1 | g) + (0 + x | g)",
}


@pytest.fixture(scope="module", params=FORMULAS)
def fit(request: pytest.FixtureRequest) -> ranef.Fit:
    return ranef.lmm(FORMULAS[request.param], crossed(), ddf="kenward-roger")


def check(m: ranef.Fit, twin: Twin, method: str) -> None:
    d = m.denominator(method)
    np.testing.assert_allclose(d.vcov, twin.adjusted, rtol=1e-7, atol=1e-9 * np.abs(twin.adjusted).max())
    L = np.vstack([np.eye(len(m.params)), np.ones(len(m.params)), np.arange(len(m.params)) - 1.0])
    np.testing.assert_allclose(d.df(L), [twin.df(row) for row in L], rtol=1e-7)
    joint = np.eye(len(m.params))[1:]
    if len(joint) < 2:
        return
    test = d.test(joint, np.zeros(len(joint)))
    df, scale = scaled_df(len(joint), *twin.moments(joint))
    wald = twin.beta[1:] @ np.linalg.solve(twin.adjusted[1:, 1:], twin.beta[1:]) / len(joint)
    np.testing.assert_allclose([test.den_df, test.scale, test.wald], [df, scale, wald], rtol=1e-6)


def test_expected_information(fit: ranef.Fit) -> None:
    check(fit, Twin.of(fit), "kenward-roger")


def test_observed_information(fit: ranef.Fit) -> None:
    check(fit, Twin.of(fit, observed=True), "kenward-roger-observed")


def test_linear_variant_is_the_same_where_covariances_are_linear(fit: ranef.Fit) -> None:
    np.testing.assert_array_equal(fit.with_ddf("kenward-roger-linear").bse, fit.bse)


def test_precision_weights() -> None:
    m = ranef.lmm("y ~ x + a + (x | g)", crossed(), precision_weights="w")
    check(m, Twin.of(m), "kenward-roger")


@pytest.mark.parametrize("case_id", ["edge-sleep-weights", "edge-sleep-weights-offset"])
def test_pbkrtest_leaves_out_the_weights(case_id: str) -> None:
    """Its numbers are those of the unweighted covariance of y at the weighted estimates; ours are those of the model."""
    m, theirs = reference(case_id), reference_case(case_id)["results"]["kenward_roger"]
    check(m, Twin.of(m), "kenward-roger")
    wrong = Twin.of(m, weighted=False)
    kept = np.eye(len(m.params))
    phi = m.with_ddf("satterthwaite").cov_params().to_numpy()
    pbkrtest = Twin(phi, phi, wrong.W, wrong.P, wrong.beta)
    weighted_df = [pbkrtest.df(row) for row in kept]
    right = m.with_ddf("kenward-roger").df
    assert not np.allclose(right, theirs["table"]["df"], rtol=0.1)
    np.testing.assert_allclose(weighted_df, theirs["table"]["df"], rtol=1e-3)


@pytest.mark.parametrize("theta", ["optimum", "boundary"])
def test_differenced_traces_are_the_exact_ones(fit: ranef.Fit, theta: str) -> None:
    factors = [lam.copy() for lam in fit.solution.factors]
    if theta == "boundary":
        factors = [np.diag([0.7, *[0.0] * (len(lam) - 1)]) for lam in factors]
    exact = expected_traces(fit.criterion, factors, fit.criterion.engine.pieces(factors, 2))
    size = np.sqrt(np.outer(np.diag(exact), np.diag(exact)))
    np.testing.assert_allclose(_differenced(fit.criterion, factors) / size, exact / size, atol=1e-7)


def test_machines() -> None:
    m = ranef.lmm("score ~ Machine + (Machine | Worker)", ranef.datasets.load("Machines"))
    kenward_roger, satterthwaite = m.anova(ddf="kenward-roger"), m.anova()
    assert round(kenward_roger["statistic"][0], 2) == 32.80
    assert round(satterthwaite["statistic"][0], 2) == 41.00
    np.testing.assert_allclose(kenward_roger["den_df"], [4.0], rtol=1e-8)
    np.testing.assert_allclose(satterthwaite["den_df"], [5.0], rtol=1e-8)


def test_a_split_plot_has_the_degrees_of_freedom_of_its_strata() -> None:
    table = ranef.lmm("yield ~ nitro * Variety + (1 | Block/Variety)", ranef.datasets.load("Oats")).anova(ddf="kenward-roger")
    np.testing.assert_allclose(table["den_df"], [51.0, 21.57, 51.0], rtol=1e-3)
    factors = ranef.datasets.load("Oats").assign(dose=lambda d: d["nitro"].astype(str))
    table = ranef.lmm("yield ~ dose * Variety + (1 | Block/Variety)", factors).anova(ddf="kenward-roger")
    np.testing.assert_allclose(table["den_df"], [45.0, 10.0, 45.0], rtol=1e-8)


def test_standard_errors_never_shrink_below_those_of_known_variances(fit: ranef.Fit) -> None:
    assert np.all(fit.bse.to_numpy() >= fit.with_ddf("satterthwaite").bse.to_numpy() * (1 - 1e-12))


def test_units_do_not_matter() -> None:
    data = crossed()
    m = ranef.lmm("y ~ x + a + (x | g) + (1 | h)", data, ddf="kenward-roger")
    scaled = ranef.lmm("y ~ x + a + (x | g) + (1 | h)", data.assign(y=data["y"] * 1e4, x=data["x"] * 1e-3 + 7), ddf="kenward-roger")
    np.testing.assert_allclose(scaled.df["x"], m.df["x"], rtol=1e-6)
    np.testing.assert_allclose(scaled.bse["x"], m.bse["x"] * 1e7, rtol=1e-6)


def test_one_row_is_two_over_a() -> None:
    """Kenward and Roger's formula for one numerator df: df = 2 / A, scale = 1, also where it reads 0 / 0."""
    for A in (0.01, 0.3, 1.0, 1.7):
        assert scaled_df(1, A, A) == (2.0 / A, 1.0)


def test_balanced_one_way_is_the_exact_f() -> None:
    """A_1 and A_2 of a hypothesis with d exact denominator df: the scale is one and the df are found."""
    for q, d in ((2, 20.0), (3, 9.0), (5, 45.0), (2, 2.0), (3, 1.0)):
        for rounding in (0.0, 1e-15, -1e-14, 1e-13):
            df, scale = scaled_df(q, 2.0 * q**2 / d * (1.0 + rounding), 2.0 * q / d * (1.0 - 5.0 * rounding))
            np.testing.assert_allclose([df, scale], [d, 1.0], rtol=1e-9)


def test_two_denominator_df_are_the_exact_f() -> None:
    """Three arms of five clusters of equal size: the F of the clusters' means on (2, 2) df, whatever is rounded."""
    arm = np.array([0, 0, 1, 1, 2])
    for seed in (9, 11, 14, 19, 31):
        rng = np.random.default_rng(seed)
        a, b = np.repeat(np.arange(5), 8), np.tile(np.repeat(np.arange(4), 2), 5)
        y = 3 * rng.normal(size=5)[a] + rng.normal(size=20)[a * 4 + b] + rng.normal(size=40)
        data = {"y": y, "a": a.astype(str), "b": b.astype(str), "f": arm[a].astype(str)}
        table = ranef.lmm("y ~ f + (1 | a / b)", data).anova(ddf="kenward-roger")
        means = [y[a == cluster].mean() for cluster in range(5)]
        exact = f_oneway(*([means[i] for i in range(5) if arm[i] == j] for j in range(3)))
        assert table["den_df"][0] == pytest.approx(2.0, rel=1e-6)
        assert table["statistic"][0] == pytest.approx(exact.statistic, rel=1e-6)
        assert table["p_value"][0] == pytest.approx(exact.pvalue, rel=1e-6)


def test_maximum_likelihood_is_refused() -> None:
    m = ranef.lmm("y ~ x + (x | g)", crossed(), reml=False)
    with pytest.raises(ranef.ModelError, match="reml=True"):
        m.anova(ddf="kenward-roger")


def test_many_levels_take_the_differenced_road() -> None:
    """A crossed model too large for exact traces: the same answer as its dense twin would give, by differences."""
    rng = np.random.default_rng(3)
    n = 1600
    g, h = rng.integers(0, 560, n), rng.integers(0, 520, n)
    x = rng.normal(size=n)
    y = 1 + x + rng.normal(size=560)[g] + rng.normal(size=520)[h] + rng.normal(size=n)
    m = ranef.lmm("y ~ x + (1 | g) + (1 | h)", {"y": y, "x": x, "g": g.astype(str), "h": h.astype(str)})
    assert m.criterion.engine.pieces(m.solution.factors, 2).h is None
    adjusted, twin = KenwardRoger.of(m.solution), Twin.of(m)
    np.testing.assert_allclose(adjusted.vcov(m.solution), twin.adjusted, rtol=1e-7)
    np.testing.assert_allclose(adjusted.df(m.solution, np.eye(2)), [twin.df(row) for row in np.eye(2)], rtol=1e-5)
