"""Symmetric products level by level with a dense matrix, the heart of a crossed evaluation; `compiled_panels` has twins."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.blas import dsymm, dsyrk
from scipy.sparse import csr_array

Array = NDArray[np.float64]
Index = NDArray[np.intp]

CHUNK = 1 << 22  # numbers of a dense stretch of rows at a time


def rotate(values: Array, row: Index, factors: Array) -> Array:
    """(entries, k) F_j'v of each value v of level j, for factors (m, k, k)."""
    return np.asarray((values[:, None, :] @ factors[row])[:, 0])


def subtract_square(out: Array, starts: Index, columns: Index, values: Array) -> None:
    """out -= sum over levels and a of v_a v_a' on the lower triangle of the C-ordered out."""
    for dense in _stretches(starts, columns, values, out.shape[0]):
        for a in range(values.shape[1]):
            # out.T is F-ordered, and its upper triangle is the lower one of out
            dsyrk(-1.0, dense[:, a].T, beta=1.0, c=out.T, trans=0, lower=0, overwrite_c=1)


def gather(symmetric: Array, starts: Index, columns: Index, values: Array) -> Array:
    """(entries, k) sums over the entries l of the same level of symmetric[l, i] v_l; the lower triangle of symmetric is read."""
    out = np.empty_like(values)
    at = 0
    for dense in _stretches(starts, columns, values, len(symmetric)):
        rows = len(dense)
        span = slice(starts[at], starts[at + rows])
        row = np.repeat(np.arange(rows), np.diff(starts[at : at + rows + 1]))
        for a in range(values.shape[1]):
            out[span, a] = dsymm(1.0, symmetric.T, dense[:, a].T, lower=0)[columns[span], row]
        at += rows
    return out


def _stretches(starts: Index, columns: Index, values: Array, width: int) -> Iterator[Array]:
    """(rows, k, width) dense stretches of the levels in turn."""
    levels, k = len(starts) - 1, values.shape[1]
    step = max(1, CHUNK // max(1, width * k))
    for first in range(0, levels, step):
        last = min(levels, first + step)
        span = slice(starts[first], starts[last])
        dense = np.zeros((last - first, k, width))
        for a in range(k):
            local = csr_array(
                (values[span, a], columns[span], starts[first : last + 1] - starts[first]), shape=(last - first, width)
            )
            dense[:, a] = local.toarray()
        yield dense
