"""check(): what it calls fine in a right model, what it catches, and what it survives."""

from __future__ import annotations

import inspect

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from tests.unit.inference.diagnostics import worlds

import ranef
from ranef.errors import DataError, ModelError
from ranef.inference.diagnostics.answer import judge


def by_code(check) -> dict:
    return {one.code: one for one in check.assessments}


@pytest.fixture(scope="module")
def right():
    return ranef.check(worlds.fit(), n=100)


def test_a_right_model_is_fine(right):
    assert {one.verdict for one in right.assessments} == {"fine"}, right
    assert right.verdict == "fine"
    assert right.findings == right.fit.findings


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (worlds.curved, "linearity_x"),
        (worlds.autocorrelated, "independence"),
        (worlds.autocorrelated, "independence_g"),
        (worlds.autocorrelated, "autocorrelation"),
        (worlds.fanning, "homoscedasticity"),
        (worlds.growing, "homoscedasticity_fitted"),
        (worlds.uneven_groups, "homoscedasticity_g"),
        (worlds.skewed, "normality"),
        (worlds.skewed, "uniformity_conditional"),
        (worlds.two_kinds, "normality_g_(Intercept)"),
        (worlds.two_kinds, "uniformity"),
        (worlds.one_row_off, "outliers"),
        (worlds.one_group_off, "influence"),
    ],
)
def test_each_check_catches_its_violation(change, code):
    found = by_code(ranef.check(worlds.fit(change), n=100))[code]
    assert found.verdict in ("look", "concern"), found
    assert found.remedy
    assert found.p_value is None or found.p_value < 0.05


def test_the_outlier_and_the_cluster_are_named():
    assert "row 17" in by_code(ranef.check(worlds.fit(worlds.one_row_off), n=20))["outliers"].evidence
    assert "g000" in by_code(ranef.check(worlds.fit(worlds.one_group_off), n=20))["influence"].evidence


def test_collinearity_is_caught():
    data = worlds.World().draw(3)
    data["x2"] = data.x + 0.1 * np.random.default_rng(1).normal(size=len(data))
    found = by_code(ranef.check(ranef.lmm("y ~ x + x2 + (1 | g)", data), n=20))
    assert found["collinearity"].verdict == "concern"
    assert found["collinearity"].statistic == pytest.approx(1 / (1 - np.corrcoef(data.x, data.x2)[0, 1] ** 2), rel=0.1)


def test_an_interaction_is_not_blamed_for_overlapping_with_its_parts():
    data = worlds.World().draw(3)
    data["x"] += 50.0
    found = by_code(ranef.check(ranef.lmm("y ~ x * z + (1 | g)", data), n=20))["collinearity"]
    assert found.verdict == "fine" and "interaction" in found.evidence


def test_clusters_that_the_model_does_not_have():
    data = worlds.World().draw(3)
    found = by_code(ranef.check(ranef.lm("y ~ x + z", data), by="g", n=50))["clusters_g"]
    assert found.verdict == "concern" and "intraclass" in found.evidence
    assert "clusters_g" not in by_code(ranef.check(ranef.lmm(worlds.FORMULA, data), by="g", n=50))


def test_rows_are_taken_in_the_order_asked_for():
    data = worlds.World().draw(5, worlds.autocorrelated)
    shuffled = data.sample(frac=1, random_state=np.random.RandomState(1)).reset_index(drop=True)
    told, untold, before = (
        by_code(ranef.check(ranef.lmm(worlds.FORMULA, frame), order=order, n=100))["independence_g"]
        for frame, order in ((shuffled, "t"), (shuffled, None), (data, None))
    )
    assert told.statistic == pytest.approx(before.statistic, rel=1e-6)
    assert told.verdict == "concern" and untold.verdict == "fine"


def test_with_many_rows_a_tiny_p_is_not_a_verdict():
    """The spread grows by a twentieth: certain, and of no consequence."""
    world = worlds.World(400, 50)
    m = worlds.fit(lambda d, rng: d["mean"] + d.group + d.error * (1 + 0.02 * d.x), world=world)
    found = by_code(ranef.check(m, n=60))["homoscedasticity"]
    assert found.p_value < 0.01 and found.verdict == "fine"


def test_many_rows_are_sampled_and_the_row_says_so():
    m = worlds.fit(world=worlds.World(400, 20))
    found = by_code(ranef.check(m, n=40))
    assert "5000 of 8000" in found["normality"].evidence
    assert "5000 of 8000" in found["uniformity"].evidence


@pytest.mark.parametrize(
    ("p", "effect", "verdict"),
    [(0.2, 9.0, "fine"), (1e-9, 0.1, "fine"), (0.03, 9.0, "look"), (1e-9, 1.5, "look"), (1e-9, 2.0, "concern"), (None, 2.0, "concern"),
     (float("nan"), 9.0, "fine"), (0.001, float("nan"), "fine")],
)  # fmt: skip
def test_a_verdict_weighs_effect_and_p(p, effect, verdict):
    assert judge(p, effect, small=1.0, large=2.0) == verdict


# -- the answer


def test_the_answer_as_table_text_and_page(right):
    assert list(right.table.columns) == ["assumption", "check", "statistic", "p_value", "verdict", "evidence", "remedy"]
    assert isinstance(right.table.frame, pd.DataFrame)
    assert len(right.table) == len(right.assessments)
    text = repr(right)
    assert text.startswith("Checks of the model") and "Shapiro-Wilk, residuals" in text
    assert max(map(len, text.splitlines())) <= 80
    assert "<table>" in right._repr_html_()


def test_what_is_not_fine_becomes_a_finding():
    check = ranef.check(worlds.fit(worlds.skewed), n=60)
    finding = next(f for f in check.findings if f.code == "check_normality")
    assert finding.severity == "serious" and finding.remedy and finding.evidence["p_value"] < 1e-6
    assert "What to do" in repr(check) and finding.remedy[:20] in repr(check).replace("\n  ", " ")


COLUMNS = {
    "linearity": ["fitted", "residual"],
    "linearity_trend": ["x", "trend", "lower", "upper"],
    "linearity:x": ["x", "residual"],
    "linearity_trend:x": ["x", "trend", "lower", "upper"],
    "acf": ["lag", "acf", "lower", "upper", "pairs"],
    "scale": ["fitted", "sqrt_abs_residual"],
    "scale_trend": ["x", "trend", "lower", "upper"],
    "spread:z": ["level", "rows", "sd"],
    "spread:g": ["level", "rows", "sd"],
    "qq_residuals": ["theoretical", "sample", "lower", "upper"],
    "qq_ranef:g:(Intercept)": ["theoretical", "sample", "lower", "upper", "level"],
    "quantile": ["predicted_rank", "scaled_residual"],
    "quantile_trend": ["x", "q25", "q50", "q75"],
    "quantile_conditional": ["predicted_rank", "scaled_residual"],
    "qq_uniform": ["expected", "observed", "lower", "upper"],
    "dispersion": ["simulated"],
    "outliers": ["row", "studentised", "p_value"],
    "influence": ["level", "cooks_distance", "threshold"],
    "collinearity": ["term", "gvif", "df", "inflation"],
    "re_pca": ["group", "component", "sd", "share", "cumulative", "direction"],
}


def test_the_panels_have_what_a_picture_draws(right):
    assert {name: list(panel.columns) for name, panel in right.panels.items()} == COLUMNS
    for name, panel in right.panels.items():
        for column, values in panel.columns.items():
            if np.asarray(values).dtype.kind == "f":
                assert np.isfinite(np.asarray(values)).all(), (name, column)
    for name in ("qq_residuals", "qq_ranef:g:(Intercept)", "qq_uniform", "acf"):
        panel = right.panels[name]
        middle = panel["sample" if "sample" in panel else "observed" if "observed" in panel else "acf"]
        assert np.all(panel["lower"] < panel["upper"])
        assert np.all((panel["lower"] <= middle) & (middle <= panel["upper"])), name


def test_each_check_names_its_panel(right):
    named = {one.panel for one in right.assessments if one.panel}
    assert named <= set(right.panels)
    assert {"linearity:x", "acf", "scale", "spread:g", "qq_residuals", "qq_ranef:g:(Intercept)", "qq_uniform", "influence"} <= named


def test_the_same_seed_gives_the_same_answer(right):
    again, other = ranef.check(right.fit, n=100), ranef.check(right.fit, n=100, seed=2)
    assert again.table.to_csv() == right.table.to_csv() != other.table.to_csv()
    for name, panel in right.panels.items():
        assert panel.to_csv() == again.panels[name].to_csv()


# -- models and data of all kinds


SLEEP = ranef.datasets.load("sleepstudy")
ODD = SLEEP.assign(
    w=np.random.default_rng(0).uniform(0.5, 2.0, 180), o=np.arange(180.0), alone=[1.0, *[0.0] * 179], twice=2 * SLEEP["Days"],
    Reaction_missing=SLEEP["Reaction"].where(SLEEP["Days"] != 4),
).set_index(np.arange(1000, 1180))  # fmt: skip
MODELS = {
    "regression": lambda: ranef.lm("Reaction ~ Days + Subject", ODD),
    "regression of a mean": lambda: ranef.lm("Reaction ~ 1", ODD),
    "no intercept": lambda: ranef.lm("Reaction ~ 0 + Days", ODD),
    "weights and offset": lambda: ranef.lmm("Reaction ~ Days + (Days | Subject)", ODD, precision_weights="w", offset="o"),
    "no fixed effects": lambda: ranef.lmm("Reaction ~ 0 + (1 | Subject)", ODD),
    "aliased column": lambda: ranef.lmm("Reaction ~ Days + twice + (1 | Subject)", ODD),
    "missing rows": lambda: ranef.lmm("Reaction_missing ~ Days + (Days | Subject)", ODD),
    "row that fits itself": lambda: ranef.lmm("Reaction ~ Days + alone + (Days | Subject)", ODD),
    "coded factor": lambda: ranef.lmm("Reaction ~ C(Days, sum) + (1 | Subject)", ODD),
    "polynomial": lambda: ranef.lmm("Reaction ~ poly(Days, 2) + (Days || Subject)", ODD),
    "zero variance": lambda: ranef.lmm("Yield ~ 1 + (1 | Batch)", ranef.datasets.load("Dyestuff2")),
    "crossed": lambda: ranef.lmm("diameter ~ 1 + (1 | plate) + (1 | sample)", ranef.datasets.load("Penicillin")),
    "nested": lambda: ranef.lmm("strength ~ 1 + (1 | batch/cask)", ranef.datasets.load("Pastes")),
    "factor slopes": lambda: ranef.lmm("score ~ Machine + (Machine | Worker)", ranef.datasets.load("Machines")),
    "five rows": lambda: ranef.lm("y ~ x", pd.DataFrame({"x": [1.0, 2, 3, 4, 5], "y": [1.0, 2, 2.5, 4.1, 5]})),
    "known variances": lambda: ranef.lmm("Reaction ~ Days + (1 | Subject)", ODD.assign(v=900.0 * ODD["w"]), sampling_variance="v"),
    "known variances, no groups": lambda: ranef.lmm("Reaction ~ Days", ODD.assign(v=2000.0 * ODD["w"]), sampling_variance="v"),
    "autoregressive effects": lambda: ranef.lmm("Reaction ~ Days + ar1(0 + block | Subject)", ODD.assign(block=(ODD["Days"] // 2).astype(str))),
    "logarithms": lambda: ranef.lmm("log(Reaction) ~ log(Days + 1) + (1 | Subject)", ODD),
}  # fmt: skip


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.filterwarnings("error")
def test_no_model_is_too_odd(name):
    check = ranef.check(MODELS[name](), n=40)
    assert repr(check) and check._repr_html_() and len(check.table.frame) == len(check.assessments)
    assert all(panel.frame is not None for panel in check.panels.values())
    for one in check.assessments:
        assert one.evidence.endswith("."), one
        assert one.verdict == "not tested" or one.statistic is not None
        assert one.p_value is None or 0.0 <= one.p_value <= 1.0, one


def test_a_direction_without_variance_is_not_tested_but_reported():
    data = worlds.World(30, 4).draw(2, lambda d, rng: d["mean"] + d.error)
    m = ranef.lmm("y ~ x + (1 + x | g)", data)
    found = by_code(ranef.check(m, n=40))
    assert m.is_singular
    assert found["dimensions_g"].verdict == "look"
    effects = [one for code, one in found.items() if code.startswith("normality_g")]
    assert len(effects) == 2 and all(one.verdict in ("fine", "not tested") for one in effects)


HAS_STRUCTURES = "residual" in inspect.signature(ranef.lmm).parameters


@pytest.mark.skipif(not HAS_STRUCTURES, reason="this version has no residual structures")
def test_a_residual_structure_explains_what_was_wrong():
    data = worlds.World().draw(5, worlds.autocorrelated)
    m = ranef.lmm(worlds.FORMULA, data, residual="ar1(t | g)")
    found = by_code(ranef.check(m, n=60))
    assert found["independence_g"].verdict == found["autocorrelation"].verdict == "fine"
    assert found["influence"].verdict == found["normality_g_(Intercept)"].verdict == "not tested"
    assert found["normality"].verdict == found["uniformity"].verdict == "fine"
    shuffled = ranef.lmm(worlds.FORMULA, data.sample(frac=1, random_state=np.random.RandomState(1)), residual="ar1(t | g)")
    assert by_code(ranef.check(shuffled, n=60))["independence_g"].statistic == pytest.approx(
        found["independence_g"].statistic, rel=1e-3
    )


@pytest.mark.parametrize("frame", [pl.from_pandas(SLEEP), pa.Table.from_pandas(SLEEP), {k: SLEEP[k].to_numpy() for k in SLEEP}])
def test_any_kind_of_frame(frame):
    m = ranef.lmm("Reaction ~ Days + (Days | Subject)", frame)
    expected = ranef.check(ranef.lmm("Reaction ~ Days + (Days | Subject)", SLEEP), n=40)
    check = ranef.check(m, n=40)
    assert np.allclose(
        [one.statistic for one in check.assessments if one.statistic is not None],
        [one.statistic for one in expected.assessments if one.statistic is not None],
    )
    if isinstance(frame, pl.DataFrame):
        assert isinstance(check.table.frame, pl.DataFrame)


def test_what_is_refused(tmp_path):
    m = ranef.lmm("Reaction ~ Days + (1 | Subject)", SLEEP)
    with pytest.raises(ModelError, match="at least 20"):
        ranef.check(m, n=3)
    with pytest.raises(DataError, match="no column 'Tag'"):
        ranef.check(m, order="Tag")
    with pytest.raises(DataError, match="same value"):
        ranef.check(m, order=np.ones(180))
    m.save(tmp_path / "m.ranef")
    with pytest.raises(ModelError, match="saved model"):
        ranef.check(ranef.load(tmp_path / "m.ranef"))
