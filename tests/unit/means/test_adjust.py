"""Corrections: definitions, order among methods, intervals that agree with tests, and what happens where a method does not fit."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from ranef.errors import ModelError
from ranef.means.adjust import WORDS, Comparisons, applicable, check_adjust, critical_values, p_values, words

DUNNETT = np.full((4, 4), 0.5) + 0.5 * np.eye(4)


def family(statistic: list[float], df: float = 45.0, **options: object) -> Comparisons:
    m = len(statistic)
    correlation = np.full((m, m), 0.5) + 0.5 * np.eye(m)
    return Comparisons(np.array(statistic), np.full(m, df), lambda: correlation, **{"rank": m, "means": m + 1, **options})


TESTS = family([2.3853792575949857, 4.567630619594772, 6.636661337308714, -1.1])


@pytest.mark.parametrize("adjust", list(WORDS))
def test_critical_value_is_where_p_is_alpha(adjust: str) -> None:
    c = critical_values(adjust, TESTS, 0.95)
    if adjust in ("holm", "hochberg", "hommel", "fdr", "by"):
        np.testing.assert_allclose(c, critical_values("bonferroni", TESTS, 0.95))
        return
    at = family(c.tolist())
    np.testing.assert_allclose(p_values(adjust, at), 0.05, rtol=1e-5)


def test_approximate_dunnett_as_in_emmeans() -> None:
    """emmeans 1.8.4: k = 3, df = 33."""
    p = p_values("dunnettx", family([1.2566869989628493, 2.1992022481849864, 2.827545747666411], 33.0))
    np.testing.assert_allclose(p, [0.4598896001905649, 0.09120859803296266, 0.021870433699100245], atol=1e-8)


def test_stepwise_methods_by_their_definition() -> None:
    p = np.array([0.01, 0.04, 0.03, 0.005])
    t = stats.t.isf(p / 2, 45)
    tests = family(t.tolist())
    np.testing.assert_allclose(p_values("holm", tests), [0.03, 0.06, 0.06, 0.02])
    np.testing.assert_allclose(p_values("hochberg", tests), [0.03, 0.04, 0.04, 0.02])
    np.testing.assert_allclose(p_values("fdr", tests), [0.02, 0.04, 0.04, 0.02])
    harmonic = 1 + 1 / 2 + 1 / 3 + 1 / 4
    np.testing.assert_allclose(p_values("by", tests), np.minimum(np.array([0.02, 0.04, 0.04, 0.02]) * harmonic, 1))
    np.testing.assert_allclose(p_values("bonferroni", tests), 4 * p)
    np.testing.assert_allclose(p_values("sidak", tests), 1 - (1 - p) ** 4)


def test_hommel_as_in_r() -> None:
    """p.adjust(p, "hommel") of R 4.2."""
    p = np.array([0.021, 0.012, 0.033, 0.049, 0.3, 0.025])
    tests = family(stats.t.isf(p / 2, 45).tolist())
    np.testing.assert_allclose(p_values("hommel", tests), [0.196 / 3, 0.055, 0.0735, 0.098, 0.3, 0.0735])


@given(st.lists(st.floats(-8, 8), min_size=2, max_size=5))
def test_hommel_closes_simes_tests(statistic: list[float]) -> None:
    """The adjusted p-value of a hypothesis is the largest p that Simes's test gives to a set with it."""
    tests = family(statistic)
    p, m = p_values("none", tests), len(statistic)
    sets = [list(places) for size in range(1, m + 1) for places in combinations(range(m), size)]
    simes = {tuple(s): min(len(s) * x / (k + 1) for k, x in enumerate(sorted(p[s]))) for s in sets}
    expected = [max(value for s, value in simes.items() if i in s) for i in range(m)]
    np.testing.assert_allclose(p_values("hommel", tests), expected)


@given(st.lists(st.floats(-8, 8), min_size=2, max_size=6), st.floats(3, 500))
def test_no_correction_makes_p_smaller(statistic: list[float], df: float) -> None:
    tests = family(statistic, df)
    raw = p_values("none", tests)
    found = {name: p_values(name, tests) for name in WORDS}
    for name, p in found.items():
        assert np.all(p >= raw - 1e-9), name
        assert np.all(p <= 1 + 1e-9), name
    assert np.all(found["sidak"] <= found["bonferroni"] + 1e-12)
    assert np.all(found["holm"] <= found["bonferroni"] + 1e-12)
    assert np.all(found["hochberg"] <= found["holm"] + 1e-12)
    assert np.all(found["dunnett"] <= found["sidak"] + 1e-6)
    assert np.all(found["fdr"] <= found["hochberg"] + 1e-12)


def test_missing_tests_do_not_count() -> None:
    tests = family([2.0, np.nan, 3.0])
    assert tests.size == 2
    for name in WORDS:
        p = p_values(name, tests)
        assert np.isnan(p[1]), name
        assert np.isfinite(p[[0, 2]]).all(), name
    np.testing.assert_allclose(p_values("bonferroni", tests)[[0, 2]], 2 * p_values("none", tests)[[0, 2]])


def test_one_test_is_not_adjusted() -> None:
    assert {applicable(name, family([2.0])) for name in WORDS} == {"none"}


def test_what_is_used_instead() -> None:
    one_sided = family([2.0, 3.0], side="greater")
    assert applicable("tukey", family([1.0, 2.0], means=None)) == "sidak"
    assert [applicable(name, one_sided) for name in ("tukey", "scheffe", "dunnettx", "mvt")] == ["sidak", "sidak", "dunnett", "mvt"]
    assert "Tukey does not apply" in words("sidak", "tukey", one_sided, 1)


def test_sides() -> None:
    up, down = (family([2.0, -1.0], side=side) for side in ("greater", "less"))
    np.testing.assert_allclose(p_values("none", up) + p_values("none", down), 1.0)
    assert p_values("mvt", up)[0] < p_values("mvt", family([2.0, -1.0]))[0]


def test_many_different_df_are_interpolated() -> None:
    df = np.random.default_rng(1).uniform(4, 300, 60)
    tests = Comparisons(np.ones(60), df, lambda: np.eye(60), rank=11, means=12)
    exact = [critical_values("tukey", Comparisons(np.ones(2), np.full(2, d), lambda: np.eye(2), means=12), 0.95)[0] for d in df[:6]]
    np.testing.assert_allclose(critical_values("tukey", tests, 0.95)[:6], exact, rtol=1e-8)


def test_infinite_df() -> None:
    tests = family([1.5, 2.5], np.inf)
    np.testing.assert_allclose(p_values("scheffe", tests), stats.chi2.sf(tests.statistic**2, 2))
    np.testing.assert_allclose(critical_values("scheffe", tests, 0.95), np.sqrt(stats.chi2.isf(0.05, 2)))


def test_unknown_method() -> None:
    with pytest.raises(ModelError, match="'tuckey'"):
        check_adjust("tuckey")
    assert check_adjust("BH") == "fdr"
