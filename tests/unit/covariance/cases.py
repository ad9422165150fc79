"""Each structure of the registry in several sizes, and parameters at random."""

from __future__ import annotations

import numpy as np
import pytest

from ranef.covariance import STRUCTURES, Covariance, Factored, structure

SCALES = (0.2, 1.0, 2.5)


def positions_of(rng: np.random.Generator, k: int) -> tuple[tuple[float, ...], ...]:
    """Unequally spaced times, none of them equal."""
    return tuple((float(t),) for t in np.cumsum(rng.uniform(0.3, 2.0, size=k)))


def _cases() -> list[pytest.param]:
    rng, out = np.random.default_rng(20240229), []
    for word, entry in STRUCTURES.items():
        for k in (1, 2, 5) if issubclass(entry.kind, Factored) else (2, 5):
            positions = positions_of(rng, k) if entry.about.coordinates else None
            for options in options_of(entry.about.options):
                name = ",".join([word, str(k), *(f"{key}={value}" for key, value in options.items())])
                out.append(pytest.param(structure(word, k, positions, **options), id=name))
    return out


def options_of(names: tuple[str, ...]) -> list[dict[str, int]]:
    return [{}, *({"bands": q} for q in (2, 3) if "bands" in names)]


CASES = _cases()


def random_theta(covariance: Covariance, scale: float, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(scale=scale, size=covariance.size)


def differences(function, theta: np.ndarray, step: float = 1e-4) -> np.ndarray:
    """(q, ...) by central differences of order four."""
    out = []
    for e in step * np.eye(len(theta)):
        near, far = function(theta + e) - function(theta - e), function(theta + 2 * e) - function(theta - 2 * e)
        out.append((8.0 * near - far) / (12.0 * step))
    return np.array(out)
