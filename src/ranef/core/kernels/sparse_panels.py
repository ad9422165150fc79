"""Symmetric products level by level with a dense matrix for levels with few entries: only pairs of entries are touched.

Levels with as many entries are taken together. `compiled_sparse_panels` has twins, `dense_panels` serves levels with many entries.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ranef.core.kernels.dense_panels import Array, Index

CHUNK = 1 << 16  # pairs at a time, so that they stay in the cache


def subtract_square(out: Array, starts: Index, columns: Index, values: Array) -> None:
    """out -= sum over levels and a of v_a v_a', on the lower triangle of the C-ordered out; what stands above it is used up."""
    numbers = out.reshape(-1)
    for entries in _together(starts):
        column, value = columns[entries], values[entries]
        places = (column * len(out))[:, :, None] + column[:, None, :]
        np.subtract.at(numbers, places.ravel(), (value @ value.swapaxes(1, 2)).ravel())


def gather(symmetric: Array, starts: Index, columns: Index, values: Array) -> Array:
    """(entries, k) sums over the entries l of the same level of symmetric[l, i] v_l; the lower triangle of symmetric is read."""
    out, numbers = np.empty_like(values), symmetric.reshape(-1)
    for entries in _together(starts):
        column = columns[entries]
        places = (column * len(symmetric))[:, :, None] + column[:, None, :]
        lower = np.maximum(places, places.swapaxes(1, 2))
        out[entries] = numbers.take(lower) @ values[entries]
    return out


def _together(starts: Index) -> Iterator[Index]:
    """(levels, c) the places of the entries of levels that have c of them."""
    counts = np.diff(starts)
    order = np.argsort(counts, kind="stable")
    sizes, first = np.unique(counts[order], return_index=True)
    for size, level in zip(sizes.tolist(), np.split(starts[order], first[1:]), strict=True):
        step = max(1, CHUNK // max(1, size * size))
        for at in range(0, len(level), step):
            yield level[at : at + step, None] + np.arange(size)
