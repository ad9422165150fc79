"""R2 and Cohen's f2: parts of terms, agreement with ordinary regression, invariance."""

from __future__ import annotations

import numpy as np
import pytest
from tests.unit.inference.examples import crossed

import ranef
from ranef.errors import ModelError


def by(table: ranef.Table, name: str) -> dict[str, float]:
    return dict(zip(table[name], table["estimate"], strict=True))


@pytest.fixture(scope="module")
def m():
    return ranef.lmm("y ~ x + a * b + (x | g) + (1 | h)", crossed())


def ols(formula: str, y: np.ndarray) -> float:
    """R2 of a least-squares fit of y to the columns of the formula."""
    fit = ranef.lm(formula, crossed().assign(y=y))
    return by(ranef.r2(fit), "quantity")["multiple"] if "~ 1" not in formula else 0.0


def test_marginal_and_conditional_are_ratios_of_the_parts(m):
    parts, found = ranef.variance_partition(m)["variance"], by(ranef.r2(m), "quantity")
    assert found["marginal"] == pytest.approx(parts[0] / parts.sum())
    assert found["conditional"] == pytest.approx(1 - parts[-1] / parts.sum())


def test_ordinary_regression_has_its_own():
    fit = ranef.lm("y ~ x + a", crossed())
    found = by(ranef.r2(fit), "quantity")
    y = crossed()["y"]
    multiple = 1 - np.sum(fit.resid**2) / np.sum((y - y.mean()) ** 2)
    assert found["multiple"] == pytest.approx(multiple)
    assert found["adjusted"] == pytest.approx(1 - (1 - multiple) * (len(y) - 1) / (len(y) - 4))


def test_the_part_of_a_term_is_what_the_fitted_mean_loses_without_it(m):
    """As a drop of R2 in regressions of the fitted mean on the columns of the terms that do not contain it."""
    mean = m.model.design.X @ m.params.to_numpy()
    noisy = mean + 1e-6 * np.random.default_rng(0).normal(size=len(mean))
    found = {
        term: value for term, value in zip(*(ranef.r2(m, by="term")[name] for name in ("term", "estimate")), strict=True) if term
    }
    fixed, total = ranef.variance_partition(m)["variance"][0], ranef.variance_partition(m)["variance"].sum()
    for term, without, with_it in (
        ("x", "y ~ a * b", "y ~ a * b + x"),
        ("a", "y ~ x + b", "y ~ x + b + a"),
        ("a:b", "y ~ x + a + b", "y ~ x + a * b"),
    ):
        drop = ols(with_it, noisy) - ols(without, noisy)
        assert found[term] == pytest.approx(drop * fixed / total, rel=1e-4)


def test_codings_do_not_change_the_parts(m):
    other = ranef.lmm("y ~ x + a * b + (x | g) + (1 | h)", crossed(), contrasts={"a": "sum", "b": "helmert"})
    for name in ("estimate", "std_error", "conf_low", "conf_high"):
        np.testing.assert_allclose(ranef.r2(other, by="term")[name], ranef.r2(m, by="term")[name], rtol=1e-6, atol=1e-9)


def test_of_an_only_term_the_part_is_all():
    table = ranef.r2(ranef.lmm("y ~ x + (1 | g)", crossed()), by="term")
    assert table["estimate"][2] == pytest.approx(table["estimate"][0])
    assert table["conf_low"][2] == pytest.approx(table["conf_low"][0])


def test_an_intercept_explains_nothing_for_certain():
    table = ranef.r2(ranef.lmm("y ~ 1 + (1 | g)", crossed()))
    assert [table[name][0] for name in ("estimate", "std_error", "conf_low", "conf_high")] == [0.0] * 4


def test_a_singular_fit_has_both():
    table = ranef.r2(ranef.lmm("Yield ~ 1 + (1 | Batch)", ranef.datasets.load("Dyestuff2")))
    assert np.all(table["estimate"] == 0.0)
    assert table["conf_high"][1] > 0.05


def test_f2_of_two_fits_and_its_interval(m):
    reduced = m.update(formula="y ~ x + (x | g) + (1 | h)")
    table = ranef.f2(m, reduced, n=60, seed=2)
    full, less = (by(ranef.r2(fit), "quantity") for fit in (m, reduced))
    found = by(table, "quantity")
    assert found["marginal R²"] == pytest.approx((full["marginal"] - less["marginal"]) / (1 - full["marginal"]))
    assert found["conditional R²"] == pytest.approx((full["conditional"] - less["conditional"]) / (1 - full["conditional"]))
    assert found["residual variance"] == pytest.approx((reduced.sigma**2 - m.sigma**2) / m.sigma**2)
    assert np.all(table["conf_low"] < table["conf_high"])
    np.testing.assert_array_equal(ranef.f2(m, reduced, n=60, seed=2)["conf_low"], table["conf_low"])


def test_f2_of_a_term_needs_one_fit(m):
    table, whole = ranef.f2(m, "x"), ranef.r2(m, by="term")
    part = dict(zip(whole["term"], whole["estimate"], strict=True))["x"]
    assert table["estimate"][0] == pytest.approx(part / (1 - whole["estimate"][0]))
    assert table["conf_low"][0] < table["estimate"][0] < table["conf_high"][0]


def test_f2_refuses_what_it_cannot_compare(m):
    with pytest.raises(ModelError, match="larger model first"):
        ranef.f2(m.update(formula="y ~ x + (x | g) + (1 | h)"), m)
    with pytest.raises(ModelError, match="different rows"):
        ranef.f2(m, ranef.lmm("y ~ x + (1 | g)", crossed().iloc[5:]))
    with pytest.raises(ModelError, match="no term 'z'"):
        ranef.f2(m, "z")
    with pytest.raises(ModelError, match="by="):
        ranef.r2(m, by="group")
    with pytest.raises(ModelError, match="refits"):
        ranef.f2(m, ranef.lmm("y ~ x + (x | g) + (1 | h)", crossed()), n=-1)
