"""Tails of the distributions of test statistics."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np

from ranef.covariance.base import Array


@cache
def _distributions() -> tuple[Callable[..., Array], Callable[..., Array]]:
    """Those of the normal and of Student's t, from a library that takes a while to load."""
    from scipy.special import ndtr, stdtr

    return ndtr, stdtr


def t_tail(t: Array, df: Array) -> Array:
    """Upper tail P(T > t) of Student's t; normal where df is infinite."""
    ndtr, stdtr = _distributions()
    infinite = np.isinf(df)
    if not np.count_nonzero(infinite):
        return np.asarray(stdtr(df, -t), dtype=np.float64)
    finite = ~infinite
    return np.where(finite, stdtr(np.where(finite, df, 1.0), -t), ndtr(-t))
