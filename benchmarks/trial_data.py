"""Simulated trials with repeated measures: visits, arms, a baseline, and patients who miss visits or leave."""

from __future__ import annotations

import numpy as np
import pandas as pd


def covariance(rng: np.random.Generator, visits: int) -> np.ndarray:
    """Correlations that fall with time but not smoothly, standard deviations that grow."""
    gap = np.abs(np.subtract.outer(np.arange(visits), np.arange(visits)))
    noise = rng.normal(0, 0.15, (visits, visits))
    correlation = 0.75 ** (0.5 * gap) + 0.1 * (noise + noise.T) * (gap > 0)
    values, vectors = np.linalg.eigh(correlation)
    correlation = vectors * np.clip(values, 0.05, None) @ vectors.T
    sd = np.linspace(6.0, 9.0, visits) * np.exp(rng.normal(0, 0.1, visits)) / np.sqrt(np.diag(correlation))
    return correlation * np.outer(sd, sd)


def trial(subjects: int, visits: int, *, leaving: float, missing: float, seed: int) -> pd.DataFrame:
    """Long data: id arm visit base y. A share `leaving` of the patients leaves before the end, a share `missing` of all other
    visits is missed; each patient has at least one visit."""
    rng = np.random.default_rng(seed)
    arm, base = rng.integers(0, 2, subjects), rng.normal(40, 8, subjects)
    root = np.linalg.cholesky(covariance(rng, visits))
    y = 10 + 0.6 * base[:, None] + 0.4 * np.arange(visits) * (1 + arm[:, None]) + rng.normal(size=(subjects, visits)) @ root.T
    seen = rng.random((subjects, visits)) >= missing
    last = np.where(rng.random(subjects) < leaving, rng.integers(1, max(visits, 2), subjects), visits)
    seen &= np.arange(visits) < last[:, None]
    seen[~seen.any(axis=1), 0] = True
    id_, visit = np.nonzero(seen)
    return pd.DataFrame({
        "id": id_, "arm": np.array(["control", "active"])[arm[id_]], "visit": visit + 1, "base": base[id_], "y": y[id_, visit],
    })  # fmt: skip
