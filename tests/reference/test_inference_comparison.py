"""Likelihood ratio tests, boundary tests and tests of random effects against lme4, lmerTest and mixtures computed in R."""

from __future__ import annotations

import re
from functools import cache

import numpy as np
import pytest

import ranef
from ranef.inference.mixture import boundary_p
from ranef.inference.nested import Cone, cone_between
from tests.reference import align, compare
from tests.reference.load import Case, fitted, reference_case, reference_cases, reference_data

CASES = reference_cases("comparison")


@cache
def fits(case_id: str) -> tuple[ranef.Fit, ...]:
    case = reference_case(case_id)
    data = reference_data(case["data"])
    return tuple(ranef.lmm(formula, data, reml=case["method"] == "REML") for formula in case["formulas"])


@cache
def compared(case_id: str) -> ranef.Table:
    return ranef.compare(*fits(case_id), reference="asymptotic")


def results(case_id: str) -> Case:
    return reference_case(case_id)["results"]


def by_reml(case_id: str) -> bool:
    return any("REML" in note for note in compared(case_id).notes if note.startswith("Restricted"))


@pytest.mark.parametrize("case_id", CASES)
def test_criteria_and_ratios(case_id: str) -> None:
    """By REML only where the fixed parts are the same: R's table of other REML fits is not a comparison, and ours refits by ML."""
    table, theirs = compared(case_id), results(case_id)["comparison"]
    if reference_case(case_id)["method"] == "REML" and not by_reml(case_id):
        assert any("refitted by ML" in note for note in table.notes)
        return
    assert list(table["npar"]) == theirs["npar"]
    for ours, name in (("llf", "loglik"), ("aic", "aic"), ("bic", "bic")):
        for a, b in zip(table[ours], theirs[name], strict=True):
            compare.likelihood(a, b, name, sign=1.0 if name == "loglik" else -1.0)
            compare.relative(a, b, 1e-6, name)
    compare.statistics(compare.numbers(table["statistic"])[1:], theirs["chisq"][1:], "chi-squared")
    assert list(table["df"])[1:] == theirs["df"][1:]
    compare.p_values(compare.numbers(table["p_naive"])[1:], theirs["p"][1:], "naive p")


@pytest.mark.parametrize("case_id", reference_cases("comparison", "boundary_test"))
def test_boundary(case_id: str) -> None:
    """First against last model. For two variances the stored mixture takes their estimates for uncorrelated; ours works the weights out."""
    theirs, models = results(case_id)["boundary_test"], fits(case_id)
    table = ranef.compare(models[0], models[-1], reference="asymptotic")
    compare.statistics(table["statistic"][1], theirs["lr"], "ratio")
    compare.p_values(table["p_naive"][1], theirs["p_plain"], "naive p")
    if theirs["mixture_weight"] != [0.25, 0.5, 0.25]:
        compare.relative(table["p_mixture"][1], theirs["p_mixture"], 1e-3, "p of the mixture")
        return
    cone = cone_between(models[0], models[-1])
    assert isinstance(cone, Cone) and cone.metric is not None and cone.orders == (1, 1)
    uncorrelated = Cone(cone.free, cone.orders, np.diag(np.diag(cone.metric)))
    compare.relative(boundary_p(theirs["lr"], uncorrelated, draws=2, seed=1).p, theirs["p_mixture"], 1e-9, "p of the mixture")
    assert table["p_mixture"][1] < theirs["p_mixture"] < table["p_naive"][1]


@pytest.mark.parametrize("case_id", CASES)
def test_variances_and_their_change(case_id: str) -> None:
    models = fits(case_id)
    table = ranef.variance_change(*models)
    ours = [row for row in table if row["group"] == "Residual"]
    theirs = [
        value["vcov"][-1] if "vcov" in value else value["sigma"] ** 2 for value in results(case_id)["variance_parameters"].values()
    ]
    compare.relative([row["vcov"] for row in ours if row["model"] == "1"], theirs[:1], 1e-4, "residual variance")
    compare.relative([row["vcov"] for row in ours], theirs, 1e-4, "residual variances")
    compare.relative([row["change"] for row in ours], np.array(theirs) / theirs[0] - 1, 1e-3, "change", floor=1e-4)


@pytest.mark.parametrize("case_id", reference_cases("lmm", "ranova"))
def test_every_random_effect(case_id: str) -> None:
    """Rows are matched by grouping factor, which lme4 may write in another order; `x in (0 + x | g)` is the whole bar."""
    table, theirs = ranef.ranova(fitted(case_id), reference="asymptotic"), results(case_id)["ranova"]
    ours = {_key(row["term"]): row for row in table}
    assert set(ours) == {_key(term) for term in theirs["term"]}
    for term, npar, llf, aic, lrt, df, p in zip(
        *(theirs[n] for n in ("term", "npar", "loglik", "aic", "lrt", "df", "p")), strict=True
    ):
        row = ours[_key(term)]
        assert row["npar"] == npar
        compare.relative([row["llf"], row["aic"]], [llf, aic], 1e-6, f"{term}: logLik, AIC")
        if lrt is not None:
            compare.statistics(row["statistic"], lrt, f"{term}: ratio")
            assert row["df"] == df
            compare.p_values(row["p_naive"], p, f"{term}: p")
            assert row["p_mixture"] <= row["p_naive"] + 1e-12


def _key(term: str) -> tuple[str, align.GroupKey]:
    if "|" not in term:
        return term, frozenset()
    alone = re.fullmatch(r"(.+) in (\(0 \+ \1 \|.*)", term)
    left, group = (alone.group(2) if alone else term).rstrip(")").split("|")
    return align.plain(left), align.group_key(group.strip())
