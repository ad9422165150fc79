"""Size and coverage with few groups, 2,000 replicates each (their standard error is 0.5 %). The measured tables are in the docs."""

from __future__ import annotations

import pytest

from tests.slow import simulation

FIXED = simulation.fixed_designs()
VARIANCE = simulation.variance_designs()
CONSERVATIVE = {"8 groups of 2 to 12, covariate of groups"}  # 3.75 % in 12,000 replicates: the variance is often estimated as zero

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("design", FIXED, ids=[d.name for d in FIXED])
def test_kenward_roger_has_its_size(design: simulation.FixedDesign) -> None:
    rates = simulation.fixed_size(design)
    low = 0.03 if design.name in CONSERVATIVE else 0.04
    assert low <= rates["kenward-roger"] <= 0.06
    assert 0.935 <= rates["coverage"] <= 0.97
    assert rates["asymptotic"] > 0.07


@pytest.mark.parametrize("design", VARIANCE, ids=[d.name for d in VARIANCE])
def test_tests_of_a_variance_have_their_size(design: simulation.VarianceDesign) -> None:
    """The naive test rejects half as often as it says; the mixture comes close; the exact test is exact."""
    rates = simulation.variance_size(design)
    assert rates["naive"] <= 0.032
    assert 0.03 <= rates["mixture"] <= 0.06
    if design.smaller is None:
        assert 0.04 <= rates["exact"] <= 0.06


def test_bootstrap_test_of_a_slope_has_its_size(monkeypatch) -> None:
    monkeypatch.setattr("ranef.inference.bootstrap.refit.COMPILING", 0.0)
    assert 0.04 <= simulation.bootstrap_size(VARIANCE[-1]) <= 0.06
