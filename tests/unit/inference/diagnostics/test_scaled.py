"""Quantile residuals are uniform under a right model, given the random effects and not, and their tests keep their size."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy import stats
from tests.unit.inference.diagnostics import worlds

import ranef
from ranef.errors import DataError, ModelError
from ranef.inference.diagnostics.scaled import quarters, simulated_residuals
from ranef.inference.diagnostics.uniformity import dispersion, distance, largest_distance, outlying, uniform_distance


def test_uniform_over_many_data_sets():
    """A single row of each of 250 data sets, so that the values are independent."""
    found = {"new": [], "fitted": []}
    for seed in range(250):
        m = worlds.fit(seed=seed, world=worlds.World(10, 5))
        for re, residuals in simulated_residuals(m, 100, ("new", "fitted"), seed).items():
            found[re].append(residuals.values[seed % 50])
    for re, values in found.items():
        assert stats.kstest(values, "uniform").pvalue > 0.01, re
        assert np.mean(values) == pytest.approx(0.5, abs=0.05)
        assert np.var(values) == pytest.approx(1 / 12, abs=0.015)


def test_they_are_the_ranks_among_re_analysed_responses():
    """The slow twin: simulate, fit again with theta held by generalised least squares, rank."""
    from tests.unit.inference.diagnostics.test_replicates import dense

    data = worlds.World(8, 6).draw(3)
    data["w"] = np.random.default_rng(1).uniform(0.5, 2.0, len(data))
    m = ranef.lmm(worlds.FORMULA, data, precision_weights="w")
    root, V, P, _ = dense(m)
    rng = np.random.default_rng(4)
    y = np.linalg.cholesky(V) @ rng.normal(size=(len(V), 4000))
    sigma = np.sqrt(np.einsum("nc,nc->c", y, P @ y) / m.solution.dof)
    for re, residual in (("fitted", (P @ y) / root[:, None] ** 2), ("new", V @ P @ y)):
        own = m.model.design.y - np.asarray(m.predict(re="population" if re == "new" else "conditional"))
        expected = np.mean(residual * m.sigma / sigma < own[:, None], axis=1)
        found = ranef.quantile_residuals(m, 4000, re=re, seed=5).values
        assert np.abs(found - expected).max() < 5 * np.sqrt(2 * 0.25 / 4000)


def test_regressions_have_one_kind():
    m = ranef.lm("y ~ x + z", worlds.World().draw(1))
    assert np.array_equal(ranef.quantile_residuals(m, 50).values, ranef.quantile_residuals(m, 50, re="fitted").values)


def test_the_answer():
    data = worlds.World().draw(1)
    found = ranef.quantile_residuals(ranef.lmm(worlds.FORMULA, data.set_index(data.index + 5)), 50)
    assert isinstance(found.scaled, pd.Series) and found.scaled.index[0] == 5
    assert list(found.tests["check"]) == ["uniformity", "dispersion", "outliers"]
    assert "50 simulations with new random effects" in found.tests.notes[0]
    assert repr(found) == repr(found.tests) and "<table>" in found._repr_html_()
    assert isinstance(ranef.quantile_residuals(ranef.lmm(worlds.FORMULA, pl.from_pandas(data)), 50).scaled, pl.Series)


def test_by_a_factor_a_group_and_a_number():
    data = worlds.World().draw(1, worlds.curved)
    found = ranef.quantile_residuals(ranef.lmm("y ~ z + (1 | g)", data), 100, re="fitted")
    assert found.by("x")["p_value"][0] < 0.02  # the curve that was left out
    assert found.by("z")["p_value"][0] > 0.05
    assert found.by(data.x.to_numpy())["statistic"] == found.by("x")["statistic"]
    with pytest.raises(DataError, match="no column 'age'"):
        found.by("age")


def test_what_is_refused():
    m = worlds.fit()
    with pytest.raises(ModelError, match="re='all'"):
        ranef.quantile_residuals(m, re="all")
    with pytest.raises(ModelError, match="less than 20"):
        ranef.quantile_residuals(m, 5)


# -- the tests as functions


def test_distance_is_kolmogorov_and_smirnovs():
    values = np.random.default_rng(1).beta(2, 2, size=(3, 40))
    assert np.allclose(distance(values), [stats.kstest(row, "uniform").statistic for row in values])


def test_tests_keep_their_size():
    """Exchangeable curves: the p values of each are uniform on their grid."""
    rng = np.random.default_rng(2)
    found = {"uniform": [], "dispersion": [], "outlying": [], "largest": []}
    codes = np.repeat([0, 1, 2], 20)
    for _ in range(600):
        y = rng.normal(size=(100, 60)) + 0.7 * rng.normal(size=(100, 1))  # rows go together
        order = np.argsort(np.argsort(y, axis=0), axis=0)
        own, ranks = order[0] / 99, np.argsort(np.argsort(y[1:], axis=0), axis=0) / 98
        found["uniform"].append(uniform_distance(own, ranks).p_value)
        found["largest"].append(largest_distance(own, ranks, codes).p_value)
        found["dispersion"].append(dispersion(y[0], y[1:]).p_value)
        found["outlying"].append(outlying(own, ranks).p_value)
    for name, p in found.items():
        assert np.mean(np.array(p) <= 0.05) <= 0.075, name
    assert np.mean(np.array(found["uniform"]) <= 0.05) >= 0.025
    assert np.mean(np.array(found["dispersion"]) <= 0.05) >= 0.025


def test_quarters():
    assert np.bincount(quarters(np.arange(100.0))).tolist() == [25, 25, 25, 25]
    assert np.bincount(quarters(np.array([0.0] * 90 + [1.0] * 10))).tolist() == [90, 10]
    assert quarters(np.ones(5)).tolist() == [0] * 5
