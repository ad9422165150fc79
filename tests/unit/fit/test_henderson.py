"""Henderson's equations as an identity: their solution is (beta_hat, b_hat), their inverse the joint covariance of the errors."""

from __future__ import annotations

import numpy as np
import pytest
from tests.unit.fit.truth import FORMULAS, model, truth

import ranef
from ranef.fit.henderson import henderson


@pytest.mark.parametrize("name", FORMULAS)
def test_solution_is_that_of_the_fit(name: str) -> None:
    fit = model(name)
    equations = henderson(fit)
    beta, b = equations.solve()
    effects = [block.ravel() for block in fit.solution.effects]
    np.testing.assert_allclose(beta, fit.params, rtol=1e-8, atol=1e-9)
    np.testing.assert_allclose(b, np.concatenate([np.zeros(0), *effects]), rtol=1e-8, atol=1e-8)
    assert len(equations.names) == len(equations.rhs) == len(beta) + len(b)


@pytest.mark.parametrize("name", FORMULAS)
def test_inverse_is_the_joint_covariance_of_the_errors(name: str) -> None:
    t = truth(model(name))
    np.testing.assert_allclose(henderson(model(name)).covariance(), t.sigma**2 * t.joint, rtol=1e-6, atol=1e-8 * t.sigma**2)


@pytest.mark.parametrize("name", [name for name in FORMULAS if not model(name).is_singular])
def test_classical_form_is_symmetric_and_has_the_same_solution(name: str) -> None:
    fit = model(name)
    equations = henderson(fit, "classical")
    matrix = equations.coefficient.toarray()
    np.testing.assert_allclose(matrix, matrix.T, rtol=1e-12)
    np.testing.assert_allclose(np.concatenate(equations.solve()), np.concatenate(henderson(fit).solve()), rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(equations.covariance(), henderson(fit).covariance(), rtol=1e-6, atol=1e-9)


def test_classical_form_of_a_singular_fit_is_refused() -> None:
    with pytest.raises(ranef.ModelError, match="Batch is zero"):
        henderson(model("singular"), "classical")


def test_names_follow_the_unknowns() -> None:
    names = henderson(model("nested")).names
    assert names[:3] == ("(Intercept)", "x", ("a", "a0", "(Intercept)"))
    assert names[3] == ("a", "a0", "x")


def test_unknown_form_is_refused() -> None:
    with pytest.raises(ranef.ModelError, match="multiplied"):
        henderson(model("slopes"), "lambda")  # type: ignore[arg-type]


def test_public_name() -> None:
    beta, _ = ranef.henderson(model("slopes")).solve()
    assert beta[0] == pytest.approx(251.405105)
