"""Sums by level: the one pass over the rows. NumPy here; the compiled twin in `compiled_sums` takes over for long data."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Index = NDArray[np.intp]

SHORT = 1 << 15  # products that are added up at once
SAMPLE = 1024  # rows that most often tell at once that two factors are crossed


def add_cross_products(zz: Array, zw: Array, codes: Index, z: Array | None, w: Array) -> None:
    """zz[j] += sum z_i z_i' (the lower triangle), zw[j] += sum z_i w_i' over the rows i of level j; z = None stands for ones."""
    levels, width, columns = zw.shape
    if len(codes) * width * (width + columns) <= SHORT:
        _add_at_once(zz, zw, codes, np.ones((len(codes), 1)) if z is None else z, w)
        return
    if z is None:
        zz[:, 0, 0] += np.bincount(codes, minlength=levels)
        for c in range(columns):
            zw[:, 0, c] += np.bincount(codes, weights=w[:, c], minlength=levels)
        return
    for a in range(width):
        for b in range(a + 1):
            zz[:, a, b] += np.bincount(codes, weights=z[:, a] * z[:, b], minlength=levels)
        for c in range(columns):
            zw[:, a, c] += np.bincount(codes, weights=z[:, a] * w[:, c], minlength=levels)


def _add_at_once(zz: Array, zw: Array, codes: Index, z: Array, w: Array) -> None:
    """One count over all entries of the tiles: fewest calls for few rows."""
    levels, width, _ = zw.shape
    both = np.concatenate((z.T, w.T))
    products = z.T[:, None] * both
    size = width * len(both)
    places = codes + np.arange(0, levels * size, levels)[:, None]
    sums = np.bincount(places.ravel(), weights=products.ravel(), minlength=levels * size).reshape(width, -1, levels)
    zz += sums[:, :width].transpose(2, 0, 1)
    zw += sums[:, width:].transpose(2, 0, 1)


def mirror(zz: Array) -> None:
    """Copy the lower triangle of each tile to the upper one."""
    for a in range(zz.shape[1]):
        for b in range(a):
            zz[:, b, a] = zz[:, a, b]


def holder(f: Index, g: Index, size_f: int) -> Index | None:
    """(m_f,) the level of g that each level of f occurs with, if it is one: f is nested in g."""
    out = np.empty(size_f, dtype=np.intp)
    for rows in (slice(0, SAMPLE), slice(None)):
        out[f[rows]] = g[rows]
        if not np.array_equal(out[f[rows]], g[rows]):
            return None
    return out


def pair_sums(f: Index, g: Index, size_f: int, size_g: int, z_f: Array | None, z_g: Array | None) -> tuple[Index, Index, Array]:
    """(rows, columns, (c, k_f, k_g) sums of z_f z_g') over the pairs of levels that occur, sorted by row."""
    k_f, k_g = 1 if z_f is None else z_f.shape[1], 1 if z_g is None else z_g.shape[1]
    ones = np.ones(len(f))
    weights = [(ones if z_f is None else z_f[:, a]) * (1.0 if z_g is None else z_g[:, b]) for a in range(k_f) for b in range(k_g)]
    find = _in_a_table if size_f * size_g <= SHORT else _by_sorting
    rows, columns, values = find(f, g, size_f, size_g, weights)
    return rows, columns, np.stack(values, axis=1).reshape(-1, k_f, k_g)


def _in_a_table(f: Index, g: Index, size_f: int, size_g: int, weights: list[Array]) -> tuple[Index, Index, list[Array]]:
    """By counting in a table of all pairs."""
    place = f * size_g + g
    present = np.flatnonzero(np.bincount(place, minlength=size_f * size_g))
    values = [np.asarray(np.bincount(place, weights=w, minlength=size_f * size_g)[present], dtype=np.float64) for w in weights]
    return present // size_g, present % size_g, values


def _by_sorting(f: Index, g: Index, size_f: int, size_g: int, weights: list[Array]) -> tuple[Index, Index, list[Array]]:
    from scipy.sparse import coo_array  # which sorts by counting; small models need not wait for it

    places, values = (f.astype(np.int32), g.astype(np.int32)), []
    for w in weights:
        found = coo_array((w, places), shape=(size_f, size_g)).tocsr()  # adds what falls together, zeros too
        found.sort_indices()
        values.append(found.data)
    return np.repeat(np.arange(size_f), np.diff(found.indptr)), found.indices.astype(np.intp), values
