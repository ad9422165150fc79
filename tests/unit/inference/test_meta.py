"""Known sampling variances: the likelihood against a dense evaluation, units, refusals, and what every other question makes of them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy.linalg import block_diag
from scipy.optimize import minimize

import ranef
from ranef.inference.meta.estimators import NAMES, Studies, estimate, solve_q

BCG = ranef.datasets.load("bcg")


def districts(seed: int = 3, groups: int = 8) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 7, groups)
    district = np.repeat(np.arange(groups), sizes)
    n = len(district)
    v, x = rng.uniform(0.01, 0.2, n), rng.standard_normal(n)
    y = (
        0.3
        + 0.2 * x
        + 0.4 * rng.standard_normal(groups)[district]
        + 0.2 * rng.standard_normal(n)
        + np.sqrt(v) * rng.standard_normal(n)
    )
    return {"y": y, "x": x, "v": v, "district": district, "row": np.arange(n)}


def dense(data: dict[str, np.ndarray], variances: np.ndarray, reml: bool) -> float:
    """-2 log (restricted) likelihood, by its definition."""
    y, X = data["y"], np.column_stack([np.ones_like(data["y"]), data["x"]])
    same = (data["district"][:, None] == data["district"]).astype(float)
    V = np.diag(data["v"] + variances[1]) + variances[0] * same
    inverse = np.linalg.inv(V)
    information = X.T @ inverse @ X
    rest = y - X @ np.linalg.solve(information, X.T @ inverse @ y)
    out = np.linalg.slogdet(V)[1] + rest @ inverse @ rest + (len(y) - 2 * reml) * np.log(2 * np.pi)
    return float(out + reml * np.linalg.slogdet(information)[1])


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("seed", range(4))
def test_criterion_and_optimum_are_those_of_the_dense_likelihood(seed: int, reml: bool) -> None:
    data = districts(seed)
    m = ranef.lmm("y ~ x + (1 | district) + (1 | row)", data, sampling_variance="v", reml=reml)
    found = np.array(m.varcorr["vcov"])
    assert m.deviance == pytest.approx(dense(data, found, reml), abs=1e-9)
    best = minimize(
        lambda r: dense(data, r**2, reml), np.sqrt(found) + 0.05, method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-12}
    )
    assert m.deviance <= best.fun + 1e-8
    np.testing.assert_allclose(found, best.x**2, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("unit", [1e-9, 1e-3, 1e6, 1e12])
def test_units_do_not_matter(unit: float) -> None:
    data = districts()
    small = {**data, "y": unit * data["y"], "v": unit**2 * data["v"]}
    m, n = (ranef.lmm("y ~ x + (1 | district) + (1 | row)", d, sampling_variance="v") for d in (data, small))
    np.testing.assert_allclose(n.params / unit, m.params, rtol=1e-7)
    np.testing.assert_allclose(n.bse / unit, m.bse, rtol=1e-7)
    np.testing.assert_allclose(np.array(n.varcorr["vcov"]) / unit**2, m.varcorr["vcov"], rtol=1e-6)
    np.testing.assert_allclose(n.df, m.df, rtol=1e-5)
    assert ranef.heterogeneity(n).i2 == pytest.approx(ranef.heterogeneity(m).i2, rel=1e-7)


@pytest.mark.parametrize("ddf", ["satterthwaite", "kenward-roger"])
def test_degrees_of_freedom_by_differences(ddf: str) -> None:
    """df = 2 v^2 / (g'A g) in tau^2 alone, with A twice the inverse of the (expected) information of the restricted likelihood."""
    m = ranef.lmm("yi ~ 1 + (1 | trial)", BCG, sampling_variance="vi", ddf=ddf)
    v, tau2, y = BCG["vi"].to_numpy(), m.varcorr["vcov"][0], BCG["yi"].to_numpy()

    def variance(t: float) -> float:
        return 1.0 / float(np.sum(1.0 / (v + t)))

    def criterion(t: float) -> float:
        w = 1.0 / (v + t)
        return float(-np.log(w).sum() + np.log(w.sum()) + np.sum(w * (y - np.average(y, weights=w)) ** 2))

    h = 1e-4
    slope = (variance(tau2 + h) - variance(tau2 - h)) / (2 * h)
    w = 1.0 / (v + tau2)
    P = np.diag(w) - np.outer(w, w) / w.sum()
    observed = (criterion(tau2 + h) - 2 * criterion(tau2) + criterion(tau2 - h)) / h**2
    information = observed if ddf == "satterthwaite" else float(np.sum(P * P))
    assert m.df.iloc[0] == pytest.approx(2 * variance(tau2) ** 2 / (slope**2 * 2 / information), rel=1e-5)


def test_equal_variances_have_a_closed_form() -> None:
    y = np.array([0.1, 0.5, -0.3, 0.9, 0.4, 0.2])
    m = ranef.meta(y, np.full(6, 0.05))
    assert m.varcorr["vcov"][0] == pytest.approx(np.var(y, ddof=1) - 0.05, rel=1e-9)
    assert m.bse.iloc[0] == pytest.approx(np.sqrt(np.var(y, ddof=1) / 6), rel=1e-9)


def test_one_common_effect() -> None:
    m = ranef.lmm("yi ~ ablat", BCG, sampling_variance="vi")
    w, X = 1 / BCG["vi"].to_numpy(), np.column_stack([np.ones(13), BCG["ablat"]])
    np.testing.assert_allclose(m.cov_params(), np.linalg.inv(X.T @ (w[:, None] * X)), rtol=1e-10)
    assert m.ddf == "asymptotic" and np.isinf(m.df).all()
    ml = m.update(reml=False)
    rest = BCG["yi"] - X @ m.params
    assert ml.deviance == pytest.approx(float(13 * np.log(2 * np.pi) - np.log(w).sum() + np.sum(w * rest**2)), abs=1e-9)
    assert m.deviance - ml.deviance == pytest.approx(np.linalg.slogdet(X.T @ (w[:, None] * X))[1] - 2 * np.log(2 * np.pi), abs=1e-9)


def test_a_constant_response_and_a_saturated_fixed_part_are_fine() -> None:
    m = ranef.meta(np.full(5, 0.3), np.array([0.1, 0.2, 0.1, 0.3, 0.2]))
    assert m.params.iloc[0] == pytest.approx(0.3) and m.is_singular
    one = ranef.meta(np.array([0.4]), np.array([0.09]), method="fe")
    assert one.bse.iloc[0] == pytest.approx(0.3)
    with pytest.raises(ranef.ModelError, match="no degrees of freedom"):
        ranef.lmm("y ~ a + (1 | g)", {"y": [1.0, 2.0], "a": [0, 1], "g": ["p", "q"], "v": [0.1, 0.1]}, sampling_variance="v")


@pytest.mark.parametrize(("value", "word"), [(0.0, "0 in row 2"), (-0.1, "-0.1"), (np.inf, "inf"), (1e200, "range")])
def test_unusable_variances_are_refused(value: float, word: str) -> None:
    v = BCG["vi"].to_numpy().copy()
    v[2] = value
    with pytest.raises(ranef.DataError, match=word):
        ranef.lmm("yi ~ 1 + (1 | trial)", BCG.assign(vi=v), sampling_variance="vi")


def test_missing_variances_are_missing_rows() -> None:
    v = BCG["vi"].to_numpy().copy()
    v[[2, 5]] = np.nan
    m = ranef.lmm("yi ~ 1 + (1 | trial)", BCG.assign(vi=v), sampling_variance="vi")
    n = ranef.lmm("yi ~ 1 + (1 | trial)", BCG.drop(index=[2, 5]), sampling_variance="vi")
    assert m.nobs == 11 and m.llf == n.llf
    assert "2 in vi" in str(m.summary())
    with pytest.raises(ranef.DataError, match="vi"):
        ranef.lmm("yi ~ 1 + (1 | trial)", BCG.assign(vi=v), sampling_variance="vi", missing="raise")


def test_other_refusals() -> None:
    with pytest.raises(ranef.ModelError, match="both say"):
        ranef.lmm("yi ~ 1 + (1 | trial)", BCG, sampling_variance="vi", precision_weights="vi")
    with pytest.raises(ranef.DataError, match="no column 'v'"):
        ranef.lmm("yi ~ 1 + (1 | trial)", BCG, sampling_variance="v")
    with pytest.raises(ranef.DataError, match="3 values for 13 rows"):
        ranef.lmm("yi ~ 1 + (1 | trial)", BCG, sampling_variance=[0.1, 0.2, 0.3])
    with pytest.raises(ranef.ModelError, match="method='xx'"):
        ranef.meta("yi", "vi", data=BCG, method="xx")
    with pytest.raises(ranef.ModelError, match="test='F'"):
        ranef.meta("yi", "vi", data=BCG, test="F")
    with pytest.raises(ranef.ModelError, match="there are no data"):
        ranef.meta("yi", "vi")
    with pytest.raises(ranef.ModelError, match="one effect a study"):
        ranef.meta("yi", "vi", data=BCG, study="alloc")
    with pytest.raises(ranef.ModelError, match="sampling_variance"):
        ranef.heterogeneity(ranef.lmm("Yield ~ 1 + (1 | Batch)", ranef.datasets.load("Dyestuff")))
    m = ranef.meta("yi", "vi", data=BCG)
    with pytest.raises(ranef.ModelError, match="level=2"):
        ranef.heterogeneity(m, level=2)
    with pytest.raises(ranef.ModelError, match="estimated residual variance"):
        ranef.rlrt(m)


def test_kinds_of_data_give_the_same() -> None:
    frame = BCG[["yi", "vi", "ablat"]]
    fits = [
        ranef.meta("yi", "vi", "~ ablat", data)
        for data in (frame, pl.from_pandas(frame), pl.from_pandas(frame).to_arrow(), frame.to_dict("list"))
    ]
    assert len({round(m.llf, 12) for m in fits}) == 1
    assert ranef.meta(frame["yi"], frame["vi"].to_numpy()).llf == ranef.meta("yi", "vi", data=frame).llf
    assert (
        ranef.lmm("yi ~ 1", frame, sampling_variance=list(frame["vi"])).llf
        == ranef.lmm("yi ~ 1", frame, sampling_variance="vi").llf
    )
    assert isinstance(fits[1].ranef().frame, pl.DataFrame)
    assert list(ranef.meta("yi", "vi", data=frame.set_index(pd.Index(list("abcdefghijklm")))).fittedvalues.index) == list(
        "abcdefghijklm"
    )


def test_no_table_has_a_residual() -> None:
    m = ranef.lmm("yi ~ ablat + (1 | trial)", BCG, sampling_variance="vi")
    tables = [m.varcorr, m.tidy(), ranef.profile(m).intervals, ranef.bootstrap(m, 5, seed=1).intervals]
    for table in tables:
        assert "Residual" not in str(table) and "sd__Observation" not in str(table), table.title
    assert m.glance()["sigma"][0] is None
    assert "known sampling variances" in str(m.summary())
    assert "sigma" not in ranef.influence(m).table.columns


def test_saved_models_keep_it(tmp_path) -> None:
    m = ranef.lmm("yi ~ ablat + (1 | trial)", BCG, sampling_variance="vi", ddf="knapp-hartung")
    m.save(tmp_path / "m")
    loaded = ranef.load(tmp_path / "m")
    assert loaded.npar == 3 and loaded.deviance == m.deviance
    pd.testing.assert_series_equal(loaded.pvalues, m.pvalues)
    new = pd.DataFrame({"ablat": [10, 40]})
    a, b = (fit.predict(new, re="population", interval="prediction") for fit in (m, loaded))
    np.testing.assert_allclose(a, b)


def test_profile_limits_rise_by_the_quantile() -> None:
    """Of the full likelihood, at the limits of tau and of a coefficient."""
    m = ranef.lmm("yi ~ 1 + (1 | trial)", BCG, sampling_variance="vi", reml=False)
    y, v = BCG["yi"].to_numpy(), BCG["vi"].to_numpy()

    def deviance(mean: float, tau: float) -> float:
        return float(np.sum(np.log(2 * np.pi * (v + tau**2)) + (y - mean) ** 2 / (v + tau**2)))

    table = ranef.profile(m).intervals
    for limit in (table["conf_low"][0], table["conf_high"][0]):
        best = minimize(
            lambda t, at=limit: deviance(at, t[0]), [0.6], method="Nelder-Mead", options={"xatol": 1e-10, "fatol": 1e-12}
        )
        assert best.fun - m.deviance == pytest.approx(3.841458820694124, abs=1e-6)
    for limit in (table["conf_low"][1], table["conf_high"][1]):
        mean = np.average(y, weights=1 / (v + limit**2))
        assert deviance(mean, limit) - m.deviance == pytest.approx(3.841458820694124, abs=1e-6)


def test_limits_where_levels_have_several_rows() -> None:
    """Q need not fall to its quantile as the variance between districts grows: the likelihood is profiled instead."""
    data = districts(6)
    m = ranef.lmm("y ~ x + (1 | district)", data, sampling_variance="v")
    table = ranef.heterogeneity(m).variances
    assert "Limits by profile." in table.footnotes()
    low, high = table["conf_low"][0], table["conf_high"][0]
    assert 0.0 <= low < table["variance"][0] < high < np.inf
    for limit in (low, high):
        if limit > 0.0:
            rise = m.deviance_at([np.sqrt(limit) / m.sigma]) - m.deviance
            assert rise == pytest.approx(3.841458820694124, abs=1e-6)


def test_bootstrap_holds_the_variances() -> None:
    """A parametric bootstrap with tau^2 = 0 known from the data has about the standard errors of the common effect."""
    v = np.linspace(0.05, 0.2, 20)
    y = np.random.default_rng(4).standard_normal(20) * np.sqrt(v) * 0.2
    m = ranef.meta(y, v)
    assert m.is_singular
    draws = ranef.bootstrap(m, 400, seed=2).draws
    assert np.std(draws[:, 0]) == pytest.approx(1 / np.sqrt(np.sum(1 / v)), rel=0.12)
    assert draws.shape[1] == 2


def test_likelihood_ratio_of_the_common_effect() -> None:
    without = ranef.lmm("yi ~ 1", BCG, sampling_variance="vi")
    table = ranef.compare(without, ranef.lmm("yi ~ 1 + (1 | trial)", BCG, sampling_variance="vi"))
    assert table["statistic"][1] == pytest.approx(without.deviance - ranef.meta("yi", "vi", data=BCG).deviance, rel=1e-9)


def blocks(data: dict[str, np.ndarray], seed: int = 5) -> list[np.ndarray]:
    """Covariance matrices of the sampling errors within each district."""
    rng, out = np.random.default_rng(seed), []
    for level in np.unique(data["district"]):
        sd = np.sqrt(data["v"][data["district"] == level])
        root = rng.standard_normal((len(sd), len(sd) + 2))
        C = root @ root.T
        scale = 1 / np.sqrt(C.diagonal())
        out.append(C * np.outer(scale * sd, scale * sd))
    return out


class TestCovariances:
    @pytest.mark.parametrize("reml", [True, False])
    @pytest.mark.parametrize("random", ["(1 | district) + (1 | row)", "(1 | row)", "(x | district)", ""])
    def test_likelihood_by_its_definition(self, random: str, reml: bool) -> None:
        data = districts(6)
        V = block_diag(*blocks(data))
        m = ranef.lmm(f"y ~ x + {random or 0}".replace("+ 0", ""), data, sampling_variance=blocks(data), reml=reml)
        X, M = m.model.design.X, V.copy()
        for f, term in enumerate(m.model.design.terms):
            z = np.ones((len(V), 1)) if term.z is None else term.z
            root = m.sigma * m.solution.root(f)
            M += (term.group.codes[:, None] == term.group.codes) * (z @ root @ root.T @ z.T)
        inverse = np.linalg.inv(M)
        information = X.T @ inverse @ X
        beta = np.linalg.solve(information, X.T @ inverse @ data["y"])
        rest = data["y"] - X @ beta
        value = np.linalg.slogdet(M)[1] + rest @ inverse @ rest + (len(V) - 2 * reml) * np.log(2 * np.pi)
        value += reml * np.linalg.slogdet(information)[1]
        assert m.deviance == pytest.approx(value, abs=1e-8)
        np.testing.assert_allclose(m.params, beta, rtol=1e-8)
        np.testing.assert_allclose(m.with_ddf("asymptotic").bse, np.sqrt(np.linalg.inv(information).diagonal()), rtol=1e-8)
        weights = ranef.heterogeneity(m).weights["weight"]
        np.testing.assert_allclose(weights, 100 * inverse.diagonal() / inverse.trace(), rtol=1e-8)
        W = np.linalg.inv(V)
        P = W - W @ X @ np.linalg.solve(X.T @ W @ X, X.T @ W)
        assert ranef.heterogeneity(m).q == pytest.approx(data["y"] @ P @ data["y"], rel=1e-8)

    def test_the_gradient_vanishes(self) -> None:
        data = districts(6)
        m = ranef.lmm("y ~ x + (1 | district) + (1 | row)", data, sampling_variance=blocks(data))
        assert m.status == "optimum"
        steps = 1e-5 * np.eye(2)
        slopes = [(m.deviance_at(m.theta + h) - m.deviance_at(m.theta - h)) / 2e-5 for h in steps]
        np.testing.assert_allclose(slopes, 0.0, atol=1e-5)

    def test_a_diagonal_matrix_is_the_variances(self) -> None:
        data = districts()
        m, n = (ranef.lmm("y ~ x + (1 | district)", data, sampling_variance=given) for given in (np.diag(data["v"]), data["v"]))
        assert m.deviance == n.deviance and m.model.design.residual is None

    def test_matrix_blocks_and_frame_are_the_same(self) -> None:
        data = districts()
        V = block_diag(*blocks(data))
        fits = [ranef.lmm("y ~ x + (1 | district)", data, sampling_variance=given) for given in (blocks(data), V, pd.DataFrame(V))]
        assert len({fit.deviance for fit in fits}) == 1

    def test_missing_rows_leave_the_matrix(self) -> None:
        data = districts()
        V, keep = block_diag(*blocks(data)), np.arange(len(data["y"])) != 4
        lacking = {**data, "y": np.where(keep, data["y"], np.nan)}
        m = ranef.lmm("y ~ x + (1 | district)", lacking, sampling_variance=V)
        n = ranef.lmm("y ~ x + (1 | district)", {k: v[keep] for k, v in data.items()}, sampling_variance=V[np.ix_(keep, keep)])
        assert m.nobs == len(keep) - 1 and m.deviance == pytest.approx(n.deviance, abs=1e-10)
        V[4, 4] = np.nan
        assert ranef.lmm("y ~ x + (1 | district)", data, sampling_variance=V).deviance == m.deviance

    @pytest.mark.parametrize("unit", [1e-6, 1e6])
    def test_units_do_not_matter(self, unit: float) -> None:
        data = districts()
        m = ranef.lmm("y ~ x + (1 | district)", data, sampling_variance=blocks(data))
        scaled = [unit**2 * block for block in blocks(data)]
        n = ranef.lmm("y ~ x + (1 | district)", {**data, "y": unit * data["y"]}, sampling_variance=scaled)
        np.testing.assert_allclose(n.bse / unit, m.bse, rtol=1e-7)
        np.testing.assert_allclose(n.df, m.df, rtol=1e-5)
        assert ranef.heterogeneity(n).i2 == pytest.approx(ranef.heterogeneity(m).i2, rel=1e-7)

    @pytest.mark.parametrize(("change", "word"), [
        (lambda V: V + np.triu(np.ones_like(V), 1), "not symmetric"),
        (lambda V: V[:, :-1], "square"),
        (lambda V: V[:-1, :-1], "values for"),
        (lambda V: np.full_like(V, 0.1), "not positive definite"),
        (lambda V: V - 2 * np.diag(V.diagonal()), "positive and finite"),
        (lambda V: [V[:3, :3], V[3:, 2:]], "square"),
    ])  # fmt: skip
    def test_refusals(self, change, word: str) -> None:
        data = districts()
        with pytest.raises(ranef.DataError, match=word):
            ranef.lmm("y ~ x + (1 | district)", data, sampling_variance=change(block_diag(*blocks(data))))

    def test_beside_a_residual_structure(self) -> None:
        data = districts()
        V = np.diag(data["v"])
        with pytest.raises(ranef.ModelError, match="covariance matrix of the sampling errors"):
            ranef.lmm("y ~ x", data, sampling_variance=V, residual="ar1(row | district)")


class TestEstimators:
    @pytest.mark.parametrize("method", NAMES)
    def test_moderators_and_units(self, method: str) -> None:
        rng = np.random.default_rng(7)
        v, x = rng.uniform(0.5, 2.0, 30), rng.standard_normal(30)
        y = 1 + x + np.sqrt(v + 1.5) * rng.standard_normal(30)
        X = np.column_stack([np.ones(30), x])
        one, shifted = estimate(Studies(y, v, X), method), estimate(Studies(y - 3 * x + 2, v, X), method)
        scaled = estimate(Studies(10 * y, 100 * v, X), method)
        if method != "SJ":  # whose start is the variance of y, moderators or not
            assert shifted.tau2 == pytest.approx(one.tau2, rel=1e-8)
        assert scaled.tau2 == pytest.approx(100 * one.tau2, rel=1e-8)
        assert scaled.std_error == pytest.approx(100 * one.std_error, rel=1e-8)

    @pytest.mark.parametrize("method", ["DL", "HE", "HS", "PM"])
    def test_standard_errors_by_simulation(self, method: str) -> None:
        """Those of quadratic forms, at the true tau^2 (for PM to first order)."""
        rng = np.random.default_rng(11)
        v, tau2, X = np.linspace(0.5, 2.0, 60), 2.0, np.ones((60, 1))
        found = [estimate(Studies(np.sqrt(v + tau2) * rng.standard_normal(60), v, X), method) for _ in range(400)]
        spread = np.std([one.tau2 for one in found])
        assert np.mean([one.std_error for one in found]) == pytest.approx(spread, rel=0.12)

    def test_paule_and_mandel_solve_their_equation(self) -> None:
        S = Studies(BCG["yi"].to_numpy(), BCG["vi"].to_numpy(), np.ones((13, 1)))
        assert S.q(solve_q(S, 12.0)) == pytest.approx(12.0, rel=1e-12)
        assert solve_q(S, 1e6) == 0.0

    def test_such_a_fit_says_what_it_is(self) -> None:
        m = ranef.meta("yi", "vi", data=BCG, method="dl")
        assert m.status == "moment estimate" and [f.code for f in m.findings] == ["moment_estimate"]
        assert "DerSimonian" in str(m.summary())
        zero = ranef.meta(np.zeros(4), np.full(4, 0.1), method="dl")
        assert ranef.heterogeneity(zero).tau2 == 0.0
