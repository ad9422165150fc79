"""Z_f'Z_2 for an eliminated factor f and the dense remainder 2: sparse by level, with k_f numbers an entry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy.sparse import csr_array

from ranef.core.gram import Index
from ranef.core.kernels import panels
from ranef.covariance.base import Array


@dataclass(frozen=True, eq=False)
class Panel:
    """Entries starts[j] <= i < starts[j+1] belong to level j; columns ascend within a level."""

    starts: Index  # (m+1,)
    columns: Index  # (entries,)
    values: Array  # (entries, k)
    width: int  # q2

    @classmethod
    def of_entries(cls, levels: int, width: int, rows: Index, columns: Index, values: Array) -> Panel:
        """From entries in any order; no (row, column) occurs twice."""
        places = csr_array((np.arange(len(rows), dtype=np.intp), (rows, columns)), shape=(levels, width))
        places.sort_indices()
        return cls(places.indptr.astype(np.intp), places.indices.astype(np.intp), np.ascontiguousarray(values[places.data]), width)

    @property
    def levels(self) -> int:
        return len(self.starts) - 1

    @cached_property
    def row(self) -> Index:
        """(entries,) the level of each entry."""
        return np.repeat(np.arange(self.levels), np.diff(self.starts))

    @cached_property
    def pair_work(self) -> float:
        """Multiplications of one product level by level, sum over levels of entries squared, halved by symmetry."""
        return float((np.diff(self.starts).astype(float) ** 2).sum()) * self.values.shape[1] / 2

    def with_values(self, values: Array) -> Panel:
        return replace(self, values=values)

    def times(self, x: Array) -> Array:
        """(m, k, c) sums over the entries of a level of value (x) x[column], for x (q2, c)."""
        return np.stack([matrix @ x for matrix in self._sparse], axis=1)

    def transposed_times(self, x: Array) -> Array:
        """(q2, c) for x (m, k, c)."""
        return sum((matrix.T @ x[:, a] for a, matrix in enumerate(self._sparse)), np.zeros((self.width, x.shape[2])))

    def rotated(self, factors: Array) -> Panel:
        """Each value v of level j becomes factors[j]' v, for factors (m, k, k)."""
        if factors.shape[1] == 1:
            return self.with_values(self.values * factors[self.row, 0])
        return self.with_values((self.values[:, None, :] @ factors[self.row])[:, 0])

    def outer(self, other: Array) -> Array:
        """(m, k, c) sums over the entries of a level of value (x) other, for other (entries, c)."""
        return np.add.reduceat(self.values[:, :, None] * other[:, None, :], self.starts[:-1], axis=0)

    def dense(self) -> Array:
        """(m, k, q2)"""
        out = np.zeros((self.levels, self.width, self.values.shape[1]))
        out[self.row, self.columns] = self.values
        return np.ascontiguousarray(out.swapaxes(1, 2))

    @cached_property
    def _sparse(self) -> tuple[csr_array, ...]:
        shape = (self.levels, self.width)
        return tuple(csr_array((np.ascontiguousarray(column), self.columns, self.starts), shape=shape) for column in self.values.T)

    def subtract_square(self, out: Array) -> None:
        """out -= sum over levels of v v' on the lower triangle of out (q2, q2)."""
        panels.subtract_square(out, self.starts, self.columns, self.values)

    def gather(self, symmetric: Array) -> Array:
        """(entries, k): for each entry i, the sum over the entries l of its level of symmetric[l, i] value_l."""
        return panels.gather(symmetric, self.starts, self.columns, self.values)


def positions(panel: Panel, holder: Index, above: Panel) -> Index:
    """(entries,) where the entries of a panel lie in the panel of the factor that its factor is nested in."""
    keys = above.row * above.width + above.columns
    return np.searchsorted(keys, holder[panel.row] * panel.width + panel.columns)


def tile_entries(first: Index, k: int) -> Index:
    """(c, k) consecutive places first, first + 1, ..."""
    return first[:, None] + np.arange(k)


__all__: Sequence[str] = ["Panel", "positions", "tile_entries"]
