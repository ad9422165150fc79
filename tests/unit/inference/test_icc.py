"""Intraclass correlations: closed forms in balanced designs, nesting, slopes, limits."""

from __future__ import annotations

import numpy as np
import pytest
from tests.unit.inference.examples import crossed

import ranef

J, N = 12, 6


def estimates(table: ranef.Table) -> dict[tuple[str, str | None], float]:
    return dict(zip(zip(table["quantity"], table["group"], strict=True), table["estimate"], strict=True))


@pytest.fixture(scope="module")
def balanced():
    rng = np.random.default_rng(3)
    g = np.repeat(np.arange(J), N)
    return {"y": rng.normal(size=J)[g] + rng.normal(size=J * N), "g": g}


def mean_squares(data) -> tuple[float, float]:
    means = np.bincount(data["g"], data["y"]) / N
    return N * np.var(means, ddof=1), float(np.sum((data["y"] - means[data["g"]]) ** 2) / (J * (N - 1)))


def test_balanced_is_the_analysis_of_variance(balanced):
    table = ranef.icc(ranef.lmm("y ~ 1 + (1 | g)", balanced))
    between, within = mean_squares(balanced)
    np.testing.assert_allclose(table["estimate"], (between - within) / (between + (N - 1) * within))


def test_balanced_limits_are_those_of_the_log_of_f(balanced):
    """log F has the asymptotic variance 2/(J - 1) + 2/(J (n - 1)) and rho = (F - 1) / (F - 1 + n)."""
    table = ranef.icc(ranef.lmm("y ~ 1 + (1 | g)", balanced))
    between, within = mean_squares(balanced)
    spread = 1.959964 * np.sqrt(2 / (J - 1) + 2 / (J * (N - 1)))
    F = between / within * np.exp(np.array([-spread, spread]))
    np.testing.assert_allclose([table["conf_low"][0], table["conf_high"][0]], (F - 1) / (F - 1 + N), rtol=1e-5)


def test_nested_levels_share_what_encloses_them():
    rng = np.random.default_rng(5)
    school, room = np.repeat(np.arange(10), 12), np.repeat(np.arange(30), 4)
    y = rng.normal(size=10)[school] + rng.normal(size=30)[room] + rng.normal(size=120)
    m = ranef.lmm("y ~ 1 + (1 | school/room)", {"y": y, "school": school, "room": room})
    found = estimates(ranef.icc(m))
    a, b, c = (row["vcov"] for row in m.varcorr)
    assert found["correlation", "school:room"] == pytest.approx((a + b) / (a + b + c))
    assert found["share", "school"] == pytest.approx(a / (a + b + c))
    assert found["simple", "school"] == pytest.approx(a / (a + c))
    assert ("correlation", "school") not in found


def test_slopes_make_it_depend_on_the_covariate():
    m = ranef.lmm("y ~ x + (x | g) + (1 | h)", crossed())
    omega = m.sigma**2 * m.solution.root(0) @ m.solution.root(0).T
    other = m.varcorr["vcov"][3]
    for x in (0.0, 2.0):
        z = np.array([1.0, x])
        random = z @ omega @ z + other
        found = estimates(ranef.icc(m, at={"x": x}))
        assert found["adjusted", None] == pytest.approx(random / (random + m.sigma**2))
    averaged = estimates(ranef.icc(m))
    assert averaged["intercept", "g"] < averaged["share", "g"]


def test_crossed_shares_add_up_to_the_adjusted_one():
    found = estimates(ranef.icc(ranef.lmm("y ~ x + (x | g) + (1 | h)", crossed())))
    assert found["share", "g"] + found["share", "h"] == pytest.approx(found["adjusted", None])
    assert found["unadjusted", None] < found["adjusted", None]


def test_a_singular_fit_has_the_limit_and_an_interval():
    data = ranef.datasets.load("Dyestuff2")
    table = ranef.icc(ranef.lmm("Yield ~ 1 + (1 | Batch)", data))
    assert np.all(table["estimate"] == 0.0)
    assert np.all(table["conf_low"] == 0.0)
    assert np.all((table["conf_high"] > 0.05) & (table["conf_high"] < 0.6))


def test_without_random_effects_it_is_zero():
    table = ranef.icc(ranef.lm("y ~ x", crossed()))
    assert list(table["quantity"]) == ["adjusted", "unadjusted"]
    for name in ("estimate", "std_error", "conf_low", "conf_high"):
        assert np.all(table[name] == 0.0)


@pytest.mark.slow
@pytest.mark.parametrize(("groups", "rho"), [(8, 0.0), (8, 0.2), (8, 0.7), (30, 0.2)])
def test_the_intervals_cover(groups, rho):
    rng = np.random.default_rng(groups)
    g = np.repeat(np.arange(groups), 5)
    m = ranef.lmm("y ~ 1 + (1 | g)", {"y": rng.normal(size=len(g)), "g": g})
    hits = 0
    for _ in range(400):
        y = np.sqrt(rho) * rng.normal(size=groups)[g] + np.sqrt(1 - rho) * rng.normal(size=len(g))
        table = ranef.icc(m.refit(y))
        hits += table["conf_low"][0] <= rho <= table["conf_high"][0]
    assert 0.90 < hits / 400
