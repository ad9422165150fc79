"""Deletions with theta held, from quantities of the fit alone.

With U = V^-1[X y] and I the rows that are left out, the inverse of what remains of V gives

    [X y]'V^-1[X y] without I  =  [X y]'V^-1[X y] - U_I'((V^-1)_II)^-1 U_I                                                (1)

and beta, sigma and |Var(beta)| follow from it. Where the rows of I share no random effect with others, (V^-1)_II is the inverse of
V_II, and the last term is [X y]_I'U_I: sums over rows. Elsewhere (V^-1)_II = I - Z_I C Z_I' (`ranef.core.among`).

docs/explanation/influence.md, eq. 1-4.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import lapack, solve_triangular

from ranef.core.among import Among, among
from ranef.core.pieces import Gls
from ranef.core.solution import Solution
from ranef.covariance.base import Array
from ranef.design import Codes
from ranef.inference.clusters import groupings, is_nested, stacks
from ranef.inference.influence.deletion import Deletion

if TYPE_CHECKING:
    from ranef.fit.fit import Fit

MOST = 1500  # rows whose covariance matrix is formed
SMALL = 16  # order of triangles that are faster solved as any matrices all at once
SMALLEST = 1e-8  # of a pivot of (V^-1)_II: below it eight digits are lost
DETERMINED = 1e-10  # share of the information about a coefficient


@dataclass(frozen=True, eq=False)
class Rests:
    """What remains without each of m sets of rows, NaN where the rest does not determine the model."""

    gamma: Array  # (m, r)
    ratio: Array  # (m,) sigma relative to that of the fit
    logdet: Array  # (m,) log|X'V^-1X| relative to it

    @classmethod
    def nothing(cls, m: int, r: int) -> Rests:
        return cls(np.full((m, r), np.nan), *np.full((2, m), np.nan))


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

    def without(self, clusters: Sequence[Codes]) -> Rests:
        """Those of the same number of rows are left out together."""
        out, rows = Rests.nothing(len(clusters), len(self.gls.gamma)), np.concatenate(clusters)
        codes = np.repeat(np.arange(len(clusters)), [len(own) for own in clusters])
        for which, places in stacks(codes, self._entries):
            own = rows[places]
            if own.shape[1] > self.free:
                continue
            loss, good = self._losses(own)
            for i in np.flatnonzero(~good):
                self._subtract(out, int(which[i]), own[i])
            self._move(out, which[good], loss[good], own.shape[1])
        return out

    def _entries(self, n: int) -> int:
        widths = [z.shape[1] for z in self.deletion.z]
        return n * self.w.shape[1] if self.among is None or n > MOST else n * n * max(widths) ** 2

    def _losses(self, rows: Codes) -> tuple[Array, NDArray[np.bool_]]:
        """(c, r+1, r+1) the last term of (1) for rows (c, n), and where it is known: not of too many rows, nor where their own
        covariance is too near singular."""
        U, every = self.U[rows], np.ones(len(rows), dtype=bool)
        if self.among is None:
            loss = self.w[rows].swapaxes(1, 2) @ U
            return (loss + loss.swapaxes(1, 2)) / 2, every
        if rows.shape[1] > MOST:
            return np.zeros((len(rows), U.shape[2], U.shape[2])), ~every
        own = np.eye(rows.shape[1]) - self.among([z[rows] for z in self.deletion.z], [codes[rows] for codes in self.deletion.codes])
        lower, good = roots(own)
        good &= np.square(np.einsum("cnn->cn", lower)).min(axis=1) >= SMALLEST
        lower[~good] = np.eye(rows.shape[1])
        half = solved(lower, U)
        return half.swapaxes(1, 2) @ half, good

    def _move(self, out: Rests, which: Codes, loss: Array, lost: int) -> None:
        """Least squares without the rows, in the columns of `w`, of all clusters at once."""
        r, s = len(self.gls.gamma), self.gls.pwrss
        lower, good = roots(np.eye(r) - loss[:, :r, :r])
        diagonal = np.einsum("crr->cr", lower)
        good &= np.square(diagonal).min(axis=1, initial=1.0) >= DETERMINED
        lower[~good] = np.eye(r)
        white = solved(lower, -loss[:, :r, r:])
        pwrss = s - loss[:, r, r] - np.einsum("crk,crk->c", white, white)
        good &= pwrss > 0.0
        change = solved(lower, white, transposed=True)[good, :, 0]
        at = which[good]
        out.gamma[at] = self.gls.gamma + (solve_triangular(self.gls.lower, change.T, lower=True, trans="T").T if r else change)
        out.ratio[at] = 1.0 if self.known else np.sqrt(pwrss[good] / s * self.nu / (self.nu - lost))
        out.logdet[at] = 2.0 * np.log(diagonal[good]).sum(axis=1)

    def _subtract(self, out: Rests, i: int, rows: Codes) -> None:
        """From the Gram blocks of the other rows."""
        solution = self.deletion.without(rows, "fixed")
        if solution is None or solution.gls.pwrss <= 0.0:
            return
        gls = solution.gls
        out.gamma[i], out.logdet[i] = gls.gamma, gls.logdet_x - self.gls.logdet_x
        out.ratio[i] = 1.0 if self.known else np.sqrt(gls.pwrss / self.gls.pwrss * self.nu / (self.nu - len(rows)))


def roots(A: Array) -> tuple[Array, NDArray[np.bool_]]:
    """(c, n, n) lower Cholesky factors, and of which matrices there is one."""
    good = np.ones(len(A), dtype=bool)
    try:
        return np.asarray(np.linalg.cholesky(A), dtype=np.float64), good
    except np.linalg.LinAlgError:
        out = np.zeros_like(A)
        for i, one in enumerate(A):
            lower, failed = lapack.dpotrf(one, lower=1)
            out[i], good[i] = np.tril(lower), not failed
        return out, good


def solved(lower: Array, right: Array, *, transposed: bool = False) -> Array:
    """(c, n, k) L^-1 or L'^-1 times right, of each triangle (c, n, n)."""
    if lower.shape[1] <= SMALL:
        return np.asarray(np.linalg.solve(lower.swapaxes(1, 2) if transposed else lower, right))
    return np.stack([lapack.dtrtrs(one, own, lower=1, trans=int(transposed))[0] for one, own in zip(lower, right, strict=True)])


__all__ = ["Held", "Rests"]
