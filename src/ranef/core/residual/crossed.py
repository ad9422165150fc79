"""Residual structures beside random effects that join many rows: crossed factors, or groups of many subjects.

R is block-diagonal over subjects, and the random effects are few enough for one dense matrix. With A = R^-1, G = Z'A Z and
C = Lambda (Lambda'G Lambda + I)^-1 Lambda',

    V^-1 = A - A Z C Z'A      log|V| = log|R| + log|Lambda'G Lambda + I|      Z'V^-1 = (I - G C) Z'A

so that no n x n matrix is needed. For a residual parameter k with D_k = A R_k A, G_k = Z'D_k Z and N_k = (I - G C) G_k (I - C G),

    tr V^-1 R_k = sum over subjects of the own blocks of V^-1 times R_k         tr V^-1 V_d V^-1 R_k = tr E_d N_k
    tr V^-1 R_k V^-1 R_l = tr A R_k A R_l - 2 tr Z C Z' A R_k A R_l A + tr C G_k C G_l

Where there are many random effects, evaluations to order 2 leave h and e out (average information); those to order 3 have all.
docs/explanation/residual-structures.md, eq. 13-14.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import block_diag, lapack, solve_triangular
from scipy.sparse import csr_array

from ranef.core.gram import Gram
from ranef.core.moments import Full, direction_traces
from ranef.core.pieces import Bend, Gls, LinAlgError, Pieces
from ranef.core.residual.clusters import Batch, batches
from ranef.core.residual.engine import Index, RowMoments, diagonal
from ranef.core.residual.marginal import Rows, cholesky, inverse_of, outer_sums, quadratic_forms, sandwich
from ranef.core.residual.rows import Residuals, RowCovariance
from ranef.covariance.base import Array

CHEAP = 300  # random effects up to which evaluations to order 2 have exact second derivatives


@dataclass(frozen=True, eq=False)
class Subjects:
    """All subjects of one number of rows, with A of each pattern."""

    batch: Batch
    A: Array  # (U, n, n)


@dataclass(frozen=True, eq=False)
class Solved:
    """The mixed-model equations at one Lambda and rho."""

    subjects: tuple[Subjects, ...]
    logdet: float
    AX: Array  # (n, r+1) R^-1 [X y]
    AZ: csr_array  # (n, q)
    G: Array  # (q, q)
    g: Array  # (q, r+1) Z'R^-1 [X y]
    C: Array  # (q, q)
    gls: Gls

    @cached_property
    def rotation(self) -> Array:
        return self.gls.rotation()

    @cached_property
    def B(self) -> Array:
        """(q, r+1) Z'V^-1 [X L^-T, y - X gamma]."""
        g = self.g @ self.rotation
        return g - self.G @ (self.C @ g)

    @cached_property
    def white(self) -> Array:
        """(n, r+1) V^-1 [X L^-T, y - X gamma]."""
        return (self.AX - self.AZ @ (self.C @ self.g)) @ self.rotation


@dataclass(frozen=True, eq=False)
class Crossed:
    """The engine; `rho` is bound by `at`."""

    gram: Gram
    covariance: RowCovariance
    rows: Rows
    batches: tuple[Batch, ...]
    Z: csr_array  # (n, q)
    offsets: tuple[int, ...]
    rho: Array
    _last: dict[bytes, Solved] = field(default_factory=dict)

    @classmethod
    def of(cls, gram: Gram, covariance: RowCovariance) -> Crossed:
        rows = Rows.of(gram, covariance)
        offsets = tuple(int(x) for x in np.cumsum([0, *(block.size for block in gram.layout.blocks)]))
        return cls(gram, covariance, rows, _subjects(rows, covariance), _random_columns(rows, offsets), offsets, np.zeros(0))

    def at(self, rho: Array) -> Crossed:
        return replace(self, rho=rho, _last={})

    @property
    def order(self) -> int:
        return self.offsets[-1]

    @property
    def exact(self) -> bool:
        """Are all second derivatives worth their price at each step?"""
        return self.order <= CHEAP

    @property
    def effort(self) -> float:
        """Floating-point operations of an evaluation, to an order of magnitude."""
        per_subject = sum(batch.rows.size * batch.rows.shape[1] * (self.covariance.size + 4) for batch in self.batches)
        return float(6 * self.order**3 + per_subject * (self.gram.rank + 1))

    @cached_property
    def transposed(self) -> csr_array:
        """Z' by rows."""
        return csr_array(self.Z.T)

    @cached_property
    def residuals(self) -> Residuals:
        return self.covariance.at(self.rho)

    # -- the criterion and its derivatives

    def pieces(self, factors: list[Array], order: int) -> Pieces:
        at = self._solved(factors)
        if order == 0:
            return Pieces(at.logdet, at.gls)
        order = 3 if order == 2 and self.exact else order
        M = at.G - at.G @ at.C @ at.G
        own = Full(self.gram.layout, self._spans, (M + M.T) / 2, at.B).pieces(at.logdet, at.gls, 1 if order < 3 else 3)
        return self._with_residuals(own, at, order)

    def _with_residuals(self, own: Pieces, at: Solved, order: int) -> Pieces:
        assert own.t is not None and own.F is not None
        R, r1 = self.covariance.size, self.gram.rank + 1
        t, F, bend = np.zeros(R), np.zeros((R, r1, r1)), Bend.zeros(R)
        for subjects in at.subjects:
            batch, representative = subjects.batch, subjects.batch.representative
            slopes, white = self.residuals.first(representative), at.white[batch.rows]
            inverse = _by_pattern(self._inverse_blocks(subjects, at.C), batch)
            t += slopes.reshape(R, -1) @ inverse.ravel()
            F += quadratic_forms(slopes, white, batch.pattern)
            if order >= 2:
                fixed, rest = (outer_sums(part, batch.pattern, len(batch.first)) for part in (white[:, :, :-1], white[:, :, -1:]))
                bend = bend + Bend(*(self.residuals.bend(representative, weight) for weight in (inverse, fixed, rest)))
        t, F = np.concatenate([own.t, t]), np.concatenate([own.F, F])
        if order == 1:
            return Pieces(at.logdet, at.gls, t, F)
        moved = self._moved(at, slice(None) if order >= 3 else slice(r1 - 1, r1))  # (n, K, c)
        solved = self._apply(at, moved.reshape(len(moved), -1)).reshape(moved.shape)
        y = moved[:, :, -1].T @ solved[:, :, -1]
        y = (y + y.T) / 2
        if order == 2:
            return Pieces(at.logdet, at.gls, t, F, y=y, bend=bend)
        e = np.tensordot(moved[:, :, :-1], solved[:, :, :-1], ((0, 2), (0, 2)))
        assert own.h is not None
        return Pieces(at.logdet, at.gls, t, F, self._traces(own.h, at), (e + e.T) / 2, y, bend)

    def _moved(self, at: Solved, columns: slice) -> Array:
        """(n, K, c) V_k V^-1 [X L^-T, y - X gamma], of the columns asked for."""
        white = at.white[:, columns]
        f, a, b = self.gram.layout.directions
        out = np.empty((len(white), len(f) + self.covariance.size, white.shape[1]))
        for d, (i, j, k) in enumerate(zip(f, a, b, strict=True)):
            block, z, codes = self.gram.layout.blocks[i], self.rows.z[i], self.rows.codes[i]
            B = at.B[self._spans[i], columns].reshape(block.levels, block.width, -1)
            out[:, d] = z[:, j, None] * B[codes, k]
            if j != k:
                out[:, d] += z[:, k, None] * B[codes, j]
        for subjects in at.subjects:
            batch = subjects.batch
            slopes = self.residuals.first(batch.representative)
            for k, slope in enumerate(slopes, len(f)):
                out[batch.rows, k] = slope[batch.pattern] @ white[batch.rows]
        return out

    def _traces(self, own: Array, at: Solved) -> Array:
        """(K, K) tr V^-1 V_k V^-1 V_l, from those of the random effects."""
        R, K = self.covariance.size, len(own)
        out = np.zeros((K + R, K + R))
        out[:K, :K] = own
        turn = np.eye(self.order) - at.C @ at.G
        products = []
        for k in range(R):
            G = self._cross_products(at, k)
            out[K + k, :K] = out[:K, K + k] = direction_traces(self.gram.layout, self._totals(turn.T @ G @ turn))
            products.append(at.C @ G)
        for subjects in at.subjects:
            slopes = self.residuals.first(subjects.batch.representative)
            moved = slopes @ subjects.A
            spread = _by_pattern(self._random_blocks(subjects.batch, at.C), subjects.batch)
            counted = subjects.batch.count[:, None, None] * np.eye(moved.shape[-1]) - 2.0 * spread @ subjects.A
            out[K:, K:] += moved.reshape(R, -1) @ (moved @ counted).swapaxes(2, 3).reshape(R, -1).T
        out[K:, K:] += [[np.sum(left * right.T) for right in products] for left in products]
        return (out + out.T) / 2

    def _cross_products(self, at: Solved, k: int) -> Array:
        """(q, q) Z'A R_k A Z."""
        tiles = [s.A @ self.residuals.first(s.batch.representative)[k] @ s.A for s in at.subjects]
        return np.asarray((self.transposed @ (self._matrix(tiles) @ self.Z)).toarray())

    def contracted(self, factors: list[Array], W: Array) -> tuple[Array, Array]:
        at, R = self._solved(factors), self.covariance.size
        moved = self._moved(at, slice(0, self.gram.rank))
        solved = self._apply(at, moved.reshape(len(moved), -1)).reshape(moved.shape)
        mixed = np.einsum("kl,nlx->nkx", W, solved)
        quadratic = np.tensordot(moved, mixed, ((0, 1), (0, 1)))
        curved = np.zeros_like(quadratic)
        for subjects in at.subjects:
            batch = subjects.batch
            bent = self.residuals.combined(batch.representative, W[-R:, -R:])
            curved += sandwich(at.white[batch.rows][:, :, :-1], bent, batch.pattern)
        return (quadratic + quadratic.T) / 2, (curved + curved.T) / 2

    # -- what the random effects need

    def projections(self, factors: list[Array]) -> list[Array]:
        B = self._solved(factors).B
        return [
            B[span].reshape(block.levels, block.width, -1) for span, block in zip(self._spans, self.gram.layout.blocks, strict=True)
        ]

    def conditional(self, factors: list[Array], f: int, g: int, rows: Index, columns: Index) -> Array:
        first, second = self.gram.layout.blocks[f], self.gram.layout.blocks[g]
        tiles = self._solved(factors).C[self._spans[f], self._spans[g]]
        return tiles.reshape(first.levels, first.width, second.levels, second.width)[rows, :, columns, :]

    def solved(self, factors: list[Array], values: Array) -> Array:
        return self._apply(self._solved(factors), values)

    # -- rows

    def row_moments(self, factors: list[Array]) -> RowMoments:
        at, out = self._solved(factors), RowMoments.empty(self.gram.nobs)
        omega = block_diag(
            *(np.kron(np.eye(b.levels), lam @ lam.T) for b, lam in zip(self.gram.layout.blocks, factors, strict=True))
        )
        for subjects in at.subjects:
            batch = subjects.batch
            R = self.residuals.matrix(batch.representative)[batch.pattern]
            V = R + self._random_blocks(batch, omega)
            out.fill(batch.rows, np.arange(len(R)), R, V, self._inverse_blocks(subjects, at.C), at.white)
        return out

    def normalized(self, factors: list[Array], values: Array, marginal: bool) -> Array:
        """(n,) L^-1 values with L L' = R; V is never formed, so that `marginal` cannot be had."""
        assert not marginal
        out = np.empty_like(values)
        for batch in self.batches:
            root = inverse_of(cholesky(self.residuals.matrix(batch.representative)))
            out[batch.rows] = np.einsum("cij,cj->ci", root[batch.pattern], values[batch.rows])
        return out

    def drawn(self, rng: np.random.Generator) -> Array:
        out = np.empty(self.gram.nobs)
        for batch in self.batches:
            root = cholesky(self.residuals.matrix(batch.representative))
            out[batch.rows] = np.einsum("cij,cj->ci", root[batch.pattern], rng.standard_normal(batch.rows.shape))
        return out

    # -- algebra

    @property
    def _spans(self) -> list[slice]:
        return [slice(a, b) for a, b in itertools.pairwise(self.offsets)]

    def _solved(self, factors: list[Array]) -> Solved:
        """The last solution is kept: many questions are asked at one point."""
        key = b"".join(lam.tobytes() for lam in factors)
        if key not in self._last:
            self._last.clear()
            self._last[key] = self._solve(factors)
        return self._last[key]

    def _solve(self, factors: list[Array]) -> Solved:
        roots = [cholesky(self.residuals.matrix(batch.representative)) for batch in self.batches]
        logs = [np.log(diagonal(root)).sum(axis=1) for root in roots]
        logdet = 2.0 * sum(float(batch.count @ log) for batch, log in zip(self.batches, logs, strict=True))
        inverses = [inverse_of(root) for root in roots]
        subjects = tuple(Subjects(b, root.swapaxes(1, 2) @ root) for b, root in zip(self.batches, inverses, strict=True))
        AX = _times(subjects, self.rows.w)
        AZ = self._matrix([s.A for s in subjects]) @ self.Z
        G, g = np.asarray((self.transposed @ AZ).toarray()), self.transposed @ AX
        lam = block_diag(*(np.kron(np.eye(b.levels), own) for b, own in zip(self.gram.layout.blocks, factors, strict=True)))
        K = lam.T @ G @ lam
        K[np.diag_indices(len(K))] += 1.0
        L, info = lapack.dpotrf(K, lower=1)
        if info:
            raise LinAlgError("I + Lambda'G Lambda is not positive definite")
        half = solve_triangular(L, lam.T @ g, lower=True, check_finite=False)
        root = solve_triangular(L, lam.T, lower=True, check_finite=False)
        W = self.rows.w.T @ AX - half.T @ half
        return Solved(
            subjects, logdet + 2.0 * float(np.log(L.diagonal()).sum()), AX, AZ, G, g, root.T @ root, Gls.of((W + W.T) / 2)
        )

    def _apply(self, at: Solved, values: Array) -> Array:
        """(n, c) V^-1 values."""
        moved = _times(at.subjects, values)
        return moved - at.AZ @ (at.C @ (self.transposed @ moved))

    @cached_property
    def _places(self) -> tuple[NDArray[np.int64], NDArray[np.int32], list[NDArray[np.int64]]]:
        """Row pointers and columns of a block-diagonal matrix over subjects, and where the entries of each batch stand."""
        lengths = np.empty(self.gram.nobs, dtype=np.int64)
        for batch in self.batches:
            lengths[batch.rows] = batch.rows.shape[1]
        pointers = np.concatenate([[0], np.cumsum(lengths)])
        columns, targets = np.empty(pointers[-1], dtype=np.int32), []
        for batch in self.batches:
            n = batch.rows.shape[1]
            target = pointers[batch.rows][:, :, None] + np.arange(n)
            columns[target] = batch.rows[:, None, :]
            targets.append(target)
        return pointers, columns, targets

    def _matrix(self, tiles: list[Array]) -> csr_array:
        """(n, n) block-diagonal over subjects, from the tiles (U, n, n) of each batch."""
        pointers, columns, targets = self._places
        data = np.empty(pointers[-1])
        for batch, own, target in zip(self.batches, tiles, targets, strict=True):
            data[target] = own[batch.pattern]
        return csr_array((data, columns, pointers), shape=(self.gram.nobs, self.gram.nobs))

    def _random_blocks(self, batch: Batch, C: Array) -> Array:
        """(C, n, n) Z C Z' among the rows of each subject."""
        n = batch.rows.shape[1]
        out = np.zeros((len(batch.rows), n, n))
        places = [
            (self.offsets[f] + codes[batch.rows] * z.shape[1] + a, z[batch.rows][:, :, a])
            for f, (codes, z) in enumerate(zip(self.rows.codes, self.rows.z, strict=True))
            for a in range(z.shape[1])
        ]
        for (i, x), (j, y) in itertools.product(places, places):
            out += C[i[:, :, None], j[:, None, :]] * (x[:, :, None] * y[:, None, :])
        return out

    def _inverse_blocks(self, subjects: Subjects, C: Array) -> Array:
        """(C, n, n) the own blocks of V^-1."""
        A = subjects.A[subjects.batch.pattern]
        return A - A @ self._random_blocks(subjects.batch, C) @ A

    def _totals(self, N: Array) -> dict[int, Array]:
        """The sums of the diagonal tiles of each block."""
        out = {}
        for f, (span, block) in enumerate(zip(self._spans, self.gram.layout.blocks, strict=True)):
            out[f] = np.einsum("jajb->ab", N[span, span].reshape(block.levels, block.width, block.levels, block.width))
        return out


def _times(subjects: tuple[Subjects, ...], values: Array) -> Array:
    """(n, c) R^-1 values."""
    out = np.empty_like(values)
    for own in subjects:
        out[own.batch.rows] = own.A[own.batch.pattern] @ values[own.batch.rows]
    return out


def _by_pattern(blocks: Array, batch: Batch) -> Array:
    """(U, n, n) sums over the subjects of each pattern."""
    if len(batch.first) == 1:
        return np.asarray(blocks.sum(axis=0, keepdims=True))
    out = np.zeros((len(batch.first), *blocks.shape[1:]))
    np.add.at(out, batch.pattern, blocks)
    return out


def _subjects(rows: Rows, covariance: RowCovariance) -> tuple[Batch, ...]:
    term = covariance.term
    n = len(rows.subject)
    position = np.zeros((n, 0)) if term.visit is None else term.visit[:, None].astype(float)
    x = np.zeros((n, 0)) if term.coordinates is None else term.coordinates
    known = np.zeros((len(position), 0)) if term.known is None else term.known[:, None]
    features = np.hstack([position, x, known, *(values[:, None] for _, values in term.functions)])
    subject = np.unique(rows.subject, return_inverse=True)[1]
    return tuple(batches(subject, np.lexsort([*position.T[::-1], *x.T[::-1], subject]), features, []))


def _random_columns(rows: Rows, offsets: tuple[int, ...]) -> csr_array:
    """(n, q) Z."""
    n = len(rows.subject)
    columns, values = [], []
    for f, (codes, z) in enumerate(zip(rows.codes, rows.z, strict=True)):
        k = z.shape[1]
        columns.append(offsets[f] + codes[:, None] * k + np.arange(k))
        values.append(z)
    joined, data = np.hstack(columns), np.hstack(values)
    pointers = np.arange(n + 1) * joined.shape[1]
    return csr_array((data.ravel(), joined.ravel().astype(np.int32), pointers), shape=(n, offsets[-1]))
