"""Residual structures, alone or with nested random effects: clusters of moderate size, each with its own dense V.

    V_c = sum_f (Z_f Omega_f Z_f' where rows share a level of f) + (R(rho) where rows share a subject)

Patterns share the factorisation, so that the cost follows the number of different clusters. The directions are the entries of the
Omegas, in which V is linear, followed by the parameters rho themselves, whose second derivatives are in `Pieces.bend`.

docs/explanation/residual-structures.md, eq. 7-12.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from ranef.core.gram import Gram, block_codes, block_columns, response_and_fixed
from ranef.core.pieces import Bend, Gls, LinAlgError, Pieces
from ranef.core.residual.clusters import Batch, batches, components
from ranef.core.residual.engine import RowMoments, diagonal
from ranef.core.residual.rows import Residuals, RowCovariance
from ranef.core.single import collapse
from ranef.covariance.base import Array
from ranef.design import MOST_VISITS

Index = NDArray[np.intp]
LIMIT = 4_000_000  # entries of an array that holds all derivatives of V for the patterns treated at once


@dataclass(frozen=True, eq=False)
class Rows:
    """The standardised rows, times the roots of the precision weights."""

    w: Array  # (n, r+1) [X_s y_s], X_s'X_s = I
    z: tuple[Array, ...]  # per block (n, k)
    codes: tuple[Index, ...]  # per block (n,)
    subject: Index  # (n,)

    @classmethod
    def of(cls, gram: Gram, covariance: RowCovariance) -> Rows:
        standard, layout = gram.standard, gram.layout
        weights = standard.design.weights
        root = None if weights is None else np.sqrt(weights)
        w = response_and_fixed(standard, slice(None))
        if standard.orthonormal is None and gram.rank:
            w[:, :-1] = np.linalg.solve(standard.upper.T, w[:, :-1].T).T
        if root is not None:
            w = w * root[:, None]
        z = []
        for f, block in enumerate(layout.blocks):
            columns = block_columns(standard, block, slice(None), root)
            columns = np.ones((gram.nobs, 1)) if columns is None else columns
            z.append(np.asarray(np.linalg.solve(gram.z_root[f].T, columns.T).T, dtype=np.float64))
        return cls(
            w, tuple(z), tuple(block_codes(standard.design, block) for block in layout.blocks), covariance.term.subject.codes
        )


@dataclass(frozen=True, eq=False)
class Cells:
    """The clusters of one size with what V needs, pattern by pattern."""

    batch: Batch
    w: Array  # (G, n, r+1) rows of pseudo-clusters: the clusters, or the roots of the sums of their products
    pattern: Index  # (G,)
    z: tuple[Array, ...]  # per block (U, n, k)
    same: tuple[Array, ...]  # per block (U, n, n) 1 where two rows share a level
    together: Array | None  # (U, n, n) 1 where two rows share a subject, None where all do

    @classmethod
    def of(cls, batch: Batch, rows: Rows) -> Cells:
        at = batch.representative
        same = tuple(_sharing(codes[at]) for codes in rows.codes)
        together = _sharing(rows.subject[at])
        w, pattern = collapse(rows.w[batch.rows], batch.pattern, len(batch.first))
        return cls(batch, w, pattern, tuple(z[at] for z in rows.z), same, None if together.all() else together)

    def covariance(self, omegas: list[Array], at: Residuals) -> Array:
        """(U, n, n) V."""
        out = self.masked(at.matrix(self.batch.representative))
        for z, same, omega in zip(self.z, self.same, omegas, strict=True):
            out += (z @ omega @ z.swapaxes(1, 2)) * same
        return out

    def directions(self, directions: tuple[Index, Index, Index], at: Residuals) -> Array:
        """(K, U, n, n) derivatives of V: the entries of the Omegas, then rho."""
        out = []
        for f, a, b in zip(*directions, strict=True):
            left, right = self.z[f][:, :, a], self.z[f][:, :, b]
            product = left[:, :, None] * right[:, None, :]
            out.append((product if a == b else product + product.swapaxes(1, 2)) * self.same[f])
        first = self.masked(at.first(self.batch.representative))
        return np.concatenate([np.stack(out), first]) if out else first

    def masked(self, values: Array) -> Array:
        """Residual covariances, zero where two rows belong to different subjects."""
        return values if self.together is None else values * self.together


@dataclass(frozen=True, eq=False)
class Marginal:
    """The engine; `rho` is bound by `at`."""

    exact: ClassVar[bool] = True
    order: ClassVar[int] = 0

    gram: Gram
    covariance: RowCovariance
    rows: Rows
    cells: tuple[Cells, ...]
    rho: Array

    @classmethod
    def of(cls, gram: Gram, covariance: RowCovariance) -> Marginal:
        rows = Rows.of(gram, covariance)
        cluster = components([rows.subject, *rows.codes], gram.nobs)
        found = batches(cluster, *_patterns(rows, covariance, cluster))
        K = len(gram.layout.directions[0]) + covariance.size
        cells = tuple(
            Cells.of(part, rows) for batch in found for part in batch.split(LIMIT // (max(K, 1) * batch.rows.shape[1] ** 2))
        )
        return cls(gram, covariance, rows, cells, np.zeros(0))

    def at(self, rho: Array) -> Marginal:
        return replace(self, rho=rho)

    @property
    def effort(self) -> float:
        """Floating-point operations of an evaluation, to an order of magnitude."""
        K = len(self.gram.layout.directions[0]) + self.covariance.size
        out = 0.0
        for cells in self.cells:
            n, patterns = cells.batch.rows.shape[1], len(cells.batch.first)
            out += (2 * K + 2) * patterns * n**3 + (K + 2) * len(cells.w) * n**2 * cells.w.shape[2]
        return out

    @cached_property
    def residuals(self) -> Residuals:
        return self.covariance.at(self.rho)

    def pieces(self, factors: list[Array], order: int) -> Pieces:
        omegas = [lam @ lam.T for lam in factors]
        roots = [cholesky(cells.covariance(omegas, self.residuals)) for cells in self.cells]
        logdet = 2.0 * sum(float(cells.batch.count @ _log_diagonal(root)) for cells, root in zip(self.cells, roots, strict=True))
        inverses = [inverse_of(root) for root in roots]
        halves = [inverse[cells.pattern] @ cells.w for cells, inverse in zip(self.cells, inverses, strict=True)]
        r1 = self.gram.rank + 1
        gls = Gls.of(sum((half.reshape(-1, r1).T @ half.reshape(-1, r1) for half in halves), np.zeros((r1, r1))))
        if order == 0:
            return Pieces(logdet, gls)
        return self._derivatives(logdet, gls, inverses, halves, order)

    def _derivatives(self, logdet: float, gls: Gls, inverses: list[Array], halves: list[Array], order: int) -> Pieces:
        """The sums over clusters; see `Pieces`."""
        K, r1 = len(self.gram.layout.directions[0]) + self.covariance.size, self.gram.rank + 1
        t, F = np.zeros(K), np.zeros((K, r1, r1))
        h, e, y = np.zeros((K, K)), np.zeros((K, K)), np.zeros((K, K))
        bend, rotation = Bend.zeros(self.covariance.size), gls.rotation()
        if not K:
            return Pieces(logdet, gls, t, F, h, e, y, bend)
        T = self.covariance.structure.k
        products = np.zeros((T * r1, T * r1)) if self.tabulated else None
        for cells, inverse, half in zip(self.cells, inverses, halves, strict=True):
            slopes = cells.directions(self.gram.layout.directions, self.residuals)
            A = inverse.swapaxes(1, 2) @ inverse
            B = inverse.swapaxes(1, 2)[cells.pattern] @ (half @ rotation)
            counted = A * cells.batch.count[:, None, None]
            t += slopes.reshape(K, -1) @ counted.ravel()
            if products is None:
                F += quadratic_forms(slopes, B, cells.pattern)
            else:
                products += self._visit_products(cells, B)
            if order >= 2:
                fixed, rest = (outer_sums(part, cells.pattern, len(A)) for part in (B[:, :, :-1], B[:, :, -1:]))
                moved = slopes @ A  # V_d V^-1
                flat = moved.reshape(K, -1)
                h += flat @ (cells.batch.count[:, None, None] * moved.swapaxes(2, 3)).reshape(K, -1).T
                e += _quadratic(moved, slopes, fixed)
                y += _quadratic(moved, slopes, rest)
                bend = bend + self._bend(cells, counted, fixed, rest)
        if products is not None:
            F = self.residuals.visit_forms(products.reshape(T, r1, T, r1).swapaxes(1, 2))
        return Pieces(logdet, gls, t, F, h, (e + e.T) / 2, (y + y.T) / 2, bend) if order >= 2 else Pieces(logdet, gls, t, F)

    @property
    def tabulated(self) -> bool:
        """Is V a matrix over visits and nothing else, so that all its derivatives are tables over pairs of visits?"""
        term = self.covariance.term
        plain = not term.functions and not term.nugget and term.coordinates is None
        return plain and not self.rows.z and self.covariance.structure.k <= MOST_VISITS

    def _visit_products(self, cells: Cells, B: Array) -> Array:
        """(T (r+1), T (r+1)) sums over clusters of the products of B at pairs of visits."""
        visits = self.residuals.visits(cells.batch.representative)[cells.pattern]
        wide = np.zeros((len(B), self.covariance.structure.k, B.shape[2]))
        wide[np.arange(len(B))[:, None], visits] = B
        flat = wide.reshape(len(B), -1)
        return flat.T @ flat

    def _bend(self, cells: Cells, *weights: Array) -> Bend:
        rows = cells.batch.representative
        return Bend(*(self.residuals.bend(rows, cells.masked(weight)) for weight in weights))

    def contracted(self, factors: list[Array], W: Array) -> tuple[Array, Array]:
        """(r, r) each: sums of W_kl (K, K) times X'V^-1 V_k V^-1 V_l V^-1 X and times X'V^-1 V_kl V^-1 X, in the whitened basis."""
        omegas, r = [lam @ lam.T for lam in factors], self.gram.rank
        rotation = self.pieces(factors, 0).gls.rotation()
        R = self.covariance.size
        quadratic, curved = np.zeros((r, r)), np.zeros((r, r))
        for cells in self.cells:
            inverse = inverse_of(cholesky(cells.covariance(omegas, self.residuals)))
            A = inverse.swapaxes(1, 2) @ inverse
            B = A[cells.pattern] @ (cells.w @ rotation)[:, :, :-1]
            slopes = cells.directions(self.gram.layout.directions, self.residuals)
            inner = ((slopes @ A) @ np.tensordot(W, slopes, 1)).sum(axis=0)
            bent = cells.masked(self.residuals.combined(cells.batch.representative, W[-R:, -R:]))
            quadratic += sandwich(B, inner, cells.pattern)
            curved += sandwich(B, bent, cells.pattern)
        return (quadratic + quadratic.T) / 2, (curved + curved.T) / 2

    def projections(self, factors: list[Array]) -> list[Array]:
        """Z'V^-1[X L^-T, P y] of every level: [(m, k, r+1)]."""
        rotated = self.solved(factors, self.rows.w @ self.pieces(factors, 0).gls.rotation())
        out = []
        for block, codes, z in zip(self.gram.layout.blocks, self.rows.codes, self.rows.z, strict=True):
            total = np.zeros((block.levels, block.width, rotated.shape[1]))
            np.add.at(total, codes, z[:, :, None] * rotated[:, None, :])
            out.append(total)
        return out

    def solved(self, factors: list[Array], values: Array) -> Array:
        """(n, c) V^-1 times values (n, c), row by row of the design."""
        omegas, out = [lam @ lam.T for lam in factors], np.empty_like(values)
        for cells in self.cells:
            inverse = inverse_of(cholesky(cells.covariance(omegas, self.residuals)))
            A = inverse.swapaxes(1, 2) @ inverse
            out[cells.batch.rows] = A[cells.batch.pattern] @ values[cells.batch.rows]
        return out

    def row_moments(self, factors: list[Array]) -> RowMoments:
        """What the variances of residuals are made of, row by row."""
        omegas, out = [lam @ lam.T for lam in factors], RowMoments.empty(self.gram.nobs)
        fixed = self.solved(factors, self.rows.w @ self.pieces(factors, 0).gls.rotation())
        for cells in self.cells:
            V, R = cells.covariance(omegas, self.residuals), cells.masked(self.residuals.matrix(cells.batch.representative))
            inverse = inverse_of(cholesky(V))
            A = inverse.swapaxes(1, 2) @ inverse
            out.fill(cells.batch.rows, cells.batch.pattern, R, V, A, fixed)
        return out

    def normalized(self, factors: list[Array], values: Array, marginal: bool) -> Array:
        """(n,) L^-1 values with L L' = R, or V where `marginal`: uncorrelated, of variance one."""
        omegas, out = [lam @ lam.T for lam in factors], np.empty_like(values)
        for cells in self.cells:
            R = cells.masked(self.residuals.matrix(cells.batch.representative))
            inverse = inverse_of(cholesky(cells.covariance(omegas, self.residuals) if marginal else R))
            rows = cells.batch.rows
            out[rows] = np.einsum("cij,cj->ci", inverse[cells.batch.pattern], values[rows])
        return out

    def drawn(self, rng: np.random.Generator) -> Array:
        """(n,) residuals drawn from R."""
        out = np.empty(self.gram.nobs)
        for cells in self.cells:
            root = cholesky(cells.masked(self.residuals.matrix(cells.batch.representative)))
            rows = cells.batch.rows
            out[rows] = np.einsum("cij,cj->ci", root[cells.batch.pattern], rng.standard_normal(rows.shape))
        return out

    def conditional(self, factors: list[Array], f: int, g: int, rows: Index, columns: Index) -> Array:
        """(c, k_f, k_g) tiles of the conditional covariance Omega - Omega Z'V^-1 Z Omega at pairs of levels (rows, columns)."""
        omegas = [lam @ lam.T for lam in factors]
        out = np.zeros((len(rows), len(omegas[f]), len(omegas[g])))
        if f == g:
            out[rows == columns] = omegas[f]
        for cells in self.cells:
            inverse = inverse_of(cholesky(cells.covariance(omegas, self.residuals)))
            A = inverse.swapaxes(1, 2) @ inverse
            for wanted, cluster in _pairs_of(cells.batch, self.rows.codes[f], self.rows.codes[g], rows, columns):
                at = cells.batch.rows[cluster]
                left = self.rows.z[f][at] * (self.rows.codes[f][at] == rows[wanted, None])[:, :, None]
                right = self.rows.z[g][at] * (self.rows.codes[g][at] == columns[wanted, None])[:, :, None]
                M = left.swapaxes(1, 2) @ A[cells.batch.pattern[cluster]] @ right
                out[wanted] -= omegas[f] @ M @ omegas[g]
        return out


def _patterns(rows: Rows, covariance: RowCovariance, cluster: Index) -> tuple[Index, Array, list[Index]]:
    """The order of the rows, the features and the sharing that decide whether clusters are alike."""
    term = covariance.term
    position = np.zeros((len(cluster), 0)) if term.visit is None else term.visit[:, None].astype(float)
    x = np.zeros((len(cluster), 0)) if term.coordinates is None else term.coordinates
    known = np.zeros((len(position), 0)) if term.known is None else term.known[:, None]
    features = np.hstack([position, x, known, *(values[:, None] for _, values in term.functions), *rows.z])
    keys = [*position.T[::-1], *x.T[::-1], *rows.codes, rows.subject, cluster]
    return np.lexsort(keys), features, [rows.subject, *rows.codes]


def _pairs_of(batch: Batch, left: Index, right: Index, rows: Index, columns: Index) -> Iterator[tuple[Index, Index]]:
    """The wanted pairs of levels that meet in clusters of the batch, in stretches, with the cluster of each."""
    home = np.full(int(left.max(initial=0)) + 1, -1)
    other = np.full(int(right.max(initial=0)) + 1, -1)
    clusters = np.broadcast_to(np.arange(len(batch.rows))[:, None], batch.rows.shape)
    home[left[batch.rows]], other[right[batch.rows]] = clusters, clusters
    wanted = np.flatnonzero((home[rows] >= 0) & (home[rows] == other[columns]))
    step = max(1, 2_000_000 // batch.rows.shape[1] ** 2)
    for start in range(0, len(wanted), step):
        part = wanted[start : start + step]
        yield part, home[rows[part]]


def _sharing(codes: Index) -> Array:
    return (codes[:, :, None] == codes[:, None, :]).astype(float)


def cholesky(V: Array) -> Array:
    try:
        return np.asarray(np.linalg.cholesky(V), dtype=np.float64)
    except np.linalg.LinAlgError:
        raise LinAlgError("V is not positive definite") from None


def inverse_of(root: Array) -> Array:
    return np.asarray(np.linalg.inv(root), dtype=np.float64)


def _log_diagonal(roots: Array) -> Array:
    """(U,) sums of the logarithms of the diagonals."""
    return np.asarray(np.log(diagonal(roots)).sum(axis=1))


def quadratic_forms(slopes: Array, B: Array, pattern: Index) -> Array:
    """(K, c, c) sums over clusters of B'V_d B."""
    c = B.shape[2]
    flat = B.reshape(-1, c)
    return np.stack([flat.T @ (slope[pattern] @ B).reshape(-1, c) for slope in slopes])


def outer_sums(B: Array, pattern: Index, patterns: int) -> Array:
    """(U, n, n) sums of B B' over the clusters of each pattern."""
    if patterns == 1:
        flat = B.swapaxes(0, 1).reshape(B.shape[1], -1)
        return (flat @ flat.T)[None]
    out = np.zeros((patterns, B.shape[1], B.shape[1]))
    np.add.at(out, pattern, B @ B.swapaxes(1, 2))
    return out


def _quadratic(moved: Array, slopes: Array, spread: Array) -> Array:
    """(K, K) sums over patterns of tr V_d V^-1 V_e S."""
    K = len(slopes)
    return moved.reshape(K, -1) @ (slopes @ spread).swapaxes(2, 3).reshape(K, -1).T


def sandwich(B: Array, inner: Array, pattern: Index) -> Array:
    """(r, r) sums over clusters of B' inner B."""
    r = B.shape[2]
    return B.reshape(-1, r).T @ (inner[pattern] @ B).reshape(-1, r)
