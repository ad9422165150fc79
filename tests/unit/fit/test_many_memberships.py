"""Rows that belong to two of many levels: one parameter for forty columns, against the dense likelihood."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize_scalar

import ranef

LEVELS, ROWS = 40, 300


@pytest.fixture(scope="module")
def data() -> pd.DataFrame:
    rng = np.random.default_rng(4)
    a, b = rng.integers(0, LEVELS, ROWS), rng.integers(0, LEVELS, ROWS)
    a[:LEVELS] = np.arange(LEVELS)
    x, u = rng.normal(size=ROWS), rng.normal(size=LEVELS)
    y = 1.0 + 0.5 * x + (u[a] + u[b]) / 2 + rng.normal(size=ROWS)
    return pd.DataFrame({"y": y, "x": x, "a": a.astype(str), "b": b.astype(str)})


class Twin:
    """REML with V = I + theta^2 Z Z', sigma known or profiled."""

    def __init__(self, data: pd.DataFrame) -> None:
        levels = np.unique(data[["a", "b"]])
        self.Z = 0.5 * sum((data[name].to_numpy()[:, None] == levels).astype(float) for name in "ab")
        self.X = np.column_stack([np.ones(len(data)), data["x"]])
        self.y, self.nu = data["y"].to_numpy(), len(data) - 2

    def parts(self, theta: float) -> tuple[float, np.ndarray, np.ndarray, float]:
        V = np.eye(len(self.y)) + theta**2 * self.Z @ self.Z.T
        XV = np.linalg.solve(V, self.X).T
        A = XV @ self.X
        beta = np.linalg.solve(A, XV @ self.y)
        rest = self.y - self.X @ beta
        logdet = np.linalg.slogdet(V)[1] + np.linalg.slogdet(A)[1]
        return logdet, beta, np.linalg.inv(A), float(rest @ np.linalg.solve(V, rest))

    def profiled(self, theta: float) -> float:
        logdet, _, _, s = self.parts(theta)
        return float(logdet + self.nu * (1.0 + np.log(2.0 * np.pi * s / self.nu)))

    def joint(self, p: np.ndarray) -> float:
        logdet, _, _, s = self.parts(p[0])
        return float(logdet + self.nu * p[1] + s * np.exp(-p[1]))

    def df(self, theta: float, sigma: float, j: int) -> float:
        at, h = np.array([theta, 2.0 * np.log(sigma)]), 1e-3
        steps = h * np.eye(2)

        def variance(p: np.ndarray) -> float:
            return float(np.exp(p[1]) * self.parts(p[0])[2][j, j])

        H = [
            [sum(r * s * self.joint(at + r * d + s * e) for r in (1, -1) for s in (1, -1)) / (4 * h * h) for e in steps]
            for d in steps
        ]
        g = np.array([(variance(at + d) - variance(at - d)) / (2 * h) for d in steps])
        return float(2.0 * variance(at) ** 2 / (g @ (2.0 * np.linalg.inv(H)) @ g))


def test_many_columns_with_one_parameter(data: pd.DataFrame) -> None:
    m, twin = ranef.lmm("y ~ x + (1 | mm(a, b))", data), Twin(data)
    assert m.criterion.layout.differenced
    best = minimize_scalar(twin.profiled, bounds=(0.1, 3.0), method="bounded", options={"xatol": 1e-10})
    assert m.deviance == pytest.approx(best.fun, abs=1e-8)
    assert m.theta[0] == pytest.approx(best.x, rel=1e-6)
    _, beta, inverse, _ = twin.parts(m.theta[0])
    np.testing.assert_allclose(m.params, beta, rtol=1e-9)
    np.testing.assert_allclose(m.bse, m.sigma * np.sqrt(inverse.diagonal()), rtol=1e-9)
    np.testing.assert_allclose(m.df, [twin.df(m.theta[0], m.sigma, j) for j in (0, 1)], rtol=1e-4)


def test_kenward_roger_forms_the_tables_that_the_fit_did_without(data: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    formula = "y ~ x + (1 | mm(a, b))"
    found = ranef.lmm(formula, data, ddf="kenward-roger")
    df, se = found.df, found.bse
    monkeypatch.setitem(found.criterion.layout.__dict__, "differenced", False)  # layouts are shared
    expected = ranef.lmm(formula, data, ddf="kenward-roger")
    assert not expected.criterion.layout.differenced
    np.testing.assert_allclose(df, expected.df, rtol=1e-7)
    np.testing.assert_allclose(se, expected.bse, rtol=1e-9)


def test_hundreds_of_levels_are_fitted_and_their_tables_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    a, b = rng.integers(0, 200, 2000), rng.integers(0, 200, 2000)
    u = rng.normal(size=200)
    data = pd.DataFrame({"y": (u[a] + u[b]) / 2 + rng.normal(size=2000), "a": a.astype(str), "b": b.astype(str)})
    m = ranef.lmm("y ~ 1 + (1 | mm(a, b))", data)
    assert m.status == "optimum"
    assert m.theta[0] == pytest.approx(1.0, abs=0.3)
    monkeypatch.setattr("ranef.schema.memory.available_bytes", lambda: 1e9)
    with pytest.raises(ranef.errors.MemoryEstimateError, match="tables of second derivatives"):
        _ = m.with_ddf("kenward-roger").df
