"""Compiled twins of `panels`: products level by level with a dense matrix, touching only its entries at pairs of neighbours."""

from __future__ import annotations

import numpy as np

from ranef.core.kernels.jit import jit
from ranef.core.kernels.panels import Array, Index


@jit
def subtract_square(out: Array, starts: Index, columns: Index, values: Array) -> None:
    k = values.shape[1]
    for j in range(len(starts) - 1):
        first, last = starts[j], starts[j + 1]
        if k == 1:
            for i in range(first, last):
                row, value = out[columns[i]], values[i, 0]
                for l in range(first, i + 1):
                    row[columns[l]] -= value * values[l, 0]
        else:
            for i in range(first, last):
                row = out[columns[i]]
                for l in range(first, i + 1):
                    total = 0.0
                    for a in range(k):
                        total += values[i, a] * values[l, a]
                    row[columns[l]] -= total


@jit
def gather(symmetric: Array, starts: Index, columns: Index, values: Array) -> Array:
    k = values.shape[1]
    out = np.zeros(values.shape)
    for j in range(len(starts) - 1):
        first, last = starts[j], starts[j + 1]
        if k == 1:
            for i in range(first, last):
                row, value, total = symmetric[columns[i]], values[i, 0], 0.0
                for l in range(first, i):
                    s = row[columns[l]]
                    out[l, 0] += s * value
                    total += s * values[l, 0]
                out[i, 0] += total + row[columns[i]] * value
        else:
            for i in range(first, last):
                row = symmetric[columns[i]]
                for l in range(first, i):
                    s = row[columns[l]]
                    for a in range(k):
                        out[l, a] += s * values[i, a]
                        out[i, a] += s * values[l, a]
                s = row[columns[i]]
                for a in range(k):
                    out[i, a] += s * values[i, a]
    return out
