"""within(x, g) and between(x, g): cluster means in formulas, for new data and in saved models."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import ranef
from ranef.errors import DataError, FormulaError


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(11)
    g = rng.integers(0, 12, 90)
    x = rng.normal(size=12)[g] + rng.normal(size=90)
    h = rng.integers(0, 2, 90)
    return pd.DataFrame({"y": x + rng.normal(size=90), "x": x, "g": g, "h": np.array(["a", "b"])[h]})


@pytest.fixture(scope="module")
def m(data):
    return ranef.lmm("y ~ within(x, g) + between(x, g) + (1 | g)", data)


def column(m: ranef.Fit, name: str) -> np.ndarray:
    return m.model.design.X[:, m.model.design.names.index(name)]


def new(m: ranef.Fit, rows: dict) -> np.ndarray:
    return m.model.schema.apply(pd.DataFrame(rows), random=False).X


def test_columns_are_means_and_distances_from_them(m, data):
    means = data.groupby("g")["x"].transform("mean").to_numpy()
    np.testing.assert_allclose(column(m, "between(x, g)"), means)
    np.testing.assert_allclose(column(m, "within(x, g)"), data["x"] - means)


def test_known_clusters_keep_the_means_of_the_fit(m, data):
    mean = data.loc[data["g"] == 3, "x"].mean()
    np.testing.assert_allclose(new(m, {"x": [10.0, 0.0], "g": [3, 3]})[:, 1:], [[10.0 - mean, mean], [-mean, mean]])


def test_new_clusters_have_means_of_their_own(m):
    X = new(m, {"x": [1.0, 2.0, 6.0], "g": [77, 77, 99]})
    np.testing.assert_allclose(X[:, 1:], [[-0.5, 1.5], [0.5, 1.5], [0.0, 6.0]])


def test_predictions_for_known_and_new_clusters(m):
    frame = pd.DataFrame({"x": [1.0, 2.0], "g": [3, 77]})
    with pytest.raises(DataError, match="77"):
        m.predict(frame)
    expected = new(m, frame.to_dict("list")) @ m.params.to_numpy()
    np.testing.assert_allclose(m.predict(frame, re="population"), expected)


def test_saved_models_keep_the_means(m, tmp_path):
    m.save(tmp_path / "m.ranef")
    again = ranef.load(tmp_path / "m.ranef")
    frame = pd.DataFrame({"x": [1.0, 2.0, 3.0], "g": [3, 5, 3]})
    np.testing.assert_allclose(again.predict(frame), m.predict(frame))


def test_means_count_all_rows_that_have_x(data):
    holes = data.copy()
    holes.loc[:9, "y"] = np.nan
    holes.loc[20, "x"] = np.nan
    m = ranef.lmm("y ~ within(x, g) + (1 | g)", holes)
    state = m.model.schema.states["within(x, g)"]
    np.testing.assert_allclose(state["means"], holes.groupby("g")["x"].mean())
    assert m.nobs == 79


def test_missing_values_stay_missing(m):
    X = new(m, {"x": [np.nan, 1.0], "g": [3, None]})
    assert np.isnan(X[:, 1:]).all()


def test_cells_of_several_factors(data):
    m = ranef.lmm("y ~ between(x, g, h) + (1 | g:h)", data)
    np.testing.assert_allclose(column(m, "between(x, g, h)"), data.groupby(["g", "h"])["x"].transform("mean"))


def test_text_and_number_name_the_same_cluster(m):
    np.testing.assert_allclose(new(m, {"x": [1.0], "g": ["3"]}), new(m, {"x": [1.0], "g": [3]}))


def test_slopes_may_be_random_within(data):
    m = ranef.lmm("y ~ within(x, g) + between(x, g) + (within(x, g) | g)", data)
    np.testing.assert_allclose(m.model.design.terms[0].z[:, 1], column(m, "within(x, g)"))


def test_expressions_of_the_covariate(data):
    m = ranef.lmm("y ~ within(exp(x), g) + (1 | g)", data)
    values = np.exp(data["x"])
    np.testing.assert_allclose(column(m, "within(exp(x), g)"), values - values.groupby(data["g"]).transform("mean"))


@pytest.mark.parametrize(
    ("formula", "said"),
    [
        ("y ~ within(x) + (1 | g)", "grouping columns"),
        ("y ~ within(x, g=1) + (1 | g)", "grouping columns"),
        ("y ~ between(h, g) + (1 | g)", "numbers"),
        ("y ~ within(2, g) + (1 | g)", "needs a column"),
    ],
)
def test_what_cannot_be_centred(data, formula, said):
    with pytest.raises(FormulaError, match=said):
        ranef.lmm(formula, data)
