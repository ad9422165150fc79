"""Predictions: values, joint uncertainty of fixed and random effects, levels that the fit has not seen, kinds of frames."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from scipy import stats
from tests.unit.fit.truth import FORMULAS, data_of, model, truth

import ranef
from ranef.core.solution import Solution

NAMES = list(FORMULAS)


def half_width(band: pd.DataFrame) -> np.ndarray:
    return ((band["conf_high"] - band["conf_low"]) / 2).to_numpy()


@pytest.mark.parametrize("name", NAMES)
def test_rows_used_as_new_data_give_the_fitted_values(name: str) -> None:
    fit = model(name)
    pd.testing.assert_series_equal(fit.predict(data_of(name)), fit.predict(), rtol=1e-9)
    np.testing.assert_allclose(fit.predict(), fit.fittedvalues, rtol=1e-12)
    np.testing.assert_allclose(fit.predict(re="population"), data_response(name) - fit.residuals(level="marginal"), rtol=1e-9)


def data_response(name: str) -> np.ndarray:
    return model(name).model.design.y


@pytest.mark.parametrize("name", NAMES)
def test_standard_errors_count_beta_and_b_jointly(name: str) -> None:
    """[x z] C [x z]' with the joint covariance C of (beta_hat - beta, b_hat - b); a new observation adds 1/w."""
    fit, t = model(name), truth(model(name))
    rows = np.hstack([t.X, t.Z])
    variance = t.sigma**2 * np.einsum("ni,ij,nj->n", rows, t.joint, rows)
    confidence = fit.predict(interval="confidence")
    np.testing.assert_allclose(confidence["std_error"], np.sqrt(np.maximum(variance, 0)), rtol=1e-6, atol=1e-9 * t.sigma)
    prediction = fit.predict(interval="prediction")
    np.testing.assert_allclose(prediction["std_error"] ** 2, variance + t.sigma**2 / t.W, rtol=1e-6)
    np.testing.assert_allclose(prediction["fit"], confidence["fit"])


def test_pairs_of_levels_that_never_met_have_their_joint_uncertainty() -> None:
    data = data_of("crossed").iloc[:120]
    data = data[(data["a"] != "a0") | (data["b"] > 2)]
    fit = ranef.lmm("y ~ x + (x | a) + (1 | b)", data)
    t = truth(fit)
    new = pd.DataFrame({"x": [4.0, 6.0], "a": ["a0", "a0"], "b": [0, 1]})
    z = np.zeros((2, t.Z.shape[1]))
    z[:, 0], z[:, 1] = 1.0, new["x"]
    z[[0, 1], 18 + new["b"]] = 1.0
    rows = np.hstack([np.column_stack([np.ones(2), new["x"]]), z])
    variance = t.sigma**2 * np.einsum("ni,ij,nj->n", rows, t.joint, rows)
    np.testing.assert_allclose(fit.predict(new, interval="confidence")["std_error"], np.sqrt(variance), rtol=1e-8)


def test_new_level_under_population_is_the_average_level() -> None:
    """Its own deviation, variance z'Omega z, counts in the prediction interval only."""
    fit = model("slopes")
    new = pd.DataFrame({"Days": [0.0, 5.0], "Subject": ["new", "other"]})
    population = fit.predict(new, re="population", interval="confidence")
    pd.testing.assert_frame_equal(
        fit.predict(new, new_levels="population", interval="confidence")[["fit", "std_error"]], population[["fit", "std_error"]]
    )
    z = np.column_stack([np.ones(2), new["Days"]])
    omega = fit.sigma**2 * fit.solution.root(0) @ fit.solution.root(0).T
    variance = population["std_error"] ** 2 + np.einsum("ni,ij,nj->n", z, omega, z) + fit.sigma**2
    for options in ({"re": "population"}, {"new_levels": "population"}):
        band = fit.predict(new, interval="prediction", **options)
        np.testing.assert_allclose(band["std_error"], np.sqrt(variance), rtol=1e-10)


def test_new_level_is_refused_by_name() -> None:
    new = pd.DataFrame({"Days": [0.0, 5.0], "Subject": ["308", "999"]})
    with pytest.raises(ranef.DataError, match=r"'Subject' has the level '999' \(row 1\)"):
        model("slopes").predict(new)


def test_new_level_can_be_missing() -> None:
    new = pd.DataFrame({"Days": [0.0, 5.0], "Subject": ["308", "999"]})
    band = model("slopes").predict(new, new_levels="missing", interval="prediction")
    assert band.isna().all(axis=1).tolist() == [False, True]


@pytest.mark.parametrize("new_levels", ["error", "population", "missing"])
def test_missing_predictors_and_levels_have_no_prediction(new_levels: Any) -> None:
    new = pd.DataFrame({"Days": [0.0, np.nan, 5.0], "Subject": ["308", "308", None]}, index=["p", "q", "r"])
    fit = model("slopes")
    assert fit.predict(new, new_levels=new_levels).isna().tolist() == [False, True, True]
    assert fit.predict(new, new_levels=new_levels, interval="confidence").isna().all(axis=1).tolist() == [False, True, True]
    assert fit.predict(new, re="population").isna().tolist() == [False, True, False]


def test_population_needs_no_grouping_column_and_a_new_observation_only_the_slopes() -> None:
    fit = model("nested")
    new = pd.DataFrame({"x": [1.0, 2.0], "off": [0.0, 1.0]})
    expected = fit.params["(Intercept)"] + fit.params["x"] * new["x"] + new["off"]
    np.testing.assert_allclose(fit.predict(new, re="population"), expected)
    np.testing.assert_allclose(fit.predict(new, re="population", interval="prediction")["fit"], expected)


def test_some_bars_need_only_their_grouping_column() -> None:
    fit = model("crossed")
    new = pd.DataFrame({"x": [1.0, 2.0], "w": [0.0, 1.0], "b": [0, 5], "off": [0.0, 0.0]})
    expected = fit.predict(new, re="population") + fit.solution.effects[1][[0, 5], 0]
    for text in ("(1 | b)", "~ (1 | b)", "~(1|b)"):
        np.testing.assert_allclose(fit.predict(new, re=text), expected)


def test_part_of_a_bar_and_all_bars() -> None:
    fit, data = model("crossed"), data_of("crossed")
    codes = fit.model.design.terms[0].group.codes
    expected = fit.predict(data, re="population") + fit.solution.effects[0][codes, 0]
    np.testing.assert_allclose(fit.predict(data, re="(1 | a)"), expected)
    everything = fit.predict(data, re="~ (x | a) + (0 + w | a) + (1 | b)")
    np.testing.assert_allclose(everything, fit.predict(data))
    np.testing.assert_allclose(fit.predict(data, re="~ 0"), fit.predict(data, re="population"))


def test_factor_slopes_can_be_asked_for() -> None:
    fit, data = model("factor"), data_of("factor")
    both = fit.predict(data, re="(0 + f | a)") + fit.predict(data, re="(1 | a)") - fit.predict(data, re="population")
    np.testing.assert_allclose(both, fit.predict(data))


def test_effects_left_out_count_in_the_prediction_interval() -> None:
    fit, data = model("nested"), data_of("nested")
    inner = fit.solution.root(1)[0, 0] ** 2
    part, t = fit.predict(data, re="(x | a)", interval="prediction"), truth(fit)
    known = fit.predict(data, re="(x | a)", interval="confidence")
    np.testing.assert_allclose(part["std_error"] ** 2, known["std_error"] ** 2 + t.sigma**2 * (inner + 1 / t.W), rtol=1e-9)


@pytest.mark.parametrize(
    ("re", "match"),
    [
        (None, "NULL"),
        ("marginal", "population"),
        ("(1 | school)", "no such grouping factor"),
        ("(w | Subject)", "Random effects of Subject"),
        (3, "population"),
    ],
)
def test_unknown_random_effects_are_refused(re: Any, match: str) -> None:
    with pytest.raises(ranef.ModelError, match=match):
        model("slopes").predict(re=re)


@pytest.mark.parametrize("options", [{"new_levels": "ignore"}, {"interval": "both"}, {"level": 95, "interval": "confidence"}])
def test_unknown_options_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ranef.ModelError):
        model("slopes").predict(**options)


def test_absent_column_is_named() -> None:
    with pytest.raises(ranef.DataError, match="Days"):
        model("slopes").predict(pd.DataFrame({"days": [1.0], "Subject": ["308"]}))


def test_unseen_level_of_a_fixed_factor_is_refused() -> None:
    with pytest.raises(ranef.DataError, match="huge"):
        model("plain").predict(pd.DataFrame({"f": ["huge"], "x": [1.0], "off": [0.0]}))


def test_weights_of_new_rows_scale_the_residual() -> None:
    fit, data = model("plain"), data_of("plain").head(3)
    heavy = fit.predict(data.assign(precision=[1.0, 4.0, 1e12]), interval="prediction")
    mean = fit.predict(data, interval="confidence")
    np.testing.assert_allclose(heavy["std_error"] ** 2 - mean["std_error"] ** 2, fit.sigma**2 / np.array([1, 4, 1e12]), atol=1e-9)
    plain = fit.predict(data.drop(columns="precision"), interval="prediction")
    np.testing.assert_allclose(plain["std_error"] ** 2 - mean["std_error"] ** 2, fit.sigma**2)
    with pytest.raises(ranef.DataError, match="positive"):
        fit.predict(data.assign(precision=[1.0, 0.0, 1.0]), interval="prediction")


def test_offset_that_was_an_array_is_asked_for_and_added() -> None:
    data = data_of("plain")
    fit = ranef.lm("y ~ x", data, offset=data["off"].to_numpy())
    new = pd.DataFrame({"x": [1.0, 2.0]})
    with pytest.raises(ranef.DataError, match="offset"):
        fit.predict(new)
    shifted = fit.predict(new, offset=[10.0, 20.0]) - fit.predict(new, offset=[0.0, 0.0])
    np.testing.assert_allclose(shifted, [10.0, 20.0])


def test_answers_are_of_the_kind_that_was_asked_with() -> None:
    fit = model("slopes")
    columns = {"Days": [0.0, 5.0], "Subject": ["308", "309"]}
    expected = fit.predict(pd.DataFrame(columns)).to_numpy()
    assert isinstance(fit.predict(pl.DataFrame(columns)), pl.Series)
    assert isinstance(fit.predict(pl.DataFrame(columns), interval="confidence"), pl.DataFrame)
    assert isinstance(fit.predict(pa.table(columns), interval="confidence"), pa.Table)
    assert isinstance(fit.predict(columns), np.ndarray)
    assert list(fit.predict(columns, interval="confidence")) == ["fit", "std_error", "conf_low", "conf_high"]
    for new in (pl.DataFrame(columns), pa.table(columns), columns):
        np.testing.assert_allclose(np.asarray(fit.predict(new)), expected)


def test_order_and_repetition_of_rows_do_not_matter() -> None:
    fit, data = model("crossed"), data_of("crossed")
    order = np.random.default_rng(0).integers(0, len(data), 500)
    whole, some = (fit.predict(frame, interval="prediction") for frame in (data, data.iloc[order]))
    np.testing.assert_allclose(some, whole.iloc[order], rtol=1e-12)
    assert list(some.index) == list(data.index[order])


def test_no_rows_give_no_predictions() -> None:
    empty = pd.DataFrame({"Days": np.zeros(0), "Subject": np.zeros(0, dtype=str)})
    assert len(model("slopes").predict(empty, interval="prediction")) == 0


def test_singular_fit_predicts_the_population() -> None:
    fit = model("singular")
    np.testing.assert_allclose(fit.predict(), fit.predict(re="population"), rtol=1e-9)
    band = fit.predict(interval="confidence")
    np.testing.assert_allclose(band["std_error"], fit.bse["(Intercept)"], rtol=1e-6)


def test_confidence_without_random_effects_is_that_of_the_coefficients() -> None:
    """At Days = 0 the population mean is the intercept, with its Satterthwaite interval."""
    fit = model("slopes")
    band = fit.predict(pd.DataFrame({"Days": [0.0]}), re="population", interval="confidence", level=0.9)
    limits = fit.conf_int(level=0.9)
    np.testing.assert_allclose(band[["conf_low", "conf_high"]].iloc[0], [limits["conf_low"][0], limits["conf_high"][0]])


def test_degrees_of_freedom_of_a_new_observation_are_satterthwaites() -> None:
    """2 v^2 / (g'A g), the gradient g of v in (theta, log sigma^2) by central differences."""
    fit = model("slopes")
    new = pd.DataFrame({"Days": [0.0, 4.0, 9.0]})
    x = np.column_stack([np.ones(3), new["Days"]])

    def variance(theta: np.ndarray) -> np.ndarray:
        at = Solution(fit.criterion, theta)
        part = x @ at.white
        random = x @ at.root(0)
        return np.sum(part**2, axis=1) + np.sum(random**2, axis=1) + 1.0

    theta = fit.solution.theta
    steps = 1e-5 * np.eye(len(theta))
    slopes = np.array([(variance(theta + h) - variance(theta - h)) / 2e-5 for h in steps]).T
    gradient = np.column_stack([slopes, variance(theta)])
    spread = np.einsum("ni,ij,nj->n", gradient, fit.variance_parameters.covariance, gradient)
    df = 2 * variance(theta) ** 2 / spread
    band = fit.predict(new, re="population", interval="prediction")
    np.testing.assert_allclose(half_width(band) / band["std_error"], stats.t.ppf(0.975, df), rtol=1e-6)


def test_asymptotic_fit_uses_the_normal_distribution() -> None:
    for options in ({"re": "population"}, {}):
        band = model("slopes").with_ddf("asymptotic").predict(interval="prediction", **options)
        np.testing.assert_allclose(half_width(band) / band["std_error"], stats.norm.ppf(0.975))


def test_units_of_a_covariate_do_not_matter() -> None:
    data = data_of("slopes")
    fit = ranef.lmm("Reaction ~ hours + (hours | Subject)", data.assign(hours=1e6 + 24 * data["Days"]))
    ours = fit.predict(interval="confidence")
    np.testing.assert_allclose(ours, model("slopes").predict(interval="confidence"), rtol=1e-6)


def test_combinations_that_the_data_cannot_tell_have_no_prediction() -> None:
    """`other` is twice x in the fit: only new rows that keep to this have an answer, whichever column was dropped."""
    data = data_of("plain").assign(other=lambda d: 2 * d["x"])
    new = pd.DataFrame({"x": [1.0, 1.0, 3.0], "other": [2.0, 5.0, 6.0], "a": ["a1"] * 3})
    first, second = (
        ranef.lmm(f"y ~ {fixed} + (1 | a)", data).predict(new, interval="confidence") for fixed in ("x + other", "other + x")
    )
    assert first.isna().all(axis=1).tolist() == [False, True, False]
    pd.testing.assert_frame_equal(first, second, rtol=1e-6)
    only = ranef.lmm("y ~ x + (1 | a)", data).predict(new, interval="confidence")
    pd.testing.assert_frame_equal(first.iloc[[0, 2]], only.iloc[[0, 2]], rtol=1e-6)


def test_empty_cell_has_no_prediction() -> None:
    data = data_of("plain").assign(g=lambda d: np.where(d["f"] == "low", "u", np.where(d["w"] > 0, "u", "v")))
    fit = ranef.lm("y ~ f * g", data)
    assert len(fit.dropped) == 1
    grid = pd.DataFrame({"f": ["low", "low", "mid", "high"], "g": ["u", "v", "u", "v"]})
    assert fit.predict(grid).isna().tolist() == [False, True, False, False]
