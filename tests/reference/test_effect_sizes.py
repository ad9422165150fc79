"""Parts of the variance, intraclass correlations, R2, Cohen's f2 and standardised coefficients against insight, performance, effectsize.

Two things differ on purpose. In singular fits performance gives no random part (and an R2 without it); ours has the limit. And
insight leaves out the variance of random slopes that are not columns of the fixed part, or that stand in a bar of their own
(`OMITTED`); ours is the mean of z'Omega z over the rows for every model, and is compared with that of lme4's Omega.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

import ranef
from ranef.fit.points import design_points
from tests.reference import align, compare
from tests.reference.load import Case, fitted, reference_case, reference_cases, reference_data
from tests.reference.test_lmm import STOPPED_EARLY

TOLERANCE = min(compare.rule("r2|icc|variance_parts")["abs"], 1e-8)  # of shares; both optima are that close

OMITTED = frozenset({
    "lmm-carrots-doublebar",
    "lmm-ks2013-crossed",
    "lmm-orthodont-doublebar-ml",
    "lmm-oxboys-quartic",
    "lmm-sleepstudy-bs4",
    "lmm-sleepstudy-doublebar",
    "lmm-sleepstudy-minus1-slope",
    "more-dietox-ns",
    "more-hsb82-within-between",
    "more-orthodont-nested-fixed",
    "more-sleepstudy-two-blocks",
})  # fmt: skip

PARTS = [c for c in reference_cases("lmm", "variance_parts") if c not in STOPPED_EARLY]
WITH_RANDOM = [c for c in PARTS if c not in OMITTED and "random" in reference_case(c)["results"]["variance_parts"]]
COMPARISONS = [c for c in reference_cases("comparison", "r2_nakagawa") if reference_case(c).get("family") in (None, "gaussian")]
WITH_F2 = [c for c in COMPARISONS if "effect_size" in reference_case(c)["results"]]


def results(case_id: str) -> Case:
    return reference_case(case_id)["results"]


def parts(m: ranef.Fit) -> dict[str, float]:
    table = ranef.variance_partition(m)
    return dict(zip(table["component"], table["variance"], strict=True))


def rows(table: ranef.Table, name: str) -> dict[str, float]:
    return dict(zip(table[name], table["estimate"], strict=True))


@pytest.mark.parametrize("case_id", PARTS)
def test_fixed_and_residual_variance(case_id: str) -> None:
    found, theirs = parts(fitted(case_id)), results(case_id)["variance_parts"]
    total = sum(found.values())
    compare.within(found["Fixed effects"] / total, theirs["fixed"] / total, TOLERANCE, "fixed")
    compare.within(found["Residual"] / total, theirs["residual"] / total, TOLERANCE, "residual")


@pytest.mark.parametrize("case_id", WITH_RANDOM)
def test_random_variance(case_id: str) -> None:
    found, theirs = parts(fitted(case_id)), results(case_id)["variance_parts"]
    total = sum(found.values())
    random = total - found["Fixed effects"] - found["Residual"]
    compare.within(random / total, theirs["random"] / total, TOLERANCE, "random")


@pytest.mark.parametrize("case_id", PARTS)
def test_random_variance_is_that_of_the_covariances_of_lme4(case_id: str) -> None:
    m, r = fitted(case_id), results(case_id)
    points = design_points(m.model.design, m.criterion.layout)
    theirs = 0.0
    for i, block in align.matched(m, r):
        f, part = next((f, part) for f, part in m.criterion.layout.parts if part.term == i)
        z = points.z[f][:, part.columns]
        theirs += np.einsum("nk,kl,nl->", z, block.omega, z) / m.nobs
    found = parts(m)
    total = sum(found.values())
    random = total - found["Fixed effects"] - found["Residual"]
    compare.within(random / total, theirs / total, TOLERANCE, "random")


@pytest.mark.parametrize("case_id", WITH_RANDOM)
def test_r2(case_id: str) -> None:
    found, theirs = rows(ranef.r2(fitted(case_id)), "quantity"), results(case_id)["r2_nakagawa"]
    compare.within(found["marginal"], theirs["marginal"], TOLERANCE, "marginal")
    compare.within(found["conditional"], theirs["conditional"], TOLERANCE, "conditional")


@pytest.mark.parametrize("case_id", [c for c in WITH_RANDOM if "icc" in reference_case(c)["results"]])
def test_icc(case_id: str) -> None:
    found, theirs = rows(ranef.icc(fitted(case_id)), "quantity"), results(case_id)["icc"]
    compare.within(found["adjusted"], theirs["adjusted"], TOLERANCE, "adjusted")
    compare.within(found["unadjusted"], theirs["unadjusted"], TOLERANCE, "unadjusted")


@pytest.mark.parametrize("case_id", [c for c in reference_cases("lmm", "icc_by_group") if c not in OMITTED])
def test_icc_by_group(case_id: str) -> None:
    """performance takes the variances of the intercepts only."""
    table, theirs = ranef.icc(fitted(case_id)), results(case_id)["icc_by_group"]
    ours = {
        (quantity, align.group_key(group)): value
        for quantity, group, value in zip(table["quantity"], table["group"], table["estimate"], strict=True)
        if group
    }
    for group, value in zip(theirs["group"], theirs["icc"], strict=True):
        key = align.group_key(group)
        compare.within(ours.get(("intercept", key), ours.get(("share", key))), value, TOLERANCE, group)


@pytest.mark.parametrize("case_id", reference_cases("lmm", "icc_by_group"))
def test_variances_of_single_random_effects(case_id: str) -> None:
    m, theirs = fitted(case_id), results(case_id)["variance_parts"]
    table = ranef.variance_partition(m, slopes="variances")
    ours = {
        (align.group_key(group), align.r_name(term)): value
        for group, term, value in zip(table["component"], table["term"], table["variance"], strict=True)
        if term
    }
    for group, value in theirs.get("intercept", {}).items():
        compare.within(ours[align.group_key(group), "(Intercept)"] / m.sigma**2, value / m.sigma**2, TOLERANCE, group)
    for name, value in theirs.get("slope", {}).items():
        group, term = name.split(".", 1)
        if (align.group_key(group), align.plain(term)) in ours:
            compare.relative(ours[align.group_key(group), align.plain(term)], value, 2e-4, name, floor=TOLERANCE * m.sigma**2)


@cache
def models(case_id: str) -> tuple[ranef.Fit, ...]:
    case = reference_case(case_id)
    data = reference_data(case["data"])
    return tuple(ranef.lmm(formula, data, reml=case["method"] == "REML") for formula in case["formulas"])


@pytest.mark.parametrize("case_id", COMPARISONS)
def test_r2_of_compared_models(case_id: str) -> None:
    for m, (formula, theirs) in zip(models(case_id), results(case_id)["r2_nakagawa"].items(), strict=True):
        if theirs is not None and theirs["conditional"] is not None and "||" not in formula:
            found = rows(ranef.r2(m), "quantity")
            compare.within(found["marginal"], theirs["marginal"], TOLERANCE, formula)
            compare.within(found["conditional"], theirs["conditional"], TOLERANCE, formula)


@pytest.mark.parametrize("case_id", WITH_F2)
def test_f2(case_id: str) -> None:
    reduced, full = models(case_id)
    found, theirs = rows(ranef.f2(full, reduced, n=0), "quantity"), results(case_id)["effect_size"]
    compare.relative(found["residual variance"], theirs["f2_from_residual_variance"], 2e-4, "f2 from residual variances")
    if "||" not in full.formula:
        compare.within(found["marginal R²"], theirs["f2_from_marginal_r2"], TOLERANCE, "f2 from marginal R2")


@pytest.mark.parametrize("case_id", reference_cases("lmm", "standardised"))
@pytest.mark.parametrize("method", ["refit", "basic"])
def test_standardised_coefficients(case_id: str, method: str) -> None:
    m, theirs = fitted(case_id), results(case_id)["standardised"][method]
    table = ranef.standardised(m, method=method)
    assert list(table["term"]) == theirs["term"]
    compare.within(table["estimate"], theirs["estimate"], 1e-4 * np.maximum(table["std_error"], 1e-6), method)
