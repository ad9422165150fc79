"""Bands hold whole curves as often as they say; thinned plots keep the extremes."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from ranef.inference.diagnostics.quantiles import band, normal_quantiles, places


@pytest.mark.parametrize("n", [1, 2, 30, 1000, 1001, 73_421])
def test_places(n):
    found = places(n)
    assert len(found) == min(n, 1000) and found[0] == 0 and found[-1] == n - 1
    assert np.all(np.diff(found) > 0)


def test_normal_quantiles_are_those_of_blom():
    assert np.allclose(normal_quantiles(25), stats.norm.ppf((np.arange(1, 26) - 0.375) / 25.25))


def test_a_band_holds_new_curves_as_often_as_it_says():
    rng = np.random.default_rng(1)
    draw = np.sort(rng.standard_normal((1000, 30)), axis=1)
    inside = [
        bool(np.all((found.lower <= new) & (new <= found.upper)))
        for new in np.sort(rng.standard_normal((500, 30)), axis=1)
        for found in [band(new, draw)]
    ]
    assert np.mean(inside) == pytest.approx(0.95, abs=0.03)


def test_the_p_value_says_whether_the_curve_leaves_the_band():
    rng = np.random.default_rng(2)
    draw = np.sort(rng.standard_normal((199, 30)), axis=1)
    for new in np.sort(rng.standard_normal((200, 30)) * 1.4, axis=1):
        found = band(new, draw)
        outside = bool(np.any((new < found.lower) | (new > found.upper)))
        assert outside == (found.p_value < 0.05) or found.p_value == pytest.approx(0.05, abs=0.006)


def test_values_without_any_spread_have_a_band():
    found = band(np.zeros(3), np.zeros((20, 3)))
    assert np.all(found.lower <= 0) and np.all(found.upper >= 0)
