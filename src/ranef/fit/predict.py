"""Predictions: for the rows used or for new ones, with or without random effects, and how sure they are.

    fit          offset + x'beta + z'b, with the effects b that `re` names and the levels that the fit knows
    confidence   for that mean: sigma^2 times the variance of the error of x'beta_hat + z'b_hat, both estimates jointly
    prediction   for a new observation there: adds z'Omega z for the random effects that the prediction does not know (levels that
                 were not in the fit, effects that `re` leaves out) and 1/w for the residual; where sampling variances are known
                 it is for the true effect there, without sampling error (Higgins, Thompson and Spiegelhalter 2009)

Limits are fit -+ t std_error. The degrees of freedom of t are those of the `ddf` of the fit; Satterthwaite's are 2 v^2 /
Var(v_hat) with the gradient of v in all variance parameters where no random effect is predicted (without random terms they are n
- p, and the intervals those of R's predict.lm), and with predicted random effects in sigma^2 alone, so that t is close to normal.
In v itself the variance parameters are taken as known, as in SAS without DDFM=KR.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from scipy.special import ndtri, stdtrit

from ranef.arguments import check_level
from ranef.design import Array
from ranef.errors import ModelError
from ranef.fit.newdata import Asked, ask
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
from ranef.fit.residual_side import homogeneous, reference_sd
from ranef.fit.rows import aligned, aligned_frame, needs_rows
from ranef.fit.scope import used_effects
from ranef.fit.spanned import refuse_spanned

if TYPE_CHECKING:
    from ranef.fit.fit import Fit

NewLevels = Literal["error", "population", "missing"]
Interval = Literal["confidence", "prediction"]


def predict(
    fit: Fit,
    newdata: Any = None,
    *,
    re: str | None = "conditional",
    new_levels: NewLevels = "error",
    interval: Interval | None = None,
    level: float = 0.95,
    offset: Any = None,
) -> Any:
    """Expected responses.

    Parameters
    ----------
    newdata
        A frame with the predictors, or None for the rows used. Without random effects the grouping columns are not needed.
    re
        The random effects to use: ``"conditional"`` all, ``"population"`` none, or a formula of bars (``"~ (1 | school)"``),
        each the whole or a part of a bar of the model.
    new_levels
        For levels that were not in the fit: ``"error"``; ``"population"``: their effects are zero; ``"missing"``: NaN.
    interval
        ``"confidence"`` for the mean, ``"prediction"`` for a new observation. Under ``new_levels="population"`` the confidence
        interval of a new level is that of the average level; its own deviation counts in the prediction interval.
    level
        Of the intervals.
    offset
        One number for each row of newdata (or a column), where the fit was given its offset as an array.

    Returns
    -------
    A Series of the user's kind under the index of newdata (an array for a dict); with an interval a frame with the columns
    fit std_error conf_low conf_high. Rows with a missing predictor or level are NaN, and so are those that a rank-deficient fit
    cannot tell (combinations of aliased columns that its data did not have). An offset is added, as in lme4.

    Raises
    ------
    DataError for columns or levels that the model needs and newdata lack; ModelError for arguments that are not known.
    """
    _check(new_levels, interval, level)
    used = used_effects(fit, re)
    if newdata is None:
        needs_rows(fit, "predict() without newdata")
        points = design_points(fit.model.design, fit.criterion.layout)
        asked = Asked(points, np.zeros(len(points), dtype=bool), fit.model.rows.index, fit.model.rows.frame)
    else:
        asked = ask(fit, newdata, used, new_levels, offset=offset, observation=interval == "prediction")
    known, unknown = asked.points.split(used)
    mean = marginal_mean(fit.solution, known) + random_part(fit.solution, known)
    mean[asked.missing] = np.nan
    if interval is None:
        return aligned(mean, asked.index, asked.frame, "fit")
    if re != "conditional" or any(np.any(codes < 0) for codes in asked.points.codes):
        refuse_spanned(fit, "An interval for groups that are not known")
    variance, df = _error(fit, known, unknown if interval == "prediction" else None)
    std_error = fit.solution.sigma * np.sqrt(variance)
    std_error[asked.missing] = np.nan
    half = _quantile(df, level) * std_error
    columns = {"fit": mean, "std_error": std_error, "conf_low": mean - half, "conf_high": mean + half}
    return aligned_frame(columns, asked.index, asked.frame)


def fitted_values(fit: Fit) -> Array:
    """(n,) offset + X beta + Z b of the rows used."""
    needs_rows(fit, "fittedvalues")
    points = design_points(fit.model.design, fit.criterion.layout)
    return marginal_mean(fit.solution, points) + random_part(fit.solution, points)


def _check(new_levels: str, interval: str | None, level: float) -> None:
    """Raises ModelError for arguments that are not known."""
    if new_levels not in ("error", "population", "missing"):
        raise ModelError(f"new_levels={new_levels!r} is not known.", hint='Use "error", "population" or "missing".')
    if interval not in (None, "confidence", "prediction"):
        raise ModelError(f"interval={interval!r} is not known.", hint='Use "confidence", "prediction" or None.')
    check_level(level)


def _error(fit: Fit, known: Points, unknown: Points | None) -> tuple[Array, Array]:
    """(n,) variance over sigma^2 and (n,) or () degrees of freedom of the error; with `unknown` that of a new observation."""
    solution = fit.solution
    variance = error_variance(solution, known)
    if unknown is not None:
        variance = variance + population_variance(solution, unknown)
        variance = variance if fit.model.design.known_variances else variance + known.noise * _own_variance(fit)
    if not fit.model.design.mixed or fit.ddf != "satterthwaite":
        return variance + _adjustment(fit, known), fit.denominator().df(known.X)
    parameters = fit.variance_parameters
    if fit.criterion.scale is not None:
        return variance, _satterthwaite(fit, known, unknown, variance)
    if any(np.any(z) for z in known.z):
        return variance, np.array(2.0 / parameters.covariance[-1, -1] if fit.criterion.scale is None else np.inf)
    return variance, _satterthwaite(fit, known, unknown, variance)


def _adjustment(fit: Fit, known: Points) -> Array:
    """(n,) what the method of the fit adds to the variance over sigma^2 of the error of x'beta + z'b.

    Its covariance of beta is sigma^2 white M white'; M - I applies to the part of the error that comes from beta, white'x - D'z.
    """
    solution, out = fit.solution, np.empty(len(known))
    inverse = np.linalg.pinv(solution.white)
    added = inverse @ fit.denominator().vcov @ inverse.T / solution.sigma**2 - np.eye(len(inverse))
    for rows in chunks(len(known)):
        _, error = whitened(solution, known, rows)
        out[rows] = np.einsum("ni,ij,nj->n", error, added, error)
    return out


def _satterthwaite(fit: Fit, known: Points, unknown: Points | None, variance: Array) -> Array:
    """(n,) 2 v^2 / (g'A g) for v = x'Var(beta)x [+ sigma^2 (z'Omega z + 1/w)], g its gradient in (theta, log sigma^2).

    Fai and Cornelius (1996), J. Stat. Comput. Simul. 54, 363, with the derivatives of `ranef.core.satterthwaite`.
    """
    solution, parameters = fit.solution, fit.variance_parameters
    gradient, q = np.empty((len(known), len(parameters.covariance))), len(parameters.slopes)
    gradient[:, q:] = variance[:, None]
    for rows in chunks(len(known)):
        xi = known.X[rows] @ solution.white
        gradient[rows, :q] = np.einsum("ci,kij,cj->ck", xi, parameters.slopes, xi)
    if unknown is not None:
        own = _population_gradient(fit, unknown)
        gradient[:, : own.shape[1]] += own
    spread = np.einsum("ck,kl,cl->c", gradient, parameters.covariance, gradient)
    return np.divide(2.0 * variance**2, spread, out=np.full(len(known), np.inf), where=spread > 0)


def _population_gradient(fit: Fit, points: Points) -> Array:
    """(n, q) derivatives of z'Omega z in theta: z_a z_b for a free entry of Omega (twice off the diagonal), then the chain rule."""
    layout, gram = fit.criterion.layout, fit.criterion.gram
    standard = [np.linalg.solve(gram.z_map(f).T, z.T) for f, z in enumerate(points.z)]
    entries = [standard[f][a] * standard[f][b] * (1.0 if a == b else 2.0) for f, a, b in zip(*layout.directions, strict=True)]
    return np.array(entries).reshape(len(entries), len(points)).T @ layout.jacobian(fit.solution.theta).T


def _own_variance(fit: Fit) -> float:
    """The variance over sigma^2 of a new residual of weight one."""
    if fit.criterion.residual is None:
        return 1.0
    if not homogeneous(fit):
        raise ModelError(
            "The residual variance of new observations depends on their position in the residual structure, so that no prediction "
            "interval can be given for them.",
            hint='Ask for interval="confidence", or use a structure with one variance.',
        )
    return (reference_sd(fit) / fit.solution.sigma) ** 2


def _quantile(df: Array, level: float) -> Array:
    tail, finite = 0.5 * (1.0 + level), ~np.isinf(df)
    return np.where(finite, stdtrit(np.where(finite, df, 1.0), tail), ndtri(tail))
