"""Sums over the levels of an eliminated random intercept, as products with constants.

With the column p_j = (Z_2'Z_1)_j of level j, N (21) is linear in the weights psi_j of the levels, and what (27a) needs of S^-1 is
linear in its entries, with the same coefficients:

    N = Z_2'Z_2 - sum_j psi_j p_j p_j'        V_j'U V_j = T_j^2 p_j'(Lambda_2 U Lambda_2') p_j

The lower triangles of p_j p_j' are the rows of a sparse matrix; levels that meet many columns stay dense and go to BLAS.

docs/explanation/likelihood.md, eq. 21a.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.linalg.blas import dsymm, dsyrk
from scipy.sparse import csr_array

from ranef.core.gram import Index
from ranef.core.panel import Panel
from ranef.covariance.base import Array

SMALL = 1 << 16  # numbers of all p_j together that are kept dense whatever they are
BUSY = 0.12  # a level that meets more than this share of the columns is faster in a dense product
ROOM = 1 << 21  # numbers beyond which products are formed at each evaluation instead


@dataclass(frozen=True, eq=False)
class Outer:
    light: Index  # levels whose products are the rows of `products`, in this order
    products: csr_array  # (light, q2 q2) p_j p_j' by rows, the lower triangle
    squares: csr_array  # (light, q2) the squares of p_j
    busy: Index
    columns: Array  # (busy, q2) their p_j
    size: int

    @classmethod
    def of(cls, panel: Panel) -> Outer | None:
        """None where effects are not single numbers or the products would take too much memory."""
        counts, size = np.diff(panel.pattern.starts), panel.pattern.width
        busy = counts > (BUSY * size if len(counts) * size > SMALL else 0)
        numbers = np.where(busy, size, counts * (counts + 1) // 2).sum()
        if panel.values.shape[1] > 1 or numbers > ROOM or size**2 > np.iinfo(np.int32).max:
            return None
        matrix = csr_array((panel.values[:, 0], panel.pattern.columns, panel.pattern.starts), shape=(len(counts), size))
        light = np.flatnonzero(~busy)
        light = light[np.argsort(counts[light], kind="stable")]
        few = matrix[light]
        return cls(light, _products(few), few.power(2), np.flatnonzero(busy), matrix[np.flatnonzero(busy)].toarray(), size)

    def minus_sum(self, weights: Array) -> Array:
        """(q2, q2) the lower triangle of -sum_j w_j p_j p_j', for weights (m,) that are not negative."""
        out = (self.products.T @ -weights[self.light]).reshape(self.size, self.size)
        if len(self.busy):
            scaled = self.columns * np.sqrt(weights[self.busy, None])
            # out.T is F-ordered, and its upper triangle is the lower one of out
            dsyrk(-1.0, scaled.T, beta=1.0, c=out.T, trans=0, lower=0, overwrite_c=1)
        return out

    def forms(self, symmetric: Array) -> Array:
        """(m,) p_j'A p_j of a C-ordered A (q2, q2) whose lower triangle is read."""
        out = np.empty(len(self.light) + len(self.busy))
        if len(self.light):
            out[self.light] = 2.0 * (self.products @ symmetric.reshape(-1)) - self.squares @ np.diag(symmetric)
        if len(self.busy):
            moved = dsymm(1.0, symmetric.T, self.columns.T, lower=0)
            out[self.busy] = np.einsum("jq,qj->j", self.columns, moved)
        return out


def _products(matrix: csr_array) -> csr_array:
    """The rows of `matrix` have ever more entries."""
    counts, size = np.diff(matrix.indptr), matrix.shape[1]
    starts = np.append(0, np.cumsum(counts * (counts + 1) // 2)).astype(np.int32)
    places, values = np.empty(starts[-1], dtype=np.int32), np.empty(starts[-1])
    for rows, entries, later, earlier in _alike(counts, matrix.indptr):
        own, shape = slice(starts[rows.start], starts[rows.stop]), (rows.stop - rows.start, -1)
        columns, numbers = matrix.indices[entries].reshape(shape), matrix.data[entries].reshape(shape)
        np.add((columns * np.int32(size)).take(later, axis=1), columns.take(earlier, axis=1), out=places[own].reshape(shape))
        np.multiply(numbers.take(later, axis=1), numbers.take(earlier, axis=1), out=values[own].reshape(shape))
    return csr_array((values, places, starts), shape=(len(counts), size * size))


def _alike(counts: Index, starts: Index) -> Iterator[tuple[slice, slice, Index, Index]]:
    """Rows with as many entries, the stretch of these, and which is the later and which the earlier one of each pair."""
    sizes, first = np.unique(counts, return_index=True)
    edges = [*first.tolist(), len(counts)]
    for size, start, stop in zip(sizes.tolist(), edges[:-1], edges[1:], strict=True):
        yield slice(start, stop), slice(starts[start], starts[stop]), *np.tril_indices(size)
