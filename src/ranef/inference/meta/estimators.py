"""Estimators of tau^2, the variance between studies, when y_i ~ N(x_i'beta, tau^2 + v_i) and the v_i are known.

Each is a solution of y'P(W) y = its expectation, for weights W and P(W) = W - W X (X'W X)^-1 X'W:

    DL   W = 1/v                   DerSimonian and Laird (1986), Controlled Clinical Trials 7, 177-188
    HE   W = 1                     Hedges (1983), Psychological Bulletin 93, 388-395; Hedges and Olkin (1985)
    HS   W = 1/v, sum w y'P y = n  Hunter and Schmidt (1990); Viechtbauer (2005), J. Educ. Behav. Stat. 30, 261-293
    SJ   W = 1/(v + t_0), tau^2 = t_0 y'P y / (n - p), t_0 the variance of y: Sidik and Jonkman (2005), Appl. Stat. 54, 367-384
    PM   W = 1/(v + tau^2)         Paule and Mandel (1982), J. Res. NBS 87, 377-385
    EB   the same equation         Morris (1983), J. Am. Stat. Assoc. 78, 47-55

Their standard errors are those of quadratic forms of normal variables at the estimate: with A the matrix of the form,
Var(y'Ay) = 2 tr(A V A V), V = diag(v + tau^2); for PM and EB the weights count as known.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq

from ranef.covariance.base import Array

NAMES = {
    "DL": "DerSimonian and Laird",
    "HE": "Hedges",
    "HS": "Hunter and Schmidt",
    "SJ": "Sidik and Jonkman",
    "PM": "Paule and Mandel",
    "EB": "Morris (empirical Bayes)",
}


@dataclass(frozen=True)
class Moments:
    """tau^2, not below zero, and its standard error."""

    tau2: float
    std_error: float


@dataclass(frozen=True, eq=False)
class Projection:
    """P(W) = W^1/2 (I - QQ') W^1/2 without its n x n matrix; Q (n, p) spans W^1/2 X."""

    w: Array
    Q: Array

    @classmethod
    def of(cls, w: Array, X: Array) -> Projection:
        return cls(w, np.linalg.qr(np.sqrt(w)[:, None] * X)[0])

    def form(self, y: Array) -> float:
        """y'P y."""
        z = np.sqrt(self.w) * y
        z = z - self.Q @ (self.Q.T @ z)
        return float(z @ z)

    def trace(self, v: Array) -> float:
        """tr P diag(v)."""
        return float(np.sum(self.w * v * (1.0 - np.sum(self.Q**2, axis=1))))

    def spread(self, v: Array) -> float:
        """Standard deviation of y'P y for y ~ N(X beta, diag(v)): the root of 2 tr P V P V."""
        d = self.w * v
        inner = self.Q.T @ (d[:, None] * self.Q)
        total = np.sum(d**2) - 2.0 * np.sum(d**2 * np.sum(self.Q**2, axis=1)) + np.sum(inner**2)
        return float(np.sqrt(2.0 * max(total, 0.0)))


@dataclass(frozen=True, eq=False)
class Studies:
    """Effects y, sampling variances v (n,) and moderators X (n, p) of full rank, in units in which v is about one."""

    y: Array
    v: Array
    X: Array

    @property
    def free(self) -> int:
        return self.X.shape[0] - self.X.shape[1]

    def q(self, tau2: float) -> float:
        """The generalised Q statistic y'P y with W = 1 / (v + tau^2), which falls with tau^2."""
        return Projection.of(1.0 / (self.v + tau2), self.X).form(self.y)


def estimate(studies: Studies, method: str) -> Moments:
    """tau^2 by one of NAMES: y'Ay - taken for A = factor P(W)."""
    y, v, n, taken = studies.y, studies.v, len(studies.y), 0.0
    if method in ("PM", "EB"):
        return _iterated(studies)
    if method == "SJ":
        start = float(np.var(y))
        P, factor = Projection.of(1.0 / (v + start), studies.X), start / studies.free
    elif method == "HE":
        P, factor = Projection.of(np.ones(n), studies.X), 1.0 / studies.free
        taken = factor * P.trace(v)
    else:
        P = Projection.of(1.0 / v, studies.X)
        factor = 1.0 / (P.trace(np.ones(n)) if method == "DL" else float(np.sum(1.0 / v)))
        taken = factor * (studies.free if method == "DL" else n)
    tau2 = max(factor * P.form(y) - taken, 0.0)
    return Moments(tau2, factor * P.spread(v + tau2))


def _iterated(studies: Studies) -> Moments:
    """Q = n - p. As a step of Morris's iteration from the solution, tau^2 = (n / (n - p) y'P y - n) / sum w + tau^2."""
    tau2 = solve_q(studies, float(studies.free))
    total = studies.v + tau2
    factor = len(total) / studies.free / float(np.sum(1.0 / total))
    return Moments(tau2, factor * Projection.of(1.0 / total, studies.X).spread(total))


def solve_q(studies: Studies, height: float) -> float:
    """tau^2 at which Q is `height`; zero where Q is below it already at zero."""
    if studies.q(0.0) <= height:
        return 0.0
    high = 1.0
    while studies.q(high) > height:
        high *= 4.0
    return float(brentq(lambda tau2: studies.q(tau2) - height, 0.0, high, xtol=1e-14 * high, rtol=1e-14))
