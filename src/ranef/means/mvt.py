"""Maxima of correlated t variables: P(max |T_i| > c), the single-step correction for any family of contrasts.

For the normal variables Z behind them, tail(w) = P(max |Z_i| > w) is found by the transformation of Genz and Bretz (2009,
Computation of Multivariate Normal and t Probabilities, 4.2 and 5.1): after a pivoted Cholesky decomposition each new variable is
confined by the constraints that end with it, which also serves singular correlations (all differences of k means have rank k - 1).
The integral over r - 1 uniform variables is a product rule up to rank r = 6 (r = 2 in the singular case), else the mean of randomly
shifted lattices, from a fixed seed: the same call gives the same bits. tail(w) is interpolated in w, and one quadrature over the
scale gives t at any degrees of freedom.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import product

import numpy as np
from numpy.polynomial import chebyshev, legendre
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from ranef.design import Array
from ranef.means.studentized import common_tail, studentised

ERROR = 2e-5  # of a probability, aimed at by the lattices: three standard errors
SHIFTS = 8
FIRST, LAST = 1 << 10, 1 << 14  # points of a lattice, for each shift
GAUSS = {1: 1, 2: 60, 3: 30, 4: 16, 5: 12, 6: 8}  # nodes of the product rule for each variable, by rank
MIDPOINTS = {1: 1, 2: 4096}  # the same where the correlations are singular and the integrand has kinks
NODES, FAR = {True: 25, False: 45}, 5.0  # of the interpolation in w; beyond FAR the tail keeps its ratio to the single tails
INTERPOLATED = 2e-6  # the error of the interpolation, measured on families whose distribution is known
FLAT = 1e-9
TINY = 1e-16
SEED = 20240229


@dataclass(frozen=True, eq=False)
class Family:
    """Jointly t-distributed statistics with one correlation matrix (m, m), which may be singular."""

    correlation: Array
    two_sided: bool = True

    @cached_property
    def loading(self) -> Array | None:
        """(m,) a with correlation_ij = a_i a_j off the diagonal, if there is such."""
        return common_part(self.correlation)

    @property
    def error(self) -> float:
        """A bound for the error of `tail`: three standard errors of the lattices, the difference of two rules, or rounding."""
        return 1e-9 if self.loading is not None else self._ratio[1]

    def tail(self, c: Array, df: Array) -> Array:
        """(m,) P(max > c_j) with df_j degrees of freedom."""
        if self.loading is not None:
            return common_tail(c, self.loading, df, two_sided=self.two_sided)
        return studentised(self._normal_tail, np.asarray(c, dtype=float), df, spread=1.0)

    def _normal_tail(self, w: Array) -> Array:
        low = 0.0 if self.two_sided else -FAR
        x = np.clip(2.0 * (w - low) / (FAR - low) - 1.0, -1.0, 1.0)
        return np.clip(chebyshev.chebval(x, self._ratio[0]) * self._single(w), 0.0, 1.0)

    def _single(self, w: Array) -> Array:
        """The sum of the tails of the variables, each on its own."""
        return len(self.correlation) * (2.0 if self.two_sided else 1.0) * ndtr(-w)

    @cached_property
    def _ratio(self) -> tuple[Array, float]:
        """Chebyshev coefficients of tail(w) over the sum of the single tails, and a bound of the error of tail(w)."""
        low, x = 0.0 if self.two_sided else -FAR, chebyshev.chebpts1(NODES[self.two_sided])
        w = low + (FAR - low) * 0.5 * (1.0 + x)
        m, rank = self._root.shape
        tail, error = self._product(w) if rank in (GAUSS if m == rank else MIDPOINTS) else (w, np.inf)
        if error > ERROR:
            other, other_error = self._lattices(w)
            tail, error = (other, other_error) if other_error < error else (tail, error)
        curve = np.asarray(chebyshev.chebfit(x, tail / self._single(w), len(x) - 1), dtype=np.float64)
        return curve, error + INTERPOLATED

    def _product(self, w: Array) -> tuple[Array, float]:
        """By product rules; the error is the difference from a smaller rule."""
        m, rank = self._root.shape
        nodes, less = (GAUSS[rank], 1) if m == rank else (MIDPOINTS[rank], MIDPOINTS[rank] // 3)
        rules = (_product_rule(max(count, 1), rank - 1, smooth=m == rank) for count in (nodes, nodes - less))
        fine, coarse = (self._outside(w, *rule) for rule in rules)
        return fine, float(np.abs(fine - coarse).max())

    def _lattices(self, w: Array) -> tuple[Array, float]:
        """By randomly shifted Richtmyer lattices under the tent transform, until the error is small enough."""
        variables = self._root.shape[1] - 1
        shifts = np.random.default_rng(SEED).random((SHIFTS, variables))
        totals, count = np.zeros((SHIFTS, len(w))), 0
        while True:
            size = count or FIRST
            lattice = np.arange(count + 1, count + size + 1)[:, None] * np.sqrt(_primes(variables))
            points = (np.abs(2.0 * ((lattice + shift) % 1.0) - 1.0) for shift in shifts)
            totals += size * np.array([self._outside(w, u, np.full(size, 1.0 / size)) for u in points])
            count += size
            error = 3.0 * float((totals / count).std(axis=0, ddof=1).max()) / np.sqrt(SHIFTS)
            if error < ERROR or count >= LAST:
                return np.asarray(totals.mean(axis=0) / count, dtype=np.float64), error

    def _outside(self, w: Array, u: Array, weight: Array) -> Array:
        """1 - P(all |Z_i| <= w) for each w, by the points u (s, r - 1) and their weights."""
        return np.array([1.0 - weight @ self._inside(float(bound), u) for bound in w])

    def _inside(self, w: float, u: Array) -> Array:
        """(s,) the probability that all constraints hold given the variables of each point."""
        A, (size, variables) = self._root, u.shape
        y, share = np.zeros((size, variables)), np.ones(size)
        for j in range(variables + 1):
            low, high = np.full(size, -np.inf), np.full(size, np.inf)
            for i in self._ends[j]:
                middle, scale = y[:, :j] @ A[i, :j], A[i, j]
                below = (-w - middle) / scale if self.two_sided else np.full(size, -np.inf * scale)
                above = (w - middle) / scale
                low, high = np.maximum(low, np.minimum(below, above)), np.minimum(high, np.maximum(below, above))
            start, stop = ndtr(low), ndtr(np.maximum(high, low))
            share *= stop - start
            if j < variables:
                y[:, j] = ndtri(np.clip(start + u[:, j] * (stop - start), TINY, 1.0 - TINY))
        return share

    @cached_property
    def _root(self) -> Array:
        """(m, r) A with A A' the correlation, lower trapezoidal up to the order of its rows."""
        return pivoted_root(self.correlation)

    @cached_property
    def _ends(self) -> list[NDArray[np.intp]]:
        """For each column of the root the rows whose last entry it is."""
        last = np.array([int(np.flatnonzero(np.abs(row) > FLAT)[-1]) for row in self._root])
        return [np.flatnonzero(last == j) for j in range(self._root.shape[1])]


def common_part(correlation: Array) -> Array | None:
    """(m,) loadings of a single factor that explains the correlations exactly, or None."""
    m, off = len(correlation), correlation - np.diag(np.diag(correlation))
    if np.abs(off).max(initial=0.0) < FLAT:
        return np.zeros(m)
    i, j = np.unravel_index(int(np.argmax(np.abs(off))), off.shape)
    if m == 2:
        square = abs(off[0, 1])
    else:
        k = max((h for h in range(m) if h not in (i, j)), key=lambda h: abs(off[i, h] * off[j, h]))
        square = off[i, j] * off[i, k] / off[j, k] if abs(off[j, k]) > FLAT else -1.0
    if square <= 0:
        return None
    loading = off[i] / np.sqrt(square)
    loading[i] = np.sqrt(square)
    rest = np.outer(loading, loading) - off
    np.fill_diagonal(rest, 0.0)
    return loading if np.abs(rest).max() < 1e-8 and np.abs(loading).max() < 1.0 - 1e-4 else None


def pivoted_root(matrix: Array) -> Array:
    """(m, r) Cholesky factor with pivoting of a positive semidefinite matrix, in the original order of rows."""
    rest, m = matrix.astype(float).copy(), len(matrix)
    columns: list[Array] = []
    while len(columns) < m:
        j = int(np.argmax(np.diag(rest)))
        if rest[j, j] <= FLAT:
            break
        column = rest[:, j] / np.sqrt(rest[j, j])
        rest = rest - np.outer(column, column)
        rest[j], rest[:, j] = 0.0, 0.0
        columns.append(np.where(np.abs(column) < FLAT, 0.0, column))
    return np.array(columns).T


def _product_rule(nodes: int, variables: int, *, smooth: bool) -> tuple[Array, Array]:
    """Points (nodes^variables, variables) and weights of a product rule on the unit cube: Gauss-Legendre, or midpoints.

    The substitution u = x^2 (3 - 2 x) takes the edge off the singularities that the normal quantile has at 0 and 1.
    """
    if smooth:
        x, w = legendre.leggauss(nodes)
        x, w = 0.5 * (x + 1.0), 0.5 * w
    else:
        x, w = (np.arange(nodes) + 0.5) / nodes, np.full(nodes, 1.0 / nodes)
    x, w = x**2 * (3.0 - 2.0 * x), w * 6.0 * x * (1.0 - x)
    points = np.array(list(product(x, repeat=variables))).reshape(nodes**variables, variables)
    weights = np.ones(1)
    for _ in range(variables):
        weights = np.outer(weights, w).ravel()
    return points, weights


def _primes(count: int) -> Array:
    found: list[int] = []
    candidate = 2
    while len(found) < count:
        if all(candidate % prime for prime in found):
            found.append(candidate)
        candidate += 1
    return np.array(found, dtype=float)
