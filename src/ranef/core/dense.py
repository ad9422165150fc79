"""Several grouping factors, few random effects in all: the same algebra as for one level, with all effects in one dense matrix.

R R' = Z'Z (pivoted Cholesky), E = R^-1 Z'[X y], T = Lambda'R, K = I + T'T = L L'; with Y = L^-1 [R' E],

    [Z [X y]]'V^-1 [Z [X y]] = Y'Y (+ W_0 in the corner),      log|V| = 2 sum log L_ii.

docs/explanation/likelihood.md, eq. 28.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import block_diag, lapack, solve
from scipy.linalg.blas import dsyrk, dtrsm

from ranef.core.gram import Gram
from ranef.core.moments import Full, scalar_pieces
from ranef.core.orthogonal import Orthogonal
from ranef.core.pieces import Gls, LinAlgError, Pieces
from ranef.covariance.base import Array

Index = NDArray[np.intp]
NULL = 1e-12


@dataclass(frozen=True, eq=False)
class Dense:
    """The engine for q up to a thousand or two; exact second derivatives at about 2 q^3 flops an evaluation."""

    exact: ClassVar[bool] = True

    gram: Gram
    right: Array  # (c, q + r + 1) [R' E], c = rank of Z'Z
    rest: Array  # (r+1, r+1) W_0
    offsets: tuple[int, ...]  # where each block starts among the q effects
    orthogonal: Orthogonal | None = None  # of balanced data

    @classmethod
    def of(cls, gram: Gram) -> Dense:
        sizes = [block.size for block in gram.layout.blocks]
        offsets = tuple(int(x) for x in np.concatenate([[0], np.cumsum(sizes)]))
        ZZ, ZW = cross_products(gram, offsets)
        found = cls._with_root(gram, _pivoted_root(ZZ), ZW, offsets)
        roots = [found.right[:, rows] for rows in found.spans]
        return replace(found, orthogonal=Orthogonal.of(gram, roots, found.right[:, found.order : -1]))

    @classmethod
    def _with_root(cls, gram: Gram, root: Array, ZW: Array, offsets: tuple[int, ...]) -> Dense:
        E = np.linalg.solve(root.T @ root, root.T @ ZW) if root.shape[1] else np.zeros((0, ZW.shape[1]))
        return cls(gram, np.asfortranarray(np.hstack([root.T, E])), gram.ww - E.T @ E, offsets)

    def with_gram(self, gram: Gram) -> Dense:
        """The same design with another response."""
        ZW = np.concatenate([zw.reshape(-1, zw.shape[2]) for zw in gram.zw])
        found = self._with_root(gram, self.right[:, : self.offsets[-1]].T, ZW, self.offsets)
        return replace(found, orthogonal=self.orthogonal)

    def unimodal(self, reml: bool) -> bool:
        """Is the criterion known to have a single optimum?"""
        return self.orthogonal is not None and self.orthogonal.tree(reml) is not None

    def closed_form(self, reml: bool) -> list[Array] | None:
        """(1, 1) roots of the best Omega of each block, where there is a formula for it."""
        found = None if self.orthogonal is None else self.orthogonal.variances(self.right[:, self.order :], self.rest, reml)
        return None if found is None else list(np.sqrt(found)[:, None, None])

    @property
    def order(self) -> int:
        """q, the order of the dense matrix."""
        return self.offsets[-1]

    @property
    def spans(self) -> list[slice]:
        """The rows of each block."""
        return [slice(a, b) for a, b in itertools.pairwise(self.offsets)]

    def pieces(self, factors: list[Array], order: int) -> Pieces:
        q, c = self.offsets[-1], len(self.right)
        T = np.empty((q, c), order="F")
        for f, (block, lam) in enumerate(zip(self.gram.layout.blocks, factors, strict=True)):
            rows = slice(self.offsets[f], self.offsets[f + 1])
            T[rows] = (lam.T @ self.right.T[rows].reshape(block.levels, block.width, c)).reshape(-1, c)
        K = dsyrk(1.0, T, trans=1, lower=1)
        K.T.ravel()[:: c + 1] += 1.0  # a view: K is column-major
        L, info = lapack.dpotrf(K, lower=1, clean=0, overwrite_a=1)
        if info:
            raise LinAlgError("I + T'T is not positive definite")
        logdet = 2.0 * float(np.add.reduce(np.log(L.diagonal())))
        if order == 0:
            Y = dtrsm(1.0, L, self.right[:, q:], lower=1)
            return Pieces(logdet, Gls.of(self.rest + Y.T @ Y))
        Y = dtrsm(1.0, L, self.right, lower=1)
        full = Y.T @ Y
        gls = Gls.of(self.rest + full[q:, q:])
        M, B = full[:q, :q], full[:q, q:] @ gls.rotation()
        if all(block.width == 1 for block in self.gram.layout.blocks):
            return scalar_pieces(self.offsets[:-1], M, B, logdet, gls, order)
        return Full(self.gram.layout, self.spans, M, B).pieces(logdet, gls, order)

    def saturated(self) -> Array:
        """(r+1, r+1) what the random columns leave of [X y]'[X y]."""
        return self.rest

    def projections(self, factors: list[Array]) -> list[Array]:
        """Z'V^-1 [X L^-T, P y] of every level of every block: [(m, k, r+1)]."""
        rotation = self.pieces(factors, 0).gls.rotation()
        ZZ, ZW = cross_products(self.gram, self.offsets)
        D = ZW @ rotation
        B = D - ZZ @ (self._full_conditional(factors) @ D)
        return [
            B[self.offsets[f] : self.offsets[f + 1]].reshape(block.levels, block.width, -1)
            for f, block in enumerate(self.gram.layout.blocks)
        ]

    def apply(self, factors: list[Array], vectors: list[Array]) -> list[Array]:
        """Z'V^-1 Z times vectors [(m, k, c)]."""
        ZZ, _ = cross_products(self.gram, self.offsets)
        moved = ZZ @ np.concatenate([v.reshape(-1, v.shape[2]) for v in vectors])
        out = moved - ZZ @ (self._full_conditional(factors) @ moved)
        return [out[self.offsets[f] : self.offsets[f + 1]].reshape(v.shape) for f, v in enumerate(vectors)]

    def conditional(self, factors: list[Array], f: int, g: int, rows: Index, columns: Index) -> Array:
        """(c, k_f, k_g) tiles of Lambda (Lambda'Z'Z Lambda + I)^-1 Lambda' at the pairs of levels (rows of f, columns of g)."""
        first, second = self.gram.layout.blocks[f], self.gram.layout.blocks[g]
        tiles = self._full_conditional(factors)[self.spans[f], self.spans[g]]
        return tiles.reshape(first.levels, first.width, second.levels, second.width)[rows, :, columns, :]

    def _full_conditional(self, factors: list[Array]) -> Array:
        ZZ, _ = cross_products(self.gram, self.offsets)
        lam = block_diag(*(np.kron(np.eye(b.levels), factor) for b, factor in zip(self.gram.layout.blocks, factors, strict=True)))
        return lam @ solve(lam.T @ ZZ @ lam + np.eye(len(ZZ)), lam.T, assume_a="pos")


def cross_products(gram: Gram, offsets: tuple[int, ...]) -> tuple[Array, Array]:
    """Dense Z'Z (q, q) and Z'[X y] (q, r+1)."""
    blocks, q = gram.layout.blocks, offsets[-1]
    ZZ = np.zeros((q, q))
    for f, block in enumerate(blocks):
        at = offsets[f] + np.arange(block.size).reshape(block.levels, block.width)
        ZZ[at[:, :, None], at[:, None, :]] = gram.zz[f]
    for (f, g), pair in gram.pairs.items():
        rows = offsets[f] + pair.rows[:, None] * blocks[f].width + np.arange(blocks[f].width)
        columns = offsets[g] + pair.columns[:, None] * blocks[g].width + np.arange(blocks[g].width)
        ZZ[rows[:, :, None], columns[:, None, :]] = pair.values
        ZZ[columns[:, :, None], rows[:, None, :]] = np.swapaxes(pair.values, 1, 2)
    return ZZ, np.concatenate([zw.reshape(-1, zw.shape[2]) for zw in gram.zw])


def _pivoted_root(ZZ: Array) -> Array:
    """(q, c) R with R R' = ZZ, c its rank."""
    if not len(ZZ):
        return np.zeros((0, 0))
    factor, pivots, rank, _ = lapack.dpstrf(ZZ, tol=NULL * float(np.diag(ZZ).max()), lower=1)
    root = np.zeros((len(ZZ), rank))
    root[pivots - 1] = np.tril(factor)[:, :rank]
    return root
