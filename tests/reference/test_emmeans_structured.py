"""Marginal means, contrasts and trends of models with residual structures against emmeans on fits of nlme.

Estimates to 1e-5 standard errors and standard errors to 1e-5: nlme's optimum is that good. For Satterthwaite's method emmeans differentiates
nlme's own covariance matrix of the parameters by finite differences, so that its degrees of freedom agree to a hundredth; exact ones are
compared with SAS (`test_certified_trial`). Its other degrees of freedom, rows less parameters and nlme's inner-outer rule, are not those of a
method here that goes by the same name.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import ranef

from . import compare
from .load import Case, reference_case, reference_cases
from .structured import fitted_structure
from .test_emmeans import in_their_order, our_contrasts

CASES = [*reference_cases("gls", "emmeans"), *reference_cases("lme", "emmeans"), *reference_cases("mmrm", "emmeans")]


def requests() -> Iterator[Any]:
    for case_id in CASES:
        for k, answer in enumerate(reference_case(case_id)["results"]["emmeans"]):
            yield pytest.param(case_id, k, id=f"{case_id}-{answer['id'].replace(' ', '_')}")


REQUESTS = list(requests())


def means_of(case_id: str, request: dict[str, Any]) -> Any:
    fit, by = fitted_structure(case_id), request.get("by")
    specs = [name for name in request["specs"] if name not in (by or ())]
    options = {name: request[name] for name in ("at", "weights") if name in request}
    if "trend" in request:
        return ranef.emtrends(fit, request["trend"], specs, by, **options)
    return ranef.emmeans(fit, specs, by, **options)


def check(ours: ranef.Table, theirs: dict[str, Any], request: dict[str, Any], what: str) -> None:
    order = in_their_order(ours, theirs)
    se = compare.numbers(theirs["se"])
    compare.within(np.asarray(ours["estimate"])[order], theirs["estimate"], 1e-5 * se, f"{what}: estimate")
    compare.relative(np.asarray(ours["std_error"])[order], se, 1e-5, f"{what}: standard error")
    if request["ddf"] == "satterthwaite":
        compare.relative(np.asarray(ours["df"])[order], theirs["df"], 1e-2, f"{what}: df")


@pytest.mark.parametrize(("case_id", "k"), REQUESTS)
def test_means_and_contrasts(case_id: str, k: int) -> None:
    answer: Case = reference_case(case_id)["results"]["emmeans"][k]
    request = answer["request"]
    means = means_of(case_id, request)
    check(means, answer["means"], request, f"{case_id}: mean")
    if "contrasts" in answer:
        contrasts = our_contrasts(means, request)
        check(contrasts, answer["contrasts"], request, f"{case_id}: contrast")
        if request["ddf"] == "satterthwaite":
            tests, order = contrasts.test(), in_their_order(contrasts, answer["contrasts"])
            compare.statistics(np.asarray(tests["statistic"])[order], answer["contrasts"]["t"], f"{case_id}: t")
            compare.within(np.asarray(tests["p_value"])[order], answer["contrasts"]["p"], 1e-4, f"{case_id}: p")


def test_an_mmrm_fit_has_the_same_means() -> None:
    """The thin layer, with Kenward and Roger's method: the same means, larger standard errors."""
    case = reference_case("gls-simtrial-un-emm")
    answer = case["results"]["emmeans"][0]
    plain = fitted_structure("gls-simtrial-un-emm")
    subject = plain.model.design.residual.subject.name
    m = ranef.mmrm(case["formula"], plain.model.recipe["data"], subject=subject, visit="visit", cov="un")
    ours = ranef.emmeans(m, "arm", by="visit").contrast("revpairwise")
    order = in_their_order(ours, answer["contrasts"])
    se = compare.numbers(answer["contrasts"]["se"])
    compare.within(np.asarray(ours["estimate"])[order], answer["contrasts"]["estimate"], 1e-5 * se, "contrast")
    assert (np.asarray(ours["std_error"])[order] > se).all()
    assert (np.asarray(ours["std_error"])[order] < 1.05 * se).all()
