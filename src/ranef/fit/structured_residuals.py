"""Residuals and leverages where the residuals have a covariance R: what `ranef.fit.residuals` answers for independent ones.

    kind           conditional, r = y - X beta - Z b = R P y       marginal, r = y - X beta
    pearson        r / sqrt(R_ii / R_0)                            r / sqrt(V_ii / R_0)          R_0 the reference, sigma^2
    standardised   r / sqrt((R P R)_ii)                            r / sqrt(V_ii - x'(X'V^-1X)^-1 x)
    studentised    the same with the scale of all covariances estimated without the row
    normalized     L^-1 r, L L' = R                                L^-1 r, L L' = V

    h = 1 - (R P)_ii, the diagonal of d y_hat / d y.

Pinheiro and Bates (2000), section 5.1.3 ("normalized"); SAS's VCIRY option gives L_V^-1 (y - X beta).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ranef.design import Array
from ranef.fit.points import design_points, marginal_mean, random_part
from ranef.fit.residual_side import normalized, reference_sd, row_moments, unit_of

if TYPE_CHECKING:
    from ranef.fit.fit import Fit

SATURATED = 1e-10  # share of its variance below which a residual has no scale


def structured_residuals(fit: Fit, kind: str, level: str) -> Array:
    """(n,) residuals of the rows used."""
    conditional = level == "conditional"
    points = design_points(fit.model.design, fit.criterion.layout)
    raw = fit.model.design.y - marginal_mean(fit.solution, points)
    if conditional:
        raw = raw - random_part(fit.solution, points)
    if kind == "raw":
        return raw
    if kind == "normalized":
        return normalized(fit, raw, not conditional)
    unit, moments, root = unit_of(fit), row_moments(fit), 1.0 / np.sqrt(points.noise)
    if kind == "pearson":
        spread = moments.noise if conditional else moments.total
        return raw * root / np.sqrt(spread * unit**2 / reference_sd(fit) ** 2)
    fixed = np.square(points.X @ fit.solution.white).sum(axis=1) / points.noise
    spread = moments.spread if conditional else moments.total - fixed
    some = spread > SATURATED * moments.total
    out = np.full(len(raw), np.nan)
    np.divide(raw * root, unit * np.sqrt(np.where(some, spread, 1.0)), out=out, where=some)
    return out if kind == "standardised" else out / _scale_without(fit, points.noise, moments.P)


def structured_leverage(fit: Fit) -> Array:
    """(n,) 1 - (R P)_ii."""
    return 1.0 - row_moments(fit).share


def marginal_structured_leverage(fit: Fit) -> Array:
    """(n,) x_i'(X'V^-1X)^-1 (X'V^-1)_i."""
    points = design_points(fit.model.design, fit.criterion.layout)
    fixed = points.X @ fit.solution.white / np.sqrt(points.noise)[:, None]
    return np.asarray(np.einsum("nr,nr->n", fixed, fit.solution.structured.solved(fit.solution.factors, fixed)))


def _scale_without(fit: Fit, noise: Array, P: Array) -> Array:
    """(n,) the factor by which all standard deviations change when a row is left out: (Py)_i^2 / P_ii is its share of y'Py."""
    nu = fit.criterion.nu
    marginal = (fit.model.design.y - marginal_mean(fit.solution, design_points(fit.model.design, fit.criterion.layout))) / unit_of(
        fit
    )
    Py = fit.solution.structured.solved(fit.solution.factors, (marginal / np.sqrt(noise))[:, None])[:, 0]
    removed = np.divide(Py**2, P, out=np.zeros_like(P), where=P > SATURATED * P.max())
    return np.sqrt(np.maximum(fit.solution.gls.pwrss - removed, 0.0) / max(nu - 1, 1))
