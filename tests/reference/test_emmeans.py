"""Marginal means, contrasts and trends against emmeans: every request of the linear cases.

Estimates to 1e-8 (of their size or standard error), standard errors and degrees of freedom to 1e-5, p-values to 1e-5 absolute. For
single-step p-values the file has `p_mvt_precise`, integrated to about 1e-5; limits that R made by random integration agree to 1e-3 of
their standard error, the others to 1e-4.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import ranef
from ranef.means.marginal import Marginal
from tests.reference import compare
from tests.reference.load import Case, fitted, reference_case, reference_cases

ESTIMATE, ERROR, P = 1e-8, 1e-5, 2e-5
NUMBERS = ("estimate", "response", "ratio", "se", "df", "lower", "upper", "t", "z", "p", "null")
SIDES = {"<": "less", ">": "greater"}


def requests() -> Iterator[Any]:
    for kind in ("ols", "lmm"):
        for case_id in reference_cases(kind, "emmeans"):
            for k, answer in enumerate(reference_case(case_id)["results"]["emmeans"]):
                yield pytest.param(case_id, k, id=f"{case_id}-{answer['id'].replace(' ', '_')}")


REQUESTS = list(requests())


def answer_of(case_id: str, k: int) -> Case:
    return reference_case(case_id)["results"]["emmeans"][k]


def our_means(case_id: str, request: dict[str, Any]) -> Marginal:
    by = request.get("by")
    specs = [name for name in request["specs"] if name not in (by or ())]
    options = {name: request[name] for name in ("at", "weights", "ddf", "type") if name in request}
    if "trend" in request:
        return ranef.emtrends(fitted(case_id), request["trend"], specs, by, **options)
    return ranef.emmeans(fitted(case_id), specs, by, **options)


def our_contrasts(means: Marginal, request: dict[str, Any]) -> Marginal:
    method, options = request.get("method", "pairwise"), {}
    if isinstance(method, str) and method.startswith("trt.vs.ctrl"):
        first = means.functions.names(means.functions.families[0])
        method, options["ref"] = "trt.vs.ctrl", first[request.get("ref", 1) - 1]
    for name in ("interaction", "simple", "adjust"):
        if name in request:
            options[name] = request[name]
    return means.contrast(method, **options)


def text(label: Any) -> str:
    try:
        return f"{float(label):.9g}"
    except (TypeError, ValueError):
        return str(label)


def in_their_order(ours: ranef.Table, theirs: dict[str, Any]) -> np.ndarray:
    """Where their rows stand among ours, by the labels."""
    names = [name for name in theirs if name not in NUMBERS]
    spelled = [name.replace("trt_vs_ctrl", "trt.vs.ctrl") for name in names]
    mine = [tuple(map(text, row)) for row in zip(*(ours[name] for name in spelled), strict=True)]
    yours = [tuple(map(text, row)) for row in zip(*(theirs[name] for name in names), strict=True)]
    assert sorted(mine) == sorted(yours)
    return np.array([mine.index(row) for row in yours])


def check(ours: ranef.Table, theirs: dict[str, Any], *, what: str) -> np.ndarray:
    """Estimates, standard errors and degrees of freedom; returns the order of the rows."""
    order = in_their_order(ours, theirs)
    name = next(name for name in ("response", "ratio", "estimate") if name in theirs)
    se = compare.numbers(theirs["se"])
    estimate = np.abs(compare.numbers(theirs[name]))
    compare.within(np.asarray(ours["estimate"])[order], theirs[name], ESTIMATE * np.maximum(estimate, se), f"{what} estimate")
    compare.relative(np.asarray(ours["std_error"])[order], theirs["se"], ERROR, f"{what} se")
    compare.relative(np.asarray(ours["df"])[order], theirs["df"], ERROR, f"{what} df")
    return order


def check_limits(ours: ranef.Table, theirs: dict[str, Any], order: np.ndarray, allowed: float) -> None:
    bound = allowed * compare.numbers(theirs["se"])
    compare.within(np.asarray(ours["conf_low"])[order], theirs["lower"], bound, "lower")
    compare.within(np.asarray(ours["conf_high"])[order], theirs["upper"], bound, "upper")


@pytest.mark.parametrize(("case_id", "k"), REQUESTS)
def test_means(case_id: str, k: int) -> None:
    answer = answer_of(case_id, k)
    request, theirs = answer["request"], answer["means"]
    means = our_means(case_id, request)
    order = check(means, theirs, what="mean")
    check_limits(means.confint(request.get("level", 0.95), adjust="none"), theirs, order, 1e-5)
    statistic = "t" if "t" in theirs else "z"
    tests = means.test()
    compare.statistics(np.asarray(tests["statistic"])[order], theirs[statistic], statistic)
    compare.within(np.asarray(tests["p_value"])[order], theirs["p"], 1e-7, "p")


@pytest.mark.parametrize(("case_id", "k"), [p for p in REQUESTS if "contrasts" in answer_of(*p.values)])
def test_contrasts(case_id: str, k: int) -> None:
    answer = answer_of(case_id, k)
    request, theirs = answer["request"], answer["contrasts"]
    contrasts = our_contrasts(our_means(case_id, request), request)
    order = check(contrasts, theirs, what="contrast")
    side = SIDES.get(request.get("side", "two-sided"), request.get("side", "two-sided"))
    tests = contrasts.test(request.get("null", 0.0), margin=request.get("delta"), side=side)
    statistic = "t" if "t" in theirs else "z"
    compare.statistics(np.asarray(tests["statistic"])[order], theirs[statistic], statistic)
    compare.within(np.asarray(tests["p_value"])[order], answer.get("p_mvt_precise") or theirs["p"], P, "p")
    if side in ("two-sided", "greater", "less"):
        limits = contrasts.confint(request.get("level", 0.95), side=side)
        check_limits(limits, theirs, order, 1e-3 if request.get("adjust") == "mvt" else 1e-4)


@pytest.mark.parametrize("case_id", [c for kind in ("ols", "lmm") for c in reference_cases(kind, "joint_tests")])
def test_joint_tests(case_id: str) -> None:
    """emmeans rounds F to three decimals; its F for Kenward-Roger is not scaled, which these balanced designs do not show."""
    theirs, m = reference_case(case_id)["results"]["joint_tests"], fitted(case_id)
    factors = theirs["term"][-1].split(":")
    ours = ranef.emmeans(m, factors, ddf="kenward-roger").joint_tests()
    assert ours["effect"] == theirs["term"]
    assert ours["num_df"] == theirs["num_df"]
    compare.relative(ours["den_df"], theirs["den_df"], ERROR, "den_df")
    compare.within(ours["statistic"], theirs["f"], 5.1e-4, "F")
    compare.within(ours["p_value"], theirs["p"], 1e-8, "p")


def test_oats_as_published() -> None:
    """The additive model of the split-plot experiment: means, standard errors and degrees of freedom as printed in the literature."""
    data = fitted("lmm-oats-split-plot").model.recipe["data"]
    m = ranef.lmm("yield ~ nitroF + Variety + (1 | Block/Variety)", data, ddf="kenward-roger")
    means = ranef.emmeans(m, "nitroF")
    assert np.round(means["estimate"], 1).tolist() == [79.4, 98.9, 114.2, 123.4]
    assert np.round(means["std_error"], 2).tolist() == [7.13] * 4
    assert np.round(means["df"], 2).tolist() == [6.64] * 4
    steps = means.contrast("consec")
    assert np.round(steps["estimate"], 2).tolist() == [19.5, 15.33, 9.17]
    assert np.round(steps["std_error"], 2).tolist() == [4.25] * 3
    compare.relative(steps["df"], [51.0] * 3, 1e-6, "df")
    crossed = ranef.emmeans(fitted("lmm-oats-split-plot"), "nitroF", ddf="kenward-roger").contrast("consec")
    compare.relative(crossed["df"], [45.0] * 3, 1e-6, "df")
