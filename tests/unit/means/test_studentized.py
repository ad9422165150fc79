"""Maxima of studentised normals: against scipy's range distribution, closed forms, and each other."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from ranef.means.studentized import common_tail, range_tail


@pytest.mark.parametrize(("count", "df"), [(2, 5.0), (3, 1.0), (3, 10.0), (4, 45.0), (10, 3.0), (50, 20.0), (6, 400.0)])
def test_range_against_scipy(count: int, df: float) -> None:
    q = np.array([0.5, 2.0, 3.5, 6.0])
    ours = range_tail(q, count, np.full(4, df))
    np.testing.assert_allclose(ours, stats.studentized_range.sf(q, count, df), rtol=1e-6, atol=1e-8)


def test_two_means_are_a_t_test() -> None:
    t = np.array([0.0, 0.3, 2.5, 9.0, 40.0])
    np.testing.assert_allclose(range_tail(np.sqrt(2) * t, 2, np.full(5, 7.3)), 2 * stats.t.sf(t, 7.3), rtol=1e-9)
    np.testing.assert_allclose(range_tail(np.sqrt(2) * t[:4], 2, np.full(4, np.inf)), 2 * stats.norm.sf(t[:4]), rtol=1e-9)


def test_small_tails_keep_their_digits() -> None:
    """At df = inf and large w the tail is the sum over pairs, 45 two-sided tails of a normal difference."""
    w = np.array([14.0, 20.0])
    np.testing.assert_allclose(range_tail(w, 10, np.full(2, np.inf)), 45 * 2 * stats.norm.sf(w / np.sqrt(2)), rtol=1e-4)


def test_independent_variables_multiply() -> None:
    c = np.array([0.2, 1.7, 3.0])
    single = 2 * stats.norm.sf(c)
    np.testing.assert_allclose(common_tail(c, np.zeros(4), np.full(3, np.inf)), 1 - (1 - single) ** 4, rtol=1e-10)


def test_dunnett_against_its_table() -> None:
    """Dunnett (1964), two-sided 5% points: k = 3, df = 10: 2.76; k = 4, df = 20: 2.65; one-sided k = 2, df = 6 at 5%: 2.34."""
    half = np.sqrt(0.5)
    for k, df, c in [(3, 10.0, 2.76), (4, 20.0, 2.65)]:
        assert common_tail(np.array([c]), np.full(k, half), np.array([df]))[0] == pytest.approx(0.05, abs=6e-4)
    assert common_tail(np.array([2.34]), np.full(2, half), np.array([6.0]), two_sided=False)[0] == pytest.approx(0.05, abs=4e-4)


def test_missing_stays_missing() -> None:
    out = range_tail(np.array([np.nan, 3.0]), 3, np.array([np.nan, 10.0]))
    assert np.isnan(out[0])
    assert 0 < out[1] < 1


@given(st.floats(0.0, 30.0), st.floats(0.01, 3.0), st.integers(2, 40), st.floats(1.0, 1e6))
def test_tails_fall_and_lie_between_one_test_and_bonferroni(q: float, step: float, count: int, df: float) -> None:
    here, there = range_tail(np.array([q, q + step]), count, np.full(2, df))
    assert 0 <= there <= here <= 1 + 1e-9
    single = 2 * stats.t.sf(q / np.sqrt(2), df)
    assert single * (1 - 1e-6) - 1e-12 <= here <= count * (count - 1) / 2 * single * (1 + 1e-6) + 1e-12
