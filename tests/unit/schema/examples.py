"""Small data and shortcuts for the tests of the schema."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from ranef.formula import parse
from ranef.schema import Intake, ingest

LEVELS = ["lo", "mid", "hi"]


def small(rows: int = 24) -> pd.DataFrame:
    """Numbers, an ordered and an unordered category, text, logicals, integers."""
    rng = np.random.default_rng(7)
    n = np.arange(rows)
    return pd.DataFrame(
        {
            "y": rng.normal(size=rows),
            "x": rng.normal(size=rows),
            "z": n.astype(float),
            "f": pd.Categorical(np.array(LEVELS)[n % 3], categories=LEVELS),
            "o": pd.Categorical(np.array(LEVELS)[n % 3], categories=LEVELS, ordered=True),
            "s": np.array(["b", "a", "č", "D"])[n // 2 % 4],
            "b": n % 2 == 0,
            "k": n % 4,
            "g": np.array(list("uvwxyz"))[n // 4 % 6],
        }
    )


def take(formula: str, data: Any = None, **options: Any) -> Intake:
    return ingest(parse(formula), small() if data is None else data, **options)


def columns(formula: str, data: Any = None, **options: Any) -> dict[str, np.ndarray]:
    """The columns of X by name."""
    design = take(formula, data, **options).design
    return dict(zip(design.names, design.X.T, strict=True))


def names(formula: str, data: Any = None, **options: Any) -> list[str]:
    return list(take(formula, data, **options).design.names)
