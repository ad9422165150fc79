"""Data and slow twins that the tests of inference share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

import ranef

Array = np.ndarray


def crossed(seed: int = 1, n: int = 240) -> pd.DataFrame:
    """Unbalanced: two crossed groups, a factor between the levels of g, one within, a covariate, weights."""
    rng = np.random.default_rng(seed)
    g, h = rng.integers(0, 14, n), rng.integers(0, 9, n)
    x, a, b = rng.normal(2.0, 1.5, n), rng.choice(list("pqr"), n, p=[0.5, 0.3, 0.2]), np.array(list("uvw"))[g % 3]
    random = rng.normal(size=14)[g] + 0.5 * rng.normal(size=14)[g] * x + 0.7 * rng.normal(size=9)[h]
    y = 1 + 0.4 * x + (a == "q") * 0.5 - (b == "v") * 0.8 + random + rng.normal(size=n)
    return pd.DataFrame({"y": y, "x": x, "a": a, "b": b, "g": g.astype(str), "h": h.astype(str), "w": rng.uniform(0.3, 3.0, n)})


@dataclass(frozen=True)
class Twin:
    """n x n algebra, one formula a line: V_i = dSigma/dphi_i for phi = (sigma^2, entries of sigma^2 Omega), Halekoh and Hojsgaard's P, Q, W."""

    phi: Array  # covariance of beta
    adjusted: Array
    W: Array
    P: list[Array]
    beta: Array

    @classmethod
    def of(cls, m: ranef.Fit, *, weighted: bool = True, observed: bool = False) -> Twin:
        design, n = m.model.design, m.nobs
        X = design.X[:, list(m.criterion.gram.standard.kept)]
        noise = np.eye(n) if design.weights is None or not weighted else np.diag(1.0 / design.weights)
        V, phi = [noise], [m.sigma**2]
        for (f, part), term in zip(m.criterion.layout.parts, design.terms, strict=True):
            root = m.solution.root(f)[part.columns]
            omega = m.sigma**2 * root @ root.T
            z = np.ones((n, 1)) if term.z is None else term.z
            same = term.group.codes[:, None] == term.group.codes[None]
            support = part.covariance.support()
            pairs = [(i, j) for i in range(term.width) for j in range(i + 1) if support[i, j]]
            own = [same * (np.outer(z[:, i], z[:, j]) + (i != j) * np.outer(z[:, j], z[:, i])) for i, j in pairs]
            if part.covariance.word == "id":
                own, pairs = [np.sum(own, axis=0)], pairs[:1]
            V += own
            phi += [omega[i, j] for i, j in pairs]
        inverse = np.linalg.inv(sum(p * v for p, v in zip(phi, V, strict=True)))
        Phi = np.linalg.inv(X.T @ inverse @ X)
        R = inverse - inverse @ X @ Phi @ X.T @ inverse
        RV = [R @ v for v in V]
        r = R @ design.y
        info = np.array([[np.sum(left * right.T) for right in RV] for left in RV])
        if observed:
            info = 2 * np.array([[r @ left @ R @ right @ r for right in V] for left in V]) - info
        W = 2 * np.linalg.inv(info)
        P = [-X.T @ inverse @ v @ inverse @ X for v in V]
        Q = [[X.T @ inverse @ left @ inverse @ right @ inverse @ X for right in V] for left in V]
        k = range(len(V))
        inner = sum(W[i, j] * (Q[i][j] - P[i] @ Phi @ P[j]) for i in k for j in k)
        return cls(Phi, Phi + 2 * Phi @ inner @ Phi, W, P, m.params.to_numpy())

    def df(self, row: Array) -> float:
        """2 (l'Phi l)^2 / g'W g with g_i = l'Phi P_i Phi l."""
        u = self.phi @ row
        g = np.array([u @ part @ u for part in self.P])
        return float(2 * (row @ u) ** 2 / (g @ self.W @ g))

    def moments(self, L: Array) -> tuple[float, float]:
        """A_1 and A_2 of Kenward and Roger."""
        theta = L.T @ np.linalg.solve(L @ self.phi @ L.T, L)
        M = [theta @ self.phi @ part @ self.phi for part in self.P]
        k = range(len(M))
        first = sum(self.W[i, j] * np.trace(M[i]) * np.trace(M[j]) for i in k for j in k)
        return float(first), float(sum(self.W[i, j] * np.trace(M[i] @ M[j]) for i in k for j in k))
