"""Balanced data have one optimum, and a formula for it: where the search of unbalanced data ends, too."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.unit.core.designs import random_design
from tests.unit.optim.toys import conflict, criterion, growth

from ranef.core.criterion import Criterion
from ranef.core.single import Single
from ranef.covariance import Diagonal
from ranef.design import Design
from ranef.optim import minimise


def growth_with_group(seed: int, sd: tuple[float, float]) -> Design:
    """Growth curves of two treatments: a covariate between levels, and one within that is no column of Z."""
    design = growth(seed, groups=9, per=5, sd=sd)
    rng = np.random.default_rng(seed)
    time, treated = design.X[:, 1], (np.arange(9) % 2)[design.terms[0].group.codes].astype(float)
    within = np.tile(rng.normal(size=5), 9)
    X = np.column_stack([design.X, treated, treated * time, within])
    return replace(design, X=np.asfortranarray(X), names=("(Intercept)", "t", "treated", "treated:t", "w"))


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("sd", [(1.0, 0.3), (0.0, 0.0), (5.0, 0.0), (0.0, 2.0), (0.1, 20.0)])
def test_the_formula_gives_the_optimum_that_the_search_finds(seed: int, sd: tuple[float, float], reml: bool) -> None:
    for design in (growth(seed, groups=6, per=4, sd=sd), growth_with_group(seed, sd)):
        problem = criterion(design, reml=reml)
        theta = problem.closed_form()
        assert theta is not None
        searched = minimise(problem, start=problem.start())
        assert problem.evaluate(theta, 0).value <= searched.value + 1e-9
        assert minimise(problem).evaluations == 1
        omegas = [factor @ factor.T for factor in (problem.layout.factors(t)[0] for t in (theta, searched.theta))]
        assert np.allclose(*omegas, rtol=1e-5, atol=1e-6 * (1.0 + np.abs(omegas[0]).max()))


def test_the_formula_needs_balance_one_unstructured_term_and_free_coefficients() -> None:
    design = growth()
    fewer = np.arange(design.nobs) != 3
    group = replace(design.terms[0].group, codes=design.terms[0].group.codes[fewer])
    term = replace(design.terms[0], group=group, z=np.asfortranarray(design.X[fewer]))
    unbalanced = replace(design, y=design.y[fewer], X=np.asfortranarray(design.X[fewer]), terms=(term,))
    diagonal = replace(design, terms=(replace(design.terms[0], covariance=Diagonal(2)),))
    own = replace(design, X=np.asfortranarray(np.column_stack([design.X, np.random.default_rng(1).normal(size=design.nobs)])))
    own = replace(own, names=(*design.names, "x"))
    for other in (unbalanced, diagonal, own, conflict(1), random_design(1, "crossed", (1, 1))):
        problem = criterion(other)
        assert problem.closed_form() is None
        assert not problem.unimodal


@pytest.mark.parametrize("order", [0, 1, 2])
def test_one_pattern_answers_as_several_equal_ones(order: int) -> None:
    problem = criterion(growth_with_group(3, (1.0, 0.3)))
    engine = problem.engine
    assert isinstance(engine, Single)
    G = len(engine.E)
    several = replace(
        engine, lower=np.repeat(engine.lower, 2, axis=0), count=np.array([G // 2, G - G // 2], dtype=float),
        pattern=(np.arange(G) >= G // 2).astype(np.intp),
    )  # fmt: skip
    theta = np.array([1.3, -0.4, 0.2])
    one, two = (Criterion(problem.gram, e, True).evaluate(theta, order) for e in (engine, several))
    assert np.isclose(one.value, two.value, rtol=1e-13)
    if order >= 1:
        assert np.allclose(one.gradient, two.gradient, rtol=1e-11, atol=1e-11)
    if order == 2:
        assert np.allclose(one.hessian, two.hessian, rtol=1e-11, atol=1e-11)
