"""Tails of the distributions of test statistics."""

from __future__ import annotations

import numpy as np

from ranef.covariance.base import Array


def t_tail(t: Array, df: Array) -> Array:
    """Upper tail P(T > t) of Student's t; normal where df is infinite."""
    from scipy.special import ndtr, stdtr

    finite = np.isfinite(df)
    if finite.all():
        return np.asarray(stdtr(df, -t), dtype=np.float64)
    return np.where(finite, stdtr(np.where(finite, df, 1.0), -t), ndtr(-t))
