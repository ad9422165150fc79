"""Each structure of the registry in several sizes, and parameters at random."""

from __future__ import annotations

import numpy as np
import pytest

from ranef.covariance import STRUCTURES, Covariance, structure
from ranef.covariance.products import ByGroup, Kronecker

SCALES = (0.2, 1.0, 2.5)


def positions_of(rng: np.random.Generator, k: int) -> tuple[tuple[float, ...], ...]:
    """Unequally spaced times, none of them equal."""
    return tuple((float(t),) for t in np.cumsum(rng.uniform(0.3, 2.0, size=k)))


OPTIONS: dict[str, tuple[dict[str, float], ...]] = {
    "toep": ({}, {"bands": 2}, {"bands": 3}),
    "mat": ({}, {"smoothness": 1.5}),
    "rr": ({"d": 1}, {"d": 2}),
}

SIZES = {"un": (1, 2, 5), "diag": (1, 2, 5), "id": (1, 2, 5), "arma11": (3, 5)}  # of others (2, 5)


def _cases() -> list[pytest.param]:
    rng, out = np.random.default_rng(20240229), []
    for word, entry in STRUCTURES.items():
        for k in SIZES.get(entry.about.word, (2, 5)):
            for options in OPTIONS.get(entry.about.word, ({},)):
                name = ",".join([word, str(k), *(f"{key}={value}" for key, value in options.items())])
                positions = positions_of(rng, k) if entry.about.coordinates else None
                out.append(pytest.param(structure(word, k, positions, **options), id=name))
    plane = tuple(map(tuple, rng.uniform(size=(5, 2)).tolist()))
    out += [pytest.param(structure(word, 5, plane), id=f"{word},plane") for word in ("sp_exp", "sp_gau", "sp_sphh")]
    for first, second in (("un", "ar1"), ("un", "un"), ("csh", "toeph"), ("id", "cs"), ("ar1", "diag")):
        out.append(pytest.param(Kronecker(structure(first, 2), structure(second, 3)), id=f"{first} @ {second}"))
    out += [pytest.param(ByGroup(structure(word, 3), 2), id=f"{word} by group") for word in ("un", "ar1", "csh", "id")]
    return out


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
