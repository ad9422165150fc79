"""Profile likelihood limits against roots of lme4's profile deviance (solved, not interpolated)."""

from __future__ import annotations

import re

import pytest

from ranef.inference.profile import profile
from tests.reference import align, compare
from tests.reference.load import fitted, reference_case, reference_cases


def our_key(name: str) -> tuple[str, frozenset[str]]:
    """`sd_Days|Subject` is (sd__Days, Subject); `cor_Days.(Intercept)|Subject` names the later effect first."""
    if name == "sigma":
        return "sd__Observation", frozenset(["Residual"])
    found = re.fullmatch(r"(sd|cor)_(.*)\|(.*)", name)
    if found is None:
        return name, frozenset()
    kind, effects, group = found.groups()
    if kind == "cor":
        later, first = effects.split(".", 1)
        effects = f"{first}.{later}"
    return f"{kind}__{effects}", align.group_key(group)


@pytest.mark.parametrize("case_id", reference_cases("lmm", "profile_ci"))
def test_profile_limits(case_id: str) -> None:
    answer = profile(fitted(case_id))
    assert not answer.findings
    theirs = reference_case(case_id)["results"]["profile_ci"]
    ours = {(row["term"], align.group_key(row["group"]) if row["group"] else frozenset()): row for row in answer.intervals}
    assert len(ours) == len(theirs["parameter"])
    for i, name in enumerate(theirs["parameter"]):
        row = ours[our_key(name)]
        compare.relative(row["conf_low"], theirs["lower"][i], 1e-7, f"{name} lower")
        compare.relative(row["conf_high"], theirs["upper"][i], 1e-7, f"{name} upper")
