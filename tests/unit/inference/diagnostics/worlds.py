"""Data whose truth is known: right models, and one violation each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

import ranef

FORMULA = "y ~ x + z + (1 | g)"


@dataclass(frozen=True)
class World:
    """m groups of k rows in time order; `y` makes the response of the parts."""

    m: int = 40
    k: int = 12

    def draw(self, seed: int, change: Callable[[pd.DataFrame, np.random.Generator], pd.Series] | None = None) -> pd.DataFrame:
        rng = np.random.default_rng(seed)
        g, t = np.repeat(np.arange(self.m), self.k), np.tile(np.arange(self.k), self.m)
        n = len(g)
        data = pd.DataFrame({"g": [f"g{i:03d}" for i in g], "t": t, "x": rng.normal(size=n), "z": np.array(["a", "b", "c"])[g % 3]})
        data["group"], data["error"] = rng.normal(size=self.m)[g], rng.normal(size=n)
        data["mean"] = 10 + 0.5 * data.x + 0.4 * (data.z == "b")
        data["y"] = data["mean"] + data.group + data.error if change is None else change(data, rng)
        return data


def autocorrelated(data: pd.DataFrame, rng: np.random.Generator) -> pd.Series:
    """AR(1) errors with correlation 0.6 in each group."""
    error = data.error.to_numpy().copy()
    for i in range(1, len(error)):
        if data.t[i]:
            error[i] = 0.6 * error[i - 1] + 0.8 * error[i]
    return data["mean"] + data.group + error


def curved(data: pd.DataFrame, rng: np.random.Generator) -> pd.Series:
    return data["mean"] + 0.5 * data.x**2 + data.group + data.error


def fanning(data: pd.DataFrame, rng: np.random.Generator) -> pd.Series:
    """The standard deviation grows with x."""
    return data["mean"] + data.group + data.error * np.exp(0.5 * data.x)


def growing(data: pd.DataFrame, rng: np.random.Generator) -> pd.Series:
    """The standard deviation grows with the expected response of the row in its group."""
    return data["mean"] + data.group + data.error * np.exp(0.5 * (data["mean"] + data.group - 10.0))


def uneven_groups(data: pd.DataFrame, rng: np.random.Generator) -> pd.Series:
    """Half of the groups have three times the standard deviation."""
    wide = data.g.str[-1].isin(list("02468"))
    return data["mean"] + data.group + data.error * np.where(wide, 3.0, 1.0)


def skewed(data: pd.DataFrame, rng: np.random.Generator) -> pd.Series:
    return data["mean"] + data.group + rng.exponential(size=len(data))


def two_kinds(data: pd.DataFrame, rng: np.random.Generator) -> pd.Series:
    """A tenth of the groups lies four standard deviations off."""
    return data["mean"] + data.group * 0.5 + 4.0 * data.g.str.endswith("7") + 0.5 * data.error


def one_row_off(data: pd.DataFrame, rng: np.random.Generator) -> pd.Series:
    y = data["mean"] + data.group + data.error
    y[17] += 9.0
    return y


def one_group_off(data: pd.DataFrame, rng: np.random.Generator) -> pd.Series:
    """The first group has far values of x, and a slope of its own."""
    first = data.g == "g000"
    data.loc[first, "x"] = 12.0 + data.t[first]
    return data["mean"] + data.group + data.error - 0.45 * np.where(first, data.x, 0.0)


def fit(change: Callable | None = None, seed: int = 1, formula: str = FORMULA, world: World | None = None) -> ranef.Fit:
    return ranef.lmm(formula, (world or World()).draw(seed, change))
