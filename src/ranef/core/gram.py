"""Gram blocks [Z X y]'[Z X y]: all that the likelihood knows of the data. They add up over chunks of rows.

    ww  (r+1, r+1)            [X y]'[X y]
    zz  per block (m, k, k)   Z_j'Z_j            zw  per block (m, k, r+1)   Z_j'[X y]
    pairs (f, g), f < g       Z_f'Z_g of the pairs of levels that occur together

Columns are those of `Standard`, rows are multiplied by the roots of the precision weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from types import ModuleType

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import blas, lapack

from ranef.core.kernels import sums
from ranef.core.kernels.twins import load
from ranef.core.layout import Block, Layout
from ranef.core.standard import Standard
from ranef.covariance.base import Array
from ranef.design import Design

Index = NDArray[np.intp]
SMALL = 64  # entries of a tile that are cheaper to transform as one long row,
HIERARCHICAL = 1e-8  # share of a column of Z that may be left by X
MANY = 1000  # if levels are more than this
DROWNED = 1e-6  # share of the squared length of y
SIZES = 1e12  # the mean square of a response in its own units is about one
MAP = 1 << 16  # entries of [X Z]' up to which it is formed for the sake of many responses


@dataclass(frozen=True, eq=False)
class Pair:
    """Z_f'Z_g by observed pairs of levels, in any order: values[i] = sum of z_f z_g' over the rows of pair i."""

    rows: Index  # (c,) levels of f
    columns: Index  # (c,) levels of g
    values: Array  # (c, k_f, k_g)


@dataclass(frozen=True, eq=False)
class Gram:
    """Cross-products of a standardised design, decorrelated: X_s'X_s = I, and for each term the mean of z z' over the rows is I."""

    standard: Standard
    nobs: int
    log_weights: float
    ww: Array
    zz: tuple[Array, ...]
    zw: tuple[Array, ...]
    pairs: Mapping[tuple[int, int], Pair]
    z_root: tuple[Array, ...]  # per block (k, k), upper: z = z_s root

    @property
    def layout(self) -> Layout:
        return self.standard.layout

    @cached_property
    def hierarchical(self) -> bool:
        """Is each column of Z a combination of columns of X?"""
        r = self.rank
        squares = ((zz.sum(axis=0).diagonal(), zw[:, :, :r].sum(axis=0)) for zz, zw in zip(self.zz, self.zw, strict=True))
        return all((own - np.square(along).sum(axis=1) <= HIERARCHICAL * own).all() for own, along in squares)

    @property
    def rank(self) -> int:
        return self.standard.rank

    @classmethod
    def of(cls, standard: Standard) -> Gram:
        """One pass over the rows of the design."""
        design, layout, r = standard.design, standard.layout, standard.rank
        root = None if design.weights is None else np.sqrt(design.weights)
        ww = np.zeros((r + 1, r + 1))
        zz = [np.zeros((b.levels, b.width, b.width)) for b in layout.blocks]
        zw = [np.zeros((b.levels, b.width, r + 1)) for b in layout.blocks]
        kernels = sums if standard.kernels is None else load("sums") or sums
        for rows in standard.chunks():
            w = response_and_fixed(standard, rows)
            if root is not None:
                w *= root[rows, None]
            ww += w.T @ w
            for f, block in enumerate(layout.blocks):
                z = block_columns(standard, block, rows, root)
                kernels.add_cross_products(zz[f], zw[f], block_codes(design, block)[rows], z, w)
        for tiles in zz:
            kernels.mirror(tiles)
        pairs = {}
        for g in range(len(layout.blocks)):
            for f in range(g):
                pairs[f, g] = _pair(standard, f, g, root)
        log_weights = 0.0 if design.weights is None else float(np.log(design.weights).sum())
        return _decorrelated(cls(standard, design.nobs, log_weights, ww, tuple(zz), tuple(zw), pairs, ()))

    def with_response(self, y: Array, *, own_units: bool = False) -> Gram:
        """The same design with another response: only Z'y, X'y and y'y change, and its units if it is to have its own."""
        standard, r = self.standard.with_response(y), self.rank
        if own_units:
            standard = standard.with_own_units()
        ys, root = standard.response(y), standard.design.weights
        if root is not None:
            ys = ys * np.sqrt(root)
        xy, *zy = self._products_with(ys)
        ww, zw = self.ww.copy(), []
        ww[:r, r] = ww[r, :r] = xy
        ww[r, r] = ys @ ys
        for own, products in zip(self.zw, zy, strict=True):
            new = own.copy()
            new[:, :, r] = products
            zw.append(new)
        return Gram(standard, self.nobs, self.log_weights, ww, self.zz, tuple(zw), self.pairs, self.z_root)

    @property
    def unfit(self) -> bool:
        """Are the units not those of the response, or does X leave so little of it that digits may be lost in them?"""
        with_y, total = self.ww[: self.rank, self.rank], self.ww[self.rank, self.rank]
        return not (total - with_y @ with_y > DROWNED * total and self.nobs / SIZES < total < self.nobs * SIZES)

    def _products_with(self, ys: Array) -> list[Array]:
        """X'y (r,), and Z'y (m, k) of each block, from a response times the roots of the weights."""
        if self.map is not None:
            products, at = self.map @ ys, self.rank
            out = [products[:at]]
            for block in self.layout.blocks:
                out.append(products[at : at + block.size].reshape(block.levels, block.width))
                at += block.size
            return out
        standard = self.standard
        xy = standard.fixed().T @ (ys if standard.design.weights is None else ys * np.sqrt(standard.design.weights))
        if standard.orthonormal is None and self.rank:
            xy = blas.dtrsv(standard.upper, xy, trans=1)
        return [xy, *self._random_products(ys)]

    @cached_property
    def map(self) -> Array | None:
        """(r + q, n) [X Z]' of a small design, for many responses."""
        standard, blocks, n = self.standard, self.layout.blocks, self.nobs
        if (self.rank + sum(block.size for block in blocks)) * n > MAP:
            return None
        root = None if standard.design.weights is None else np.sqrt(standard.design.weights)
        parts = [self._fixed().T]
        for block, upper in zip(blocks, self.z_root, strict=True):
            z = block_columns(standard, block, slice(None), root)
            own = np.zeros((block.levels, block.width, n))
            own[block_codes(standard.design, block), :, np.arange(n)] = 1.0 if z is None else z @ np.linalg.inv(upper)
            parts.append(own.reshape(-1, n))
        return np.concatenate(parts)

    def _fixed(self) -> Array:
        """(n, r) the decorrelated columns of X times the roots of the weights."""
        standard = self.standard
        X = standard.fixed()
        if standard.design.weights is not None:
            X = X * np.sqrt(standard.design.weights)[:, None]
        return X if standard.orthonormal is not None or not self.rank else X @ lapack.dtrtri(standard.upper, lower=0)[0]

    def _random_products(self, ys: Array) -> list[Array]:
        standard, design, out = self.standard, self.standard.design, []
        root = None if design.weights is None else np.sqrt(design.weights)
        for f, block in enumerate(self.layout.blocks):
            codes, z = block_codes(design, block), block_columns(standard, block, slice(None), root)
            zy = np.column_stack(
                [np.bincount(codes, weights=ys if z is None else z[:, a] * ys, minlength=block.levels) for a in range(block.width)]
            )
            out.append(zy @ np.linalg.inv(self.z_root[f]))
        return out

    def z_map(self, f: int) -> Array:
        """(k, k) S of block f: the user's random effects are S^-1 b_s."""
        block = self.layout.blocks[f]
        affine = np.zeros((block.width, block.width))
        for part in block.parts:
            affine[part.columns, part.columns] = self.standard.z_map(part.term)
        return self.z_root[f] @ affine


def response_and_fixed(standard: Standard, rows: slice) -> Array:
    """(n, r+1) [X_s y_s], X_s before R^-1 unless it is orthonormal."""
    r = standard.rank
    y = standard.response(standard.design.y, rows)
    out = standard.empty(len(y), r + 1)
    standard.fill_fixed(out, rows)
    out[:, r] = y
    return out


def block_codes(design: Design, block: Block) -> Index:
    return design.terms[block.parts[0].term].group.codes


def block_columns(standard: Standard, block: Block, rows: slice, root: Array | None) -> Array | None:
    """(n, k) the columns of all terms of a block times the roots of the weights; None stands for a single column of ones."""
    terms = standard.design.terms
    if block.width == 1 and terms[block.parts[0].term].z is None:
        return None if root is None else root[rows, None]
    out = standard.empty(len(block_codes(standard.design, block)[rows]), block.width)
    for part in block.parts:
        standard.fill_random(out, part.columns.start, part.term, rows)
    if root is not None:
        out *= root[rows, None]
    return out


def _pair(standard: Standard, f: int, g: int, root: Array | None) -> Pair:
    """Where one factor is nested in the other, the pairs are its levels, and nothing needs sorting."""
    blocks, design = standard.layout.blocks, standard.design
    first, second = (block_codes(design, blocks[i]) for i in (f, g))
    sizes = blocks[f].levels, blocks[g].levels
    z = [block_columns(standard, blocks[i], slice(None), root) for i in (f, g)]
    kernels = sums if standard.kernels is None else load("sums") or sums
    holder = sums.holder(first, second, sizes[0]) if sizes[0] >= sizes[1] else None
    if holder is not None:
        return Pair(np.arange(sizes[0]), holder, _nested_products(kernels, first, sizes[0], z[0], z[1]))
    holder = sums.holder(second, first, sizes[1]) if sizes[1] > sizes[0] else None
    if holder is not None:
        return Pair(holder, np.arange(sizes[1]), _nested_products(kernels, second, sizes[1], z[1], z[0]).swapaxes(1, 2))
    return Pair(*kernels.pair_sums(first, second, *sizes, *z))


def _nested_products(kernels: ModuleType, codes: Index, size: int, own: Array | None, other: Array | None) -> Array:
    """(m, k, k_other) sums of z z_other' over the rows of each level."""
    if own is None and other is None:
        return np.bincount(codes, minlength=size).astype(float)[:, None, None]
    ones = np.ones((len(codes), 1))
    z, w = (ones if columns is None else columns for columns in (own, other))
    unused, out = np.zeros((size, z.shape[1], z.shape[1])), np.zeros((size, z.shape[1], w.shape[1]))
    kernels.add_cross_products(unused, out, codes, z, w)
    return out


def _decorrelated(raw: Gram) -> Gram:
    """X_s R^-1 and z_s R_f^-1 on the small side."""
    standard, r = raw.standard, raw.rank
    right = np.zeros((r + 1, r + 1))
    right[r, r] = 1.0
    right[:r, :r] = lapack.dtrtri(standard.upper, lower=0)[0] if standard.orthonormal is None and r else np.eye(r)
    ww = right.T @ raw.ww @ right
    roots = tuple(_average_root(zz, block, raw.nobs) for zz, block in zip(raw.zz, raw.layout.blocks, strict=True))
    lefts = [lapack.dtrtri(root, lower=0)[0] for root in roots]
    plain = [root.shape[0] == 1 and root[0, 0] == 1.0 for root in roots]
    zz = tuple(z if p else _sandwiched(left, z, left) for z, left, p in zip(raw.zz, lefts, plain, strict=True))
    zw = tuple(_sandwiched(left, z, right) for z, left in zip(raw.zw, lefts, strict=True))
    pairs = {
        (f, g): pair if plain[f] and plain[g] else Pair(pair.rows, pair.columns, lefts[f].T @ pair.values @ lefts[g])
        for (f, g), pair in raw.pairs.items()
    }
    return Gram(standard, raw.nobs, raw.log_weights, ww, zz, zw, pairs, roots)


def _sandwiched(left: Array, tiles: Array, right: Array) -> Array:
    """(m, k, c) left'Z_j right; one product over all levels where tiles are small and many."""
    m, k, c = tiles.shape
    if m <= MANY or k * c > SMALL:
        return left.T @ (tiles.reshape(m * k, c) @ right).reshape(m, k, c)
    return (tiles.reshape(m, k * c) @ np.kron(left, right)).reshape(m, k, c)


def _average_root(zz: Array, block: Block, nobs: int) -> Array:
    """Upper R with R'R the average z z' of each part that is closed under linear maps; the identity elsewhere."""
    out = np.eye(block.width)
    for part in block.parts:
        if part.covariance.closure != "linear" or part.covariance.k == 1:
            continue
        average = np.add.reduce(zz[:, part.columns, part.columns], axis=0) / nobs
        upper, info = lapack.dpotrf(average, lower=0)
        if info == 0 and (upper.diagonal() > 1e-5 * np.sqrt(average.diagonal())).all():
            out[part.columns, part.columns] = upper
    return out
