"""Inference for fits with a residual structure: against the same covariance in other words, and against n x n algebra."""

import numpy as np
import pandas as pd
import pytest

import ranef

GROWTH = "distance ~ age * Sex"


@pytest.fixture(scope="module")
def growth():
    data = ranef.datasets.load("Orthodont").drop(index=[3, 7, 9, 22, 23, 60])
    return data.assign(w=np.random.default_rng(2).uniform(0.5, 2.0, len(data)))


@pytest.fixture(scope="module")
def intercepts(growth):
    return ranef.lmm(GROWTH + " + (1 | Subject)", growth)


@pytest.fixture(scope="module")
def symmetric(growth):
    """The same model: compound symmetry is a random intercept."""
    return ranef.lmm(GROWTH, growth, residual="cs(age | Subject)")


@pytest.mark.parametrize("kind", ["CR0", "CR1", "CR2", "CR3"])
def test_robust_covariance_of_compound_symmetry(intercepts, symmetric, kind):
    one, other = ranef.robust(intercepts, kind), ranef.robust(symmetric, kind)
    np.testing.assert_allclose(one.cov_params(), other.cov_params(), rtol=1e-6)
    np.testing.assert_allclose(one.df, other.df, rtol=1e-6)
    for a, b in zip(one.anova(), other.anova(), strict=True):
        assert a["p_value"] == pytest.approx(b["p_value"], rel=1e-5)


@pytest.mark.parametrize("formula", [GROWTH, GROWTH + " + (1 | Subject)"])
@pytest.mark.parametrize("residual", ["un(age | Subject)", "car1(age | Subject) * ident(Sex) + nugget"])
def test_robust_covariance_by_dense_algebra(growth, formula, residual):
    fit = ranef.lmm(formula, growth, residual=residual, precision_weights="w")
    X, codes = fit.model.design.X, fit.model.design.residual.subject.codes
    V = dense_covariance(fit)
    inverse = np.linalg.inv(V)
    M = np.linalg.inv(X.T @ inverse @ X)
    e = fit.model.design.y - X @ fit.params.to_numpy()
    for kind in ("CR0", "CR2"):
        meat = np.zeros_like(M)
        for c in np.unique(codes):
            rows = np.flatnonzero(codes == c)
            own, A = V[np.ix_(rows, rows)], np.eye(len(rows))
            if kind == "CR2":
                D = np.linalg.cholesky(own).T
                values, vectors = np.linalg.eigh(D @ (own - X[rows] @ M @ X[rows].T) @ D.T)
                A = D.T @ (vectors / np.sqrt(values)) @ vectors.T @ D
            score = X[rows].T @ np.linalg.solve(own, A @ e[rows])
            meat += np.outer(score, score)
        np.testing.assert_allclose(ranef.robust(fit, kind).cov_params(), M @ meat @ M, rtol=1e-6, atol=1e-10)


def dense_covariance(fit):
    design, covariance, unit = fit.model.design, fit.criterion.residual, fit.criterion.gram.standard.unit
    rho = fit.optimum.theta[fit.criterion.layout.size :]
    codes, weights = design.residual.subject.codes, design.weights
    V = covariance.at(rho).matrix(np.arange(design.nobs)[None])[0] * (codes[:, None] == codes)
    V = unit**2 * V / np.sqrt(np.outer(weights, weights))
    for f, term in enumerate(design.terms):
        root = unit * fit.solution.root(f)
        z = np.ones((design.nobs, 1)) if term.z is None else term.z
        V += (z @ root @ root.T @ z.T) * (term.group.codes[:, None] == term.group.codes)
    return V


def test_clusters_must_hold_subjects(symmetric):
    halves = np.arange(symmetric.nobs) % 2
    with pytest.raises(ranef.ModelError, match="Levels of Subject occur in several clusters"):
        ranef.robust(symmetric, cluster=halves)


def test_explained_variance_of_compound_symmetry(intercepts, symmetric):
    """The residual part of cs is the intercept's variance and the residual one together, with the same standard error."""
    one, other = next(iter(ranef.r2(intercepts))), next(iter(ranef.r2(symmetric)))
    assert one["quantity"] == other["quantity"] == "marginal"
    for name in ("estimate", "std_error", "conf_low", "conf_high"):
        assert one[name] == pytest.approx(other[name], rel=1e-5)
    one, other = ranef.f2(intercepts, "Sex"), ranef.f2(symmetric, "Sex")
    assert other["estimate"][0] == pytest.approx(one["estimate"][0], rel=1e-5)


def test_parts_with_random_effects(growth):
    fit = ranef.lmm(GROWTH + " + (1 | Subject)", growth, residual="diag(age | Subject)", precision_weights="w")
    variances = np.diag(fit.residual_covariance().frame.drop(columns="row").to_numpy(dtype=float))
    visits = fit.model.design.residual.visit
    parts = {row["component"]: row["variance"] for row in ranef.variance_partition(fit)}
    assert parts["Residual"] == pytest.approx(variances[visits].mean(), rel=1e-10)
    adjusted = next(iter(ranef.icc(fit)))["estimate"]
    assert adjusted == pytest.approx(parts["Subject"] / (parts["Subject"] + parts["Residual"]), rel=1e-9)
    assert "mean of the residual variances" in str(ranef.icc(fit))


def test_variances_of_random_effects_are_those_of_varcorr(growth):
    fit = ranef.lmm(GROWTH + " + (1 | Subject)", growth, residual="ar1h(age | Subject)")
    variance = next(row["vcov"] for row in fit.varcorr if row["group"] == "Subject")
    assert ranef.re_pca(fit)["sd"][0] ** 2 == pytest.approx(variance, rel=1e-10)
    table = ranef.variance_reduction(fit.update(formula="distance ~ age + (1 | Subject)"), fit, n=0)
    after = [row["after"] for row in table if row["component"] == "Subject"]
    assert after[0] == pytest.approx(variance, rel=1e-10)


def test_slopes_of_the_average_variance(growth):
    from ranef.core.solution import Solution
    from ranef.fit.answer import changed
    from ranef.fit.residual_side import average_variance

    fit = ranef.lmm(GROWTH, growth, residual="ar1h(age | Subject) * power(age) + nugget")
    slopes = average_variance(fit)[1]
    for k, slope in enumerate(slopes):
        step = 1e-6 * np.eye(len(slopes))[k]
        up, down = (
            average_variance(changed(fit, solution=Solution(fit.criterion, fit.optimum.theta + sign * step)))[0] for sign in (1, -1)
        )
        assert slope == pytest.approx((up - down) / 2e-6, rel=1e-5, abs=1e-6)


def test_what_a_structure_leaves_undefined(symmetric):
    with pytest.raises(ranef.ModelError, match="icc\\(\\) without random effects"):
        ranef.icc(symmetric)
    with pytest.raises(ranef.ModelError, match="design_effect"):
        ranef.design_effect(symmetric)


def test_start_takes_residual_parameters(growth):
    """theta of a fit, given back as its start, is where the search begins."""
    fit = ranef.lmm(GROWTH + " + (age | Subject)", growth, residual="ar1(age | Subject)")
    again = ranef.lmm(GROWTH + " + (age | Subject)", growth, residual="ar1(age | Subject)", start=fit.theta)
    np.testing.assert_allclose(
        again.optimum.path[0].theta if again.optimum.path else again.optimum.theta, fit.optimum.theta, atol=1e-4
    )


def test_bootstrap_draws_parameters_of_the_structure(growth):
    fit = ranef.lmm(GROWTH, growth, residual="ar1(age | Subject) * ident(Sex)")
    answer = ranef.bootstrap(fit, 150, seed=3)
    table = answer.conf_int()
    rows = [row for row in table if row["group"] == "Residual"]
    assert [row["term"] for row in rows] == list(fit.residual_parameters()["term"])
    np.testing.assert_allclose([row["estimate"] for row in rows], fit.residual_parameters()["estimate"], rtol=1e-10)
    ratio = np.array(table["std_error"], dtype=float) / np.concatenate([fit.bse, fit.residual_parameters()["std_error"]])
    assert np.all((ratio > 0.75) & (ratio < 1.3)), ratio  # a standard deviation of 150 draws has a relative error of 6 %
    assert answer.failures == 0


def test_bootstrap_is_the_same_on_any_number_of_workers(growth):
    fit = ranef.lmm(GROWTH + " + (1 | Subject)", growth, residual="ident(Sex)")
    np.testing.assert_array_equal(ranef.bootstrap(fit, 6, seed=5).draws, ranef.bootstrap(fit, 6, seed=5, n_jobs=2).draws)
    assert len(fit.conf_int(method="bootstrap", n=5, seed=1)) == 7


def test_bootstrap_test_of_structures(growth):
    small, large = (ranef.lmm(GROWTH, growth, residual=residual) for residual in (None, "cs(age | Subject)"))
    answer = ranef.bootstrap(small, large, 30, seed=2)
    assert answer.df == 1
    without = small.criterion.evaluate(small.optimum.theta, 0).value
    assert answer.statistic == pytest.approx(without - large.optimum.value)
    assert answer.p_value == pytest.approx(1 / 31)
    assert f"{GROWTH}; residuals independent  against  {GROWTH}; residuals cs(age | Subject)" in str(answer.table).replace(
        "\n", " "
    )


@pytest.mark.parametrize("kind", ["residual", "case"])
def test_bootstraps_that_are_not_there(symmetric, kind):
    with pytest.raises(ranef.ModelError, match='Use kind="parametric"'):
        ranef.bootstrap(symmetric, 5, kind=kind)
    if kind == "residual":
        with pytest.raises(ranef.ModelError, match="BCa"):
            ranef.bootstrap(symmetric, 5, seed=1).conf_int(method="bca")
        with pytest.raises(ranef.ModelError, match="by bootstrap"):
            ranef.r2(symmetric, bootstrap=ranef.bootstrap(symmetric, 5, seed=1))


def test_influence_of_compound_symmetry(intercepts, symmetric):
    one, other = ranef.influence(intercepts, "Subject", method="exact"), ranef.influence(symmetric)
    assert other.by == "Subject"
    np.testing.assert_allclose(other.cooks, one.cooks, rtol=1e-5)
    np.testing.assert_allclose(other.covratio, one.covratio, rtol=1e-5)
    np.testing.assert_allclose(other.coefficients, one.coefficients, rtol=1e-6)
    assert "sigma" not in other.table.frame


@pytest.mark.parametrize("random", ["", " + (1 | Subject)"])
def test_influence_is_that_of_fits_without_the_subject(growth, random):
    residual = "car1(age | Subject) * ident(Sex)"
    fit = ranef.lmm(GROWTH + random, growth, residual=residual, precision_weights="w")
    found = ranef.influence(fit)
    H = fit.hessian
    for i in (0, 11, 26):
        subject = found.labels["Subject"][i]
        left = ranef.lmm(GROWTH + random, growth[growth["Subject"] != subject], residual=residual, precision_weights="w")
        np.testing.assert_allclose(found.coefficients[i], left.params, rtol=1e-5)
        change = fit.params - left.params
        assert found.cooks[i] == pytest.approx(change @ np.linalg.solve(fit.cov_params(), change) / 4, rel=1e-4)
        ratio = np.linalg.det(left.cov_params()) / np.linalg.det(fit.cov_params())
        assert found.covratio[i] == pytest.approx(ratio, rel=1e-4)
        scale = left.criterion.gram.standard.unit / fit.criterion.gram.standard.unit
        theta = left.optimum.theta.copy()
        theta[: len(theta) - 2] *= scale  # the random intercept's standard deviation, if any, and that of the residuals
        off = theta - fit.optimum.theta
        assert found.theta_cooks[i] == pytest.approx(0.5 * off @ H @ off / len(off), rel=1e-3, abs=1e-6)


def test_influence_takes_refits_only(growth, symmetric):
    with pytest.raises(ranef.ModelError, match='Use "exact"'):
        ranef.influence(symmetric, method="one-step")
    with pytest.raises(ranef.ModelError, match="depends on the fitted mean"):
        ranef.influence(ranef.lmm(GROWTH, growth, residual="power(fitted)"))


def test_cluster_bootstrap_agrees_with_the_sandwich(growth, symmetric):
    answer = ranef.bootstrap(symmetric, 150, kind="cluster", seed=4)
    assert answer.cluster == "Subject"
    spread = np.array(answer.conf_int()["std_error"], dtype=float)[:4]
    ratio = spread / ranef.robust(symmetric, "CR0").bse.to_numpy()
    assert np.all((ratio > 0.8) & (ratio < 1.25)), ratio
    twice = ranef.bootstrap(symmetric, 5, kind="cluster", seed=4)
    np.testing.assert_array_equal(answer.draws[:5], twice.draws)


def test_a_design_taken_apart_and_put_together(growth):
    """All rows of a design in another order, with their structure, have the same criterion."""
    from ranef.inference.bootstrap.sources import criterion_of_design, taken

    fit = ranef.lmm(
        GROWTH + " + (1 | Subject)", growth, residual="car1(age | Subject) * power(age) + nugget", precision_weights="w"
    )
    order = np.random.default_rng(1).permutation(fit.nobs)
    criterion = criterion_of_design(taken(fit.model.design, order, None), fit.reml)
    assert criterion.evaluate(fit.optimum.theta, 0).value == pytest.approx(fit.optimum.value, abs=1e-8)


def test_a_nugget_of_zero_is_on_the_boundary_and_drops_out():
    """Fit and tests are those of the model without it, whichever information is taken; its standard error does not exist."""
    rng = np.random.default_rng(3)
    n, m = 14, 4
    data = pd.DataFrame({"id": np.repeat(np.arange(n), m), "day": np.tile(np.arange(float(m)), n) + rng.uniform(0, 0.5, n * m)})
    data["arm"] = data["id"] % 2
    data["y"] = np.cumsum(rng.normal(size=(n, m)), axis=1).ravel()
    with_nugget, without = (
        ranef.lmm("y ~ arm + day", data, residual=text) for text in ("sp_exp(day | id) + nugget", "sp_exp(day | id)")
    )
    assert (with_nugget.status, without.status) == ("optimum on the boundary", "optimum")
    assert with_nugget.findings[0].message == "The best fit is on the boundary: the nugget is zero."
    assert np.isnan(list(with_nugget.residual_parameters())[-1]["std_error"])
    for ddf in (
        "satterthwaite",
        "kenward-roger",
        "kenward-roger-linear",
        "kenward-roger-observed",
        "kenward-roger-observed-linear",
    ):
        ours, plain = with_nugget.with_ddf(ddf), without.with_ddf(ddf)
        np.testing.assert_allclose(ours.bse, plain.bse, rtol=1e-6)
        np.testing.assert_allclose(ours.df, plain.df, rtol=1e-6)


def test_a_visit_without_variance_is_on_the_boundary():
    """Beside a random intercept the first visit has no residual: the covariance stays positive definite, and the fit says so."""
    rng = np.random.default_rng(1)
    data = pd.DataFrame({"id": np.repeat(np.arange(16), 3), "visit": np.tile([1, 2, 3], 16)})
    own = rng.normal(size=16)
    data["y"] = np.repeat(own, 3) + np.where(data["visit"] == 1, 0.0, 1.0) * rng.normal(size=48)
    fit = ranef.lmm("y ~ visit + (1 | id)", data, residual="diag(visit | id)")
    assert fit.status == "optimum on the boundary"
    assert fit.findings[0].message == "The best fit is on the boundary: the variance of 1 in the residuals is zero."
    observed, linear = fit.with_ddf("kenward-roger-observed"), fit.with_ddf("kenward-roger-observed-linear")
    np.testing.assert_allclose(observed.bse, linear.bse, rtol=1e-8)  # all that is left is linear in its parameters
