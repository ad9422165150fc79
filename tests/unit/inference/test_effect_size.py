"""Standardised effects, differences of standard deviations, and the reduction of variance components."""

from __future__ import annotations

import numpy as np
import pytest
from tests.unit.inference.examples import crossed

import ranef
from ranef.errors import ModelError


@pytest.fixture(scope="module")
def m():
    return ranef.lmm("y ~ x + a + (x | g) + (1 | h)", crossed())


def test_d_is_the_effect_over_the_deviation_that_is_named(m):
    parts = dict(zip(*(ranef.variance_partition(m, fixed=False)[name] for name in ("component", "variance")), strict=True))
    expected = {
        "residual": m.sigma,
        "total": np.sqrt(sum(parts.values())),
        "h": np.sqrt(parts["h"]),
    }
    for word, sd in expected.items():
        np.testing.assert_allclose(ranef.cohens_d(m, sd=word)["estimate"], m.params.iloc[1:] / sd)
    np.testing.assert_allclose(
        ranef.cohens_d(m, sd=["h", "residual"])["estimate"], m.params.iloc[1:] / np.hypot(m.sigma, expected["h"])
    )


def test_a_known_deviation_only_changes_the_units(m):
    table, wald = ranef.cohens_d(m, sd=2.0), m.conf_int()
    np.testing.assert_allclose(table["std_error"], m.bse.iloc[1:] / 2.0)
    np.testing.assert_allclose(table["conf_low"], wald["conf_low"][1:] / 2.0)


def test_an_estimated_deviation_adds_its_own_uncertainty():
    """In ordinary regression Var(d) = 1/d_e^2 + d^2 / (2 nu), with the textbook's two groups."""
    rng = np.random.default_rng(2)
    data = {"y": rng.normal(size=30) + np.repeat([0.0, 1.0], 15), "t": np.repeat(["a", "b"], 15)}
    table = ranef.cohens_d(ranef.lm("y ~ t", data), sd="residual")
    d = table["estimate"][0]
    assert table["std_error"][0] == pytest.approx(np.sqrt(2 / 15 + d**2 / (2 * 28)))


def test_contrasts_by_text_are_standardised_too(m):
    table = ranef.cohens_d(m, "a[T.q] - a[T.r]", sd="residual")
    assert table["estimate"][0] == pytest.approx((m.params["a[T.q]"] - m.params["a[T.r]"]) / m.sigma)


def test_units_of_the_response_do_not_matter(m):
    other = ranef.lmm("y ~ x + a + (x | g) + (1 | h)", crossed().assign(y=lambda d: 7 + 100 * d["y"]))
    for name in ("estimate", "std_error", "conf_low"):
        np.testing.assert_allclose(ranef.cohens_d(other)[name], ranef.cohens_d(m)[name], rtol=1e-5)


def test_a_deviation_of_zero_divides_nothing():
    singular = ranef.lmm("Yield ~ 1 + (1 | Batch)", ranef.datasets.load("Dyestuff2"))
    with pytest.raises(ModelError, match="estimated as zero"):
        ranef.cohens_d(singular, "(Intercept)", sd="Batch")
    with pytest.raises(ModelError, match="beside the intercept"):
        ranef.cohens_d(singular)
    with pytest.raises(ModelError, match="not known"):
        ranef.cohens_d(singular, "(Intercept)", sd="batch")
    with pytest.raises(ModelError, match="positive"):
        ranef.cohens_d(singular, "(Intercept)", sd=-1.0)


def test_standardised_by_refitting_is_a_fit_to_standardised_data(m):
    data = crossed()
    for name in ("x", "y"):
        data[name] = (data[name] - data[name].mean()) / data[name].std()
    again = ranef.lmm("y ~ x + a + (x | g) + (1 | h)", data)
    np.testing.assert_allclose(ranef.standardised(m)["estimate"], again.params, atol=1e-7)
    with pytest.raises(ModelError, match="weights"):
        ranef.standardised(ranef.lmm("y ~ x + (1 | g)", crossed(), precision_weights="w"))
    with pytest.raises(ModelError, match="method="):
        ranef.standardised(m, method="smart")


def test_standardised_columns(m):
    data = crossed()
    table = ranef.standardised(m, method="basic")
    assert table["estimate"][1] == pytest.approx(m.params["x"] * data["x"].std() / data["y"].std())
    assert table["estimate"][0] == 0.0


def test_reduction_of_each_component(m):
    null = ranef.lmm("y ~ 1 + (x | g) + (1 | h)", crossed())
    table = ranef.variance_reduction(null, m, n=40, seed=4)
    before, after = table["before"], table["after"]
    half = len(before) // 2
    np.testing.assert_allclose(table["estimate"][:half], 1 - after[:half] / before[:half])
    np.testing.assert_allclose(table["estimate"][half:], (np.sqrt(after) - np.sqrt(before))[half:] / null.sigma)
    assert np.all(table["conf_low"] <= table["conf_high"])
    assert list(table["component"][:half]) == ["g", "g", "h", "Residual"]


def test_nothing_becomes_of_a_variance_of_zero():
    data = ranef.datasets.load("Dyestuff2")
    m = ranef.lmm("Yield ~ 1 + (1 | Batch)", data)
    table = ranef.variance_reduction(m, m.update(reml=False), n=0)
    assert table["estimate"][0] == 0.0
    assert np.isnan(table["conf_low"]).all()


def test_conditions_with_rows_of_their_own():
    data = crossed()
    one, two = (ranef.lmm("y ~ x + (1 | g)", data[data["a"] == level]) for level in "pq")
    table = ranef.variance_reduction(one, two, reference="total", n=20, seed=1)
    assert any("different rows" in note for note in table.notes)
    assert np.all(np.isfinite(table["conf_low"]))


def test_two_standard_deviations_of_one_model():
    m = ranef.lmm("y ~ x + (x || g) + (1 | h)", crossed())
    table = ranef.sd_difference(m, "h", ("g", "x"))
    sd = {(row["group"], row["term1"]): row["sdcor"] for row in m.varcorr}
    assert table["estimate"][0] == pytest.approx((sd["g", "x"] - sd["h", "(Intercept)"]) / m.sigma)
    assert table["conf_low"][0] < table["estimate"][0] < table["conf_high"][0]
    back = ranef.sd_difference(m, ("g", "x"), "h")
    assert back["conf_low"][0] == pytest.approx(-table["conf_high"][0])
    assert ranef.sd_difference(m, "Residual", "h", reference=2.0)["before"][0] == pytest.approx(m.sigma)
    with pytest.raises(ModelError, match="several random effects"):
        ranef.sd_difference(m, "g", "h")
    with pytest.raises(ModelError, match="no random effect 'z'"):
        ranef.sd_difference(m, ("g", "z"), "h")
    with pytest.raises(ModelError, match="positive"):
        ranef.sd_difference(m, "h", "h", reference=0.0)
