"""Models that the tests after the fit share, and the n x n algebra that they are compared with."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
from scipy.linalg import block_diag
from tests.reference.load import reference_data

import ranef
from ranef.fit.fit import Fit

FORMULAS: dict[str, tuple[str, str]] = {
    "slopes": ("Reaction ~ Days + (Days | Subject)", "sleepstudy"),
    "crossed": ("y ~ x + w + (x | a) + (1 | b) + (0 + w | a)", "simulated"),
    "nested": ("y ~ x + (x | a) + (1 | a:b)", "simulated"),
    "factor": ("y ~ f * x + (f || a)", "simulated"),
    "singular": ("Yield ~ 1 + (1 | Batch)", "Dyestuff2"),
    "deficient": ("y ~ x + I(2 * x) + w + (1 | a)", "simulated"),
    "plain": ("y ~ f + x", "simulated"),
    "many levels": ("y ~ x + (x | s) + (1 | i)", "many"),
    "no fixed effects": ("y ~ 0 + (1 | a)", "simulated"),
}
WEIGHTED = ("crossed", "nested", "plain")


def simulated(n: int = 160, seed: int = 3) -> pd.DataFrame:
    """Two crossed factors, a factor and two covariates, weights and an offset; the index is not a range."""
    rng = np.random.default_rng(seed)
    a, b, x, w = rng.integers(0, 9, n), rng.integers(0, 6, n), rng.normal(5, 2, n), rng.normal(size=n)
    slope, level = rng.normal(size=(2, 9))
    y = 1 + 2 * x - w + 2 * level[a] + slope[a] * x + rng.normal(size=6)[b] + rng.normal(size=n)
    factor = pd.Categorical.from_codes(rng.integers(0, 3, n), ["low", "mid", "high"])
    columns = {
        "y": y,
        "x": x,
        "w": w,
        "f": factor,
        "a": [f"a{i}" for i in a],
        "b": b,
        "precision": rng.uniform(0.5, 2, n),
        "off": rng.normal(size=n),
    }
    return pd.DataFrame(columns, index=pd.Index(np.arange(n) * 3 + 100, name="case"))


def many() -> pd.DataFrame:
    """So many levels that the engine eliminates one factor instead of keeping all effects in one matrix."""
    rng = np.random.default_rng(5)
    s, i = rng.integers(0, 50, 400), rng.integers(0, 40, 400)
    noise = rng.normal(size=50)[s] + rng.normal(size=40)[i]
    return simulated(400).assign(s=s, i=i, y=lambda d: d["y"] + noise)


@cache
def model(name: str) -> Fit:
    formula, _ = FORMULAS[name]
    options: dict[str, Any] = {"precision_weights": "precision", "offset": "off"} if name in WEIGHTED else {}
    return ranef.lmm(formula, data_of(name), **options)


def data_of(name: str) -> pd.DataFrame:
    own = {"simulated": simulated, "many": many}
    data = FORMULAS[name][1]
    return own[data]() if data in own else reference_data(data)


@dataclass(frozen=True)
class Truth:
    """The definitions, with q columns of Z in the order (factor, level, column) and everything relative to sigma^2."""

    X: np.ndarray
    Z: np.ndarray
    y: np.ndarray
    W: np.ndarray
    omega: np.ndarray  # (q, q)
    V: np.ndarray
    P: np.ndarray
    sigma: float

    @property
    def joint(self) -> np.ndarray:
        """(p+q, p+q) covariance of (beta_hat - beta, b_hat - b) over sigma^2, from their definitions as linear functions of y.

        beta_hat - beta = A e* with e* = Z b + e, b_hat - b = Omega Z'P e* - b.
        """
        inverse = np.linalg.inv(self.V)
        A = np.linalg.solve(self.X.T @ inverse @ self.X, self.X.T @ inverse)
        B = self.omega @ self.Z.T @ self.P
        p, q = self.X.shape[1], self.Z.shape[1]
        on_b = np.vstack([A @ self.Z, B @ self.Z - np.eye(q)])
        on_e = np.vstack([A, B])
        assert on_b.shape == (p + q, q)
        return on_b @ self.omega @ on_b.T + on_e / self.W @ on_e.T


def truth(fit: Fit) -> Truth:
    design, solution = fit.model.design, fit.solution
    n = design.nobs
    Z, omegas = [np.zeros((n, 0))], [np.zeros((0, 0))]
    for f, block in enumerate(fit.criterion.layout.blocks):
        columns = np.zeros((n, block.levels, block.width))
        for part in block.parts:
            term = design.terms[part.term]
            z = np.ones((n, 1)) if term.z is None else term.z
            columns[np.arange(n), term.group.codes, part.columns] = z
        Z.append(columns.reshape(n, -1))
        omegas.append(np.kron(np.eye(block.levels), solution.root(f) @ solution.root(f).T))
    Zs, omega = np.hstack(Z), block_diag(*omegas)
    W = np.ones(n) if design.weights is None else design.weights
    V = np.diag(1 / W) + Zs @ omega @ Zs.T
    X = design.X[:, list(fit.criterion.gram.standard.kept)]
    inverse = np.linalg.inv(V)
    P = inverse - inverse @ X @ np.linalg.solve(X.T @ inverse @ X, X.T @ inverse)
    y = design.y if design.offset is None else design.y - design.offset
    return Truth(X, Zs, y, W, omega, V, P, fit.sigma)
