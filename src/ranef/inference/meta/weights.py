"""How much each row counts: the diagonal of the inverse of the marginal covariance, V_ii^-1, in percent of its sum.

For one effect a study this is 1 / (v_i + tau^2), the weight in the mean. V^-1 = P + V^-1X (X'V^-1X)^-1 X'V^-1, of which the
residuals' leverage gives the first part and the whitened rows the second.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ranef.covariance.base import Array
from ranef.fit.points import design_points, whitened
from ranef.fit.residuals import conditional_leverage

if TYPE_CHECKING:
    from ranef.fit.fit import Fit


def row_weights(fit: Fit) -> Array:
    """(n,) percent."""
    points, solution = design_points(fit.model.design, fit.criterion.layout), fit.solution
    if fit.model.design.residual is not None:
        inverse = solution.structured.solved(solution.factors, np.eye(len(points)))
        diagonal = inverse.diagonal() / points.noise
        return np.asarray(100.0 * diagonal / diagonal.sum())
    _, error = whitened(fit.solution, points, slice(None))
    rest = (1.0 - conditional_leverage(fit)) / points.noise
    diagonal = rest + np.einsum("nr,nr->n", error, error) / points.noise**2
    return np.asarray(100.0 * diagonal / diagonal.sum())
