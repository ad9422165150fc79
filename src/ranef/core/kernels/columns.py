"""Means, extents and centred copies of columns. NumPy here; the compiled twin reads long columns once for each answer."""

from __future__ import annotations

from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from ranef.core.kernels import twins

Array = NDArray[np.float64]

CHUNK = 16384  # rows at a time, so that centred copies stay in the cache
ENTRY = 3e-8  # seconds that NumPy takes for all passes over one number


def kernels(rows: int, columns: int) -> ModuleType | None:
    """The compiled twin where a design is long enough; None stands for this module."""
    return twins.compiled("columns", ENTRY * rows * columns)


def summary(A: Array) -> tuple[Array, Array, Array]:
    """(p,) means, minima and maxima."""
    return np.add.reduce(A, axis=0) / len(A), np.minimum.reduce(A, axis=0), np.maximum.reduce(A, axis=0)


def mean_squares(A: Array, center: Array, unit: Array) -> Array:
    """(p,) means of ((A - center) / unit)^2."""
    total = np.zeros(A.shape[1])
    for start in range(0, len(A), CHUNK):
        part = (A[start : start + CHUNK] - center) / unit
        part *= part
        total += np.add.reduce(part, axis=0)
    return total / len(A)


def fill(out: Array, column: int, A: Array, start: int, center: Array, unit: Array) -> None:
    """Columns of out from `column` on become (A - center) times 1 / unit for the len(out) rows from `start` on."""
    part = out[:, column : column + A.shape[1]]
    np.subtract(A[start : start + len(out)], center, out=part)
    part *= 1.0 / unit
