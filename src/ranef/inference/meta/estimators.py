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
class Studies:
    """Effects y, sampling variances v (n,) and moderators X (n, p) of full rank, in units in which v is about one."""

    y: Array
    v: Array
    X: Array

    @property
    def free(self) -> int:
        return self.X.shape[0] - self.X.shape[1]

    def projection(self, w: Array) -> Array:
        """(n, n) P(W)."""
        root = np.sqrt(w)
        Q = np.linalg.qr(root[:, None] * self.X)[0]
        return root[:, None] * (np.eye(len(w)) - Q @ Q.T) * root

    def q(self, tau2: float) -> float:
        """The generalised Q statistic y'P y with W = 1 / (v + tau^2), which falls with tau^2."""
        root = 1.0 / np.sqrt(self.v + tau2)
        Q = np.linalg.qr(root[:, None] * self.X)[0]
        z = root * self.y
        z = z - Q @ (Q.T @ z)
        return float(z @ z)


def estimate(studies: Studies, method: str) -> Moments:
    """tau^2 by one of NAMES."""
    if method in ("PM", "EB"):
        return _iterated(studies)
    y, v, n = studies.y, studies.v, len(studies.y)
    if method == "SJ":
        start = float(np.var(y))
        P = studies.projection(1.0 / (v + start))
        form = start / studies.free * P
        return Moments(float(y @ form @ y), _spread(form, v, float(y @ form @ y)))
    if method == "HE":
        P = studies.projection(np.ones(n))
        form, taken = P / studies.free, float(P.diagonal() @ v) / studies.free
    elif method == "DL":
        P = studies.projection(1.0 / v)
        form, taken = P / np.trace(P), studies.free / float(np.trace(P))
    else:
        total = float(np.sum(1.0 / v))
        form, taken = studies.projection(1.0 / v) / total, n / total
    tau2 = max(float(y @ form @ y) - taken, 0.0)
    return Moments(tau2, _spread(form, v, tau2))


def _iterated(studies: Studies) -> Moments:
    """Q = n - p. As a step of Morris's iteration from the solution, tau^2 = (n / (n - p) y'P y - n) / sum w + tau^2."""
    tau2 = solve_q(studies, float(studies.free))
    w = 1.0 / (studies.v + tau2)
    return Moments(tau2, _spread(len(w) / studies.free / float(w.sum()) * studies.projection(w), studies.v, tau2))


def solve_q(studies: Studies, height: float) -> float:
    """tau^2 at which Q is `height`; zero where Q is below it already at zero."""
    if height <= 0.0:
        return np.inf
    if studies.q(0.0) <= height:
        return 0.0
    high = 1.0
    while studies.q(high) > height:
        high *= 4.0
    return float(brentq(lambda tau2: studies.q(tau2) - height, 0.0, high, xtol=1e-14 * high, rtol=1e-14))


def _spread(form: Array, v: Array, tau2: float) -> float:
    """Standard deviation of y'Ay for A = `form` (n, n) with A X = 0."""
    AV = form * (v + tau2)
    return float(np.sqrt(2.0 * np.sum(AV * AV.T)))
