"""One descent: to the optimum, away from saddles, through noise."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from tests.unit.optim.toys import Toy, criterion, growth

import ranef
from ranef.core.oracle import oracle_problem
from ranef.optim import minimise
from ranef.optim.newton import descend
from ranef.optim.trace import Trace


def test_a_quadratic_takes_one_step() -> None:
    toy = Toy(lambda t: 3 * (t[0] - 2) ** 2 + (t[1] - 1) ** 2, np.array([1.0, 1.5]))
    found = descend(Trace(toy), toy.first)
    assert found.converged and len(toy.asked) == 2
    np.testing.assert_allclose(found.at.theta, [2, 1], atol=1e-8)


def test_a_false_zero_is_left() -> None:
    toy = Toy(lambda t: (t[0] ** 2 - 4) ** 2, np.zeros(1))
    found = descend(Trace(toy), toy.first)
    assert found.converged and found.saddle
    assert abs(found.at.theta[0]) == pytest.approx(2, abs=1e-5)


@pytest.mark.parametrize("seed", [21, 33, 44])
def test_rounding_of_a_flat_direction_leads_nowhere(seed: int) -> None:
    """Fixed effects of the groups leave REML nothing to say of random intercepts: their variance must not run away."""
    rng = np.random.default_rng(seed)
    g, o, x = rng.integers(0, 6, 60), rng.integers(0, 4, 60), rng.normal(size=60)
    y = x + 10 * rng.normal(size=(6, 4))[g, o] + 3 * rng.normal(size=60)
    levels = pd.Categorical.from_codes(o, list("smlx"), ordered=True)
    data = pd.DataFrame({"y": y, "x": x, "g": [f"g{i}" for i in g], "o": levels})
    m = ranef.lmm("y ~ g + x + (o | g)", data)
    (term,) = m.model.design.terms  # its intercepts are held at zero: all parameters are free in the oracle
    free = replace(m.model.design, terms=(replace(term, covariance=term.covariance.inner),))
    oracle, theta = oracle_problem(free, reml=True), term.covariance.whole(m.theta)
    assert m.status != "not converged" and theta.max() < 100
    assert m.deviance == pytest.approx(oracle.evaluate(theta, 0).value, abs=1e-8)
    larger = theta + np.eye(len(theta))[0]  # of the intercepts, on which nothing depends
    assert m.deviance == pytest.approx(oracle.evaluate(larger, 0).value, abs=1e-6)
    around = [oracle.evaluate(theta + 0.1 * rng.normal(size=len(theta)), 0).value for _ in range(50)]
    assert m.deviance < min(around) + 1e-6


def test_a_curved_valley_is_followed_to_its_end() -> None:
    """Intercepts that hardly vary where x is at its mean leave the slopes' direction nearly free: each step along the valley raises
    the decrement. The minimum of lme4's devfun, by nlminb and bobyqa from four starts, is on the boundary, 1.8e-6 below what is
    found where the first such step ends the search.
    """
    a = np.repeat([1, 2, 3, 4, 5, 6], [6, 2, 5, 5, 4, 4])
    x = np.array([0, 1, 0, 1, 0, 0, 1, 0, 0, 1, 0, 1, 1, 0, 1, 0, 1, 0, 0, 1, 0, 1, 0, 1, 0, 0])
    y = [13, -2.3, 10.9, -1.7, 31.2, 12.9, -3.7, -18.6, 16.3, -6.3, 10.9, -2.3, -5.8, -0.7, -8.8, -4.9, -4.7, 3.9]
    y += [-3.4, 13.8, 13.6, 16.1, 5.9, -0.9, 5.9, -20.7]
    m = ranef.lmm("y ~ f + (x | a)", {"y": np.array(y), "x": x, "f": np.isin(a, [2, 4, 6]).astype(float), "a": a.astype(str)})
    assert m.status == "optimum on the boundary"
    assert m.deviance == pytest.approx(179.263270205, abs=2e-9)
    assert m.theta == pytest.approx([0.6148132, -1.462917, 0], abs=2e-5)


def test_a_true_zero_is_kept() -> None:
    toy = Toy(lambda t: 5 * np.log(1 + t[0] ** 2), np.array([1.3]))
    found = descend(Trace(toy), toy.first)
    assert found.converged
    assert found.at.theta[0] == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize("size", [1e-3, 1.0, 1e4])
def test_the_scale_of_a_variance_does_not_matter(size: float) -> None:
    toy = Toy(lambda t: 20 * np.log(1 + (t[0] / size) ** 2) + 200 / (1 + (t[0] / size) ** 2), np.ones(1))
    found = descend(Trace(toy), toy.first)
    assert found.converged
    assert abs(found.at.theta[0]) == pytest.approx(3 * size, rel=1e-4)


def test_rounding_ends_the_search_and_not_the_patience() -> None:
    toy = Toy(lambda t: 1e3 + (t[0] - 1) ** 2 + (t[0] - 1) ** 4, np.array([4.0]), noise=1e-8)
    found = descend(Trace(toy), toy.first)
    assert found.converged
    assert len(toy.asked) < 40


def test_a_flat_direction_does_not_prevent_convergence() -> None:
    toy = Toy(lambda t: (t[0] + t[1] - 3) ** 2, np.array([1.0, 1.0]))
    assert minimise(toy).state == "optimum"


@pytest.mark.parametrize("inflated", [0.6, 1.7])
def test_an_average_information_takes_more_steps_to_the_same_end(inflated: float) -> None:
    exact = Toy(lambda t: 5 * np.log(1 + t[0] ** 2) + 30 / (1 + t[0] ** 2), np.array([1.0]))
    average = Toy(exact.function, exact.first, inflated=inflated)
    found = descend(Trace(average), average.first)
    assert found.converged
    assert found.at.value == pytest.approx(descend(Trace(exact), exact.first).at.value, abs=1e-8)
    assert len(exact.asked) < len(average.asked) < 40


def test_no_finite_value_is_not_an_optimum() -> None:
    assert not descend(Trace(Toy(lambda t: np.inf * t[0], np.ones(1))), np.ones(1)).converged


def test_growth_curves_take_few_evaluations() -> None:
    for seed in range(5):
        assert minimise(criterion(growth(seed))).evaluations <= 6


def test_the_oracle_and_the_criterion_have_the_same_optimum() -> None:
    design = growth(groups=8, per=5)
    fast, slow = minimise(criterion(design)), minimise(oracle_problem(design), start=np.array([1.0, 0.0, 1.0]))
    assert fast.value == pytest.approx(slow.value, abs=1e-8)
    assert fast.certificate.decrement < 1e-9


def test_the_answer_does_not_depend_on_the_start() -> None:
    problem = criterion(growth(2))
    best = minimise(problem)
    for size in (0.01, 0.3, 7.0, 300.0):
        again = minimise(problem, start=size * problem.layout.start())
        np.testing.assert_allclose(again.theta, best.theta, rtol=1e-4)
        assert again.value == pytest.approx(best.value, abs=1e-9)
