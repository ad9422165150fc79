"""The sampling variance of a typical row: s^2 = (n - p) / tr P at no heterogeneity."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.linalg import solve_triangular

from ranef.covariance.base import Array

if TYPE_CHECKING:
    from ranef.fit.fit import Fit


def typical_variance(fit: Fit) -> float:
    """tr P = |T|^2 - |Q'T|^2, T'T = V^-1, Q that spans T X: Higgins and Thompson (2002), eq. 9, with moderators and covariances.

    T is the diagonal matrix of 1 / sqrt(v) where sampling errors are independent.
    """
    design = fit.model.design
    assert design.weights is not None
    X, root = design.X[:, list(fit.criterion.gram.standard.kept)], np.sqrt(design.weights)
    if design.residual is None:
        Q = np.linalg.qr(root[:, None] * X)[0]
        trace = float(np.sum(root**2) - np.sum((root[:, None] * Q) ** 2))
    else:
        T = whitening(fit, root)
        Q = np.linalg.qr(T @ X)[0]
        trace = float(np.sum(T**2) - np.sum((Q.T @ T) ** 2))
    return fit.sigma**2 * (fit.nobs - Q.shape[1]) / trace if trace > 0 else np.nan


def whitening(fit: Fit, root: Array) -> Array:
    """(n, n) L^-1 diag(root) for the correlations L L' of the sampling errors."""
    assert fit.model.design.residual is not None
    lower = fit.model.design.residual.structure.factor(np.zeros(0))
    return np.asarray(solve_triangular(lower, np.diag(root), lower=True))
