"""Marginal means by their definition: grids, weights, nesting, empty cells, offsets, scales, and what tables say of themselves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
from tests.reference.load import reference_data

import ranef
from ranef.errors import ModelError
from ranef.formula import parse
from ranef.means.letters import display
from ranef.means.links import LINKS, response_link
from ranef.means.marginal import Marginal


@pytest.fixture(scope="module")
def data() -> pd.DataFrame:
    rng = np.random.default_rng(7)
    n = 240
    frame = pd.DataFrame({
        "a": rng.choice(["x", "y", "z"], n, p=[0.5, 0.3, 0.2]), "b": rng.choice(["p", "q"], n, p=[0.7, 0.3]),
        "age": rng.normal(40, 9, n), "sex": rng.integers(0, 2, n), "week": rng.choice([1, 2, 4], n), "id": rng.integers(0, 24, n),
    })  # fmt: skip
    frame["y"] = (
        2.0 + (frame.a == "z") + 0.3 * (frame.b == "q") + 0.02 * frame.age + rng.normal(size=24)[frame.id] + rng.normal(size=n)
    )
    return frame.assign(positive=np.exp(frame.y / 3))


@pytest.fixture(scope="module")
def fit(data: pd.DataFrame) -> ranef.Fit:
    return ranef.lmm("y ~ a * b + age + sex + (1 | id)", data, ddf="kenward-roger")


def test_means_are_predictions_averaged_over_the_grid(fit: ranef.Fit, data: pd.DataFrame) -> None:
    means = ranef.emmeans(fit, "a")
    grid = pd.DataFrame([(a, b, data.age.mean(), s) for a in "xyz" for b in "pq" for s in (0, 1)], columns=["a", "b", "age", "sex"])
    predicted = fit.predict(grid, re="population")
    np.testing.assert_allclose(means["estimate"], predicted.groupby(grid.a).mean(), rtol=1e-12)
    assert means["a"] == ["x", "y", "z"]


@pytest.mark.parametrize("weights", ["equal", "proportional", "outer", "cells", "flat"])
def test_weights_by_their_definition(fit: ranef.Fit, data: pd.DataFrame, weights: str) -> None:
    cells = pd.DataFrame([(b, s) for b in "pq" for s in (0, 1)], columns=["b", "sex"])
    count = pd.crosstab([data.b, data.sex], data.a).to_numpy().astype(float)  # rows as in `cells`
    joint = count.sum(axis=1)
    b, s = (data[name].value_counts(normalize=True).sort_index().to_numpy() for name in ("b", "sex"))
    rule = {"equal": np.ones(4), "flat": np.ones(4), "proportional": joint, "outer": np.outer(b, s).ravel(), "cells": count[:, 0]}[
        weights
    ]
    predicted = fit.predict(cells.assign(a="x", age=data.age.mean()), re="population")
    expected = np.average(predicted, weights=rule)
    assert ranef.emmeans(fit, "a", weights=weights)["estimate"][0] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("weights", ["proportional", "cells"])
def test_precision_weights_do_not_count_as_rows(data: pd.DataFrame, weights: str) -> None:
    """As in emmeans: how precise a row is says nothing about how common its cell is."""
    m = ranef.lmm("y ~ a + b + (1 | id)", data, precision_weights=np.linspace(0.2, 5.0, len(data)))
    rows = data if weights == "proportional" else data[data.a == "x"]
    shares = rows["b"].value_counts(normalize=True)
    predicted = m.predict(pd.DataFrame({"a": "x", "b": list(shares.index)}), re="population")
    expected = np.average(predicted, weights=shares)
    assert ranef.emmeans(m, "a", weights=weights)["estimate"][0] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("ddf", ["satterthwaite", "kenward-roger"])
def test_joint_tests_of_all_cells_are_type_three(data: pd.DataFrame, ddf: str) -> None:
    """The same hypothesis has the same denominator df, which Satterthwaite's method takes from the rows."""
    m = ranef.lmm("y ~ a * b + (a | id)", data)
    joint, anova = ranef.emmeans(m, ["a", "b"], ddf=ddf).joint_tests(), m.anova(3, ddf=ddf)
    for column in ("num_df", "den_df", "statistic", "p_value"):
        np.testing.assert_allclose(joint[column], anova[column], rtol=1e-6, err_msg=column)


def test_a_contrast_that_the_model_makes_zero_has_no_test(data: pd.DataFrame) -> None:
    """Interaction contrasts of an additive model are zero for any data; what rounding leaves of them is not tested."""
    m = ranef.lmm("y ~ a + b + age + (1 | id)", data)
    table = ranef.emmeans(m, ["a", "b"]).contrast(interaction=["consec", "eff"])
    np.testing.assert_array_equal(table["estimate"], 0.0)
    np.testing.assert_array_equal(table["std_error"], 0.0)
    assert np.isnan(table["statistic"]).all() and np.isnan(table["p_value"]).all()


def test_show_lists_what_is_averaged_over(fit: ranef.Fit, data: pd.DataFrame) -> None:
    table = ranef.emmeans(fit, "a", weights="show")
    assert sum(table["count"]) == len(data)
    assert [name for name in ("b", "sex") if name in table] == ["b", "sex"]
    np.testing.assert_allclose(table["equal"], 0.25)


@pytest.mark.parametrize("coding", ["sum", "helmert", "sas"])
def test_means_do_not_depend_on_the_coding(fit: ranef.Fit, data: pd.DataFrame, coding: str) -> None:
    other = ranef.lmm("y ~ a * b + age + sex + (1 | id)", data, ddf="kenward-roger", contrasts={"a": coding, "b": coding})
    first, second = (ranef.emmeans(m, "pairwise ~ a | b") for m in (fit, other))
    for one, two in zip(first, second, strict=True):
        np.testing.assert_allclose(one["estimate"], two["estimate"], rtol=1e-6, atol=1e-8)
        np.testing.assert_allclose(one["std_error"], two["std_error"], rtol=1e-6)
        np.testing.assert_allclose(one["df"], two["df"], rtol=1e-5)


def test_specs_in_every_spelling(fit: ranef.Fit) -> None:
    plain = ranef.emmeans(fit, "a", by="b")
    for other in (ranef.emmeans(fit, "a | b"), ranef.emmeans(fit, "~ a | b"), ranef.emmeans(fit, ["a"], by=["b"])):
        np.testing.assert_array_equal(other["estimate"], plain["estimate"])
    both = ranef.emmeans(fit, "pairwise ~ a * b")
    assert len(both.means) == 6
    assert len(both.contrasts) == 15
    grand = ranef.emmeans(fit, "~ 1")
    assert grand["estimate"][0] == pytest.approx(np.mean(plain["estimate"]))
    assert "Marginal mean" in str(grand)


def test_values_of_numeric_predictors(fit: ranef.Fit, data: pd.DataFrame) -> None:
    at = ranef.emmeans(fit, "age", at={"age": [30, 50]})
    assert at["age"] == [30, 50]
    assert np.diff(at["estimate"])[0] == pytest.approx(20 * fit.params["age"])
    median = ranef.emmeans(fit, "a", cov_reduce=np.median)
    assert median["estimate"][0] == pytest.approx(ranef.emmeans(fit, "a", at={"age": data.age.median()})["estimate"][0])
    assert "age = " in " ".join(median.notes)
    weeks = ranef.lm("y ~ week * a", data)
    assert ranef.emmeans(weeks, "a", by="week")["week"] == [1] * 3 + [2] * 3 + [4] * 3
    assert len(ranef.emmeans(weeks, "a")) == 3
    assert len(ranef.emmeans(weeks, "week", cov_reduce={"week": lambda x: (x.min(), x.max())})) == 2


def test_number_made_a_factor_is_a_factor(data: pd.DataFrame) -> None:
    m = ranef.lm("y ~ factor(week) + a", data)
    means = ranef.emmeans(m, "week")
    assert means["week"] == [1, 2, 4]
    assert means["estimate"][1] - means["estimate"][0] == pytest.approx(m.params.iloc[1])


def test_transformed_predictor_stands_at_the_mean_of_the_column(data: pd.DataFrame) -> None:
    m = ranef.lm("y ~ a + log(age) + poly(age, 2)", data)
    predicted = m.predict(pd.DataFrame({"a": ["x", "y", "z"], "age": data.age.mean()}), re="population")
    np.testing.assert_allclose(ranef.emmeans(m, "a")["estimate"], predicted)


def test_nested_factors() -> None:
    rng = np.random.default_rng(0)
    city = np.repeat(["a1", "a2", "a3", "b1", "b2"], 24)
    data = pd.DataFrame({"city": city, "country": [c[0] for c in city], "y": rng.normal(size=120)})
    m = ranef.lm("y ~ country + city", data)
    means = data.groupby("city").y.mean()
    countries = ranef.emmeans(m, "country")
    np.testing.assert_allclose(countries["estimate"], [means[:3].mean(), means[3:].mean()])
    assert "city in country" in " ".join(countries.notes)
    cities = ranef.emmeans(m, "city")
    assert list(zip(cities["city"], cities["country"], strict=True)) == [
        ("a1", "a"),
        ("a2", "a"),
        ("a3", "a"),
        ("b1", "b"),
        ("b2", "b"),
    ]
    within = cities.contrast(by="country")
    assert len(within) == 4
    last = within.contrast("identity", adjust="none")
    assert within["p_value"][3] == pytest.approx(last["p_value"][3])  # a family of two means needs no correction
    assert np.isnan(ranef.emmeans(m, "country", nesting={})["estimate"]).all()


def test_empty_cells_are_not_estimable() -> None:
    rng = np.random.default_rng(3)
    data = pd.DataFrame({"a": list("xxyyzz") * 6, "b": list("pqpqpp") * 6, "y": rng.normal(size=36)})
    m = ranef.lm("y ~ a * b", data)
    means = ranef.emmeans(m, ["a", "b"])
    assert np.isnan(means["estimate"]).tolist() == [False] * 5 + [True]
    assert [np.isnan(x) for x in means.confint(side="less")["conf_low"]] == [False] * 5 + [True]
    pairs = means.contrast()
    assert np.isnan(pairs["p_value"]).sum() == 5
    assert "family of 5 means" in pairs.adjustment
    assert means.joint_tests()["num_df"] == [1, 0, 1]
    additive = ranef.emmeans(ranef.lm("y ~ a + b", data), ["a", "b"])
    assert np.isfinite(additive["estimate"]).all()
    assert len(means.cld()) == 6


def test_offsets(data: pd.DataFrame) -> None:
    shifted = data.assign(o=data.age / 10)
    plain = ranef.emmeans(ranef.lm("y ~ a", shifted.assign(y=shifted.y - shifted.o)), "a")
    for m in (ranef.lm("y ~ a", shifted, offset="o"), ranef.lm("y ~ a", shifted, offset=shifted.o.to_numpy())):
        np.testing.assert_allclose(ranef.emmeans(m, "a")["estimate"], np.asarray(plain["estimate"]) + shifted.o.mean())
    written = ranef.lm("y ~ a + offset(o)", shifted)
    np.testing.assert_allclose(ranef.emmeans(written, "a", at={"o": [1.0]})["estimate"], np.asarray(plain["estimate"]) + 1.0)


def test_saved_models_need_data(fit: ranef.Fit, data: pd.DataFrame, tmp_path: Path) -> None:
    fit.save(tmp_path / "model.ranef")
    loaded = ranef.load(tmp_path / "model.ranef")
    with pytest.raises(ModelError, match="data="):
        ranef.emmeans(loaded, "a")
    np.testing.assert_allclose(ranef.emmeans(loaded, "a", data=data)["estimate"], ranef.emmeans(fit, "a")["estimate"])


def test_contrast_methods(fit: ranef.Fit) -> None:
    means = ranef.emmeans(fit, "a")
    x, y, z = means["estimate"]
    expected = {
        "pairwise": [x - y, x - z, y - z], "revpairwise": [y - x, z - x, z - y], "trt.vs.ctrl": [y - x, z - x],
        "trt.vs.ctrlk": [x - z, y - z], "consec": [y - x, z - y], "poly": [z - x, x - 2 * y + z],
        "eff": [x - (x + y + z) / 3, y - (x + y + z) / 3, z - (x + y + z) / 3],
        "del.eff": [x - (y + z) / 2, y - (x + z) / 2, z - (x + y) / 2], "helmert": [y - x, z - (x + y) / 2],
        "mean_chg": [(y + z) / 2 - x, z - (x + y) / 2], "identity": [x, y, z],
    }  # fmt: skip
    for method, values in expected.items():
        np.testing.assert_allclose(means.contrast(method)["estimate"], values, atol=1e-12, err_msg=method)
    custom = means.contrast({"z": 1, "x": -0.5, "y": -0.5})
    assert custom["contrast"] == ["z - 0.5 x - 0.5 y"]
    assert custom["estimate"][0] == pytest.approx(z - (x + y) / 2)
    named = means.contrast({"late": [-0.5, -0.5, 1], "early": {"x": 1, "y": -1}})
    assert named["contrast"] == ["late", "early"]
    np.testing.assert_allclose(means.contrast(np.array([[1, -1, 0]]))["estimate"], [x - y])
    np.testing.assert_allclose(means.contrast("trt.vs.ctrl", ref="y")["estimate"], [x - y, z - y])
    differences = means.contrast("consec").contrast("pairwise")
    assert differences["estimate"][0] == pytest.approx((y - x) - (z - y))


def test_simple_and_interaction_contrasts(fit: ranef.Fit) -> None:
    means = ranef.emmeans(fit, ["a", "b"])
    simple = means.contrast(simple="a")
    np.testing.assert_allclose(simple["estimate"], ranef.emmeans(fit, "a", by="b").contrast()["estimate"])
    interaction = means.contrast(interaction=["consec", "pairwise"])
    np.testing.assert_allclose(
        interaction["estimate"],
        -np.array([fit.params["a[T.y]:b[T.q]"], np.diff(fit.params.iloc[-2:])[0]]),
        rtol=1e-9,
    )
    assert list(interaction.columns)[:2] == ["a_consec", "b_pairwise"]
    joint = means.joint_tests()
    np.testing.assert_allclose(
        joint["statistic"][2], means.contrast(interaction="pairwise").joint_tests()["statistic"][0], rtol=1e-8
    )


def test_intervals_and_tests_agree(fit: ranef.Fit) -> None:
    for adjust in ("tukey", "mvt", "sidak", "bonferroni", "scheffe", "none"):
        pairs = ranef.emmeans(fit, "a").contrast(adjust=adjust)
        limits = pairs.confint(level=0.9)
        outside = (np.asarray(limits["conf_low"]) > 0) | (np.asarray(limits["conf_high"]) < 0)
        np.testing.assert_array_equal(outside, np.asarray(pairs["p_value"]) < 0.1, err_msg=adjust)


def test_margins(fit: ranef.Fit) -> None:
    pair = ranef.emmeans(fit, "b").contrast()
    low, high = (pair.confint(0.9)[name][0] for name in ("conf_low", "conf_high"))
    for margin in (0.05, 0.5, 3.0):
        assert (pair.test(margin=margin)["p_value"][0] < 0.05) == (-margin < low and high < margin)
        assert (pair.test(margin=margin, side="noninferiority")["p_value"][0] < 0.05) == (low > -margin)
        assert (pair.test(margin=margin, side="nonsuperiority")["p_value"][0] < 0.05) == (high < margin)
    assert pair.test(null=pair["estimate"][0])["p_value"][0] == pytest.approx(1.0)
    both = pair.test(side="greater")["p_value"][0] + pair.test(side="less")["p_value"][0]
    assert both == pytest.approx(1.0)
    assert "Equivalence" in str(pair.test(margin=0.5))


def test_back_transformation(data: pd.DataFrame) -> None:
    m = ranef.lmm("log(positive) ~ a + (1 | id)", data)
    means = ranef.emmeans(m, "a")
    back = means.response()
    np.testing.assert_allclose(back["estimate"], np.exp(means["estimate"]))
    np.testing.assert_allclose(back["std_error"], np.exp(means["estimate"]) * means["std_error"])
    np.testing.assert_allclose(back["conf_low"], np.exp(means["conf_low"]))
    ratios = back.contrast()
    assert ratios["contrast"][0] == "x / y"
    np.testing.assert_allclose(ratios["estimate"], np.exp(means.contrast()["estimate"]))
    np.testing.assert_allclose(ratios["p_value"], means.contrast()["p_value"])
    np.testing.assert_allclose(means.contrast().response()["estimate"], ratios["estimate"])
    np.testing.assert_allclose(back.link()["estimate"], means["estimate"])
    plain = means.regrid().contrast()
    np.testing.assert_allclose(plain["estimate"][0], back["estimate"][0] - back["estimate"][1])
    assert ranef.emmeans(m, "pairwise ~ a", type="response")[1]["contrast"] == ratios["contrast"]


def test_bias_adjustment_is_the_lognormal_mean(data: pd.DataFrame) -> None:
    m = ranef.lmm("log(positive) ~ a + (1 | id)", data)
    means = ranef.emmeans(m, "a")
    variance = float(sum(m.varcorr["vcov"]))
    np.testing.assert_allclose(
        means.response(bias_adjust=True)["estimate"], np.exp(np.asarray(means["estimate"]) + variance / 2), rtol=1e-9
    )
    np.testing.assert_allclose(
        means.response(bias_adjust=0.5)["estimate"], np.exp(np.asarray(means["estimate"]) + 0.125), rtol=1e-9
    )
    with pytest.raises(ModelError, match='type="response"'):
        ranef.emmeans(m, "a", bias_adjust=True)
    inverse = ranef.lm("1/positive ~ a", data)
    with pytest.raises(ModelError, match="no mean"):
        ranef.emmeans(inverse, "a", type="response", bias_adjust=True)


def test_other_scales_keep_contrasts_on_the_model(data: pd.DataFrame) -> None:
    m = ranef.lm("sqrt(positive) ~ a", data)
    back = ranef.emmeans(m, "a", type="response")
    np.testing.assert_allclose(back["estimate"], np.asarray(back.link()["estimate"]) ** 2)
    contrasts = back.contrast()
    np.testing.assert_allclose(contrasts["estimate"], back.link().contrast()["estimate"])
    assert "sqrt scale" in str(contrasts)
    with pytest.raises(ModelError, match="sqrt scale"):
        back.link().contrast().response()
    with pytest.raises(ModelError, match="cannot be back-transformed"):
        ranef.emmeans(ranef.lm("y ~ a", data), "a").response()


@pytest.mark.parametrize("name", list(LINKS))
def test_slopes_of_links(name: str) -> None:
    link, eta, h = LINKS[name], np.array([0.4, 1.3, 2.0]), 1e-6
    np.testing.assert_allclose(link.slope(eta), (link.inverse(eta + h) - link.inverse(eta - h)) / (2 * h), rtol=1e-6)


@pytest.mark.parametrize(
    ("left", "y", "eta"),
    [
        ("log(y)", 3.0, np.log(3)), ("log(y, 2)", 8.0, 3.0), ("log10(y)", 100.0, 2.0), ("log(y + 1)", 3.0, np.log(4)), ("log(2 * y)", 3.0, np.log(6)),
        ("log1p(y)", 3.0, np.log(4)), ("sqrt(y - 1)", 5.0, 2.0), ("y**0.5", 9.0, 3.0), ("y^2", 3.0, 9.0), ("1/y", 4.0, 0.25), ("I(1/y)", 4.0, 0.25),
        ("exp(y)", 2.0, np.exp(2)), ("log(y / 4)", 8.0, np.log(2)),
    ],
)  # fmt: skip
def test_responses_that_can_be_inverted(left: str, y: float, eta: float) -> None:
    link = response_link(parse(f"{left} ~ x").response, {})
    assert link is not None
    assert link.inverse(np.array([eta]))[0] == pytest.approx(y)


@pytest.mark.parametrize("left", ["y", "sin(y)", "y + z", "log(y * z)", "log(y, z)", "y**z"])
def test_responses_that_cannot(left: str) -> None:
    assert response_link(parse(f"{left} ~ x").response, {}) is None


def test_scaled_response(data: pd.DataFrame) -> None:
    m, plain = (ranef.lm(f"{left} ~ a", data) for left in ("scale(y)", "y"))
    np.testing.assert_allclose(ranef.emmeans(m, "a", type="response")["estimate"], ranef.emmeans(plain, "a")["estimate"])


def test_letters() -> None:
    different = np.zeros((4, 4), dtype=bool)
    assert display(different) == ["a"] * 4
    for i, j in [(0, 2), (0, 3), (1, 3)]:
        different[i, j] = different[j, i] = True
    assert display(different) == ["a", "ab", " bc", "  c"]
    assert display(~np.eye(3, dtype=bool)) == ["a", " b", "  c"]


@pytest.mark.parametrize("seed", range(20))
def test_letters_say_exactly_which_pairs_differ(seed: int) -> None:
    rng = np.random.default_rng(seed)
    upper = np.triu(rng.random((7, 7)) < 0.4, 1)
    different = upper | upper.T
    marks = [set(text.replace(" ", "")) for text in display(different)]
    shared = np.array([[bool(a & b) for b in marks] for a in marks])
    np.testing.assert_array_equal(shared, ~different)


def test_letter_table(fit: ranef.Fit) -> None:
    table = ranef.emmeans(fit, "a").cld()
    assert np.all(np.diff(table["estimate"]) > 0)
    assert "no proof" in str(table)
    assert ranef.emmeans(fit, "a", by="b").cld(adjust="none", descending=True)["b"] == ["p"] * 3 + ["q"] * 3
    with pytest.raises(ModelError, match="compares means"):
        ranef.emmeans(fit, "a").contrast().cld()


def test_tables_say_how_they_were_made(fit: ranef.Fit) -> None:
    means = ranef.emmeans(fit, "a")
    assert isinstance(means, Marginal)
    assert isinstance(means, ranef.Table)
    said = " ".join(means.footnotes())
    assert "Averaged over: b, sex (equal weights)" in said
    assert "Kenward and Roger" in said
    assert "Interactions with b" in said
    assert "family of 3 means" in " ".join(means.contrast().footnotes())
    assert "in each family" in " ".join(ranef.emmeans(fit, "a", by="b").contrast().footnotes())
    assert "Satterthwaite" in str(ranef.emmeans(fit, "a", ddf="satterthwaite"))
    assert "Interactions" not in str(ranef.emmeans(fit, ["a", "b"]))


def test_tables_fit_into_eighty_columns(fit: ranef.Fit) -> None:
    means = ranef.emmeans(fit, ["a", "b"], at={"age": [30, 50]})
    for table in (
        means,
        means.contrast(),
        means.confint(),
        means.test(),
        means.cld(),
        means.joint_tests(),
        means.contrast(interaction="pairwise"),
    ):
        assert max(map(len, str(table).splitlines())) <= 80
        assert "<table" in table.to_html()
        assert "toprule" in table.to_latex()


def test_frames_follow_the_data(data: pd.DataFrame) -> None:
    m = ranef.lmm("y ~ a + (1 | id)", pl.from_pandas(data))
    means = ranef.emmeans(m, "a")
    assert isinstance(means.frame, pl.DataFrame)
    assert isinstance(means.contrast().frame, pl.DataFrame)
    assert isinstance(ranef.emmeans(ranef.lmm("y ~ a + (1 | id)", data), "a").frame, pd.DataFrame)


def test_a_factor_may_have_any_name() -> None:
    rng = np.random.default_rng(2)
    data = pd.DataFrame(
        {"estimate": list("ab") * 10, "df": list("ccdd") * 5, "contrast": list("uvwxy") * 4, "y": rng.normal(size=20)}
    )
    m = ranef.lm("y ~ estimate + df + contrast", data)
    means = ranef.emmeans(m, ["estimate", "df"])
    assert list(means.columns)[:3] == ["estimate_", "df_", "estimate"]
    assert len(ranef.emmeans(m, "contrast").contrast()) == 10
    assert len(ranef.emmeans(m, "estimate", by="contrast").contrast()) == 5


@pytest.mark.parametrize(
    ("ask", "says"),
    [
        (lambda m: ranef.emmeans(m, "c"), "no predictor 'c'"),
        (lambda m: ranef.emmeans(m, "id"), "no predictor 'id'"),
        (lambda m: ranef.emmeans(m, "a", at={"a": ["w"]}), "no level 'w'"),
        (lambda m: ranef.emmeans(m, "a", at={"agee": 3}), "'agee'"),
        (lambda m: ranef.emmeans(m, "a", at={"age": ["old"]}), "must be finite numbers"),
        (lambda m: ranef.emmeans(m, "a", weights="even"), "weights='even'"),
        (lambda m: ranef.emmeans(m, "a", ddf="kr"), "ddf='kr'"),
        (lambda m: ranef.emmeans(m, "a", type="log"), "type='log'"),
        (lambda m: ranef.emmeans(m, 3), "names no factors"),
        (lambda m: ranef.emmeans(m, "a | b | sex"), "cannot be read"),
        (lambda m: ranef.emmeans([1], "a"), "not list"),
        (lambda m: ranef.emmeans(m, "a").contrast("pairs2"), "'pairs2'"),
        (lambda m: ranef.emmeans(m, "a").contrast([1, 2]), "2 columns"),
        (lambda m: ranef.emmeans(m, "a").contrast({"d": [1, -1]}), "2 coefficients"),
        (lambda m: ranef.emmeans(m, "a").contrast({"w": 1, "x": -1}), "'w'"),
        (lambda m: ranef.emmeans(m, "a").contrast("trt.vs.ctrl", ref="w"), "'w'"),
        (lambda m: ranef.emmeans(m, "a").contrast("poly", ref="x"), "no reference"),
        (lambda m: ranef.emmeans(m, "a").contrast(by="c"), "'c'"),
        (lambda m: ranef.emmeans(m, "a").contrast(adjust="some"), "adjust='some'"),
        (lambda m: ranef.emmeans(m, "a").confint(1.5), "level=1.5"),
        (lambda m: ranef.emmeans(m, "a").test(side="both"), "side='both'"),
        (lambda m: ranef.emmeans(m, "a").test(side="equivalence"), "needs a margin"),
        (lambda m: ranef.emmeans(m, "a").test(margin=1, side="greater"), "takes no margin"),
        (lambda m: ranef.emmeans(m, "a").test(margin=-1), "positive"),
        (lambda m: ranef.emmeans(m, "a", cov_reduce=3), "cov_reduce"),
    ],
)
def test_refusals_name_what_was_asked(fit: ranef.Fit, ask: object, says: str) -> None:
    with pytest.raises(ModelError) as caught:
        ask(fit)
    assert says in str(caught.value)


def test_large_model_is_answered_at_once() -> None:
    """A three-factor model on 73,421 rows: 48 means and 1,128 Tukey-adjusted differences."""
    data = reference_data("InstEval")
    m = ranef.lmm("y ~ service * lectage * studage + (1 | s) + (1 | d)", data, ddf="kenward-roger")
    pairs = ranef.emmeans(m, ["service", "lectage", "studage"]).contrast("pairwise")
    assert len(pairs) == 1128
    assert np.isfinite(pairs["p_value"]).all()
