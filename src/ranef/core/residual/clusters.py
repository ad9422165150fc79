"""Clusters: the smallest sets of rows that are independent of each other, and the patterns among them.

Two rows are in one cluster when they share a subject or a level of a grouping factor. Clusters whose covariance is the same
function of the parameters (the same times, random columns and sharing of levels) form a pattern, for which V is factored once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ranef.covariance.base import Array

Index = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Batch:
    """All clusters of one number of rows: C clusters of n rows in U patterns."""

    rows: Index  # (C, n) positions in the design
    pattern: Index  # (C,)
    first: Index  # (U,) a cluster of each pattern
    count: Array  # (U,) clusters of each pattern

    @property
    def representative(self) -> Index:
        """(U, n) the rows that stand for each pattern."""
        return self.rows[self.first]

    def split(self, patterns: int) -> Iterator[Batch]:
        """Batches of at most that many patterns, at least one."""
        if len(self.first) <= max(patterns, 1):
            yield self
            return
        for start in range(0, len(self.first), max(patterns, 1)):
            mine = (self.pattern >= start) & (self.pattern < start + max(patterns, 1))
            place = np.cumsum(mine) - 1
            stretch = slice(start, start + max(patterns, 1))
            yield Batch(self.rows[mine], self.pattern[mine] - start, place[self.first[stretch]], self.count[stretch])


def components(codes: Sequence[Index], n: int) -> Index:
    """(n,) the cluster of each row, from the codes (n,) of the subject and of every grouping factor."""
    if len(codes) == 1:
        return np.unique(codes[0], return_inverse=True)[1]
    from scipy.sparse import coo_array  # which other models need not wait for
    from scipy.sparse.csgraph import connected_components

    offsets = np.cumsum([n, *(int(c.max()) + 1 for c in codes)])
    ends = np.concatenate([c + start for c, start in zip(codes, offsets, strict=False)])
    size = int(offsets[-1])
    graph = coo_array((np.ones(len(ends), dtype=np.int8), (np.tile(np.arange(n), len(codes)), ends)), shape=(size, size))
    return connected_components(graph, directed=False)[1][:n].astype(np.intp)


def batches(cluster: Index, order: Index, features: Array, sharing: Sequence[Index]) -> list[Batch]:
    """The clusters by their number of rows.

    `order` sorts the rows by cluster and, within it, as patterns are to be compared; `features` (n, c) and the sharing of the codes
    in `sharing` (each (n,)) decide whether two clusters are alike.
    """
    sizes = np.bincount(cluster)
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    out = []
    for n in np.unique(sizes[sizes > 0]):
        rows = order[starts[sizes == n][:, None] + np.arange(n)]
        keys = [features[rows].reshape(len(rows), -1), *(_relative(codes[rows]) for codes in sharing)]
        table = np.ascontiguousarray(np.concatenate(keys, axis=1) + 0.0)
        _, first, pattern = np.unique(_as_bytes(table), return_index=True, return_inverse=True)
        out.append(Batch(rows, pattern.ravel(), first, np.bincount(pattern.ravel()).astype(float)))
    return out


def _relative(codes: Index) -> Array:
    """(C, n) codes as the position of the first row of the cluster that has the same one."""
    return np.argmax(codes[:, :, None] == codes[:, None, :], axis=2).astype(float)


def _as_bytes(table: Array) -> NDArray[np.void]:
    """(C,) each row as one value that can be compared."""
    return table.view(np.dtype((np.void, table.dtype.itemsize * table.shape[1]))).ravel()
