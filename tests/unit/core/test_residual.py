"""Residual structures: every engine against n x n algebra that shares nothing with it, and derivatives against differences."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import ranef
from ranef.core.criterion import Criterion
from ranef.core.residual.crossed import Crossed
from ranef.core.residual.marginal import Marginal
from ranef.fit.fit import Fit
from ranef.fit.residual_side import relative_noise

STRUCTURES = [
    "id(visit | id)", "diag(visit | id)", "un(visit | id)", "cs(visit | id)", "csh(visit | id)", "ar1(visit | id)", "ar1h(visit | id)",
    "toep(visit | id)", "toeph(visit | id)", "toep(visit | id, bands=2)", "ad(visit | id)", "adh(visit | id)", "arma11(visit | id)",
    "cor(visit | id)", "car1(day | id)", "sp_exp(day | id)", "sp_gau(day | id) + nugget", "sp_sph(day | id)", "sp_pow(day | id)",
    "mat(day | id)", "ou(day | id)", "un(visit | id, by=arm)", "sp_exp(day | id) + nugget", "power(day)", "ident(arm)",
    "cs(visit | id) * ident(arm)", "ar1(visit | id) * power(day)", "ar1(visit | id) * exponential(day)",
    "constpower(day)",
]  # fmt: skip
RANDOM = ["y ~ x * arm", "y ~ x * arm + (1 | id)", "y ~ x + (x | site)", "y ~ x + (1 | item) + (x | id)"]


@pytest.fixture(scope="module")
def trial() -> pd.DataFrame:
    """Twenty-four subjects at six sites with up to five visits at uneven days, some missing."""
    rng = np.random.default_rng(11)
    ids, visits = np.repeat(np.arange(24), 5), np.tile(np.arange(5), 24)
    noise = np.linalg.cholesky(0.6 ** np.abs(np.subtract.outer(np.arange(5), np.arange(5)))) @ rng.normal(size=(5, 24))
    data = pd.DataFrame(
        {
            "id": ids,
            "visit": pd.Categorical.from_codes(visits, [f"V{v}" for v in range(5)]),
            "day": 1.0 + 2.0 * visits + rng.uniform(0, 1.5, size=120),
            "arm": np.where(ids % 2, "a", "b"),
            "site": ids // 4,
            "item": rng.permutation(np.arange(120)) % 7,
            "x": rng.normal(size=120),
            "w": rng.uniform(0.5, 2.0, size=120),
        }
    )
    random = rng.normal(size=6)[data["site"]] + rng.normal(size=7)[data["item"]]
    data["y"] = 1.0 + 0.5 * data["x"] + random + noise.T.ravel()
    return data[rng.random(120) < 0.85].reset_index(drop=True)


def dense(fit: Fit, theta: np.ndarray) -> float:
    """The criterion from V (n, n) on the user's scale."""
    design, criterion = fit.model.design, fit.criterion
    unit, layout = criterion.gram.standard.unit, criterion.layout
    term = design.residual
    rows = np.arange(design.nobs)
    R = criterion.residual.at(theta[layout.size :]).matrix(rows[None])[0] * (term.subject.codes[:, None] == term.subject.codes)
    weights = np.ones(design.nobs) if design.weights is None else design.weights
    V = unit**2 * R / np.sqrt(np.outer(weights, weights))
    for f, part in layout.parts:
        own = design.terms[part.term]
        z = np.ones((design.nobs, 1)) if own.z is None else own.z
        S = criterion.gram.z_map(f)[part.columns, part.columns]
        root = unit * np.linalg.solve(S, part.covariance.factor(theta[part.theta]))
        V += (z @ root @ root.T @ z.T) * (own.group.codes[:, None] == own.group.codes)
    inverse, X = np.linalg.inv(V), design.X[:, list(criterion.gram.standard.kept)]
    inner = X.T @ inverse @ X
    rest = design.y - X @ np.linalg.solve(inner, X.T @ inverse @ design.y)
    value = np.linalg.slogdet(V)[1] + rest @ inverse @ rest
    nu = design.nobs - X.shape[1] if criterion.reml else design.nobs
    return float(value + nu * np.log(2.0 * np.pi) + (np.linalg.slogdet(inner)[1] if criterion.reml else 0.0))


def moved(fit: Fit, seed: int = 0) -> np.ndarray:
    return fit.optimum.theta + 0.05 * np.random.default_rng(seed).normal(size=len(fit.optimum.theta))


def crossed(fit: Fit) -> Criterion:
    return replace(fit.criterion, engine=Crossed.of(fit.criterion.gram, fit.criterion.residual))


@pytest.mark.parametrize("residual", STRUCTURES)
def test_criterion_is_that_of_dense_algebra(trial, residual):
    fit = ranef.lmm("y ~ x * arm", trial, residual=residual, precision_weights="w")
    for theta in (fit.optimum.theta, moved(fit)):
        assert fit.criterion.evaluate(theta, 0).value == pytest.approx(dense(fit, theta), rel=1e-11, abs=1e-9)


@pytest.mark.parametrize("formula", RANDOM[1:])
@pytest.mark.parametrize("residual", ["ar1(visit | id)", "car1(day | id) + nugget", "cs(visit | id) * ident(arm)"])
@pytest.mark.parametrize("reml", [True, False])
def test_criterion_with_random_effects(trial, formula, residual, reml):
    fit = ranef.lmm(formula, trial, residual=residual, reml=reml)
    theta = moved(fit)
    for criterion in (fit.criterion, crossed(fit)):
        assert criterion.evaluate(theta, 0).value == pytest.approx(dense(fit, theta), rel=1e-11, abs=1e-9)


@pytest.mark.parametrize("residual", STRUCTURES)
def test_derivatives_are_those_of_the_criterion(trial, residual):
    fit = ranef.lmm("y ~ x * arm", trial, residual=residual)
    _derivatives(fit.criterion, moved(fit))


@pytest.mark.parametrize("formula", RANDOM[1:])
@pytest.mark.parametrize("residual", ["ar1h(visit | id)", "car1(day | id) * power(day) + nugget", "toep(visit | id) * ident(arm)"])
def test_derivatives_with_random_effects(trial, formula, residual):
    fit = ranef.lmm(formula, trial, residual=residual)
    for criterion in (fit.criterion, crossed(fit)):
        _derivatives(criterion, moved(fit))


def _derivatives(criterion: Criterion, theta: np.ndarray) -> None:
    at = criterion.evaluate(theta, 3)
    gradient, hessian = np.empty(len(theta)), np.empty((len(theta), len(theta)))
    for i, direction in enumerate(np.eye(len(theta))):
        up, down = (criterion.evaluate(theta + h * direction, 0).value for h in (1e-5, -1e-5))
        gradient[i] = (up - down) / 2e-5
        up, down = (criterion.evaluate(theta + h * direction, 1).gradient for h in (1e-6, -1e-6))
        hessian[i] = (up - down) / 2e-6
    scale = np.abs(hessian).max()
    np.testing.assert_allclose(at.gradient, gradient, rtol=1e-6, atol=1e-6 * scale)
    np.testing.assert_allclose(at.hessian, hessian, rtol=1e-6, atol=1e-6 * scale)


@pytest.mark.parametrize("residual", ["ar1(visit | id)", "ar1h(visit | id) * ident(arm)", "car1(day | id) + nugget"])
def test_engines_agree_in_all_pieces(trial, residual):
    fit = ranef.lmm("y ~ x + (1 | item) + (x | site)", trial, residual=residual)
    theta, q = moved(fit), fit.criterion.layout.size
    one, other = fit.criterion.structured_at(theta), crossed(fit).structured_at(theta)
    assert isinstance(one, Marginal) and isinstance(other, Crossed)
    factors = fit.criterion.layout.factors(theta)
    left, right = one.pieces(factors, 3), other.pieces(factors, 3)
    for name in ("t", "F", "h", "e", "y"):
        np.testing.assert_allclose(getattr(left, name), getattr(right, name), rtol=1e-9, atol=1e-9, err_msg=name)
    W = np.cov(np.random.default_rng(2).normal(size=(len(left.t), 50)))
    for a, b in zip(one.contracted(factors, W), other.contracted(factors, W), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-10)
    for a, b in zip(one.projections(factors), other.projections(factors), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-10)
    for name in ("noise", "total", "P", "share", "spread"):
        np.testing.assert_allclose(getattr(one.row_moments(factors), name), getattr(other.row_moments(factors), name), rtol=1e-9)
    assert q == len(theta) - fit.criterion.residual.size


def test_moments_of_rows_are_those_of_dense_algebra(trial):
    fit = ranef.lmm("y ~ x + (x | site)", trial, residual="ar1(visit | id) * ident(arm)", precision_weights="w")
    design, unit, weights = fit.model.design, fit.criterion.gram.standard.unit, fit.model.design.weights
    term = design.residual
    rows = np.arange(design.nobs)
    rho = fit.optimum.theta[fit.criterion.layout.size :]
    R = fit.criterion.residual.at(rho).matrix(rows[None])[0] * (term.subject.codes[:, None] == term.subject.codes)
    R = unit**2 * R / np.sqrt(np.outer(weights, weights))
    root, z, codes = fit.solution.sigma * fit.solution.root(0), design.terms[0].z, design.terms[0].group.codes
    V = R + (z @ root @ root.T @ z.T) * (codes[:, None] == codes)
    inverse, X = np.linalg.inv(V), design.X
    P = inverse - inverse @ X @ np.linalg.solve(X.T @ inverse @ X, X.T @ inverse)
    np.testing.assert_allclose(fit.hat_values(), 1.0 - np.diag(R @ P), rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(fit.resid, R @ P @ design.y, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(fit.residuals("standardised"), R @ P @ design.y / np.sqrt(np.diag(R @ P @ R)), rtol=1e-7)
    np.testing.assert_allclose(fit.residuals("pearson") / fit.sigma, fit.resid / np.sqrt(np.diag(R)), rtol=1e-9)
    np.testing.assert_allclose(fit.sigma**2 * relative_noise(fit), np.diag(R), rtol=1e-9)
    marginal = design.y - X @ fit.params.to_numpy()
    spread = np.diag(V - X @ np.linalg.solve(X.T @ inverse @ X, X.T))
    np.testing.assert_allclose(fit.residuals("standardised", "marginal"), marginal / np.sqrt(spread), rtol=1e-8)
    normalized = fit.residuals("normalized", "marginal").to_numpy()
    assert normalized @ normalized == pytest.approx(marginal @ inverse @ marginal, rel=1e-10)


@pytest.mark.parametrize("residual", ["un(visit | id)", "ar1h(visit | id)", "cs(visit | id)", "car1(day | id)"])
@pytest.mark.parametrize("formula", ["y ~ x * arm", "y ~ x + (1 | item)"])
def test_kenward_roger_is_that_of_dense_algebra(trial, residual, formula):
    """The linear variant does not depend on the parameters, so that it can be had in theta by n x n matrices."""
    fit = ranef.lmm(formula, trial, residual=residual, ddf="kenward-roger-linear")
    theta, criterion = fit.optimum.theta, fit.criterion
    V = _dense_covariance(fit, theta)
    slopes = [(_dense_covariance(fit, theta + h) - _dense_covariance(fit, theta - h)) / 2e-6 for h in 1e-6 * np.eye(len(theta))]
    X, inverse = fit.model.design.X, np.linalg.inv(V)
    Phi = np.linalg.inv(X.T @ inverse @ X)
    P = inverse - inverse @ X @ Phi @ X.T @ inverse
    information = np.array([[np.trace(P @ a @ P @ b) for b in slopes] for a in slopes]) / 2.0
    W = np.linalg.inv(information)
    first = [-X.T @ inverse @ a @ inverse @ X for a in slopes]
    spread = sum(
        W[i, j] * (X.T @ inverse @ a @ inverse @ b @ inverse @ X - first[i] @ Phi @ first[j])
        for i, a in enumerate(slopes)
        for j, b in enumerate(slopes)
    )
    adjusted = Phi + 2.0 * Phi @ spread @ Phi
    np.testing.assert_allclose(fit.cov_params(), adjusted, rtol=1e-5, atol=1e-8)
    assert criterion.scale == 1.0


def _dense_covariance(fit: Fit, theta: np.ndarray) -> np.ndarray:
    design, criterion = fit.model.design, fit.criterion
    unit, layout, term = criterion.gram.standard.unit, criterion.layout, design.residual
    R = criterion.residual.at(theta[layout.size :]).matrix(np.arange(design.nobs)[None])[0]
    V = unit**2 * R * (term.subject.codes[:, None] == term.subject.codes)
    for f, part in layout.parts:
        own = design.terms[part.term]
        z = np.ones((design.nobs, 1)) if own.z is None else own.z
        root = unit * np.linalg.solve(
            criterion.gram.z_map(f)[part.columns, part.columns], part.covariance.factor(theta[part.theta])
        )
        V += (z @ root @ root.T @ z.T) * (own.group.codes[:, None] == own.group.codes)
    return V


def test_parameters_that_say_the_same_are_told(trial):
    """A random intercept is compound symmetry: the sum of both covariances is known, and neither of them."""
    both = ranef.lmm("y ~ x + (1 | id)", trial, residual="cs(visit | id)")
    alone = ranef.lmm("y ~ x", trial, residual="cs(visit | id)")
    assert [finding.code for finding in both.findings if finding.severity == "warning"] == ["not_identified"]
    assert not alone.findings
    assert both.llf == pytest.approx(alone.llf, abs=1e-8)
    np.testing.assert_allclose(both.bse, alone.bse, rtol=1e-7)
    np.testing.assert_allclose(both.df, alone.df, rtol=1e-5)


def test_the_smaller_matrix_is_formed():
    """Pupils in large schools: by school where the pupils are random effects too, by the schools' effects where they are not."""
    rng = np.random.default_rng(4)
    school, pupil, visit = np.repeat(np.arange(4), 400), np.repeat(np.arange(400), 4), np.tile(np.arange(4), 400)
    y = rng.normal(size=4)[school] + rng.normal(size=400)[pupil] + rng.normal(size=1600)
    data = pd.DataFrame({"y": y, "school": school, "pupil": pupil, "visit": visit})
    few = ranef.lmm("y ~ visit + (1 | school)", data, residual="ar1(visit | pupil)")
    assert isinstance(few.criterion.engine, Crossed)
    assert few.deviance == pytest.approx(dense(few, few.optimum.theta), abs=1e-7)


def test_a_matrix_beyond_memory_is_refused():
    data = pd.DataFrame({"y": np.random.default_rng(1).normal(size=200_000), "t": np.arange(200_000), "id": 1})
    with pytest.raises(ranef.MemoryEstimateError, match="200,000 related rows"):
        ranef.lmm("y ~ 1", data, residual="ar1(t | id)")


def test_kenward_roger_with_a_variance_function(trial):
    """All terms of (15) by dense algebra, psi = (variance where log day has its mean, exponent)."""
    fit = ranef.lmm("y ~ x * arm", trial, residual="power(day)", ddf="kenward-roger")
    X, u = fit.model.design.X, np.log(trial["day"].to_numpy())
    sd, delta = fit.residual_parameters()["estimate"]
    V, u = sd**2 * np.exp(2.0 * delta * u), u - u.mean()  # diagonals
    psi = sd**2 * np.exp(2.0 * delta * np.log(trial["day"].to_numpy()).mean())
    first = [V / psi, 2.0 * u * V]
    second = [[0.0 * V, 2.0 * u * V / psi], [2.0 * u * V / psi, 4.0 * u**2 * V]]
    Phi = np.linalg.inv(X.T @ (X / V[:, None]))
    P = np.diag(1.0 / V) - (X / V[:, None]) @ Phi @ (X / V[:, None]).T
    W = np.linalg.inv([[0.5 * np.trace(P @ np.diag(a) @ P @ np.diag(b)) for b in first] for a in first])

    def form(weights):
        return X.T @ (X * weights[:, None])

    spread = sum(
        W[i, j]
        * (
            form(first[i] * first[j] / V**3)
            - form(first[i] / V**2) @ Phi @ form(first[j] / V**2)
            - 0.25 * form(second[i][j] / V**2)
        )
        for i in range(2)
        for j in range(2)
    )
    np.testing.assert_allclose(fit.cov_params(), Phi + 2.0 * Phi @ spread @ Phi, rtol=1e-7, atol=1e-12)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("power(day)", "power(hundredths)"),
        ("exponential(day)", "exponential(later)"),
        ("ident(arm)", "ident(turned)"),
        ("ar1h(visit | id) * power(day)", "ar1h(visit | id) * power(hundredths)"),
        ("cs(visit | id) * ident(arm)", "cs(visit | id) * ident(turned)"),
        ("un(visit | id) * exponential(day)", "un(visit | id) * exponential(later)"),
    ],
)
def test_kenward_roger_does_not_depend_on_units(trial, one, other):
    trial = trial.assign(turned=np.where(trial["arm"] == "a", "z", "y"), hundredths=100.0 * trial["day"], later=trial["day"] + 20.0)
    left, right = (ranef.lmm("y ~ x * arm", trial, residual=text, ddf="kenward-roger") for text in (one, other))
    np.testing.assert_allclose(left.bse, right.bse, rtol=1e-5)
    np.testing.assert_allclose(left.df, right.df, rtol=1e-4)
