"""Random effects that the fixed effects span: what can be estimated is, what cannot has no number, and a finding says which and why."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import ranef
from ranef.core.oracle import oracle_problem

SLOPES, INTERCEPTS = "Reaction ~ Days + Subject + (Days | Subject)", "Reaction ~ Days + Subject + (1 | Subject)"


@pytest.fixture(autouse=True)
def nothing_from_below() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def six_groups() -> pd.DataFrame:
    rng = np.random.default_rng(3)
    g, h, x = np.repeat(np.arange(6), 10), np.tile(np.arange(5), 12), rng.normal(size=60)
    y = rng.normal(size=6)[g] + 0.7 * rng.normal(size=5)[h] + x * (1 + 0.4 * rng.normal(size=6)[g]) + rng.normal(size=60)
    w = np.array([1, 2, 3.5, 4, 7, 9.0])[g]
    return pd.DataFrame({"y": y, "x": x, "g": g.astype(str), "h": h.astype(str), "w": w, "u": (g % 2).astype(str)})


def told(fit: ranef.Fit) -> list[ranef.Finding]:
    return [finding for finding in fit.findings if finding.code == "spanned_variance"]


def test_what_is_estimable_agrees_with_lme4() -> None:
    """lme4 2.0 and lmerTest with their gradient check off; their variance of the intercept is where the search began."""
    sleep = ranef.datasets.load("sleepstudy")
    m = ranef.lmm(SLOPES, sleep)
    assert m.deviance == pytest.approx(1578.38447794, abs=1e-7)
    assert m.varcorr["sdcor"][1] == pytest.approx(5.9221329363, rel=1e-6)
    assert m.sigma == pytest.approx(25.5918156949, rel=1e-7)
    assert m.bse["Days"] == pytest.approx(1.545788861, rel=1e-7)
    assert m.df["Days"] == pytest.approx(17.0, abs=1e-4)
    plain = ranef.lmm(INTERCEPTS, sleep)
    assert plain.deviance == pytest.approx(1611.3007221, abs=1e-7)
    assert (plain.sigma, plain.bse["Days"]) == pytest.approx((30.9912339, 0.8042214291), rel=1e-8)
    assert plain.df["Days"] == pytest.approx(161.0)
    crossed = ranef.lmm("diameter ~ plate + (1 | plate) + (1 | sample)", ranef.datasets.load("Penicillin"))
    assert crossed.deviance == pytest.approx(268.503219887, abs=1e-7)
    np.testing.assert_allclose(crossed.varcorr["sdcor"][1:], [1.9315582215, 0.5499231414], rtol=1e-6)


def test_what_is_not_estimable_has_no_number() -> None:
    m = ranef.lmm(SLOPES, ranef.datasets.load("sleepstudy"))
    assert m.status == "optimum"
    rows = {(row["term1"], row["term2"]): row["sdcor"] for row in m.varcorr}
    assert np.isnan(rows["(Intercept)", None])
    assert np.isnan(rows["(Intercept)", "Days"])
    unknown = m.params.index != "Days"
    others = (m.with_ddf("kenward-roger").pvalues, m.with_ddf("asymptotic").pvalues)
    for values in (m.df, m.pvalues, m.conf_int()["conf_low"], *others):
        np.testing.assert_array_equal(np.isnan(np.asarray(values)), unknown)
    np.testing.assert_array_equal(np.isnan(np.array(m.anova()["p_value"])), [term != "Days" for term in m.anova()["term"]])
    assert np.isnan(m.test("Subject[T.309]")["p_value"][0])
    means = ranef.emmeans(ranef.lmm("y ~ g + (1 | g)", six_groups()), "g")
    for table in (means.confint(), means.contrast("pairwise").test(), means.contrast("trt.vs.ctrl", adjust="mvt").test()):
        numbers = table["conf_low"] if "conf_low" in table else table["p_value"]
        assert np.isnan(np.asarray(numbers, dtype=float)).all()
    assert np.isnan(ranef.robust(ranef.lmm("y ~ g + (1 | g)", six_groups())).pvalues).all()


@pytest.mark.parametrize(
    ("formula", "columns", "fixed"),
    [
        ("y ~ g + (1 | g)", [("(Intercept)",)], 6),
        ("y ~ poly(w, 5) + (1 | g)", [("(Intercept)",)], 6),
        ("y ~ 0 + g + x + (x | g)", [("(Intercept)",)], 6),
        ("y ~ g + (x || g)", [("(Intercept)",)], 6),
        ("y ~ x + x:g + (x | g)", [("x",)], 6),
        ("y ~ x * g + (x | g)", [("(Intercept)", "x")], 12),
        ("y ~ g + (1 | g) + (1 | h)", [("(Intercept)",)], 6),
        ("y ~ g * h + (1 | g) + (1 | h)", [("(Intercept)",), ("(Intercept)",)], 6),
        ("y ~ u + (1 | u) + (1 | g)", [("(Intercept)",)], 2),
    ],
)
def test_the_finding_names_term_and_fixed_effects(formula: str, columns: list[tuple[str, ...]], fixed: int) -> None:
    found = told(ranef.lmm(formula, six_groups()))
    assert [finding.evidence["columns"] for finding in found] == columns
    assert len(found[0].evidence["fixed"]) == fixed
    assert found[0].severity == "serious"
    assert "is not in the data" in str(found[0])
    before = [one for one in ranef.describe(formula, six_groups()).findings if one.code == "spanned_variance"]
    assert [finding.evidence["columns"] for finding in before] == columns


@pytest.mark.parametrize("formula", ["y ~ x + (1 | g)", "y ~ poly(w, 4) + (x | g)", "y ~ u + (1 | g)", "y ~ x + g + (1 | h / g)"])
def test_other_models_are_left_alone(formula: str) -> None:
    assert told(ranef.lmm(formula, six_groups())) == []


@pytest.mark.parametrize("formula", ["y ~ g + (1 | g)", "y ~ x + g + (x | g)", "y ~ g + (1 | g) + (1 | h)"])
def test_the_restricted_likelihood_is_flat(formula: str) -> None:
    """From its definition, with n x n matrices: the variance that is not in the data may be anything."""
    data = six_groups()
    m, kept = ranef.lmm(formula, data), [] if formula.count("|") == 1 and "x |" not in formula else [-1]
    free = ranef.lmm("y ~ x + (x | g)" if "x |" in formula else formula.replace("g +", "1 +"), data).model.design
    design = m.model.design.__class__(**{**m.model.design.__dict__, "terms": free.terms})
    problem = oracle_problem(design)
    for size in (0.0, 0.5, 3.0):
        theta = np.zeros(len(problem.start()))
        theta[0] = size
        theta[kept] = m.theta
        assert problem.evaluate(theta, 0).value == pytest.approx(m.deviance, abs=1e-7)


def test_a_combination_of_columns() -> None:
    """Slopes of x - 5 are fixed effects, so that x - 5 times any variance is not seen."""
    data = six_groups().assign(z=lambda d: d["x"] - 5.0)
    m = ranef.lmm("y ~ x + z:g + (x | g)", data)
    assert "a combination of (Intercept) and x" in told(m)[0].message
    without = ranef.lmm("y ~ x + z:g + (1 | g)", data)
    assert m.deviance == pytest.approx(without.deviance, abs=1e-6)
    assert m.npar == without.npar


def test_full_likelihood_has_its_maximum_at_zero() -> None:
    data = six_groups()
    m, regression = ranef.lmm("y ~ x + g + (1 | g)", data, reml=False), ranef.lm("y ~ x + g", data)
    assert m.deviance == pytest.approx(regression.deviance, abs=1e-9)
    assert told(m)
    both = ranef.lmm("y ~ x + g + (x | g)", data, reml=False)  # the slopes' variance is in the data, and the maximum is unique
    assert told(both)
    assert both.deviance <= ranef.lmm("y ~ x + g + (0 + x | g)", data, reml=False).deviance + 1e-8


def test_weights_and_units_change_nothing() -> None:
    data = six_groups().assign(p=np.linspace(0.5, 2.0, 60))
    m = ranef.lmm("y ~ x + g + (x | g)", data, precision_weights="p")
    moved = ranef.lmm("y ~ x + g + (x | g)", data.assign(x=1e6 + 1e-3 * data["x"]), precision_weights="p")
    assert told(m)
    assert told(moved)
    assert moved.deviance - m.deviance == pytest.approx(2 * np.log(1e-3), abs=1e-3)
    assert moved.df["x"] == pytest.approx(m.df["x"], rel=1e-4)


@pytest.mark.parametrize("optimizer", ["newton", "bobyqa", "lbfgs", "em"])
def test_every_optimizer_gives_the_same(optimizer: str) -> None:
    m = ranef.lmm("y ~ g + (1 | g)", six_groups(), optimizer=optimizer)
    assert (m.status, len(m.theta)) == ("optimum", 0)
    assert ranef.lmm("y ~ x + g + (x | g)", six_groups(), start=[1.0, 0.0, 1.0]).theta.shape == (1,)


def test_what_needs_the_variance_is_refused(tmp_path: Path) -> None:
    data = six_groups()
    m = ranef.lmm("y ~ x + g + (1 | g)", data)
    for ask in (
        ranef.icc, ranef.r2, ranef.variance_partition, ranef.reliability, ranef.profile, ranef.design_effect,
        lambda fit: ranef.bootstrap(fit, n=3, seed=1), lambda fit: fit.predict(re="population", interval="confidence"),
    ):  # fmt: skip
        with pytest.raises(ranef.ModelError, match=r"\(Intercept\) in g is not in the data"):
            ask(m)
    whole = m.predict(interval="confidence")
    regression = ranef.lm("y ~ x + g", data).predict(interval="confidence")
    np.testing.assert_allclose(whole["std_error"], regression["std_error"], rtol=1e-8)  # of these groups all is known
    ranef.report(m, tmp_path / "m.html")
    assert "NaN" in str(m.summary())
    assert "NaN" in str(ranef.side_by_side(m, ranef.lm("y ~ x", data)))


def test_saved_and_refitted(tmp_path: Path) -> None:
    m = ranef.lmm("y ~ x + g + (x | g)", six_groups())
    m.save(tmp_path / "m.ranef")
    back = ranef.load(tmp_path / "m.ranef")
    pd.testing.assert_series_equal(back.df, m.df)
    assert told(back)[0].message == told(m)[0].message
    again = m.refit(m.model.design.y[::-1].copy())
    assert told(again)
    assert again.deviance == pytest.approx(ranef.lmm("y ~ x + g + (x | g)", six_groups().assign(y=m.model.design.y[::-1])).deviance)


def test_beside_other_parts_of_a_model() -> None:
    """Residual structures, known sampling variances and given variances; the rest is that of the model without the term."""
    data = six_groups().assign(t=np.tile(np.arange(10), 6), v=np.linspace(0.5, 1.0, 60))
    serial = ranef.lmm("y ~ g + (1 | g)", data, residual="ar1(t | g)")
    assert serial.deviance == pytest.approx(ranef.lmm("y ~ g", data, residual="ar1(t | g)").deviance, abs=1e-7)
    known = ranef.lmm("y ~ g + (1 | g)", data, sampling_variance="v")
    assert known.deviance == pytest.approx(ranef.lmm("y ~ g", data, sampling_variance="v").deviance, abs=1e-9)
    for fit in (serial, known):
        assert told(fit)
        assert np.isnan(fit.pvalues).all()
        assert np.isnan(fit.varcorr["sdcor"][0])
    given = ranef.lmm("y ~ g + (1 | g)", data, hold={"g": {0: 2.0}})
    assert told(given) == []
    assert np.isfinite(given.pvalues).all()


def test_degrees_of_freedom_beside_a_zero_in_the_full_likelihood() -> None:
    """Intercepts that f spans do not vary where x is at its mean, so that the covariance with the slopes is zero there; the degrees
    of freedom depend on how well it is known. lmerTest 3.1-3, from a start at this optimum (another is 3.7 higher).
    """
    i = np.arange(36)
    group, x = i // 12, i % 4 + i // 12.0
    y = (i * 37) % 23 + x * np.array([6, 1, -5])[group]
    m = ranef.lmm("y ~ f + (x | f)", {"y": y, "x": x, "f": np.array(list("abc"))[group]}, reml=False)
    assert m.deviance == pytest.approx(2 * 122.933288093, abs=1e-8)
    assert m.bse.to_numpy() == pytest.approx([2.508786796, 3.171520526, 3.547960362], rel=1e-7)
    assert m.df.to_numpy() == pytest.approx([2.397067940, 5.530717667, 35.942424891], rel=1e-6)
    (boundary,) = (found for found in m.findings if found.code == "singular_fit")
    assert m.varcorr["sdcor"][2] == pytest.approx(-1.0)
    assert boundary.evidence["directions"] == ("the correlation of (Intercept) and x in f is -1",)
