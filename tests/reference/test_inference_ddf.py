"""Degrees of freedom and analysis of variance against lmerTest, pbkrtest, nlme, car and lm.

All fields of all cases are compared. Where R is known to answer another question, the test says which, and checks that too:

* pbkrtest (0.5.2) leaves precision weights out of the covariance of the response; our numbers are those of the model that was fitted.
* lmerTest takes a matrix variable such as ns(x, 3) or scale(x) for a factor when it decides which term contains which.
* nlme gives the intercept the df of the rows, SAS those of the groups.
"""

from __future__ import annotations

import numpy as np
import pytest

import ranef
from tests.reference import align, compare
from tests.reference.load import Case, fitted, reference_case, reference_cases, reference_data
from tests.reference.structured import fitted_structure

METHODS = {"Satterthwaite": "satterthwaite", "Kenward-Roger": "kenward-roger"}
WEIGHTED = {case_id for case_id in reference_cases("lmm") if "weights" in reference_case(case_id)}
CONTAINMENT = {("more-dietox-ns", "II", "Cu"), ("more-feedlot-slope", "II", "diet")}
KR = 1e-5  # relative; the rule of tolerances.json is 1e-3
REL = compare.rule("ols everything")["rel"]
FIELDS = (("num_df", "df", 0.0, 0.0), ("sum_sq", "sum_sq", REL, 1e-9), ("statistic", "f", REL, 1e-9), ("p_value", "p", 1e-6, REL))
SATTERTHWAITE = 1e-4  # relative; R's derivatives are finite differences


def results(case_id: str) -> Case:
    return reference_case(case_id)["results"]


@pytest.mark.parametrize("case_id", sorted(set(reference_cases("lmm", "kenward_roger")) - WEIGHTED))
def test_kenward_roger(case_id: str) -> None:
    m, r = fitted(case_id).with_ddf("kenward-roger"), results(case_id)["kenward_roger"]
    t = r["table"]
    compare.relative(m.df, t["df"], KR, "df")
    compare.relative(m.bse, t["se"], KR, "se")
    compare.statistics(m.tvalues, t["t"], "t")
    compare.p_values(m.pvalues, t["p"], "p")
    sd = np.sqrt(np.diag(compare.numbers(r["vcov_adjusted"])))
    compare.within(m.cov_params(), r["vcov_adjusted"], KR * np.outer(sd, sd), "adjusted covariance")
    limits = m.conf_int()
    compare.within(limits["conf_low"], t["lower"], 1e-3 * compare.numbers(t["se"]), "lower")
    compare.within(limits["conf_high"], t["upper"], 1e-3 * compare.numbers(t["se"]), "upper")


@pytest.mark.parametrize("case_id", reference_cases("lmm", "satterthwaite"))
def test_satterthwaite_to_the_target(case_id: str) -> None:
    compare.relative(fitted(case_id).df, results(case_id)["satterthwaite"]["df"], SATTERTHWAITE, "df")


@pytest.mark.parametrize("case_id", reference_cases("lmm", "anova"))
def test_anova(case_id: str) -> None:
    m = fitted(case_id)
    for theirs in results(case_id)["anova"]:
        method, table = METHODS[theirs["ddf"]], theirs["table"]
        if method == "kenward-roger" and case_id in WEIGHTED:
            continue
        ours = m.anova(theirs["type"], ddf=method)
        assert [align.plain(term) for term in ours["term"]] == [align.plain(term) for term in table["term"]]
        same = [(case_id, theirs["type"], term) not in CONTAINMENT for term in table["term"]]
        compare_f(ours, table, method, np.array(same), f"type {theirs['type']}")


def compare_f(ours: ranef.Table, table: Case, method: str, same: np.ndarray, what: str) -> None:
    """Rows of F tests; a term without a test has no degrees of freedom."""
    num = np.nan_to_num(compare.numbers(table["num_df"]))
    assert list(np.asarray(ours["num_df"])) == list(num), what
    live = same & (num > 0)

    def pick(values: object) -> np.ndarray:
        return compare.numbers(values)[live]

    rel = KR if method == "kenward-roger" else compare.rule("satterthwaite.df|den_df (Satterthwaite)")["rel"]
    compare.relative(pick(ours["den_df"]), pick(table["den_df"]), rel, f"{what} den_df")
    compare.relative(pick(ours["statistic"]), pick(table["f"]), 3e-5, f"{what} F", floor=1e-6)
    compare.relative(pick(ours["sum_sq"]), pick(table["sum_sq"]), 1e-4, f"{what} sum_sq", floor=1e-6)
    compare.relative(pick(ours["mean_sq"]), pick(table["mean_sq"]), 1e-4, f"{what} mean_sq", floor=1e-6)
    compare.p_values(pick(ours["p_value"]), pick(table["p"]), f"{what} p")


@pytest.mark.parametrize("case_id", reference_cases("lmm", "anova_wald"))
def test_wald_chi_squared_as_car(case_id: str) -> None:
    for theirs in results(case_id)["anova_wald"]:
        ours = fitted(case_id).anova(theirs["type"], ddf="asymptotic", style="car")
        table = theirs["table"]
        names, tested = [align.plain(term) for term in table["term"]], list(ours["term"])
        at = [[align.plain(term) for term in tested].index(name) for name in names]
        compare.relative(np.asarray(ours["statistic"])[at], table["chisq"], 1e-5, f"type {theirs['type']} chi-squared", floor=1e-6)
        assert [ours["df"][i] for i in at] == table["df"]
        compare.p_values(np.asarray(ours["p_value"])[at], table["p"], f"type {theirs['type']} p")


@pytest.mark.parametrize("case_id", reference_cases("lmm", "drop1"))
def test_drop1_is_type_two_of_the_terms_that_can_go(case_id: str) -> None:
    table, ours = results(case_id)["drop1"], fitted(case_id).anova(2)
    at = [list(ours["term"]).index(term) for term in table["term"]]
    picked = ranef.Table({name: np.asarray(ours[name])[at] for name in ours.columns})
    compare_f(picked, table, "satterthwaite", np.ones(len(at), dtype=bool), "drop1")


@pytest.mark.parametrize("case_id", reference_cases("lmm", "contest"))
def test_joint_tests_of_contrasts(case_id: str) -> None:
    for theirs in results(case_id)["contest"]:
        for method in METHODS.values():
            key = method.replace("-", "_")
            if key in theirs:
                ours = fitted(case_id).test(np.array(theirs["L"], dtype=float), ddf=method, joint=True)
                compare_f(ours, theirs[key], method, np.array([True]), f"{theirs['id']} {method}")


@pytest.mark.parametrize("case_id", reference_cases("lmm", "model_comparison_kr"))
def test_f_tests_of_nested_means(case_id: str) -> None:
    case = reference_case(case_id)
    for theirs in case["results"]["model_comparison_kr"]:
        smaller = ranef.lmm(theirs["smaller"], reference_data(case["data"]))
        for method, table in (("kenward-roger", theirs), ("satterthwaite", theirs["satterthwaite"])):
            ours = ranef.compare(smaller, fitted(case_id), test="f", ddf=method)
            assert list(ours["num_df"]) == [table["num_df"]]
            compare.relative(ours["den_df"], [table["den_df"]], KR, "den_df")
            compare.relative(ours["statistic"], [table["f"]], KR, "F")
            compare.p_values(ours["p_value"], [table["p"]], "p")


# nlme writes the crossed effects of lme-assay-blocked as blocks of one group, whose strata are not those of our factors
@pytest.mark.parametrize("case_id", [name for name in reference_cases("lme") if name != "lme-assay-blocked"])
def test_between_within_as_nlme(case_id: str) -> None:
    """All but the intercept."""
    m = fitted_structure(case_id).with_ddf("between-within")
    theirs = compare.numbers(reference_case(case_id)["results"]["fixef"]["df"])
    assert list(m.df.iloc[1:]) == list(theirs[1:])


@pytest.mark.parametrize("case_id", reference_cases("ols", "anova"))
def test_regression_tables_as_car(case_id: str) -> None:
    """Types I, II and III of lm and car, with the row of the residuals.

    A term that is aliased as a whole is taken out of the model; car leaves no degrees of freedom to the terms that it is aliased with.
    """
    m = fitted(case_id)
    for theirs in results(case_id)["anova"]:
        table = theirs["table"]
        ours = m.anova(theirs["type"], style="car")
        tested = [align.plain(term) for term in ours["term"]]
        live = compare.numbers(table["df"]) > 0
        at = [tested.index(align.plain(term)) for term, alive in zip(table["term"], live, strict=True) if alive]
        for ours_name, theirs_name, allowed, floor in FIELDS:
            mine, theirs_values = compare.numbers(ours[ours_name])[at], compare.numbers(table[theirs_name])[live]
            compare.relative(mine, theirs_values, allowed, f"type {theirs['type']} {ours_name}", floor=floor)


@pytest.mark.parametrize("case_id", reference_cases("ols", "drop1"))
def test_regression_without_a_term(case_id: str) -> None:
    """drop1 of lm: type II of the terms that no other contains (and whose place no aliased term takes)."""
    m, table = fitted(case_id), results(case_id)["drop1"]
    ours = m.anova(2, style="car")
    for term, df, sum_sq, f in zip(table["term"][1:], table["df"][1:], table["sum_sq"][1:], table["f"][1:], strict=True):
        i = [align.plain(one) for one in ours["term"]].index(align.plain(term))
        if df:
            compare.relative([ours["num_df"][i], ours["sum_sq"][i], ours["statistic"][i]], [df, sum_sq, f], 1e-7, term, floor=1e-9)
