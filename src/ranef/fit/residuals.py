"""Residuals and leverages, row by row.

With V = W^-1 + Z Omega Z' and P = V^-1 - V^-1 X (X'V^-1X)^-1 X'V^-1:

    kind           conditional, r = y - X beta - Z b         marginal, r = y - X beta
    raw            r                                          r
    pearson        r sqrt(w)                                  r / sqrt(V_ii)
    standardised   r sqrt(w) / (sigma sqrt(1 - h))            r / (sigma sqrt(V_ii - x'(X'V^-1X)^-1 x))
    studentised    the same with sigma_(i) in place of sigma  the same with sigma_(i) in place of sigma
    normalized     r sqrt(w) / sigma                          L^-1 r, L L' = sigma^2 V

    h = 1 - P_ii / w_i                                        the diagonal of d y_hat / d y, y_hat = X beta + Z b
    sigma_(i)^2 = (y'Py - (Py)_i^2 / P_ii) / (nu - 1)         sigma without row i, theta held; sigma where it is known

Both denominators are the exact standard deviations at the given variances: Var(W^-1 P y) = sigma^2 W^-1 P W^-1 and
Var(V P y) = sigma^2 V P V. Without random effects the two levels agree, and the kinds are R's `residuals`,
`residuals(type="pearson")`, `rstandard` and `rstudent`. Elsewhere they are called:

    lme4           residuals, residuals(type="pearson"), rstudent for "standardised", hatvalues; it has nothing for "studentised"
    nlme           "response"; "pearson" is ours over sigma
    PROC MIXED     Resid; PearsonResid is ours over sigma; StudentResid; RStudent with the option INFLUENCE

Sources: Cook and Weisberg (1982), Residuals and Influence in Regression; Gregoire, Schabenberger and Barrett (1995), Can. J. For.
Res. 25, 137-156; Haslett and Hayes (1998), JRSS B 60, 201-215 (deletion with V held); Nobre and Singer (2007), Biometrical J. 49,
863-875.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ranef.design import Array
from ranef.errors import ModelError
from ranef.fit.points import (
    Points,
    chunks,
    design_points,
    error_variance,
    marginal_mean,
    population_variance,
    random_part,
    whitened,
)
from ranef.fit.residual_side import independent_engine
from ranef.fit.rows import data_used, needs_rows, row_labels
from ranef.fit.structured_residuals import marginal_structured_leverage, structured_leverage, structured_residuals
from ranef.table import Table

if TYPE_CHECKING:
    import pandas as pd

    from ranef.fit.fit import Fit

KINDS = ("raw", "pearson", "standardised", "studentised", "normalized")
SPELLINGS = {"response": "raw", "standardized": "standardised", "studentized": "studentised", "normalised": "normalized"}
LARGEST = 4000  # rows that are not independent, of which the covariance matrix is factored
LEVELS = ("conditional", "marginal")
SATURATED = 1e-10  # a row with 1 - h below this determines its own fitted value: its residual is zero and has no scale


def residuals(fit: Fit, kind: str = "raw", level: str = "conditional") -> pd.Series:
    """Residuals of the rows used, in the order and under the index of the data; see the module for the definitions.

    Rows that determine their own fitted value have no standardised residual (NaN, as in R). Raises ModelError for an unknown kind
    or level, and for a model that was loaded from a file.
    """
    needs_rows(fit, "residuals()")
    kind = SPELLINGS.get(kind, kind) if isinstance(kind, str) else kind
    if kind not in KINDS:
        raise ModelError(f"kind={kind!r} is not known.", hint=f"Use one of: {', '.join(KINDS)}.")
    if level not in LEVELS:
        raise ModelError(f"level={level!r} is not known.", hint=f"Use one of: {', '.join(LEVELS)}.")
    return _by_row(fit, _residuals(fit, kind, level), "resid")


def hat_values(fit: Fit, level: str = "conditional") -> pd.Series:
    """The leverage of each row: the diagonal of d y_hat / d y at the estimated theta.

    conditional  y_hat = X beta + Z b (lme4's hatvalues): h_i = w_i times the variance of the error of x'beta + z'b, over sigma^2.
                 The sum is the effective number of parameters, Hodges and Sargent (2001), Biometrika 88, 367.
    marginal     y_hat = X beta: the diagonal of X (X'V^-1X)^-1 X'V^-1, whose sum is the rank of X.
    """
    needs_rows(fit, "hat_values()")
    if level not in LEVELS:
        raise ModelError(f"level={level!r} is not known.", hint=f"Use one of: {', '.join(LEVELS)}.")
    points = _points(fit)
    return _by_row(fit, fit._leverage if level == "conditional" else _marginal_leverage(fit, points), "hat")


def conditional_leverage(fit: Fit) -> Array:
    """(n,) 1 - P_ii / w_i of the rows used."""
    if fit.criterion.residual is not None:
        return structured_leverage(fit)
    points = _points(fit)
    return error_variance(fit.solution, points) / points.noise


def augment(fit: Fit) -> Table:
    """The data used, row by row, with fitted, resid, hat, std_resid (conditional) and mu, the mean without random effects.

    The first column is the user's index, where there is one.
    """
    needs_rows(fit, "augment()")
    points, solution = _points(fit), fit.solution
    mean = marginal_mean(solution, points)
    fitted = mean + random_part(solution, points)
    hat = fit._leverage
    resid = fit.model.design.y - fitted
    added = {
        "fitted": fitted,
        "resid": resid,
        "hat": hat,
        "std_resid": _residuals(fit, "standardised", "conditional"),
        "mu": mean,
    }
    columns = {name: values for name, values in {**row_labels(fit), **data_used(fit)}.items() if name not in added}
    return Table({**columns, **added}, title="Rows used", frame_kind=fit.model.rows.frame)


def _residuals(fit: Fit, kind: str, level: str) -> Array:
    if fit.criterion.residual is not None:
        return structured_residuals(fit, kind, level)
    points, solution = _points(fit), fit.solution
    mean = marginal_mean(solution, points)
    conditional = fit.model.design.y - mean - random_part(solution, points)
    raw = conditional if level == "conditional" else fit.model.design.y - mean
    if kind == "raw":
        return raw
    if kind == "normalized":
        return _normalized(fit, raw, points, level)
    spread = points.noise if level == "conditional" else points.noise + population_variance(solution, points)
    if kind == "pearson":
        return raw / np.sqrt(spread)
    leverage = fit._leverage
    share = 1.0 - leverage if level == "conditional" else 1.0 - _fixed_variance(fit, points) / spread
    if kind == "standardised":
        return _over(raw, solution.sigma * np.sqrt(spread), share)
    return _over(raw, _sigma_without(fit, conditional, points.noise, leverage) * np.sqrt(spread), share)


def _normalized(fit: Fit, raw: Array, points: Points, level: str) -> Array:
    """Divided by sigma; marginal ones by the Cholesky factor of V, whose clusters must be of moderate size."""
    solution = fit.solution
    if level == "conditional":
        return raw / (solution.sigma * np.sqrt(points.noise))
    if not points.codes:
        return raw / (solution.sigma * np.sqrt(points.noise))
    from ranef.core.residual.clusters import components

    largest = int(np.bincount(components(list(points.codes), len(raw))).max())
    if largest > LARGEST:
        raise ModelError(
            f"The factors join {largest} rows: their covariance matrix is too large for normalized marginal residuals.",
            hint='residuals("normalized") without level="marginal" needs no matrix.',
        )
    return independent_engine(fit).normalized(solution.factors, raw / (np.sqrt(points.noise) * solution.sigma), True)


def _over(raw: Array, scale: Array, share: Array) -> Array:
    """raw / (scale sqrt(share)), NaN where the share is nil."""
    some = share > SATURATED
    out = np.full(len(raw), np.nan)
    np.divide(raw, scale * np.sqrt(np.where(some, share, 1.0)), out=out, where=some)
    return out


def _sigma_without(fit: Fit, conditional: Array, noise: Array, leverage: Array) -> Array:
    """(n,) sigma_(i); (Py)_i = w_i r_i and P_ii = w_i (1 - h_i)."""
    dof, sigma = fit.solution.dof, fit.solution.sigma
    if fit.model.design.known_variances:
        return np.full(len(noise), sigma)
    removed = np.square(_over(conditional, np.sqrt(noise), 1.0 - leverage))
    rest = np.maximum(dof * sigma**2 - removed, 0.0)
    return np.sqrt(rest / (dof - 1)) if dof > 1 else np.full(len(rest), np.nan)


def _fixed_variance(fit: Fit, points: Points) -> Array:
    """(n,) x'(X'V^-1X)^-1 x."""
    scores = points.X @ fit.solution.white
    return np.einsum("nr,nr->n", scores, scores)


def _marginal_leverage(fit: Fit, points: Points) -> Array:
    """(n,) x_i'(X'V^-1X)^-1 (X'V^-1)_i, with (V^-1 X)_i = w_i (x_i - Omega Z'V^-1 X contribution of z_i), whitened."""
    if fit.criterion.residual is not None:
        return marginal_structured_leverage(fit)
    out = np.empty(len(points))
    for rows in chunks(len(points)):
        fixed, error = whitened(fit.solution, points, rows)
        out[rows] = np.einsum("nr,nr->n", fixed, error)
    return out / points.noise


def _points(fit: Fit) -> Points:
    return design_points(fit.model.design, fit.criterion.layout)


def _by_row(fit: Fit, values: Array, name: str) -> pd.Series:
    import pandas as pd

    return pd.Series(values, index=fit.model.rows.index, name=name)
