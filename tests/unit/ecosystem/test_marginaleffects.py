"""Fits in marginaleffects, against our own predictions, slopes and marginal means."""

from __future__ import annotations

import numpy as np
import pytest

import ranef
from ranef.errors import ModelError

marginaleffects = pytest.importorskip(
    "marginaleffects", reason="needs the extra `effects` (polars below 2); .ci/run tests it in an environment of its own"
)


from marginaleffects.datagrid import datagrid  # noqa: E402

EXACT = {"eps_vcov": 1.0}  # predictions are linear in the coefficients: a step of one has no error but that of rounding


@pytest.fixture(scope="module")
def cake():
    return ranef.lmm("angle ~ recipe * temperature + (1 | recipe:replicate)", ranef.datasets.load("cake"))


@pytest.fixture(scope="module")
def sleep():
    return ranef.lmm("Reaction ~ Days + (Days | Subject)", ranef.datasets.load("sleepstudy"))


def column(frame, name: str) -> np.ndarray:
    return frame[name].to_numpy()


@pytest.mark.parametrize("re", ["population", "conditional"])
def test_predictions_are_those_of_predict(sleep, re):
    frame = marginaleffects.predictions(ranef.as_marginaleffects(sleep, re=re))
    np.testing.assert_allclose(column(frame, "estimate"), sleep.predict(re=re))
    expected = sleep.predict(re="population", interval="confidence")["std_error"]
    np.testing.assert_allclose(column(frame, "std_error"), expected, rtol=1e-6)


def test_new_data_and_grids(sleep):
    model = ranef.as_marginaleffects(sleep)
    frame = marginaleffects.predictions(model, newdata=datagrid(model=model, Days=[0, 5]))
    np.testing.assert_allclose(column(frame, "estimate"), [sleep.params.iloc[0], sleep.params @ [1, 5]])


def test_slopes_are_those_of_emtrends(cake, sleep):
    frame = marginaleffects.avg_slopes(ranef.as_marginaleffects(sleep), **EXACT)
    assert list(frame["term"]) == ["Days"]
    np.testing.assert_allclose(column(frame, "estimate"), [sleep.params["Days"]])
    np.testing.assert_allclose(column(frame, "std_error"), [sleep.bse["Days"]], rtol=1e-7)


def test_slopes_of_a_polynomial_within_a_group():
    m = ranef.lmm("Reaction ~ poly(Days, 2) + (1 | Subject)", ranef.datasets.load("sleepstudy"))
    model = ranef.as_marginaleffects(m)
    at = marginaleffects.slopes(model, variables="Days", newdata=datagrid(model=model, Days=[2]))
    there = m.predict({"Days": [1.999, 2.001], "Subject": ["308", "308"]}, re="population")
    np.testing.assert_allclose(column(at, "estimate"), [np.diff(there)[0] / 0.002], rtol=1e-4)


def test_averages_and_comparisons_are_marginal_means_and_contrasts(cake):
    """The design is balanced, so that averages over the rows are averages over the grid."""
    model, means = ranef.as_marginaleffects(cake), ranef.emmeans(cake, "recipe")
    averages = marginaleffects.avg_predictions(model, by="recipe")
    np.testing.assert_allclose(column(averages, "estimate"), means["estimate"])
    np.testing.assert_allclose(column(averages, "std_error"), means["std_error"], rtol=1e-6)
    pairs = marginaleffects.avg_comparisons(model, variables={"recipe": "pairwise"})
    contrasts = means.contrast("revpairwise")
    np.testing.assert_allclose(np.sort(column(pairs, "estimate")), np.sort(contrasts["estimate"]), atol=1e-9)
    np.testing.assert_allclose(column(pairs, "std_error"), contrasts["std_error"], rtol=1e-6)


def test_hypotheses_are_tests(sleep):
    frame = marginaleffects.hypotheses(ranef.as_marginaleffects(sleep, df=17), hypothesis="Days = 10")
    ours = sleep.test("Days = 10")
    np.testing.assert_allclose(column(frame, "statistic"), ours["statistic"], rtol=1e-6)
    np.testing.assert_allclose(column(frame, "p_value"), ours["p_value"], rtol=1e-4)


def test_covariances_by_method(cake):
    model = ranef.as_marginaleffects(cake)
    adjusted = marginaleffects.predictions(model, vcov="kenward-roger")
    expected = cake.with_ddf("kenward-roger").predict(re="population", interval="confidence")["std_error"]
    np.testing.assert_allclose(column(adjusted, "std_error"), expected, rtol=1e-2)
    assert "std_error" not in marginaleffects.predictions(model, vcov=False).columns
    with pytest.raises(ModelError, match="vcov="):
        marginaleffects.predictions(model, vcov="HC3")


def test_offsets_transformed_responses_and_cluster_means():
    data = ranef.datasets.load("sleepstudy")
    for formula in (
        "log(Reaction) ~ Days + I(Days^2) + (1 | Subject)",
        "Reaction ~ offset(Days) + Days + (1 | Subject)",
        "Reaction ~ within(Days, Subject) + (1 | Subject)",
    ):
        m = ranef.lmm(formula, data)
        model = ranef.as_marginaleffects(m)
        np.testing.assert_allclose(column(marginaleffects.predictions(model), "estimate"), m.predict(re="population"))
        assert list(marginaleffects.avg_slopes(model)["term"]) == ["Days"]


def test_polars_data():
    import polars

    m = ranef.lmm("angle ~ recipe * temperature + (1 | recipe:replicate)", ranef.datasets.load("cake", as_="polars"))
    frame = marginaleffects.avg_predictions(ranef.as_marginaleffects(m), by="recipe")
    assert isinstance(frame, polars.DataFrame) or hasattr(frame, "to_polars")
    assert len(frame) == 3


def test_what_it_cannot_take(sleep, tmp_path):
    with pytest.raises(ModelError, match="re="):
        ranef.as_marginaleffects(sleep, re="fixed")
    sleep.save(tmp_path / "m.ranef")
    with pytest.raises(ModelError, match="rows"):
        ranef.as_marginaleffects(ranef.load(tmp_path / "m.ranef"))
