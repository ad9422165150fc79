"""The oracle is right: its derivatives are those of its values, and its values those of textbook formulas."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import multivariate_normal
from tests.unit.core.designs import random_design

from ranef.core.oracle import OracleProblem, oracle_problem


@pytest.fixture(params=[True, False], ids=["REML", "ML"])
def problem(request: pytest.FixtureRequest) -> OracleProblem:
    return oracle_problem(random_design(3, "crossed", (2, 1), n=50, weighted=True), request.param)


@pytest.fixture
def theta(problem: OracleProblem) -> np.ndarray:
    return np.random.default_rng(1).normal(size=problem.size)


def central(f, theta, h=1e-4):
    """Richardson-extrapolated central differences."""
    columns = []
    for i in range(len(theta)):
        e = np.zeros(len(theta))
        e[i] = 1.0
        wide, tight = ((np.asarray(f(theta + s * e)) - np.asarray(f(theta - s * e))) / (2 * s) for s in (2 * h, h))
        columns.append((4 * tight - wide) / 3)
    return np.array(columns)


def test_gradient(problem: OracleProblem, theta: np.ndarray) -> None:
    expected = central(lambda t: problem.evaluate(t, 0).value, theta)
    np.testing.assert_allclose(problem.evaluate(theta, 1).gradient, expected, rtol=1e-7, atol=1e-7)


def test_hessian(problem: OracleProblem, theta: np.ndarray) -> None:
    expected = central(lambda t: problem.evaluate(t, 1).gradient, theta)
    np.testing.assert_allclose(problem.evaluate(theta, 2).hessian, expected, rtol=1e-7, atol=1e-7)


def test_value_is_the_normal_density_at_its_best_sigma(theta: np.ndarray) -> None:
    design = random_design(5, "nested", (2, 1), n=40)
    problem = oracle_problem(design, reml=False)
    theta = theta[: problem.size]
    at = problem.project(theta)
    sigma2 = at.s / problem.nu
    beta = np.linalg.solve(design.X.T @ at.inverse @ design.X, design.X.T @ at.inverse @ design.y)
    density = multivariate_normal(design.X @ beta, sigma2 * problem.covariance(theta)).logpdf(design.y)
    assert problem.evaluate(theta, 0).value == pytest.approx(-2 * density, abs=1e-8)


def test_reml_integrates_the_fixed_effects_out() -> None:
    """REML of error contrasts K'y, with K'X = 0 and K'K = I, differs by log|X'X| (Harville 1974)."""
    design = random_design(6, "crossed", (1, 1), n=40)
    problem = oracle_problem(design, reml=True)
    theta = np.array([0.7, 0.4])
    K = np.linalg.qr(design.X, mode="complete")[0][:, design.X.shape[1] :]
    sigma2 = problem.project(theta).s / problem.nu
    density = multivariate_normal(np.zeros(K.shape[1]), sigma2 * K.T @ problem.covariance(theta) @ K).logpdf(K.T @ design.y)
    harville = np.linalg.slogdet(design.X.T @ design.X)[1]
    assert problem.evaluate(theta, 0).value == pytest.approx(-2 * density + harville, abs=1e-8)


def test_em_never_raises_the_criterion(problem: OracleProblem, theta: np.ndarray) -> None:
    values = [problem.evaluate(theta, 0).value]
    for _ in range(8):
        theta = problem.em_step(theta)
        values.append(problem.evaluate(theta, 0).value)
    assert np.all(np.diff(values) < 0)


def test_boundary_is_told_in_words() -> None:
    problem = oracle_problem(random_design(3, "crossed", (2, 1), n=50), reml=True)
    assert problem.boundary(np.array([1.0, 0.2, 0.5, 1.0])) == ()
    assert problem.boundary(np.array([1.0, 0.2, 0.0, 1.0])) == ("a combination of the effects in a has no variance",)
    assert problem.boundary(np.array([1.0, 0.2, 0.5, 0.0])) == ("the variance of z0 in b is zero",)
