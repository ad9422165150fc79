"""What lme4 declines, and what we do: refuse for the same reason; a model without a bar is an ordinary regression here."""

from __future__ import annotations

import pytest

import ranef
from tests.reference.load import reference_case, reference_cases, reference_data

REFUSED = {
    "refuse-level-per-row": ("score ~ age + (1 | id)", "'id' has"),
    "refuse-nobs-equals-nre": ("distance ~ factor(age) * Sex + (0 + factor(age) | Subject)", "108 random effects"),
    "refuse-one-level": ("score ~ age + (1 | old2)", "one level"),
}


def test_every_case_is_answered() -> None:
    assert set(reference_cases("refusal")) == set(REFUSED) | {"refuse-no-random"}


@pytest.mark.parametrize("case_id", REFUSED)
def test_refused_with_the_reason(case_id: str) -> None:
    formula, reason = REFUSED[case_id]
    data = reference_data(reference_case(case_id)["data"]).assign(old2="a")
    with pytest.raises(ranef.RanefError, match=reason):
        ranef.lmm(formula, data)


def test_a_formula_without_bars_is_a_regression() -> None:
    data = reference_data(reference_case("refuse-no-random")["data"])
    m = ranef.lmm("score ~ age", data)
    assert not m.ngroups
    assert m.params.to_dict() == ranef.lm("score ~ age", data).params.to_dict()
