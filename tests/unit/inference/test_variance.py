"""Variance partition: shares, invariance to units, limits in singular fits, intervals."""

from __future__ import annotations

import numpy as np
import pytest
from tests.unit.inference.examples import crossed

import ranef
from ranef.errors import DataError, ModelError


@pytest.fixture(scope="module")
def m():
    return ranef.lmm("y ~ x + a + b + (x | g) + (1 | h)", crossed())


def test_shares_add_up_and_lie_in_their_intervals(m):
    table = ranef.variance_partition(m)
    assert list(table["component"]) == ["Fixed effects", "g", "h", "Residual"]
    assert np.sum(table["share"]) == pytest.approx(1.0)
    np.testing.assert_allclose(table["share"], table["variance"] / np.sum(table["variance"]))
    assert np.all((table["conf_low"] < table["share"]) & (table["share"] < table["conf_high"]))


def test_the_parts_are_their_definitions(m):
    table = ranef.variance_partition(m)
    X, z = m.model.design.X, m.model.design.terms[0].z
    root = m.sigma * m.solution.root(0)
    expected = [
        np.var(X @ m.params.to_numpy(), ddof=1),
        np.mean([row @ root @ root.T @ row for row in z]),
        m.sigma**2 * m.solution.root(1)[0, 0] ** 2,
        m.sigma**2,
    ]
    np.testing.assert_allclose(table["variance"], expected)


def test_units_and_codings_do_not_matter(m):
    data = crossed()
    other = data.assign(x=1000.0 + 0.01 * data["x"], y=5.0 - 3.0 * data["y"])
    moved = ranef.lmm("y ~ x + a + b + (x | g) + (1 | h)", other, contrasts={"a": "sum", "b": "helmert"})
    for column in ("share", "std_error", "conf_low", "conf_high"):
        np.testing.assert_allclose(ranef.variance_partition(moved)[column], ranef.variance_partition(m)[column], rtol=1e-5)


def test_variances_of_slopes_as_they_are(m):
    table = ranef.variance_partition(m, slopes="variances", fixed=False)
    variances = [row["vcov"] for row in m.varcorr if row["term2"] is None]
    np.testing.assert_allclose(table["variance"], variances)
    np.testing.assert_allclose(table["share"], np.array(variances) / np.sum(variances))


def test_at_stated_values_the_part_is_that_of_the_covariances(m):
    table = ranef.variance_partition(m, at={"x": 3.0})
    root = m.sigma * m.solution.root(0)
    assert table["variance"][1] == pytest.approx(np.array([1.0, 3.0]) @ root @ root.T @ np.array([1.0, 3.0]))
    assert any("x = 3" in note for note in table.notes)


def test_the_delta_method_agrees_with_the_bootstrap(m):
    delta = ranef.variance_partition(m)
    again = ranef.variance_partition(m, bootstrap=ranef.bootstrap(m, 400, seed=3))
    np.testing.assert_allclose(again["share"], delta["share"])
    np.testing.assert_allclose(again["std_error"], delta["std_error"], rtol=0.35)
    np.testing.assert_allclose(again["conf_high"], delta["conf_high"], atol=0.1)
    assert any("400 refits" in note for note in again.notes)


def test_a_vanished_variance_has_share_zero_and_an_upper_limit_from_the_likelihood():
    rng = np.random.default_rng(7)
    g = np.repeat(np.arange(8), 5)
    y = rng.normal(size=40)
    y -= (np.bincount(g, y) / 5)[g]
    m = ranef.lmm("y ~ 1 + (1 | g)", {"y": y, "g": g})
    assert m.is_singular
    table = ranef.variance_partition(m)
    assert table["share"][1] == 0.0
    assert table["conf_low"][1] == 0.0
    theta = np.sqrt(table["conf_high"][1] / (1.0 - table["conf_high"][1]))
    assert m.deviance_at([theta]) - m.deviance == pytest.approx(1.959964**2, rel=1e-4)
    assert np.all(np.isfinite([table[name] for name in ("share", "std_error", "conf_low", "conf_high")]))


def test_without_random_effects_there_are_two_parts():
    table = ranef.variance_partition(ranef.lm("y ~ x", crossed()))
    assert list(table["component"]) == ["Fixed effects", "Residual"]


def test_frames_come_back_as_they_came():
    polars = pytest.importorskip("polars", reason="the frame kind is polars")
    m = ranef.lmm("y ~ x + (1 | g)", polars.from_pandas(crossed()))
    assert isinstance(ranef.variance_partition(m).frame, polars.DataFrame)


def test_what_cannot_be_answered_is_said(m, tmp_path):
    with pytest.raises(ModelError, match="slopes="):
        ranef.variance_partition(m, slopes="raw")
    with pytest.raises(ModelError, match="no meaning"):
        ranef.variance_partition(m, slopes="variances", at={"x": 0})
    with pytest.raises(DataError, match="'age'"):
        ranef.variance_partition(m, at={"age": 0})
    with pytest.raises(ModelError, match="level"):
        ranef.variance_partition(m, level=95)
    other = ranef.lmm("y ~ x + (1 | g)", crossed())
    with pytest.raises(ModelError, match="another fit"):
        ranef.variance_partition(m, bootstrap=ranef.bootstrap(other, 20, seed=1))
    m.save(tmp_path / "m.ranef")
    with pytest.raises(ModelError, match="rows"):
        ranef.variance_partition(ranef.load(tmp_path / "m.ranef"))
