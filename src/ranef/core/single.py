"""One grouping factor: the levels are independent, and levels with the same Z_j'Z_j share a factorisation.

With C = L_C L_C' = Z_j'Z_j, D_j = Z_j'[X y] = L_C E_j and K = I + L_C'Omega L_C, all is a sum of terms without cancellation:

    log|V| = sum log|K|     W = W_0 + sum E_j'K^-1 E_j     M = Z_j'V^-1 Z_j = L_C K^-1 L_C'     B_j = Z_j'V^-1[X y] = L_C K^-1 E_j

where W_0 is what the random columns leave of [X y]'[X y]. The levels of one pattern enter only through sum_j vec(D_j)vec(D_j)', so
a pattern with many levels is replaced by the few pseudo-levels that are the rows of its root: balanced data cost the same for ten
subjects and for a million.

docs/explanation/likelihood.md, eq. 15-16.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import ModuleType
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import lapack

from ranef.core.balanced import Balance
from ranef.core.gram import Gram
from ranef.core.kernels.twins import compiled, load
from ranef.core.leftover import leftover
from ranef.core.pieces import Gls, LinAlgError, Pieces, direction_forms, direction_products
from ranef.core.within import tile_roots
from ranef.covariance.base import Array

Index = NDArray[np.intp]
LEVEL = 1.5e-6  # seconds that NumPy takes for a level in one evaluation
EVALUATIONS = 8
KEPT = 1 << 25  # bytes of conditional covariances that stay for the next question
SAMPLE = 500  # levels that have to differ in Z_j'Z_j for all to be taken as different


@dataclass(frozen=True, eq=False)
class Single:
    """The engine for one block. U patterns, G (pseudo-)levels."""

    exact: ClassVar[bool] = True
    order: ClassVar[int] = 0

    gram: Gram
    lower: Array  # (U, k, k) L_C; with very many columns (U, k, c), c the largest rank
    count: Array  # (U,) levels that have the pattern
    inverse: Array  # (m, k, k) or (m, c, k) the left inverse of L_C, level by level
    levels: Index  # (m,) the pattern of each level
    E: Array  # (G, k, r+1)
    pattern: Index  # (G,)
    rest: Array  # (r+1, r+1) W_0
    kernels: ModuleType | None  # the compiled twin, where levels or evaluations are many
    balance: Balance | None  # of balanced data
    _found: dict[bytes, Array] = field(default_factory=dict, repr=False)  # conditional covariances at the last Lambda, where small

    @classmethod
    def of(cls, gram: Gram) -> Single:
        unique, levels = _patterns(gram.zz[0])
        lower, inverse = tile_roots(unique)
        if gram.layout.wide:
            lower, inverse = _narrowed(lower, inverse)
        count = np.bincount(levels, minlength=len(unique)).astype(float)
        kernels = None if gram.layout.wide else compiled("single", EVALUATIONS * LEVEL * len(levels))
        own = inverse if len(unique) == len(levels) else inverse[levels]
        found = _responses(gram, own, levels, len(unique))
        return cls(gram, lower, count, own, levels, *found, kernels, Balance.of(gram, lower, inverse, found[0], found[2]))

    def with_gram(self, gram: Gram) -> Single:
        """The same design with another response."""
        found = _responses(gram, self.inverse, self.levels, len(self.lower))
        return Single(gram, self.lower, self.count, self.inverse, self.levels, *found, self.kernels, self.balance)

    def compiled(self) -> Single:
        """With compiled kernels whatever the size."""
        return replace(self, kernels=load("single"))

    def unimodal(self, reml: bool) -> bool:
        """Is the criterion known to have a single optimum?"""
        return self.balance is not None

    def closed_form(self, reml: bool) -> list[Array] | None:
        """(k, k) a root of the best Omega, where there is a formula for it."""
        root = None if self.balance is None else self.balance.root(self.gram.nobs, self.E, self.rest, reml)
        return None if root is None else [root]

    def pieces(self, factors: list[Array], order: int) -> Pieces:
        if self.kernels is not None:
            return self._compiled(self.kernels, factors[0], order)
        return self._one_pattern(factors[0], order) if len(self.lower) == 1 else self._by_numpy(factors[0], order)

    def _compiled(self, kernels: ModuleType, lam: Array, order: int) -> Pieces:
        _, a, b = self.gram.layout.directions
        failed, logdet, lower, gamma, pwrss, logdet_x, t, F, second = kernels.pieces(
            self.lower, self.count, self.E, self.pattern, self.rest, lam, a, b, order
        )
        if failed:
            raise LinAlgError("X'V^-1X is not positive definite" if failed == 2 else "I + L_C'Omega L_C is not positive definite")
        gls = Gls(lower, gamma, pwrss, logdet_x)
        if order == 0:
            return Pieces(logdet, gls)
        return Pieces(logdet, gls, t, F, *second) if order >= 2 else Pieces(logdet, gls, t, F)

    def _one_pattern(self, lam: Array, order: int) -> Pieces:
        """As `_by_numpy`, with all levels side by side in one matrix."""
        root, m, layout, (G, k, c) = self.lower[0], float(self.count[0]), self.gram.layout, self.E.shape
        half = lam.T @ root
        K = half.T @ half
        K.ravel()[:: k + 1] += 1.0
        chol, failed = lapack.dpotrf(K, lower=1)
        if failed:
            raise LinAlgError("I + L_C'Omega L_C is not positive definite")
        logdet = 2.0 * m * sum(map(math.log, chol.diagonal().tolist()))
        inner = lapack.dtrtri(chol, lower=1)[0]
        Y = inner @ self.E.swapaxes(0, 1).reshape(k, G * c)
        flat = Y.reshape(k * G, c)
        gls = Gls.of(self.rest + flat.T @ flat)
        if order == 0:
            return Pieces(logdet, gls)
        outer = inner @ root.T
        M = outer.T @ outer
        B = (outer.T @ Y).reshape(k * G, c) @ gls.rotation()
        wide = B.reshape(k, G, c).swapaxes(0, 1).reshape(G, k * c)
        sums = (wide.T @ wide).reshape(k, c, k, c)
        _, a, b = layout.directions
        t = (m * M)[a, b] * layout.places
        F = direction_forms(layout, [sums.swapaxes(1, 2)])
        if order == 1:
            return Pieces(logdet, gls, t, F)
        right = np.empty((3, k, k))
        right[0], right[2] = m * M, sums[:, c - 1, :, c - 1]
        right[1] = sums[:, : c - 1, :, : c - 1].trace(axis1=1, axis2=3)
        tables = M.reshape(k * k, 1) * right.reshape(3, 1, k * k)
        return Pieces(logdet, gls, t, F, *direction_products(layout, {(0, 0): tables.reshape(3, k, k, k, k)}))

    def _by_numpy(self, lam: Array, order: int) -> Pieces:
        k, layout = lam.shape[0], self.gram.layout
        half = lam.T @ self.lower  # (U, k, k) Lambda' L_C
        K = half.swapaxes(1, 2) @ half
        U, w, _ = K.shape
        K.reshape(U, w * w)[:, :: w + 1] += 1.0
        chol = np.linalg.cholesky(K)
        diagonals = chol.reshape(U, w * w)[:, :: w + 1]
        logdet = 2.0 * float(self.count @ np.add.reduce(np.log(diagonals), axis=1))
        inner = np.linalg.inv(chol)
        Y = inner.take(self.pattern, axis=0) @ self.E
        G, _, c = Y.shape
        flat = Y.reshape(G * w, c)
        gls = Gls.of(self.rest + flat.T @ flat)
        if order == 0:
            return Pieces(logdet, gls)
        outer = inner @ self.lower.swapaxes(1, 2)  # (U, w, k)
        back = outer.swapaxes(1, 2)
        M = back @ outer
        B = back.take(self.pattern, axis=0) @ (flat @ gls.rotation()).reshape(G, w, c)
        _, a, b = layout.directions
        t = (self.count @ M.reshape(U, k * k))[a * k + b] * layout.places
        wide = B.reshape(G, k * c)
        F = direction_forms(layout, [(wide.T @ wide).reshape(k, c, k, c).swapaxes(1, 2)])
        if order == 1:
            return Pieces(logdet, gls, t, F)
        return Pieces(logdet, gls, t, F, *self._second(M, B))

    def single_effects(self, sizes: Array) -> tuple[Array, Array]:
        """(b,) log|V| and (b, r+1, r+1) [X y]'V^-1[X y] at standard deviations (b,) of one effect for each level."""
        K = 1.0 + np.square(sizes[:, None] * self.lower[:, 0, 0])
        rows = self.E[:, 0]
        weighted = rows / K[:, self.pattern, None]
        return np.log(K) @ self.count, self.rest + weighted.swapaxes(1, 2) @ rows

    def saturated(self) -> Array:
        """(r+1, r+1) what the random columns leave of [X y]'[X y]."""
        return self.rest

    def projections(self, factors: list[Array]) -> list[Array]:
        """Z'V^-1 [X L^-T, P y] of every level: [(m, k, r+1)]."""
        D = self.gram.zw[0] @ self.pieces(factors, 0).gls.rotation()
        return [D - self.gram.zz[0] @ (self._conditional(factors) @ D)]

    def apply(self, factors: list[Array], vectors: list[Array]) -> list[Array]:
        """Z'V^-1 Z times vectors [(m, k, c)]."""
        C = self.gram.zz[0]
        moved = C @ vectors[0]
        return [moved - C @ (self._conditional(factors) @ moved)]

    def conditional(self, factors: list[Array], f: int, g: int, rows: Index, columns: Index) -> Array:
        """(c, k, k) tiles of Lambda (Lambda'Z'Z Lambda + I)^-1 Lambda' at the pairs of levels (rows, columns)."""
        tiles = self._conditional(factors)[rows]
        tiles[rows != columns] = 0.0
        return tiles

    def _conditional(self, factors: list[Array]) -> Array:
        """(m, k, k) Lambda (Lambda'C_j Lambda + I)^-1 Lambda'."""
        (lam,) = factors
        found = self._found.get(lam.tobytes())
        if found is None:
            A = lam.T @ self.gram.zz[0] @ lam + np.eye(len(lam))
            found = lam @ np.linalg.solve(A, np.broadcast_to(lam.T, A.shape))
            self._found.clear()
            if found.nbytes <= KEPT:
                self._found[lam.tobytes()] = found
        return found

    def _second(self, M: Array, B: Array) -> tuple[Array, Array, Array]:
        """h, e and y: sums over levels of M (x) M, M (x) B_x B_x' and M (x) r r'."""
        U, k, _ = M.shape
        flat, fixed, rest = M.reshape(U, k * k), B[:, :, :-1], B[:, :, -1]
        outer = np.empty((len(B), 2, k, k))
        np.matmul(fixed, fixed.swapaxes(1, 2), out=outer[:, 0])
        np.multiply(rest[:, :, None], rest[:, None, :], out=outer[:, 1])
        order, starts = self._runs
        sums = np.add.reduceat(outer.reshape(-1, 2 * k * k).take(order, axis=0), starts, axis=0)
        right = np.concatenate((flat * self.count[:, None], sums), axis=1)
        tables = (flat.T @ right).reshape(k * k, 3, k * k).swapaxes(0, 1)
        h, e, y = direction_products(self.gram.layout, {(0, 0): tables.reshape(3, k, k, k, k)})
        return h, e, y

    @cached_property
    def _runs(self) -> tuple[Index, Index]:
        """(G,) the levels pattern by pattern, and (U,) where each pattern begins among them."""
        order = np.argsort(self.pattern, kind="stable")
        return order, np.searchsorted(self.pattern, np.arange(len(self.lower)), sorter=order)


def _narrowed(lower: Array, inverse: Array) -> tuple[Array, Array]:
    """Without the columns of L_C that are zero in every pattern: a level has few of very many positions."""
    used = np.any(lower != 0.0, axis=(0, 1))
    return np.ascontiguousarray(lower[:, :, used]), np.ascontiguousarray(inverse[:, used])


def _responses(gram: Gram, inverse: Array, levels: Index, patterns: int) -> tuple[Array, Index, Array]:
    """E, its patterns, and W_0."""
    E = inverse @ gram.zw[0]
    flat = E.reshape(-1, E.shape[2])
    rest = leftover(gram, 0, gram.ww - flat.T @ flat, lambda: inverse.swapaxes(1, 2) @ E)
    return *collapse(E, levels, patterns), rest


def _patterns(C: Array) -> tuple[Array, Index]:
    """Distinct Z_j'Z_j and the pattern of each level; matrices that differ by rounding only are the same."""
    flat = C.reshape(len(C), -1)
    largest = np.abs(flat).max(initial=0.0)
    if len(C) == 0 or np.abs(flat - flat[0]).max() <= 1e-13 * largest:
        return C[:1], np.zeros(len(C), dtype=np.intp)
    every, sample = np.arange(len(C)), flat[:: 1 + len(C) // SAMPLE]
    if len(C) > SAMPLE and len(_distinct(sample, largest)[0]) == len(sample):
        return C, every
    first, pattern = _distinct(flat, largest)
    return (C, every) if len(first) == len(C) else (C[first], pattern)


def _distinct(flat: Array, largest: float) -> tuple[Index, Index]:
    """(U,) a row of each kind, (m,) the kind of each row; equal keys meet when sorted by one mixture of their entries."""
    keys = np.round(flat / (largest * 1e-13)) if largest else flat
    mixture = np.zeros(len(keys))
    for i, column in enumerate(keys.T):
        mixture += column * np.sqrt(2.0 + i)
    order = np.argsort(mixture, kind="stable")
    new = np.append(True, np.any(keys[order][1:] != keys[order][:-1], axis=1))
    pattern = np.empty(len(keys), dtype=np.intp)
    pattern[order] = np.cumsum(new) - 1
    return order[new], pattern


def collapse(E: Array, pattern: Index, patterns: int) -> tuple[Array, Index]:
    """Replace the levels of a pattern by the rows of a root of sum vec(E_j)vec(E_j)' where that leaves a quarter or less."""
    G, k, c = E.shape
    if G <= 4 * k * c * patterns:
        return E, pattern
    order = np.argsort(pattern, kind="stable")
    bounds = np.searchsorted(pattern[order], np.arange(patterns + 1))
    rows, owners = [], []
    for u in range(patterns):
        flat = E[order[bounds[u] : bounds[u + 1]]].reshape(-1, k * c)
        if len(flat) > k * c:
            flat = np.asarray(np.linalg.qr(flat, mode="r"))
        rows.append(flat)
        owners.append(np.full(len(flat), u, dtype=np.intp))
    return np.concatenate(rows).reshape(-1, k, c), np.concatenate(owners)
