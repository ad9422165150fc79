"""Compiled twins of `columns`."""

from __future__ import annotations

import numpy as np

from ranef.core.kernels.columns import Array
from ranef.core.kernels.jit import jit

STRETCH = 4096  # rows whose sums are formed first, so that rounding grows with their number only
LANES = 64  # least and largest values side by side, so that one instruction serves several of them


@jit
def summary(A: Array) -> tuple[Array, Array, Array]:
    n, p = A.shape
    total, low, high = np.zeros(p), np.empty(p), np.empty(p)
    least, most = np.empty(LANES), np.empty(LANES)
    for j in range(p):
        column = A[:, j]
        least[:], most[:] = column[0], column[0]
        for start in range(0, n, STRETCH):
            part, end = 0.0, min(n, start + STRETCH)
            whole = end - (end - start) % LANES
            for first in range(start, whole, LANES):
                for i in range(LANES):
                    x = column[first + i]
                    part += x
                    least[i] = x if x < least[i] else least[i]
                    most[i] = x if x > most[i] else most[i]
            for i in range(whole, end):
                x = column[i]
                part += x
                least[0] = x if x < least[0] else least[0]
                most[0] = x if x > most[0] else most[0]
            total[j] += part
        low[j], high[j] = least.min(), most.max()
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
    """Four rows at a time: by columns, each number would touch a cache line of its own; by rows, each a page."""
    rows, p, times = out.shape[0], A.shape[1], 1.0 / unit
    whole = rows - rows % 4
    for i in range(0, whole, 4):
        for j in range(p):
            c, t, to, at = center[j], times[j], column + j, start + i
            out[i, to] = (A[at, j] - c) * t
            out[i + 1, to] = (A[at + 1, j] - c) * t
            out[i + 2, to] = (A[at + 2, j] - c) * t
            out[i + 3, to] = (A[at + 3, j] - c) * t
    for i in range(whole, rows):
        for j in range(p):
            out[i, column + j] = (A[start + i, j] - center[j]) * times[j]
