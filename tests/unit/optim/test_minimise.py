"""The door: methods agree, states are told in words, callers can watch and stop."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from tests.unit.core.designs import random_design
from tests.unit.optim.toys import Toy, criterion, growth

from ranef.core.oracle import oracle_problem
from ranef.core.solution import theta_from_user
from ranef.errors import ModelError
from ranef.optim import minimise
from ranef.optim.bobyqa import lower_bounds
from ranef.optim.minimise import METHODS
from ranef.optim.problem import Step


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("reml", [True, False])
def test_methods_agree(method: str, reml: bool) -> None:
    problem = criterion(growth(), reml)
    newton, other = minimise(problem), minimise(problem, method=method)
    assert other.state == "optimum"
    assert other.value == pytest.approx(newton.value, abs=1e-7)
    np.testing.assert_allclose(other.theta, newton.theta, rtol=1e-3)
    assert other.optimizer == method
    assert other.path[-1].evaluation == other.evaluations


@pytest.mark.parametrize("method", ["lbfgs", "bobyqa", "em"])
def test_methods_agree_on_crossed_factors(method: str) -> None:
    problem = criterion(random_design(4, "crossed", (2, 1)))
    assert minimise(problem, method=method).value == pytest.approx(minimise(problem).value, abs=1e-5)


def test_bobyqa_without_nlopt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nlopt", None)
    monkeypatch.setattr("ranef.optim.bobyqa.find_spec", lambda name: None)
    problem = criterion(growth())
    assert minimise(problem, method="bobyqa").value == pytest.approx(minimise(problem).value, abs=1e-7)


def test_bounds_are_those_of_standard_deviations() -> None:
    np.testing.assert_array_equal(lower_bounds(criterion(growth())), [0.0, -np.inf, 0.0])


@pytest.mark.parametrize("reml", [True, False])
def test_a_step_of_em_is_that_of_the_oracle(reml: bool) -> None:
    design, theta = growth(groups=8, per=5), np.array([0.8, 0.3, 0.4])
    fast, slow = criterion(design, reml), oracle_problem(design, reml)
    ours = fast.evaluate(fast.em_step(theta_from_user(fast, theta)), 0).value
    assert ours == pytest.approx(slow.evaluate(slow.em_step(theta), 0).value, abs=1e-9)


def test_boundary_names_what_vanished() -> None:
    optimum = minimise(criterion(growth(3, sd=(1.0, 0.0))))
    assert optimum.state == "optimum on the boundary"
    assert optimum.boundary and optimum.boundary[0] in optimum.message
    assert optimum.certificate.smallest_curvature > -1e-6


def test_em_that_crawls_towards_the_boundary_is_not_converged() -> None:
    optimum = minimise(criterion(growth(3, sd=(1.0, 0.0))), method="em")
    assert optimum.state == "not converged"
    assert "could still fall" in optimum.message


def test_an_unbounded_criterion_is_not_converged() -> None:
    toy = Toy(lambda t: -(t[0] ** 2), np.ones(1))
    assert minimise(toy, start=np.ones(1)).state == "not converged"


def test_progress_sees_every_step() -> None:
    seen: list[Step] = []
    optimum = minimise(criterion(growth()), progress=seen.append)
    assert tuple(seen) == optimum.path
    assert [step.evaluation for step in seen] == list(range(1, len(seen) + 1))


@pytest.mark.parametrize("method", METHODS)
def test_progress_may_stop(method: str) -> None:
    problem = criterion(growth())
    optimum = minimise(problem, method=method, start=problem.start(), progress=lambda step: step.evaluation < 2)
    assert optimum.evaluations == 2
    assert optimum.state == "not converged"


@pytest.mark.parametrize("method", METHODS)
def test_interruption_reaches_the_caller(method: str) -> None:
    def interrupt(step: Step) -> None:
        if step.evaluation == 2:
            raise KeyboardInterrupt

    problem = criterion(growth())
    with pytest.raises(KeyboardInterrupt):
        minimise(problem, method=method, start=problem.start(), progress=interrupt)


def test_the_answer_is_canonical_and_its_derivatives_belong_to_it() -> None:
    problem = criterion(growth(1))
    optimum = minimise(problem, start=np.array([-1.0, 0.3, -1.0]))
    assert np.all(optimum.theta[[0, 2]] >= 0)
    again = problem.evaluate(optimum.theta, 2)
    np.testing.assert_allclose(optimum.hessian, again.hessian, rtol=1e-6, atol=1e-6)
    assert optimum.value == pytest.approx(again.value, abs=1e-10)


def test_unknown_method_and_wrong_start_are_refused() -> None:
    problem = criterion(growth())
    with pytest.raises(ModelError, match="no optimizer 'simplex'"):
        minimise(problem, method="simplex")
    with pytest.raises(ModelError, match="3 parameters"):
        minimise(problem, start=np.ones(2))
