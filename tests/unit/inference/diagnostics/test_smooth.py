"""The trend follows a mean, its band covers it, and odd data do not break it."""

from __future__ import annotations

import numpy as np
import pytest

from ranef.inference.diagnostics.smooth import trend


def test_a_straight_line_stays_one():
    x = np.random.default_rng(1).uniform(size=200)
    found = trend(x, 3 - 2 * x)
    assert np.allclose(found.y, 3 - 2 * found.x)


def test_the_band_covers_a_flat_mean():
    rng = np.random.default_rng(2)
    inside = []
    for _ in range(200):
        found = trend(rng.normal(size=150), rng.normal(size=150))
        inside.append(np.mean((found.lower <= 0) & (0 <= found.upper)))
    assert np.mean(inside) == pytest.approx(0.95, abs=0.02)


def test_a_curve_is_seen():
    rng = np.random.default_rng(3)
    x = rng.normal(size=400)
    found = trend(x, x**2 + rng.normal(size=400))
    assert found.lower[0] > found.upper[len(found.x) // 2] < found.lower[-1]


def test_many_points_are_averaged_first():
    rng = np.random.default_rng(4)
    x = rng.uniform(size=60_000)
    found = trend(x, np.sin(6 * x) + rng.normal(size=60_000), span=0.2)
    middle = (found.x > 0.15) & (found.x < 0.85)
    assert np.abs(found.y - np.sin(6 * found.x))[middle].max() < 0.1
    assert np.all(found.upper - found.lower < 0.2)


@pytest.mark.parametrize("x", [[1.0, 1, 1, 2, 2, 2], [1.0] * 6, [1.0, 2, 2, 2, 2, 9], [0.0, 1, 1, 1, 1, 1]])
def test_few_different_places(x):
    found = trend(np.array(x), np.array([1.0, 2, 3, 4, 5, 7]))
    assert np.isfinite(found.y).all() and np.all(found.lower <= found.upper)
    if len(set(x)) < 4:
        for place, mean in zip(found.x, found.y, strict=True):
            assert mean == pytest.approx(np.mean([v for u, v in zip(x, [1.0, 2, 3, 4, 5, 7], strict=True) if u == place]))
