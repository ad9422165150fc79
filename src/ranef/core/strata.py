"""Fixed effects of balanced data and their tests from sums of squares alone, without a criterion.

In the notation of `balanced`: where the optimum is off the boundary, T = sigma^2 K = S / M and sigma^2 = s_0 / f, as independent as
a Wishart matrix and a chi-squared. With N_ab the sum of x_j[a] x_j[b]' over levels (x_j[a] is row a of E_j without its last column)
and W what the random columns leave of X'X,

    Var(gamma) = sum_ab T_ab N_ab + sigma^2 W
    v = x'Var(gamma)x = tr QT + c sigma^2,        Q_ab = x'N_ab x,  c = x'Wx
    df = 2 v^2 / Var(v) = v^2 / (tr QTQT / M + (c sigma^2)^2 / f)          Satterthwaite's, with the observed information
    -2 log L = M log|T| + f log sigma^2 + nu (1 + log 2 pi) + constant,    nu = M k + f

gamma and S come from one small matrix times y.

docs/explanation/likelihood.md, eq. 18a-18c.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.linalg import lapack

from ranef.core.criterion import Criterion
from ranef.core.gram import SIZES
from ranef.core.leftover import CANCELLED
from ranef.core.single import Single
from ranef.covariance.base import Array

INTERIOR = 1e-2  # the smallest pivot of a root of K - I, of which the square is known to ten digits
PERFECT = 1e-14  # a residual root mean square below this share of the response's is rounding


@dataclass(frozen=True, eq=False)
class Strata:
    """All that the formulas need of a small balanced design."""

    criterion: Criterion  # with some response
    to_strata: Array  # (r + m k, n): y_s to gamma and to r_j of every level
    to_user: Array  # (r, r) gamma to coefficients, in units of the response
    shift: Array  # (r,) coefficients subtracted from y
    M: int
    f: int
    constant: float  # of the criterion, and nu (1 + log 2 pi)
    between: Array  # (r, k k) Q of each coefficient
    within: Array  # (r,) c

    @classmethod
    def of(cls, criterion: Criterion) -> Strata | None:
        """None where the design is not balanced, or so large that a search costs no more than the pass over its rows."""
        engine, gram = criterion.engine, criterion.gram
        if not isinstance(engine, Single) or engine.balance is None or criterion.scale is not None or gram.map is None:
            return None
        standard, balance, r = gram.standard, engine.balance, gram.rank
        M, f = balance.degrees(gram.nobs, r, criterion.reml)
        if M <= 0 or f <= 0:
            return None
        X, Z = gram.map[:r], gram.map[r:].reshape(*gram.zw[0].shape[:2], -1)
        residual = engine.inverse @ (Z - gram.zw[0][:, :, :r] @ X)
        k, x = Z.shape[1], standard.to_user[standard.places]
        between = np.add.reduce((x @ balance.products.reshape(k * k, r, r)) * x, axis=2).T
        within = np.add.reduce((x @ balance.within) * x, axis=1)
        to_strata = np.concatenate([X, residual.reshape(-1, gram.nobs)])
        constant = criterion.constant + criterion.nu * (1.0 + math.log(2.0 * math.pi))
        return cls(
            criterion, to_strata, standard.unit * x, standard.shift[standard.places], M, f, constant,
            np.ascontiguousarray(between), within,
        )  # fmt: skip

    def at(self, y: Array) -> Estimates | None:
        """The estimates for a response (n,) of finite values; None at the boundary and where digits are lost."""
        standard = self.criterion.gram.standard
        ys = standard.response(y)
        if standard.design.weights is not None:
            ys = ys * np.sqrt(standard.design.weights)
        r = len(self.shift)
        found = self.to_strata @ ys
        gamma, residuals = found[:r], found[r:].reshape(self.criterion.gram.zw[0].shape[:2])
        S, yy = residuals.T @ residuals, float(ys @ ys)
        s = yy - float(gamma @ gamma) - sum(S.diagonal().tolist())
        if (
            not s > CANCELLED * yy
            or not len(y) / SIZES < s < len(y) * SIZES
            or not s * standard.unit**2 > PERFECT**2 * float(y @ y)
        ):
            return None
        T, variance = S / self.M, s / self.f
        excess = T / variance
        excess.ravel()[:: len(excess) + 1] -= 1.0
        root, failed = lapack.dpotrf(excess, lower=1)
        if failed or min(root.diagonal().tolist()) < INTERIOR:
            return None
        return Estimates(self, gamma, T, variance)


@dataclass(frozen=True, eq=False)
class Estimates:
    """Of the coefficients that are not aliased, on the user's scale; T and sigma^2 are standardised."""

    strata: Strata
    gamma: Array  # (r,)
    T: Array  # (k, k)
    variance: float

    @cached_property
    def beta(self) -> Array:
        return self.strata.to_user @ self.gamma + self.strata.shift

    @cached_property
    def std_errors(self) -> Array:
        return self.strata.criterion.gram.standard.unit * np.sqrt(self._variances)

    @cached_property
    def _variances(self) -> Array:
        """v of each coefficient."""
        return self.strata.between @ self.T.ravel() + self.variance * self.strata.within

    @cached_property
    def df(self) -> Array:
        """Satterthwaite's degrees of freedom."""
        v, k, strata = self._variances, len(self.T), self.strata
        QT = strata.between.reshape(-1, k, k) @ self.T
        within = self.variance * strata.within
        half = np.add.reduce((QT * QT.swapaxes(1, 2)).reshape(-1, k * k), axis=1) / strata.M + within * within / strata.f
        return v * v / half

    @property
    def sigma(self) -> float:
        return self.strata.criterion.gram.standard.unit * math.sqrt(self.variance)

    @cached_property
    def deviance(self) -> float:
        """The criterion at its optimum."""
        M, f = self.strata.M, self.strata.f
        root = lapack.dpotrf(self.T, lower=1)[0]
        logdet = 2.0 * sum(map(math.log, root.diagonal().tolist()))
        return M * logdet + f * math.log(self.variance) + self.strata.constant
