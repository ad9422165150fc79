"""Deletions with theta held, from quantities of the fit alone.

With U = V^-1[X y] and I the rows that are left out, the inverse of what remains of V gives

    [X y]'V^-1[X y] without I  =  [X y]'V^-1[X y] - U_I'((V^-1)_II)^-1 U_I                                                (1)

and beta, sigma and |Var(beta)| follow from it. Where the rows of I share no random effect with others, (V^-1)_II is the inverse of
V_II, and the last term is [X y]_I'U_I: sums over rows. Elsewhere (V^-1)_II = I - Z_I C Z_I' (`ranef.core.among`).

docs/explanation/influence.md, eq. 1-4.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.linalg import lapack

from ranef.core.among import Among, among
from ranef.core.pieces import Gls, LinAlgError
from ranef.core.solution import Solution
from ranef.covariance.base import Array
from ranef.design import Codes
from ranef.inference.clusters import groupings, is_nested
from ranef.inference.influence.deletion import Deletion

if TYPE_CHECKING:
    from ranef.fit.fit import Fit

MOST = 1500  # rows whose covariance matrix is formed
SMALLEST = 1e-8  # of a pivot of (V^-1)_II: below it eight digits are lost
DETERMINED = 1e-10  # share of the information about a coefficient


@dataclass(frozen=True)
class Rest:
    """What remains: gamma (r,), sigma relative to that of the fit, log|X'V^-1X| relative to it."""

    gamma: Array
    ratio: float
    logdet: float


@dataclass(frozen=True, eq=False)
class Held:
    """A fit whose theta is held, in the columns of the Gram blocks; those of X are turned so that X'V^-1X = I."""

    deletion: Deletion
    gls: Gls
    w: Array  # (n, r+1) [X, y - X gamma]
    U: Array  # (n, r+1) V^-1 times these
    nu: int
    free: int  # rows that may be left out: more than these leave fewer than two degrees of freedom
    known: bool  # is sigma?
    among: Among | None  # None where clusters share no random effect

    @classmethod
    def of(cls, fit: Fit, codes: Codes) -> Held:
        """`codes` (n,) are the clusters that are to be left out."""
        criterion, deletion = fit.criterion, Deletion.of(fit)
        solution = Solution(criterion, fit.optimum.theta)
        gls, factors = criterion.pieces(solution.theta, 0).gls, solution.factors
        w = deletion.w @ gls.rotation()
        U = w.copy()
        for z, own, B, lam in zip(deletion.z, deletion.codes, solution.projections, factors, strict=True):
            effects = (lam @ lam.T) @ B
            for a in range(z.shape[1]):
                U -= z[:, a, None] * effects[own, a]
        apart = all(is_nested(group.codes, codes) for group in groupings(fit).values())
        covariance = None if apart else among(criterion.engine, criterion.layout, factors)
        free = fit.nobs - criterion.gram.rank - 2
        return cls(deletion, gls, w, U, criterion.nu, free, criterion.scale is not None, covariance)

    def without(self, rows: Codes) -> Rest | None:
        """None where the rest does not determine the model."""
        if len(rows) > self.free:
            return None
        loss = self._loss(rows)
        if loss is None:
            return self._subtracted(rows)
        try:
            gls = self.gls.moved(loss)
        except LinAlgError:
            return None
        if np.any(np.square(gls.lower.diagonal()) < DETERMINED * np.square(self.gls.lower.diagonal())):
            return None
        return self._rest(gls, len(rows))

    def _loss(self, rows: Codes) -> Array | None:
        """(r+1, r+1) the last term of (1); None where there are too many rows, or their own covariance is too near singular."""
        U = self.U[rows]
        if self.among is None:
            loss = self.w[rows].T @ U
            return np.asarray((loss + loss.T) / 2)
        if len(rows) > MOST:
            return None
        own = self.among([z[rows] for z in self.deletion.z], [codes[rows] for codes in self.deletion.codes])
        np.negative(own, out=own)
        own.ravel()[:: len(rows) + 1] += 1.0
        lower, failed = lapack.dpotrf(own, lower=1, overwrite_a=1)
        if failed or np.square(lower.diagonal()).min() < SMALLEST:
            return None
        half = lapack.dtrtrs(lower, U, lower=1)[0]
        return np.asarray(half.T @ half)

    def _subtracted(self, rows: Codes) -> Rest | None:
        """From the Gram blocks of the other rows."""
        solution = self.deletion.without(rows, "fixed")
        return None if solution is None else self._rest(solution.gls, len(rows))

    def _rest(self, gls: Gls, lost: int) -> Rest | None:
        if gls.pwrss <= 0.0:
            return None
        ratio = 1.0 if self.known else float(np.sqrt(gls.pwrss / self.gls.pwrss * self.nu / (self.nu - lost)))
        return Rest(gls.gamma, ratio, gls.logdet_x - self.gls.logdet_x)


__all__ = ["Held", "Rest"]
