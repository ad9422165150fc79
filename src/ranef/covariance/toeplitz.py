"""`toep`: a correlation for each lag, up to `bands` - 1 where that is given.

The full structure is reached through its partial autocorrelations, x being Fisher's z of them, by the recursion of Levinson and
Durbin: they are free in (-1, 1) for a positive definite matrix. Barndorff-Nielsen and Schou (1973), J. Multivariate Anal. 3, 408.

A band has no such coordinates. With T(x) the symmetric Toeplitz matrix with bands x and zeros on the diagonal, and
c(x) = log tr exp(-T(x)), the matrix c(x) I + T(x) is positive definite for every x, because c exceeds each eigenvalue of -T; and
along each direction u the ratio s / c(s u) grows from 0 to -1 / (smallest eigenvalue of T(u)), because its derivative has the
sign of the entropy of the weights exp(-s mu_i) / sum. So rho = x / c(x) maps R^(bands - 1) onto all positive definite
bands, once each.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ranef.covariance.about import About, Names
from ranef.covariance.correlation import Array, Kernel
from ranef.covariance.jets import Jet, stack, tanh
from ranef.covariance.natural import CORRELATION, Parameter

CLOSE = 1e-5  # eigenvalues nearer than this have the derivative as their divided difference


@dataclass(frozen=True)
class Toeplitz(Kernel):
    bands: int | None = None

    about = About(
        word="toep",
        title="Toeplitz: a correlation for each lag",
        formula=r"\rho_{|i-j|}",
        count="k - 1, or bands - 1",
        names=Names(sas="TOEP, TOEP(q)", nlme="corARMA(p = k - 1)", glmmtmb="homtoep", mmrm="toep", aliases=("homtoep",)),
        heterogeneous=Names(sas="TOEPH, TOEPH(q)", glmmtmb="toep", mmrm="toeph"),
        options=("bands",),
    )

    @property
    def size(self) -> int:
        return min(self.k, self.bands or self.k) - 1

    @property
    def full(self) -> bool:
        return self.size == self.k - 1

    def start(self) -> Array:
        return np.zeros(self.size)

    def of_lags(self, x: Jet) -> Jet:
        """(k,) correlations at the lags 0 ... k - 1."""
        rho = durbin_levinson(tanh(x)) if self.full else _unstack(self._banded(x))
        zeros = [x.constant(0.0)] * (self.k - 1 - self.size)
        return stack([x.constant(1.0), *rho, *zeros])

    def of_distance(self, x: Jet, distance: Array) -> Jet:
        """At whole lags below k."""
        return self.of_lags(x)[np.rint(distance).astype(np.intp)]

    def support(self) -> np.ndarray:
        return np.asarray(self.distances <= self.size)

    def natural(self, x: Jet) -> tuple[tuple[Parameter, ...], Jet]:
        described = tuple(Parameter("rho", str(lag), CORRELATION) for lag in range(1, self.size + 1))
        return described, self.of_lags(x)[1 : self.size + 1]

    def distinct(self) -> tuple[int, ...]:
        return tuple(range(self.size + 1))

    @cached_property
    def _shifts(self) -> Array:
        """(bands - 1, k, k) dT/dx."""
        return np.stack([(self.distances == lag).astype(np.float64) for lag in range(1, self.size + 1)])

    def _banded(self, x: Jet) -> Jet:
        """x / c(x), with c and its derivatives by those of the trace of a function of a symmetric matrix."""
        if not self.size:
            return x
        values, vectors = np.linalg.eigh(-np.tensordot(x.value, self._shifts, 1))
        top = values[-1]
        e = np.exp(values - top)
        total = e.sum()
        moved = -(vectors.T @ self._shifts @ vectors)  # (c, k, k) d(-T) in the basis of its eigenvectors
        slope = np.einsum("aii,i->a", moved, e) / total
        gap = values[:, None] - values
        near = np.abs(gap) < CLOSE
        middle = np.exp((values[:, None] + values) / 2.0 - top)
        divided = np.where(near, middle * (1.0 + gap**2 / 24.0), (e[:, None] - e) / np.where(near, 1.0, gap))
        bend = np.einsum("aij,bij,ij->ab", moved, moved, divided) / total - np.outer(slope, slope)
        return x / _chained(Jet(np.asarray(top + np.log(total)), slope, bend), x)


def _chained(outer: Jet, x: Jet) -> Jet:
    """f(x) for a scalar f whose derivatives by x are given, in the parameters of x."""
    first = np.tensordot(outer.first, x.first, (0, 1))
    second = np.tensordot(outer.first, x.second, (0, 2)) + x.first @ outer.second @ x.first.T
    return Jet(outer.value, first, second)


def _unstack(x: Jet) -> list[Jet]:
    return [x[i] for i in range(len(x))]


def durbin_levinson(partial: Jet) -> list[Jet]:
    """Autocorrelations at lags 1 ... c from the partial ones (c,): rho_m = sum_j phi_j rho_(m-j) + p_m (1 - sum_j phi_j rho_j)."""
    rho: list[Jet] = []
    phi: list[Jet] = []
    for m in range(len(partial)):
        p, left = partial[m], partial.constant(1.0)
        found = partial.constant(0.0)
        for j in range(m):
            found = found + phi[j] * rho[m - 1 - j]
            left = left - phi[j] * rho[j]
        rho.append(found + p * left)
        phi = [phi[j] - p * phi[m - 1 - j] for j in range(m)] + [p]
    return rho
