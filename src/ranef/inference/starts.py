"""Starts for refits to data that are close to those of a fit."""

from __future__ import annotations

import numpy as np

from ranef.core.criterion import Criterion
from ranef.core.scoring import SMALLEST
from ranef.covariance.base import Array


def lifted(criterion: Criterion, theta: Array) -> Array:
    """theta moved off the boundary, where a zero variance would look like a solution: eigenvalues of at least SMALLEST."""
    out = theta.copy()
    for where, covariance in criterion.blocks:
        factor = covariance.factor(theta[where])
        values, vectors = np.linalg.eigh(factor @ factor.T)
        if values[0] < SMALLEST:
            out[where] = covariance.of_factor(vectors * np.sqrt(np.maximum(values, SMALLEST)))
    return out
