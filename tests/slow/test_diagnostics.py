"""The tests of check() reject right models about as often as they say: 1,000 data sets of each kind.

The standard error of a rate of 5 % is 0.7 %. The rates are in docs/explanation/diagnostics.md; `python -m tests.slow.test_diagnostics`
prints them.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

import ranef

pytestmark = pytest.mark.slow
REPLICATES = 1000
HIGHEST = 0.085
LIBERAL = {"Durbin-Watson": 0.10, "Durbin-Watson, within g": 0.10, "Autocorrelation": 0.10}  # theta counts as known


def slopes(rng: np.random.Generator) -> tuple[str, pd.DataFrame]:
    """20 groups of 4 to 12 rows, random slopes, a factor between groups."""
    g = np.repeat(np.arange(20), rng.integers(4, 13, 20))
    n, x, z = len(g), rng.normal(size=len(g)), np.array(["a", "b"])[g % 2]
    y = 1 + 0.5 * x + 0.8 * (z == "b") + rng.normal(size=20)[g] + 0.5 * rng.normal(size=20)[g] * x + rng.normal(size=n)
    return "y ~ x + z + (x | g)", pd.DataFrame({"y": y, "x": x, "z": z, "g": g.astype(str)})


def crossed(rng: np.random.Generator) -> tuple[str, pd.DataFrame]:
    """200 rows, 15 groups crossed with 6."""
    g, h, x = rng.integers(0, 15, 200), np.arange(200) % 6, rng.normal(size=200)
    y = 1 + 0.5 * x + rng.normal(size=15)[g] + 0.7 * rng.normal(size=6)[h] + rng.normal(size=200)
    return "y ~ x + (1 | g) + (1 | h)", pd.DataFrame({"y": y, "x": x, "g": g.astype(str), "h": h.astype(str)})


def short(rng: np.random.Generator) -> tuple[str, pd.DataFrame]:
    """30 groups of three rows with a small variance between them."""
    g, t = np.repeat(np.arange(30), 3), np.tile(np.arange(3.0), 30)
    y = 1 + 0.5 * t + 0.3 * rng.normal(size=30)[g] + rng.normal(size=90)
    return "y ~ t + (1 | g)", pd.DataFrame({"y": y, "t": t, "g": g.astype(str)})


def regression(rng: np.random.Generator) -> tuple[str, pd.DataFrame]:
    """60 rows, a number and a factor."""
    x, z = rng.normal(size=60), np.array(["a", "b", "c"])[np.arange(60) % 3]
    return "y ~ x + z", pd.DataFrame({"y": 1 + x + (z == "b") + rng.normal(size=60), "x": x, "z": z})


WORLDS = (slopes, crossed, short, regression)


def rates(world: Callable, replicates: int = REPLICATES) -> dict[str, float]:
    """Share of p values below 5 %, by check."""
    found: dict[str, list[float]] = defaultdict(list)
    for i in range(replicates):
        formula, data = world(np.random.default_rng([7, i]))
        for one in ranef.check(ranef.lmm(formula, data), n=99, seed=i).assessments:
            if one.p_value is not None:
                found[re.sub(r", lags? .*", "", one.check)].append(one.p_value)
    return {name: float(np.mean(np.array(p) < 0.05)) for name, p in found.items()}


@pytest.mark.parametrize("world", WORLDS)
def test_right_models_are_seldom_rejected(world: Callable) -> None:
    for name, rate in rates(world).items():
        assert rate <= LIBERAL.get(name, HIGHEST), f"{name}: {rate:.3f}"


if __name__ == "__main__":
    for world in WORLDS:
        print(world.__name__, {name: round(rate, 3) for name, rate in rates(world).items()})
