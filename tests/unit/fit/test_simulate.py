"""Simulated responses: seeded, aligned, and with the covariance of the model."""

from __future__ import annotations

import numpy as np
import pytest
from tests.unit.fit.truth import data_of, model, truth

import ranef
from ranef.fit.fit import Fit
from ranef.fit.simulate import simulate

MANY = 4000


@pytest.mark.parametrize("name", ["slopes", "crossed", "plain"])
def test_mean_and_covariance_are_those_of_the_model(name: str) -> None:
    """Five standard errors of a covariance estimated from 4000 draws."""
    fit, t = model(name), truth(model(name))
    draws = simulate(fit, MANY, seed=1).to_numpy()
    mean = fit.fittedvalues - (residual_of_random_part(fit))
    covariance = t.sigma**2 * t.V
    sd = np.sqrt(np.diag(covariance))
    assert np.abs((draws.mean(axis=1) - mean) / (sd / np.sqrt(MANY))).max() < 5
    error = np.sqrt((np.outer(sd, sd) ** 2 + covariance**2) / MANY)
    assert np.abs((np.cov(draws) - covariance) / error).max() < 5.5


def residual_of_random_part(fit: Fit) -> np.ndarray:
    return np.asarray(fit.residuals(level="marginal")) - np.asarray(fit.residuals())


def test_fitted_effects_stay_where_they_are() -> None:
    fit = model("nested")
    draws = simulate(fit, MANY, seed=2, re="fitted").to_numpy()
    sd = fit.sigma / np.sqrt(fit.model.design.weights)
    assert np.abs((draws.mean(axis=1) - fit.fittedvalues) / (sd / np.sqrt(MANY))).max() < 5
    assert np.abs(draws.std(axis=1) / sd - 1).max() < 5 / np.sqrt(2 * MANY)


def test_seed_fixes_the_draws_and_a_draw_does_not_depend_on_how_many_there_are() -> None:
    fit = model("slopes")
    five, two = simulate(fit, 5, seed=7), simulate(fit, 2, seed=7)
    assert list(five.columns) == [f"sim_{i}" for i in range(1, 6)]
    assert five[["sim_1", "sim_2"]].equals(two)
    assert not simulate(fit, seed=8).equals(two[["sim_1"]])


def test_index_is_the_users() -> None:
    assert simulate(model("crossed"), seed=1).index.equals(data_of("crossed").index)


def test_dict_in_dict_out() -> None:
    data = {name: data_of("plain")[name].to_numpy() for name in ("y", "x")}
    out = simulate(ranef.lm("y ~ x", data), 2, seed=1)
    assert list(out) == ["sim_1", "sim_2"]
    assert out["sim_1"].shape == (160,)


def test_refitting_simulations_recovers_the_parameters() -> None:
    fit = model("slopes")
    draws = simulate(fit, 40, seed=3)
    sigmas = [fit.refit(draws[name].to_numpy()).sigma for name in draws]
    assert abs(np.mean(sigmas) / fit.sigma - 1) < 4 * np.std(sigmas) / fit.sigma / np.sqrt(40)


@pytest.mark.parametrize("options", [{"n": 0}, {"re": "all"}])
def test_bad_arguments_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(ranef.ModelError):
        simulate(model("slopes"), **options)
