"""Simulate and refit: each residual structure finds the parameters from which its data were drawn.

The covariance matrices are written out here, from the textbook's formulas; an estimate counts as right within four of its own standard
errors, which must be small, and over all structures the errors in these units are of size one.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import pandas as pd
import pytest
from scipy.special import gamma, kv

import ranef
from ranef.covariance.registry import STRUCTURES
from ranef.table import Table

SUBJECTS, VISITS, SD = 400, 5, 2.0
LAG = np.abs(np.subtract.outer(np.arange(VISITS), np.arange(VISITS)))
SDS = np.array([1.0, 1.5, 2.0, 2.5, 1.2])
BANDS = np.array([1.0, 0.5, 0.2, 0.1, -0.1])
STEPS = np.array([0.7, 0.2, 0.5, 0.6])
GENERAL = np.array(
    [
        [1.0, 0.6, 0.3, 0.1, -0.2],
        [0.6, 1.0, 0.5, 0.2, 0.0],
        [0.3, 0.5, 1.0, 0.4, 0.3],
        [0.1, 0.2, 0.4, 1.0, 0.5],
        [-0.2, 0.0, 0.3, 0.5, 1.0],
    ]
)
SIDE, OCCASION = np.array([0, 0, 0, 1, 1]), np.array([0, 1, 2, 0, 1])  # two endpoints at three and two occasions
TURN = np.abs(np.subtract.outer(OCCASION, OCCASION))
Truth = dict[str, float]


def by_visit(word: str) -> tuple[np.ndarray, Truth]:
    """A covariance matrix over five visits and its parameters."""
    kind = word if word in CORRELATIONS else word.removesuffix("h")
    C, parameters = CORRELATIONS[kind]
    if word in ("un", "diag") or word != kind:
        return np.outer(SDS, SDS) * C, {f"sd__V{i}": s for i, s in enumerate(SDS)} | parameters
    return SD**2 * C, {"sd": SD} | parameters


def products() -> np.ndarray:
    return np.array([[np.prod(STEPS[min(i, j) : max(i, j)]) for j in range(VISITS)] for i in range(VISITS)])


def arma(rho: float, share: float) -> np.ndarray:
    return np.where(LAG == 0, 1.0, share * rho ** np.maximum(LAG - 1.0, 0.0))


PAIRS = {f"cor__V{i}.V{j}": GENERAL[i, j] for i in range(VISITS) for j in range(i + 1, VISITS)}
CORRELATIONS: dict[str, tuple[np.ndarray, Truth]] = {
    "id": (np.eye(VISITS), {}),
    "diag": (np.eye(VISITS), {}),
    "un": (GENERAL, PAIRS),
    "cor": (GENERAL, {f"rho__{i + 1}.{j + 1}": GENERAL[i, j] for i in range(VISITS) for j in range(i + 1, VISITS)}),
    "cs": (0.4 + 0.6 * np.eye(VISITS), {"rho": 0.4}),
    "ar1": (0.6**LAG, {"rho": 0.6}),
    "toep": (BANDS[LAG], {f"rho__{k}": BANDS[k] for k in range(1, VISITS)}),
    "ad": (products(), {f"rho__{k}": r for k, r in enumerate(STEPS, 1)}),
    "arma11": (arma(0.7, 0.5), {"rho": 0.7, "gamma": 0.5}),
}
BY_DISTANCE: dict[str, tuple[Callable[[np.ndarray], np.ndarray], Truth]] = {
    "car1": (lambda d: 0.6**d, {"rho": 0.6}),
    "sp_pow": (lambda d: 0.6**d, {"rho": 0.6}),
    "ou": (lambda d: np.exp(-0.5 * d), {"rate": 0.5}),
    "sp_exp": (lambda d: np.exp(-d / 2.0), {"range": 2.0}),
    "sp_gau": (lambda d: np.exp(-((d / 2.0) ** 2)), {"range": 2.0}),
    "sp_sph": (lambda d: np.where(d < 4.0, 1 - 1.5 * (d / 4.0) + 0.5 * (d / 4.0) ** 3, 0.0), {"range": 4.0}),
    "sp_lin": (lambda d: np.maximum(1 - d / 4.0, 0.0), {"range": 4.0}),
    "sp_ratio": (lambda d: 1 / (1 + (d / 2.0) ** 2), {"range": 2.0}),
}


def matern(r: np.ndarray, nu: float) -> np.ndarray:
    safe = np.where(r > 0, r, 1.0)
    return np.where(r > 0, 2 ** (1 - nu) / gamma(nu) * safe**nu * kv(nu, safe), 1.0)


def subjects() -> pd.DataFrame:
    """Five visits at uneven days of their own, one in eight missed."""
    rng = np.random.default_rng(5)
    visit = np.tile(np.arange(VISITS), SUBJECTS)
    data = pd.DataFrame({"id": np.repeat(np.arange(SUBJECTS), VISITS), "v": visit, "visit": [f"V{v}" for v in visit]})
    data["day"] = 1.0 + visit + rng.uniform(0.0, 0.8, size=len(data))
    data["x"] = rng.normal(size=len(data))
    data["endpoint"], data["occasion"] = np.array(["p", "q"])[SIDE[visit]], OCCASION[visit]
    data["arm"] = np.where(data["id"] % 2, "a", "b")
    return data[rng.random(len(data)) < 0.875].reset_index(drop=True)


def drawn(covariance: Callable[[pd.DataFrame], np.ndarray], seed: int) -> pd.DataFrame:
    """Responses of independent subjects, with the covariance matrix of the rows of each."""
    data, rng = subjects(), np.random.default_rng(seed)
    noise = np.empty(len(data))
    for rows in data.groupby("id").indices.values():
        noise[rows] = np.linalg.cholesky(covariance(data.iloc[rows])) @ rng.normal(size=len(rows))
    return data.assign(y=1.0 + 0.5 * data["x"] + noise)


def among(matrix: np.ndarray) -> Callable[[pd.DataFrame], np.ndarray]:
    return lambda rows: matrix[np.ix_(rows["v"], rows["v"])]


def apart(
    function: Callable[[np.ndarray], np.ndarray], nugget: float = 0.0, of: str = "day"
) -> Callable[[pd.DataFrame], np.ndarray]:
    def matrix(rows: pd.DataFrame) -> np.ndarray:
        day = rows[of].to_numpy()
        return SD**2 * function(np.abs(np.subtract.outer(day, day))) + nugget**2 * np.eye(len(day))

    return matrix


def scaled(g: Callable[[pd.DataFrame], np.ndarray], C: np.ndarray) -> Callable[[pd.DataFrame], np.ndarray]:
    return lambda rows: np.outer(g(rows), g(rows)) * among(C)(rows)


def arms(rows: pd.DataFrame) -> np.ndarray:
    return among(4.0 * 0.6**LAG if rows["arm"].iloc[0] == "a" else 1.0 * 0.2**LAG)(rows)


CASES: dict[str, tuple[Callable[[pd.DataFrame], np.ndarray], Truth]] = {
    **{f"{word}(visit | id)": (among(by_visit(word)[0]), by_visit(word)[1]) for word in CORRELATIONS},
    **{f"{word}h(visit | id)": (among(by_visit(f"{word}h")[0]), by_visit(f"{word}h")[1]) for word in ("cs", "cor", "ar1", "toep")},
    **{f"{word}h(visit | id)": (among(by_visit(f"{word}h")[0]), by_visit(f"{word}h")[1]) for word in ("ad", "arma11")},
    **{f"{word}(day | id)": (apart(function), {"sd": SD} | truth) for word, (function, truth) in BY_DISTANCE.items()},
    "mat(v | id)": (apart(lambda d: matern(d / 1.5, 1.2), of="v"), {"sd": SD, "range": 1.5, "smoothness": 1.2}),
    "un(endpoint) @ ar1(occasion | id)": (among(np.array([[4.0, 1.5], [1.5, 2.25]])[np.ix_(SIDE, SIDE)] * 0.6**TURN), {"sd__p": 2.0, "sd__q": 1.5, "cor__p.q": 0.5, "rho": 0.6}),
    "toep(visit | id, bands=2)": (among(4.0 * np.where(LAG < 2, 0.4**LAG, 0.0)), {"sd": SD, "rho__1": 0.4}),
    "sp_exp(day | id) + nugget": (apart(lambda d: np.exp(-d / 4.0), nugget=1.5), {"sd": SD, "range": 4.0, "sd__nugget": 1.5}),
    "ar1(visit | id, by=arm)": (arms, {"sd__a": 2.0, "rho__a": 0.6, "sd__b": 1.0, "rho__b": 0.2}),
    "ar1(visit | id) * power(day)": (
        scaled(lambda rows: rows["day"].to_numpy() ** 0.7, 0.6**LAG), {"sd": 1.0, "rho": 0.6, "power(day)": 0.7},
    ),
    "cs(visit | id) * exponential(day)": (
        scaled(lambda rows: np.exp(0.3 * rows["day"].to_numpy()), 0.4 + 0.6 * np.eye(5)), {"sd": 1.0, "rho": 0.4, "exponential(day)": 0.3},
    ),
    "cs(visit | id) * ident(arm)": (
        scaled(lambda rows: np.where(rows["arm"] == "a", 1.0, 1.8), 0.4 + 0.6 * np.eye(5)), {"sd": 1.0, "rho": 0.4, "sd ratio arm[b]": 1.8},
    ),
}  # fmt: skip


@cache
def recovered(residual: str) -> Table:
    covariance, _ = CASES[residual]
    data = drawn(covariance, seed=list(CASES).index(residual))
    return ranef.lmm("y ~ x", data, residual=residual).residual_parameters()


@pytest.mark.parametrize("residual", CASES)
def test_parameters_are_recovered(residual: str) -> None:
    truth = CASES[residual][1]
    assert set(recovered(residual)["term"]) == set(truth)
    for row in recovered(residual):
        name, true = row["term"], truth[row["term"]]
        assert abs(row["estimate"] - true) <= 4.0 * row["std_error"], name
        assert row["std_error"] <= max(0.25 * abs(true), 0.1), f"{name}: the data do not tell it"


def test_errors_have_the_size_of_their_standard_errors() -> None:
    """Of about 130 parameters, some of them correlated: the mean square has a standard error of about 0.15."""
    z = [(row["estimate"] - truth[row["term"]]) / row["std_error"] for name, (_, truth) in CASES.items() for row in recovered(name)]
    assert len(z) > 120
    assert 0.55 < float(np.mean(np.square(z))) < 1.45


def test_every_structure_is_here() -> None:
    """But for reduced rank, which is singular, and standard deviations by position where there are no positions: both are refused."""
    tested, data = {name.split("(")[0] for name in CASES}, subjects().assign(y=1.0)
    for word, kind in STRUCTURES.items():
        if word in tested:
            continue
        assert word == "rr" or (kind.about.coordinates and word.endswith("h")), word
        with pytest.raises(ranef.ModelError, match=r"full rank|by distance there is one"):
            ranef.lmm("y ~ x", data, residual=f"{word}(day | id)")
