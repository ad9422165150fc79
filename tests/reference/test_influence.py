"""Deletion diagnostics against lme4 (clusters refitted; rows) and R's influence of regressions."""

from __future__ import annotations

import numpy as np
import pytest

from ranef.inference.influence import influence
from tests.reference import compare
from tests.reference.load import fitted, reference_case, reference_cases

REL = 1e-7


def finite(values: np.ndarray) -> np.ndarray:
    return values[np.isfinite(values)]


@pytest.mark.parametrize("case_id", reference_cases("lmm", "influence"))
def test_clusters_without_which_lme4_refits(case_id: str) -> None:
    """lme4 deletes levels in the order in which they appear, and scales Cook's distance by (m - p) / m."""
    m, theirs = fitted(case_id), reference_case(case_id)["results"]["influence"]["by_group"]
    group = next(term.group for term in m.model.design.terms if term.group.name == theirs["group"])
    order = list(dict.fromkeys(group.codes.tolist()))[: len(theirs["cooks_distance"])]
    ours = influence(m, theirs["group"], "exact")
    compare.relative(ours.coefficients[order], theirs["fixef_without"], 1e-7, "coefficients without each group")
    scaled = ours.cooks[order] * (group.size - len(m.params)) / group.size
    compare.relative(scaled, theirs["cooks_distance"], 1e-6, "Cook's distance")


@pytest.mark.parametrize("case_id", reference_cases("lmm", "influence"))
def test_rows_of_a_mixed_model(case_id: str) -> None:
    m, theirs = fitted(case_id), reference_case(case_id)["results"]["influence"]
    ours = influence(m, "row", "fixed")
    compare.checksum(ours.rows["hat"], theirs["leverage"], "leverage", rel=1e-5, floor=1e-6)
    compare.checksum(ours.rows["cooks_conditional"], theirs["cooks_distance"], "Cook's distance", rel=1e-4, floor=1e-6)


@pytest.mark.parametrize("case_id", reference_cases("ols", "influence"))
def test_rows_of_a_regression(case_id: str) -> None:
    m, theirs = fitted(case_id), reference_case(case_id)["results"]["influence"]
    ours = influence(m)
    for name, values in (("cooks_distance", ours.cooks), ("dffits", ours.rows["dffits"])):
        compare.checksum(finite(values), theirs[name], name, rel=REL, floor=REL)
