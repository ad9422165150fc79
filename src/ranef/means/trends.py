"""Trends: marginal slopes of the response in a numeric predictor, by exact derivatives of the columns of the model.

With x'(v) the derivative of a row of X in the predictor v, the slope at a point of the grid is x'(v) beta: for a straight line its
coefficient, for polynomials and splines the slope where the grid stands, at the mean of v unless `at` says otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ranef.arguments import checked
from ranef.errors import ModelError
from ranef.formula import parse, variables
from ranef.means.averaging import average, check_weights, targets
from ranef.means.emmeans import MeansAndContrasts, mean_functions
from ranef.means.estimates import estimates_of
from ranef.means.functions import Functions
from ranef.means.grid import Nesting, Reduce, reference_grid
from ranef.means.marginal import marginal
from ranef.means.specs import read_specs
from ranef.schema.frames import nearest


@checked
def emtrends(
    model: Any,
    var: str,
    specs: str | Sequence[str] = (),
    by: str | Sequence[str] | None = None,
    *,
    at: Mapping[str, Any] | None = None,
    weights: str = "equal",
    ddf: str | None = None,
    cov_reduce: Reduce = None,
    nesting: Nesting | None = None,
    level: float = 0.95,
    data: Any = None,
) -> Any:
    """Marginal slopes of the response (on the scale of the model) in `var`, for the levels of `specs`.

    Parameters
    ----------
    var
        A numeric predictor, or an expression of one: ``"age"``, ``"log(age)"`` for the slope per unit of log(age).
    specs, by, at, weights, ddf, cov_reduce, nesting, level, data
        As in `emmeans`. To have slopes at several points, give them and name the predictor:
        ``emtrends(m, "age", ["sex", "age"], at={"age": [8, 11, 14]})``.

    Returns
    -------
    A `Marginal` table, or (slopes, contrasts) for a text with contrasts such as ``"pairwise ~ group"``.

    Raises ModelError for a predictor that the fixed part does not have as a number.

    Examples
    --------
    >>> import ranef
    >>> m = ranef.lmm("distance ~ age * Sex + (age | Subject)", ranef.datasets.load("Orthodont"))
    >>> slopes, difference = ranef.emtrends(m, "age", "pairwise ~ Sex")
    >>> slopes
    Slopes of age for Sex
    Sex       Slope       SE    df    Lower    Upper
    ------------------------------------------------
    Male    0.78438  0.08600  25.0  0.60726  0.96149
    Female  0.47955  0.10372  25.0  0.26593  0.69316
    At: age = 11 (mean).
    Satterthwaite's degrees of freedom.
    Intervals hold with probability 0.95.
    >>> difference
    Pairwise differences of slopes of age for Sex
    Contrast       Estimate      SE    df     t      p
    --------------------------------------------------
    Male - Female    0.3048  0.1347  25.0  2.26  0.033
    At: age = 11 (mean).
    Satterthwaite's degrees of freedom.
    """
    if not isinstance(var, str):
        raise ModelError(f"var={var!r} must be the name of a numeric predictor, or a transformation of one.")
    asked, rule = read_specs(specs or "1", by), check_weights(weights)
    estimates = estimates_of(model, ddf, data)
    name = _predictor(estimates.predictors, var)
    if rule == "show":
        raise ModelError('weights="show" is for emmeans(); the same rows are averaged over here.')
    named = (*asked.names, *asked.by)
    plain = reference_grid(estimates, at=at, cov_reduce=_reduction(cov_reduce, name, named), nesting=nesting, keep=named)
    grid = replace(plain, slope=(var, name))
    names, families = targets(grid, asked.names, asked.by)
    functions = _as_slopes(mean_functions(grid, average(grid, (*names, *families), rule), (names, families), rule), var)
    slopes = marginal(functions, level)
    return slopes if asked.method is None else MeansAndContrasts(slopes, slopes.contrast(asked.method))


def _predictor(predictors: Mapping[str, Any], var: str) -> str:
    """The column that `var` is about. Raises ModelError where it is no numeric predictor."""
    found = [name for name in variables(parse(f"~ 0 + {var}")) if name in predictors] if var.strip() else []
    if len(found) != 1:
        numeric = [name for name, predictor in predictors.items() if not predictor.is_factor]
        raise ModelError(f"{var!r} is no numeric predictor of the fixed part.", hint=nearest(var, numeric, "Numeric predictors"))
    if predictors[found[0]].is_factor:
        raise ModelError(
            f"{found[0]!r} is a factor in this model, and factors have contrasts instead of trends.",
            hint=f'emmeans(m, "{found[0]}").contrast("consec")',
        )
    return found[0]


def _reduction(asked: Reduce, name: str, specs: Sequence[str]) -> Reduce:
    """The predictor itself stands at its mean even where it has two values, unless it is among the specs."""
    if asked is not None or name in specs:
        return asked
    return {name: np.mean}


def _as_slopes(functions: Functions, var: str) -> Functions:
    what = functions.what.replace("Marginal means of", f"Slopes of {var} for").replace("Marginal mean", f"Slope of {var}")
    return replace(functions, kind="slope", what=what, link=None)
