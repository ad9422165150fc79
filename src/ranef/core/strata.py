"""Fixed effects of balanced data and their tests from sums of squares alone, without a criterion.

In the notation of `balanced`: where the optimum is off the boundary, T = sigma^2 K = S / M and sigma^2 = s_0 / f, as independent as
a Wishart matrix and a chi-squared. With N_ab the sum of x_j[a] x_j[b]' over levels (x_j[a] is row a of E_j without its last column)
and W what the random columns leave of X'X,

    Var(gamma) = sum_ab T_ab N_ab + sigma^2 W
    v = x'Var(gamma)x = tr QT + c sigma^2,        Q_ab = x'N_ab x,  c = x'Wx
    df = 2 v^2 / Var(v) = v^2 / (tr QTQT / M + (c sigma^2)^2 / f)          Satterthwaite's, with the observed information
    -2 log L = M log|T| + f log sigma^2 + nu (1 + log 2 pi) + constant,    nu = M k + f

gamma and S come from one small matrix times y. All is on the user's scale: a refit takes less time than to change it.

docs/explanation/likelihood.md, eq. 18a-18c.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.linalg import blas, lapack

from ranef.core.criterion import Criterion
from ranef.core.gram import SIZES
from ranef.core.leftover import CANCELLED
from ranef.core.single import Single
from ranef.covariance.base import Array

INTERIOR = 1e-2  # the smallest pivot of a root of K - I, of which the square is known to ten digits
MODERATE = 1e100  # units, of which the fourth power of a response that is 1e12 times larger is a number
PERFECT = 1e-14  # a residual root mean square below this share of the response's is rounding


@dataclass(frozen=True, eq=False)
class Strata:
    """All that the formulas need of a small balanced design."""

    criterion: Criterion  # with some response
    level: Array | float  # subtracted from y: (n,), or one number
    root: Array | None  # (n,) of the weights
    to_strata: Array  # (r + m k, n): what is left of y to gamma and to r_j of every level
    shape: tuple[int, int]  # (m, k)
    to_user: Array  # (r, r) gamma to coefficients
    shift: Array  # (r,) coefficients that are part of `level`
    M: int
    f: int
    between: Array  # (r, k k) Q of each coefficient
    twice: Array  # (r k k, k k) Q x Q of each, such that vec(T)' (Q x Q) vec(T) = tr QTQT
    within: Array  # (r,) c
    identity: Array  # (k, k)
    constant: float  # of the criterion, and nu (1 + log 2 pi)
    limits: tuple[float, float]  # of s_0, within which the unit of the response is one for this response as well

    @classmethod
    def of(cls, criterion: Criterion) -> Strata | None:
        """None where the design is not balanced, or so large that a search costs no more than the pass over its rows."""
        engine, gram = criterion.engine, criterion.gram
        if not isinstance(engine, Single) or engine.balance is None or criterion.scale is not None or gram.map is None:
            return None
        standard, balance, n, r = gram.standard, engine.balance, gram.nobs, gram.rank
        M, f = balance.degrees(n, r, criterion.reml)
        if M <= 0 or f <= 0 or not 1.0 / MODERATE < standard.unit < MODERATE:
            return None
        X, Z = gram.map[:r], gram.map[r:].reshape(*gram.zw[0].shape[:2], -1)
        m, k = Z.shape[:2]
        residual = engine.inverse @ (Z - gram.zw[0][:, :, :r] @ X)
        x, unit, weights = standard.to_user[standard.places], standard.unit, standard.design.weights
        Q = (np.add.reduce((x @ balance.products.reshape(k * k, r, r)) * x, axis=2).T).reshape(r, k, k)
        return cls(
            criterion,
            standard.level,
            None if weights is None else np.sqrt(weights),
            np.concatenate([X, residual.reshape(-1, n)]),
            (m, k),
            x,
            standard.shift[standard.places],
            M,
            f,
            np.ascontiguousarray(Q.reshape(r, -1)),
            np.einsum("jab,jcd->jdabc", Q, Q).reshape(-1, k * k),
            np.add.reduce((x @ balance.within) * x, axis=1),
            np.eye(k),
            criterion.constant + criterion.nu * (1.0 + math.log(2.0 * math.pi) - 2.0 * math.log(unit)),
            (n * unit**2 / SIZES, n * unit**2 * SIZES),
        )

    def at(self, y: Array) -> Estimates | None:
        """The estimates for a response (n,); None at the boundary, where digits are lost, and where a square is not finite."""
        total = blas.ddot(y, y)  # which does not warn of overflow
        if not total < math.inf:
            return None
        ys = y - self.level
        if self.root is not None:
            ys = ys * self.root
        found = self.to_strata.dot(ys)
        yy, r = float(ys.dot(ys)), len(self.shift)
        within = yy - float(found.dot(found))
        low, high = self.limits
        if not (low < within < high and within > CANCELLED * yy and within > PERFECT**2 * total):
            return None
        gamma, residuals = found[:r], found[r:].reshape(self.shape)
        T, variance = residuals.T.dot(residuals) / self.M, within / self.f
        excess, failed = lapack.dpotrf(T / variance - self.identity, lower=1)
        if failed or min(excess.diagonal().tolist()) < INTERIOR:
            return None
        flat, of_rows = T.ravel(), variance * self.within
        v = self.between.dot(flat) + of_rows
        half = self.twice.dot(flat).reshape(r, -1).dot(flat) / self.M + of_rows * of_rows / self.f
        root = lapack.dpotrf(T, lower=1)[0].diagonal().tolist()
        deviance = 2.0 * self.M * sum(map(math.log, root)) + self.f * math.log(variance) + self.constant
        return Estimates(self, self.to_user.dot(gamma) + self.shift, np.sqrt(v), v * v / half, math.sqrt(variance), deviance)


@dataclass(frozen=True, eq=False)
class Estimates:
    """Of the coefficients that are not aliased, on the user's scale."""

    strata: Strata
    beta: Array  # (r,)
    std_errors: Array
    df: Array  # Satterthwaite's
    sigma: float
    deviance: float  # the criterion at its optimum
