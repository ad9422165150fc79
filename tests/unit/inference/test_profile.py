"""Profiles against their definition: derivatives, constrained minima, boundaries, and the fit left alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import ranef
from ranef.core.criterion import Criterion
from ranef.core.gram import Gram
from ranef.core.layout import Layout
from ranef.core.standard import standardise
from ranef.inference.profile import profile
from ranef.optim import minimise

RISE = 3.841458820694124


def crossed(seed: int = 1, n: int = 300) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    g, h = rng.integers(0, 12, n), rng.integers(0, 9, n)
    x = rng.normal(size=n) + 3
    y = 1 + 0.5 * x + rng.normal(size=12)[g] + (0.5 * rng.normal(size=12))[g] * x + 0.7 * rng.normal(size=9)[h] + rng.normal(size=n)
    return pd.DataFrame({"y": y, "x": x, "g": g.astype(str), "h": h.astype(str)})


MODELS = {
    "slope": "y ~ x + (x | g)",
    "diagonal": "y ~ x + diag(x | g)",
    "identity": "y ~ x + id(x | g)",
    "crossed": "y ~ x + (x | g) + (1 | h)",
    "regression": "y ~ x",
}


@pytest.fixture(scope="module", params=MODELS)
def fit(request):
    return ranef.lmm(MODELS[request.param], crossed())


def test_derivatives_are_those_of_the_values(fit) -> None:
    rng = np.random.default_rng(0)
    p = profile(fit)
    for axis in p.axes:
        surface = axis.make()
        v = surface.optimum + 0.05 * rng.normal(size=len(surface.optimum))
        at = surface.evaluate(v)
        steps = 1e-6 * np.eye(len(v))
        sides = [(surface.evaluate(v + h), surface.evaluate(v - h)) for h in steps]
        gradient = [(up.value - down.value) / 2e-6 for up, down in sides]
        hessian = [(up.gradient - down.gradient) / 2e-6 for up, down in sides]
        np.testing.assert_allclose(
            at.gradient, gradient, rtol=1e-5, atol=2e-5 * max(1, np.abs(at.gradient).max()), err_msg=axis.term
        )
        np.testing.assert_allclose(at.hessian, hessian, rtol=1e-5, atol=1e-6 * np.abs(at.hessian).max(), err_msg=axis.term)


def test_estimates_are_those_of_maximum_likelihood(fit) -> None:
    table, ml = profile(fit).intervals, fit.update(reml=False)
    fixed = [e for e, kind in zip(table["estimate"], table["effect"], strict=True) if kind == "fixed"]
    np.testing.assert_allclose(fixed, ml.params, rtol=1e-7)
    theirs = dict(
        zip(zip(ml.varcorr["group"], ml.varcorr["term1"], ml.varcorr["term2"], strict=True), ml.varcorr["sdcor"], strict=True)
    )
    for row in table:
        if row["term"].startswith("sd__") and row["group"] != "Residual":
            assert row["estimate"] == pytest.approx(theirs[row["group"], row["term"][4:], None], rel=1e-5)


def test_limits_of_a_coefficient_are_where_the_restricted_model_rises_enough(fit) -> None:
    """The offset takes the coefficient's part: an independent model on the rows."""
    p = profile(fit, which="x")
    ml = fit.update(reml=False)
    for limit in (p.intervals["conf_low"][0], p.intervals["conf_high"][0]):
        design = ml.model.design
        held = replace(design, y=design.y - limit * design.X[:, 1], X=design.X[:, :1], names=design.names[:1])
        criterion = Criterion.of_gram(Gram.of(standardise(held, Layout.of(held.terms))), reml=False)
        value = minimise(criterion).value if design.terms else criterion.evaluate(np.zeros(0), 0).value
        unrestricted = (
            ml.criterion.evaluate(ml.optimum.theta, 0).value
            if design.terms
            else Criterion.of_gram(ml.criterion.gram, False).evaluate(np.zeros(0), 0).value
        )
        assert value - unrestricted == pytest.approx(RISE, abs=2e-6)


def test_limits_of_a_deviation_by_brute_force() -> None:
    """A grid over theta with sigma profiled under the constraint sigma * theta = sd."""
    m = ranef.lmm("y ~ x + (1 | g)", crossed(), reml=False)
    table = profile(m, which="sd__(Intercept)").intervals
    n, best = m.nobs, m.deviance

    def constrained(sd: float) -> float:
        sigmas = m.sigma * np.linspace(0.8, 1.25, 4001)
        out = np.inf
        for sigma in sigmas[::400]:
            out = min(out, value(sd, sigma))
        low, high = 0.8 * m.sigma, 1.25 * m.sigma
        for _ in range(80):
            a, b = low + (high - low) / 3, high - (high - low) / 3
            low, high = (low, b) if value(sd, a) < value(sd, b) else (a, high)
        return min(out, value(sd, low))

    def value(sd: float, sigma: float) -> float:
        theta = np.array([sd / sigma])
        profiled = m.deviance_at(theta)
        s = (
            m.criterion.pieces(ranef.core.solution.theta_from_user(m.criterion, theta), 0).gls.pwrss
            * m.criterion.gram.standard.unit**2
        )
        return profiled - n * (1 + np.log(s / n)) + n * np.log(sigma**2) + s / sigma**2

    for limit in (table["conf_low"][0], table["conf_high"][0]):
        assert constrained(limit) - best == pytest.approx(RISE, abs=1e-6)


def test_correlation_profile_holds_the_correlation() -> None:
    m = ranef.lmm("y ~ x + (x | g)", crossed(), reml=False)
    p = profile(m, which="cor__(Intercept).x")
    (surface,) = [axis.make() for axis in p.axes]
    v = surface.optimum + np.array([0.1, 0.2, -0.1, 0.3])
    from ranef.inference.profile.coordinates import turned

    S = m.criterion.gram.z_map(0)
    covariance = turned(np.linalg.inv(S))
    root = np.linalg.inv(S) @ covariance.factor(v[1:])
    omega = root @ root.T
    assert omega[0, 1] / np.sqrt(omega[0, 0] * omega[1, 1]) == pytest.approx(surface.user(v[surface.axis]), abs=1e-12)


def test_units_change_limits_by_units_only() -> None:
    data = crossed()
    here = profile(ranef.lmm("y ~ x + (x | g)", data)).intervals
    moved = profile(ranef.lmm("y ~ x + (x | g)", data.assign(x=1000 * data["x"], y=data["y"] / 7))).intervals
    for name in ("conf_low", "conf_high"):
        ours, theirs = (dict(zip(zip(t["group"], t["term"], strict=True), t[name], strict=True)) for t in (here, moved))
        for key, value in ours.items():
            factor = 1.0 if "cor" in key[1] else 1 / 7000 if key[1] in ("x", "sd__x") else 1 / 7
            assert theirs[key] == pytest.approx(value * factor, rel=1e-6)


def test_zero_variance_has_the_limit_zero_and_an_upper_limit() -> None:
    m = ranef.lmm("Yield ~ 1 + (1 | Batch)", ranef.datasets.load("Dyestuff2"))
    table = profile(m, which="ran_pars").intervals
    assert table["conf_low"][0] == 0.0
    assert 0.0 < table["conf_high"][0] < 3.0
    assert not profile(m).findings


def test_a_correlation_that_says_nothing_ranges_over_all_values() -> None:
    rng = np.random.default_rng(3)
    g = np.repeat(np.arange(10), 8)
    x = np.tile(np.arange(8.0), 10)
    data = pd.DataFrame({"y": x + rng.normal(size=80), "x": x, "g": g.astype(str)})
    p = profile(ranef.lmm("y ~ x + (x | g)", data))
    row = next(r for r in p.intervals if r["term"].startswith("cor__"))
    assert (row["conf_low"], row["conf_high"]) == (-1.0, 1.0)


def test_curves_rise_from_the_estimate(fit) -> None:
    for curve in profile(fit).curves:
        assert np.all(np.diff(curve.values) > 0) or curve.axis.term.startswith("cor")
        assert np.all(np.diff(curve.zeta) > 0)
        assert curve.values[np.argmin(np.abs(curve.zeta))] == pytest.approx(curve.estimate, rel=1e-6)


def test_levels_nest_and_the_fit_is_left_alone(fit) -> None:
    before = (fit.theta.copy(), fit.sigma, fit.deviance, fit.reml)
    p = profile(fit)
    narrow, wide = p.conf_int(0.8), p.conf_int(0.99)
    assert np.all(narrow["conf_low"] >= wide["conf_low"])
    assert np.all(narrow["conf_high"] <= wide["conf_high"])
    np.testing.assert_array_equal(before[0], fit.theta)
    assert before[1:] == (fit.sigma, fit.deviance, fit.reml)


def test_regression_has_the_limits_of_its_closed_form() -> None:
    """n log(1 + t^2 / (n - p)) = rise."""
    m = ranef.lmm("y ~ x", crossed())
    table = profile(m).intervals
    t = np.sqrt(m.df_residual * np.expm1(RISE / m.nobs))
    np.testing.assert_allclose(table["conf_high"][:2], m.params + t * m.bse, rtol=1e-9)


def test_words_of_lme4_name_the_same_parameters() -> None:
    m = ranef.lmm("Reaction ~ Days + (Days | Subject)", ranef.datasets.load("sleepstudy"))
    for which in ("sigma", ".sigma", ["sigma"], "sd__Observation"):
        table = m.conf_int(method="profile", which=which)
        assert list(table["term"]) == ["sd__Observation"]
        np.testing.assert_allclose([table["conf_low"][0], table["conf_high"][0]], [22.89826, 28.85800], atol=2e-4)  # lme4
    assert list(profile(m, which="beta_").intervals["term"]) == ["(Intercept)", "Days"]
    assert list(profile(m, which="theta_").intervals["term"]) == list(profile(m, which="ran_pars").intervals["term"])


def test_a_column_called_sigma_is_itself() -> None:
    m = ranef.lmm("y ~ sigma + (1 | g)", crossed().rename(columns={"x": "sigma"}))
    assert list(profile(m, which="sigma").intervals["effect"]) == ["fixed"]


def test_unknown_names_are_refused(fit) -> None:
    with pytest.raises(ranef.ModelError, match="sd__nobody"):
        profile(fit, which="sd__nobody")
    with pytest.raises(ranef.ModelError, match="between 0 and 1"):
        profile(fit, level=95)


@pytest.mark.parametrize("exact", [True, False])
def test_engine_for_many_effects_gives_the_same_limits(exact: bool) -> None:
    """Also with average information in place of the Hessian."""
    from ranef.core.block import Block
    from ranef.fit.answer import changed

    fit = ranef.lmm("y ~ x + (x | g) + (1 | h)", crossed(), reml=False)
    engine = Block.of(fit.criterion.gram)
    engine = engine if exact else Block(engine.system, None)
    assert engine.exact == exact
    criterion = replace(fit.criterion, engine=engine)
    other = changed(fit, criterion=criterion, solution=replace(fit.solution, criterion=criterion))
    a, b = profile(fit).intervals, profile(other).intervals
    np.testing.assert_allclose(b["conf_low"], a["conf_low"], rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(b["conf_high"], a["conf_high"], rtol=1e-6)
