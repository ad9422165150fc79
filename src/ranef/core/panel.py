"""Z_f'Z_2 for an eliminated factor f and the dense remainder 2: sparse by level, with k_f numbers an entry."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from types import ModuleType

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from ranef.core.gram import Index
from ranef.core.kernels import panels
from ranef.core.kernels.twins import compiled
from ranef.covariance.base import Array

BUSY = 0.2  # a level with more than this share of the columns is faster in a dense product
FLOP = 1 / 2.5e10  # seconds of a multiplication in a dense product
EVALUATIONS = 10  # of a fit, that a compiler is worth waiting for


@dataclass(frozen=True, eq=False)
class Part:
    """Some levels of a pattern, with the kernels that are fastest for them."""

    kernels: ModuleType
    starts: Index
    columns: Index
    entries: Index | slice  # where their entries are among all


@dataclass(frozen=True, eq=False)
class Pattern:
    """Where the entries are: starts[j] <= i < starts[j+1] belong to level j; columns ascend within a level."""

    starts: Index  # (m+1,)
    columns: Index  # (entries,)
    width: int  # q2

    @property
    def levels(self) -> int:
        return len(self.starts) - 1

    @cached_property
    def row(self) -> Index:
        """(entries,) the level of each entry."""
        return np.repeat(np.arange(self.levels), np.diff(self.starts))

    @cached_property
    def kernels(self) -> ModuleType:
        """The compiled ones where they are worth loading."""
        return compiled("panels", EVALUATIONS * FLOP * self.levels * float(self.width) ** 2) or panels

    @cached_property
    def parts(self) -> tuple[Part, ...]:
        """Busy levels to BLAS, the others to the compiled kernels where there are some."""
        counts = np.diff(self.starts)
        busy = counts > BUSY * self.width
        if self.kernels is panels or busy.all():
            return (Part(panels, self.starts, self.columns, slice(None)),)
        if not busy.any():
            return (Part(self.kernels, self.starts, self.columns, slice(None)),)
        return (self._part(panels, busy, counts), self._part(self.kernels, ~busy, counts))

    def _part(self, kernels: ModuleType, chosen: NDArray[np.bool_], counts: Index) -> Part:
        entries = np.flatnonzero(np.repeat(chosen, counts))
        return Part(kernels, np.append(0, np.cumsum(counts[chosen])), self.columns[entries], entries)

    @cached_property
    def _keys(self) -> Index:
        """(entries,) ascending."""
        return self.row * self.width + self.columns

    def find(self, rows: Index, columns: Index) -> tuple[Index, NDArray[np.bool_]]:
        """(c,) the places of entries, and whether they are there."""
        wanted = rows * self.width + columns
        places = np.searchsorted(self._keys, wanted)
        places[places == len(self._keys)] = 0
        return places, self._keys[places] == wanted

    def positions(self, holder: Index, above: Pattern) -> Index:
        """(entries,) where they lie in the pattern of the factor that this one is nested in; `holder` is the level there."""
        return np.searchsorted(above._keys, holder[self.row] * self.width + self.columns)


@dataclass(frozen=True, eq=False)
class Panel:
    pattern: Pattern
    values: Array  # (entries, k)

    @classmethod
    def of_entries(cls, levels: int, width: int, rows: Index, columns: Index, values: Array) -> Panel:
        """From entries in any order; no (row, column) occurs twice."""
        places = csr_array((np.arange(len(rows)), (rows, columns)), shape=(levels, width))
        places.sort_indices()
        return cls(Pattern(places.indptr, places.indices, width), np.ascontiguousarray(values[places.data]))

    def with_values(self, values: Array) -> Panel:
        return Panel(self.pattern, values)

    def times(self, x: Array) -> Array:
        """(m, k, c) sums over the entries of a level of value (x) x[column], for x (q2, c)."""
        return np.stack([matrix @ x for matrix in self._sparse], axis=1)

    def transposed_times(self, x: Array) -> Array:
        """(q2, c) for x (m, k, c)."""
        return sum((matrix.T @ x[:, a] for a, matrix in enumerate(self._sparse)), np.zeros((self.pattern.width, x.shape[2])))

    def rotated(self, factors: Array) -> Panel:
        """Each value v of level j becomes factors[j]' v, for factors (m, k, k)."""
        if factors.shape[1] == 1:
            return self.with_values(self.values * factors[self.pattern.row, 0])
        return self.with_values(self.pattern.kernels.rotate(self.values, self.pattern.row, factors))

    def outer(self, other: Array) -> Array:
        """(m, k, c) sums over the entries of a level of value (x) other, for other (entries, c)."""
        return np.add.reduceat(self.values[:, :, None] * other[:, None, :], self.pattern.starts[:-1], axis=0)

    def dense(self) -> Array:
        """(m, k, q2)"""
        out = np.zeros((self.pattern.levels, self.pattern.width, self.values.shape[1]))
        out[self.pattern.row, self.pattern.columns] = self.values
        return np.ascontiguousarray(out.swapaxes(1, 2))

    @cached_property
    def _sparse(self) -> tuple[csr_array, ...]:
        at, shape = self.pattern, (self.pattern.levels, self.pattern.width)
        return tuple(csr_array((np.ascontiguousarray(column), at.columns, at.starts), shape=shape) for column in self.values.T)

    def subtract_square(self, out: Array) -> None:
        """out -= sum over levels of v v' on the lower triangle of out (q2, q2)."""
        for part in self.pattern.parts:
            part.kernels.subtract_square(out, part.starts, part.columns, self.values[part.entries])

    def gather(self, symmetric: Array) -> Array:
        """(entries, k): for each entry i, the sum over the entries l of its level of symmetric[l, i] value_l."""
        out = np.empty_like(self.values)
        for part in self.pattern.parts:
            out[part.entries] = part.kernels.gather(symmetric, part.starts, part.columns, self.values[part.entries])
        return out
