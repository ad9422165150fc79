"""The exact test against closed forms, simulation of the model, and its asymptotic mixture."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2, f

import ranef
from ranef.inference.rlrt import eigenvalues, null_draws, rlrt


def test_balanced_one_way_is_the_f_test() -> None:
    """There the restricted likelihood ratio grows with F: Dyestuff, F = 4.598 on 5 and 24."""
    data = ranef.datasets.load("Dyestuff")
    answer = rlrt(ranef.lmm("Yield ~ 1 + (1 | Batch)", data), n=200_000)
    means = data.groupby("Batch", observed=True)["Yield"].agg(["mean", "var"])
    F = 5 * means["mean"].var() / means["var"].mean()
    assert answer.statistic == pytest.approx(6.3686, abs=1e-3)
    assert abs(answer.p_value - f.sf(F, 5, 24)) < 4 * answer.std_error


def test_probability_of_zero_is_that_of_f_below_one() -> None:
    m = ranef.lmm("Yield ~ 1 + (1 | Batch)", ranef.datasets.load("Dyestuff"))
    draws = rlrt(m, n=100_000).draws
    assert np.mean(draws < 1e-9) == pytest.approx(f.cdf(1.0, 5, 24), abs=4 * 0.5 / np.sqrt(100_000))


@pytest.mark.parametrize("reml", [True, False])
def test_draws_are_those_of_refitted_data(reml: bool) -> None:
    rng = np.random.default_rng(4)
    g = np.repeat(np.arange(7), [3, 4, 5, 6, 7, 8, 9])
    data = pd.DataFrame({"y": rng.normal(size=len(g)), "x": g + rng.normal(size=len(g)), "g": g.astype(str)})
    m = ranef.lmm("y ~ x + (1 | g)", data, reml=reml)
    exact = rlrt(m, n=40_000).draws
    simulated = []
    for _ in range(1200):
        new = m.refit(rng.normal(size=len(g)))
        simulated.append(new.criterion.evaluate(np.zeros(1), 0).value - new.deviance)
    for q in (1.0, 2.7, 4.0):
        a, b = np.mean(exact > q), np.mean(np.array(simulated) > q)
        assert abs(a - b) < 4 * np.sqrt(a * (1 - a) / 1200)


def test_many_groups_are_the_mixture() -> None:
    mu = np.full(400, 10.0)
    draws = null_draws(mu, mu, 4000, 4000, 20_000, np.random.default_rng(1))
    assert np.mean(draws > chi2.isf(0.1, 1)) == pytest.approx(0.05, abs=0.008)


def test_eigenvalues_are_those_of_the_definition() -> None:
    m = ranef.lmm("Reaction ~ Days + (1 | Subject)", ranef.datasets.load("sleepstudy"))
    X = m.model.design.X
    Z = np.eye(18)[m.model.design.terms[0].group.codes]
    residual = Z - X @ np.linalg.lstsq(X, Z, rcond=None)[0]
    mu, xi = eigenvalues(m.criterion.gram)
    np.testing.assert_allclose(mu, np.sort(np.linalg.eigvalsh(Z.T @ residual)), atol=1e-8)
    np.testing.assert_allclose(xi, 10.0)


def test_seeds_and_a_variance_of_zero() -> None:
    m = ranef.lmm("Yield ~ 1 + (1 | Batch)", ranef.datasets.load("Dyestuff2"))
    answer = rlrt(m, n=1000)
    assert answer.p_value == 1.0
    np.testing.assert_array_equal(answer.draws, rlrt(m, n=1000).draws)
    assert "exact distribution" in repr(answer)


def test_more_components_are_refused_with_the_alternatives() -> None:
    with pytest.raises(ranef.ModelError, match="one variance component"):
        rlrt(ranef.lmm("Reaction ~ Days + (Days | Subject)", ranef.datasets.load("sleepstudy")))
