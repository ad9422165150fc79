"""Size and coverage with few groups, 2,000 replicates each (their standard error is 0.5 %). The measured tables are in the docs."""

from __future__ import annotations

import pytest

from tests.slow import simulation

FIXED = simulation.fixed_designs()
VARIANCE = simulation.variance_designs()
SLOPE = next(design for design in VARIANCE if design.name.startswith("12 groups of 10, slope"))
PBKRTEST = {"8 groups of 2 to 12, covariate of groups": 75}  # its rejections in the same 2,000 data sets

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("design", FIXED, ids=[d.name for d in FIXED])
def test_kenward_roger_has_its_size(design: simulation.FixedDesign) -> None:
    """One design is outside of 4 to 6 %; there the test is as conservative as pbkrtest's, data set by data set."""
    rates = simulation.fixed_size(design)
    if design.name in PBKRTEST:
        assert round(simulation.REPLICATES * rates["kenward-roger"]) == PBKRTEST[design.name]
    else:
        assert 0.04 <= rates["kenward-roger"] <= 0.06
    assert 0.935 <= rates["coverage"] <= 0.97
    assert rates["asymptotic"] > 0.07


@pytest.mark.parametrize("design", VARIANCE, ids=[d.name for d in VARIANCE])
def test_compare_has_its_size(design: simulation.VarianceDesign) -> None:
    """By default; the asymptotic mixture rejects too rarely, the naive test half as often as it says."""
    rates = simulation.variance_size(design)
    assert 0.04 <= rates["default"] <= 0.06
    if "ML" not in design.name:
        assert rates["naive"] <= 0.032
        assert rates["naive"] < rates["mixture"] <= 0.05


def test_bootstrap_test_of_a_slope_has_its_size(monkeypatch) -> None:
    monkeypatch.setattr("ranef.inference.bootstrap.refit.COMPILING", 0.0)
    assert 0.04 <= simulation.bootstrap_size(SLOPE) <= 0.06
