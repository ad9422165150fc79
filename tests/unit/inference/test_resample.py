"""Refits of two models to the same simulated data, one response at a time."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from tests.unit.inference.examples import crossed

import ranef
from ranef.inference.parts import Parts
from ranef.inference.resample import apart, together


def sigmas(first, second):
    return np.array([first.sigma, second.sigma])


@pytest.fixture(scope="module")
def models():
    data = crossed(4)
    return ranef.lmm("y ~ x + a + (x | g)", data), ranef.lmm("y ~ x + (x | g)", data)


def test_the_responses_are_those_of_simulate(models):
    larger, smaller = models
    simulated = larger.simulate(4, seed=7)
    expected = [[m.refit(simulated[name]).sigma for m in models] for name in simulated]
    np.testing.assert_allclose(together(larger, smaller, sigmas, 4, 7).values, expected, rtol=1e-12)
    np.testing.assert_allclose(together(smaller, larger, sigmas, 4, 7).values, np.fliplr(expected), rtol=1e-12)
    other = smaller.simulate(4, seed=8)
    expected = [[larger.refit(simulated[name]).sigma, smaller.refit(other[name]).sigma] for name in simulated]
    np.testing.assert_allclose(apart(larger, smaller, sigmas, 4, 7).values, expected, rtol=1e-12)


def test_they_are_not_held_together(models):
    """Two hundred responses of 240 rows take 384,000 bytes; the refits of one, some thousands."""
    together(*models, lambda one, other: np.zeros(1), 2, 1)
    tracemalloc.start()
    draws = together(*models, lambda one, other: np.zeros(1), 200, 1)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(draws.values) == 200 and peak < 200_000


@pytest.mark.parametrize("formula", ["y ~ x + a + (x | g) + (1 | h)", "y ~ x + b", "y ~ 1 + (1 | g)"])
def test_the_parts_of_a_refit_are_those_of_a_fit(formula):
    data = crossed(4)
    m, other = ranef.lmm(formula, data), data.y[::-1].to_numpy()
    ours, theirs = Parts.of(m).of_refit(m.refit(other)), Parts.of(ranef.lmm(formula, data.assign(y=other)))
    for name in ("fixed", "all_random", "residual"):
        assert getattr(ours, name).variance == pytest.approx(getattr(theirs, name).variance, rel=1e-5)
        assert getattr(ours, name).noise == pytest.approx(getattr(theirs, name).noise, rel=1e-5)
