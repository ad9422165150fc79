"""Compiled twins of `sums`."""

from __future__ import annotations

import numpy as np

from ranef.core.kernels.jit import jit
from ranef.core.kernels.sums import Array, Index


@jit
def add_ones(zz: Array, zw: Array, codes: Index, w: Array) -> None:
    columns = w.shape[1]
    for i in range(len(codes)):
        j = codes[i]
        zz[j, 0, 0] += 1.0
        for c in range(columns):
            zw[j, 0, c] += w[i, c]


@jit
def add_columns(zz: Array, zw: Array, codes: Index, z: Array, w: Array) -> None:
    k, columns = z.shape[1], w.shape[1]
    for i in range(len(codes)):
        j = codes[i]
        for a in range(k):
            value = z[i, a]
            for b in range(a + 1):
                zz[j, a, b] += value * z[i, b]
            for c in range(columns):
                zw[j, a, c] += value * w[i, c]


def add_cross_products(zz: Array, zw: Array, codes: Index, z: Array | None, w: Array) -> None:
    if z is None:
        add_ones(zz, zw, codes, w)
    else:
        add_columns(zz, zw, codes, z, w)


@jit
def mirror(zz: Array) -> None:
    """Copy the lower triangle of each tile to the upper one."""
    m, k, _ = zz.shape
    for j in range(m):
        for a in range(k):
            for b in range(a):
                zz[j, b, a] = zz[j, a, b]


@jit
def by_level(codes: Index, size: int) -> tuple[Index, Index]:
    """(m+1,) where each level starts in the order (n,) of rows by level."""
    starts = np.zeros(size + 1, dtype=np.int64)
    for code in codes:
        starts[code + 1] += 1
    for j in range(size):
        starts[j + 1] += starts[j]
    at, order = starts[:-1].copy(), np.empty(len(codes), dtype=np.int64)
    for i in range(len(codes)):
        j = codes[i]
        order[at[j]] = i
        at[j] += 1
    return starts, order


@jit
def pair_counts(f: Index, g: Index, size_f: int, size_g: int) -> tuple[Index, Index, Array]:
    """Pairs by rows of f, in the order in which they are met, and how often they occur."""
    starts = np.zeros(size_f + 1, dtype=np.int64)
    for code in f:
        starts[code + 1] += 1
    for j in range(size_f):
        starts[j + 1] += starts[j]
    at, partner = starts[:-1].copy(), np.empty(len(f), dtype=np.int64)
    for i in range(len(f)):
        j = f[i]
        partner[at[j]] = g[i]
        at[j] += 1
    rows, columns, counts = np.empty(len(f), dtype=np.int64), np.empty(len(f), dtype=np.int64), np.zeros(len(f))
    place, found = np.full(size_g, -1, dtype=np.int64), 0
    for j in range(size_f):
        first = found
        for i in range(starts[j], starts[j + 1]):
            l = partner[i]
            if place[l] < first:
                place[l], rows[found], columns[found] = found, j, l
                found += 1
            counts[place[l]] += 1.0
    return rows[:found], columns[:found], counts[:found]


@jit
def pair_products(f: Index, g: Index, size_f: int, size_g: int, z_f: Array, z_g: Array) -> tuple[Index, Index, Array]:
    """The same with sums of z_f z_g'."""
    k_f, k_g = z_f.shape[1], z_g.shape[1]
    starts, order = by_level(f, size_f)
    rows, columns = np.empty(len(f), dtype=np.int64), np.empty(len(f), dtype=np.int64)
    values = np.zeros((len(f), k_f, k_g))
    place, found = np.full(size_g, -1, dtype=np.int64), 0
    for j in range(size_f):
        first = found
        for s in range(starts[j], starts[j + 1]):
            i = order[s]
            l = g[i]
            if place[l] < first:
                place[l], rows[found], columns[found] = found, j, l
                found += 1
            own = values[place[l]]
            for a in range(k_f):
                for b in range(k_g):
                    own[a, b] += z_f[i, a] * z_g[i, b]
    return rows[:found], columns[:found], values[:found]


def pair_sums(f: Index, g: Index, size_f: int, size_g: int, z_f: Array | None, z_g: Array | None) -> tuple[Index, Index, Array]:
    if z_f is None and z_g is None:
        rows, columns, counts = pair_counts(f, g, size_f, size_g)
        return rows, columns, counts[:, None, None]
    ones = np.ones((len(f), 1))
    return pair_products(f, g, size_f, size_g, ones if z_f is None else z_f, ones if z_g is None else z_g)
