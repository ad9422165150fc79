"""The sampling variance of a typical row: s^2 = (n - p) / tr P at no heterogeneity."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from ranef.fit.fit import Fit


def typical_variance(fit: Fit) -> float:
    """tr P = tr W - tr (X'WX)^-1 X'W^2 X, Higgins and Thompson (2002), eq. 9, for moderators too."""
    design = fit.model.design
    assert design.weights is not None
    w = design.weights
    Q = np.linalg.qr(np.sqrt(w)[:, None] * design.X[:, list(fit.criterion.gram.standard.kept)])[0]
    trace = float(w.sum() - np.sum(w[:, None] * Q**2))
    return fit.sigma**2 * (fit.nobs - Q.shape[1]) / trace if trace > 0 else np.nan
