"""Checks of regressions against R's lmtest 0.9-40, car and stats.

Where R answers another question the test says which:

- `bptest` of a weighted regression tests whether the unweighted residuals have constant variance, which the weights deny; ours are
  weighted, and there is no number of R to compare with.
- `resettest` forgets the weights.
- `dwtest` and `resettest` do not drop aliased columns: their degrees of freedom are wrong there.
- `resettest` gives F = 0 with p = 1, or rounding, where the powers are aliased with the model; ours says that nothing was tested.
- `dwtest` integrates with 15 nodes: its p value is right to 1e-3. With 200 nodes R gives 0.752571 for ols-prestige, ours is 0.752566.
"""

from __future__ import annotations

import numpy as np
import pytest

import ranef
from ranef.inference.diagnostics.collinearity import inflation
from ranef.inference.diagnostics.normality import shape
from ranef.inference.diagnostics.reset import reset
from ranef.inference.diagnostics.spread import breusch_pagan
from tests.reference import compare
from tests.reference.load import fitted, reference_case, reference_cases

CASES = reference_cases("ols")
WEIGHTED, ALIASED = "ols-mtcars-weights", "ols-rank-deficient"
REL = 1e-8


def diagnostics(case_id: str) -> dict:
    return reference_case(case_id)["results"]["diagnostics"]


def having(name: str, *without: str) -> list[str]:
    return [case_id for case_id in CASES if name in diagnostics(case_id) and case_id not in without]


def assessment(case_id: str, code: str):
    return next(one for one in ranef.check(fitted(case_id), n=20).assessments if one.code == code)


@pytest.mark.parametrize("case_id", having("durbin_watson"))
def test_durbin_watson(case_id: str) -> None:
    ours, theirs = assessment(case_id, "independence"), diagnostics(case_id)["durbin_watson"]
    compare.relative(ours.statistic, theirs["dw"], REL, "d")
    if case_id != ALIASED:
        compare.within(ours.p_value, theirs["p_two_sided"], 1e-3, "p")


def test_durbin_watson_with_more_nodes() -> None:
    compare.within(assessment("ols-prestige", "independence").p_value, 0.75257076601, 1e-5, "p")


@pytest.mark.parametrize("case_id", having("breusch_pagan", WEIGHTED))
def test_breusch_pagan(case_id: str) -> None:
    m, theirs = fitted(case_id), diagnostics(case_id)
    residuals, X = np.asarray(m.resid), m.model.design.X[:, list(m.criterion.gram.standard.kept)]
    for studentised, name in ((True, "breusch_pagan"), (False, "breusch_pagan_not_studentized")):
        ours = breusch_pagan(residuals, X, studentised=studentised)
        compare.relative(ours.statistic, theirs[name]["statistic"], REL, name)
        assert ours.df == (theirs[name]["df"],)
        compare.within(ours.p_value, theirs[name]["p"], 1e-9, f"p of {name}")
    checked = assessment(case_id, "homoscedasticity")
    compare.relative(checked.statistic, theirs["breusch_pagan"]["statistic"], REL, "in check()")
    compare.within(checked.p_value, theirs["breusch_pagan"]["p"], 1e-9, "p in check()")


@pytest.mark.parametrize("case_id", CASES)
def test_score_test_of_the_fitted_values(case_id: str) -> None:
    """car's ncvTest, which weights as we do."""
    m, theirs = fitted(case_id), diagnostics(case_id)["score_test_fitted"]
    residuals = np.asarray(m.residuals("pearson"))
    ours = breusch_pagan(residuals, np.asarray(m.fittedvalues)[:, None], studentised=False)
    compare.within(ours.statistic, theirs["statistic"], 1e-7 * (1 + theirs["statistic"]), "score")


@pytest.mark.parametrize("case_id", CASES)
def test_shapiro_wilk(case_id: str) -> None:
    """R and SciPy have the same algorithm of Royston (1995), SciPy in single precision here and there."""
    m, theirs = fitted(case_id), diagnostics(case_id)
    standardised = np.asarray(m.residuals("standardised"))
    for values, name in ((np.asarray(m.resid), "residuals"), (standardised[np.isfinite(standardised)], "standardised")):
        ours = shape(values)
        compare.within(ours.statistic, theirs[f"shapiro_wilk_{name}"]["w"], 1e-8, "W")
        compare.within(ours.p_value, theirs[f"shapiro_wilk_{name}"]["p"], 1e-7, "p")
    compare.within(assessment(case_id, "normality").statistic, theirs["shapiro_wilk_standardised"]["w"], 1e-8, "W in check()")


@pytest.mark.parametrize("case_id", having("reset", WEIGHTED))
def test_reset(case_id: str) -> None:
    m, theirs = fitted(case_id), diagnostics(case_id)["reset"]
    ours = reset(m, np.asarray(m.fittedvalues))
    if ours.num_df == 0:
        assert theirs["p"] == 1 or case_id == "ols-score-mean"  # R's F there is made of rounding
        assert assessment(case_id, "linearity").verdict == "not tested"
        return
    lost = 1.0 if case_id != ALIASED else theirs["den_df"] / ours.den_df
    assert ours.num_df == theirs["num_df"] and ours.den_df == theirs["den_df"] + (case_id == ALIASED)
    compare.relative(ours.statistic * lost, theirs["statistic"], 1e-8, "F", floor=1e-12)
    if case_id != ALIASED:
        compare.within(ours.p_value, theirs["p"], 1e-9, "p")
        compare.within(assessment(case_id, "linearity").p_value, theirs["p"], 1e-9, "p in check()")


def test_reset_with_weights_is_the_f_test_of_nested_weighted_regressions() -> None:
    m = fitted(WEIGHTED)
    design, f = m.model.design, np.asarray(m.fittedvalues)
    root = np.sqrt(design.weights)

    def rest(X):
        return float(np.linalg.lstsq(X * root[:, None], design.y * root, rcond=None)[1][0])

    small, large = rest(design.X), rest(np.column_stack([design.X, f**2, f**3]))
    dof = m.nobs - design.X.shape[1] - 2
    ours = reset(m, f)
    compare.relative(ours.statistic, (small - large) / 2 / (large / dof), 1e-8, "F")
    assert ours.den_df == dof


@pytest.mark.parametrize("case_id", [c for c in CASES if reference_case(c)["results"].get("vif")])
def test_variance_inflation(case_id: str) -> None:
    theirs = reference_case(case_id)["results"]["vif"]
    ours = inflation(fitted(case_id))
    assert ours is not None
    assert list(ours.terms) == theirs["term"]
    compare.relative(ours.gvif, theirs.get("gvif", theirs.get("vif")), 1e-6, "GVIF")
    if "df" in theirs:
        assert ours.df.tolist() == theirs["df"]
        compare.relative(np.sqrt(ours.factor), theirs["gvif_1_2_df_"], 1e-6, "GVIF^(1/2df)")


# -- numbers of R 4.2.2 with lmtest 0.9-40, car 3.1-1 and lme4 1.1-31 that are not among the cases


def test_variance_inflation_of_mixed_models() -> None:
    """car's vif of an lmer fit by its default settings, which fix the variances to about 1e-7."""
    data = ranef.datasets.load("Orthodont")
    m = ranef.lmm("distance ~ age * Sex + (1 | Subject)", data.assign(Sex=data["Sex"].astype(str)))  # Female first, as in R
    compare.relative(inflation(m).gvif, [2.45454545455, 4.07699833548, 5.53154379002], 1e-7, "vif")
    m = ranef.lmm("Reaction ~ Days + I(Days^2) + (1 | Subject)", ranef.datasets.load("sleepstudy"))
    compare.relative(inflation(m).gvif, [13.65625, 13.65625], 1e-9, "vif")


def test_principal_components_are_lme4s() -> None:
    table = ranef.re_pca(fitted("lmm-sleepstudy-slope-reml"))
    sigma = fitted("lmm-sleepstudy-slope-reml").sigma
    compare.relative(np.array(table["sd"]) / sigma, [0.966867972252, 0.230879814201], 1e-5, "sdev")
    compare.within(table["share"], [0.94605, 0.05395], 5e-6, "proportion of variance")
    assert table["direction"][0] == "1.00 (Intercept) + 0.02 Days"


def test_a_regression_of_the_sleep_study() -> None:
    m = ranef.lm("Reaction ~ Days", ranef.datasets.load("sleepstudy"))
    by_code = {one.code: one for one in ranef.check(m, n=20).assessments}
    compare.relative(by_code["independence"].statistic, 0.6952774742, 1e-9, "d")
    compare.relative(by_code["homoscedasticity"].statistic, 17.02712146, 1e-9, "BP")
    compare.relative(by_code["homoscedasticity"].p_value, 3.68496896e-05, 1e-8, "p of BP")
    compare.relative(by_code["linearity"].statistic, 0.2369922364, 1e-8, "RESET")
    compare.relative(by_code["linearity"].p_value, 0.789248788, 1e-8, "p of RESET")
