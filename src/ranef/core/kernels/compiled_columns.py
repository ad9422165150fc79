"""Compiled twins of `columns`."""

from __future__ import annotations

import numpy as np

from ranef.core.kernels.columns import Array
from ranef.core.kernels.jit import jit

STRETCH = 4096  # rows whose sums are formed first, so that rounding grows with their number only


@jit
def summary(A: Array) -> tuple[Array, Array, Array]:
    n, p = A.shape
    total, low, high = np.zeros(p), np.empty(p), np.empty(p)
    for j in range(p):
        column = A[:, j]
        least, most = column[0], column[0]
        for start in range(0, n, STRETCH):
            part = 0.0
            for i in range(start, min(n, start + STRETCH)):
                x = column[i]
                part += x
                least = x if x < least else least
                most = x if x > most else most
            total[j] += part
        low[j], high[j] = least, most
    return total / n, low, high


@jit
def mean_squares(A: Array, center: Array, unit: Array) -> Array:
    n, p = A.shape
    total = np.zeros(p)
    for j in range(p):
        column = A[:, j]
        for start in range(0, n, STRETCH):
            part = 0.0
            for i in range(start, min(n, start + STRETCH)):
                x = (column[i] - center[j]) / unit[j]
                part += x * x
            total[j] += part
    return total / n


@jit
def fill(out: Array, column: int, A: Array, start: int, center: Array, unit: Array) -> None:
    for j in range(A.shape[1]):
        source, to = A[:, j], column + j
        for i in range(out.shape[0]):
            out[i, to] = (source[start + i] - center[j]) / unit[j]
