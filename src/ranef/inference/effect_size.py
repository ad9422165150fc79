"""Standardised fixed effects: Cohen's d by a standard deviation that the user names, and standardised coefficients."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from scipy.special import ndtri, stdtrit

from ranef.arguments import checked
from ranef.design import Array
from ranef.errors import ModelError
from ranef.fit.residual_side import refuse_structured
from ranef.fit.rows import data_used, needs_rows
from ranef.inference.hypothesis import Hypothesis, hypothesis
from ranef.inference.parts import Part, Parts
from ranef.inference.ratios import quantile
from ranef.inference.variance_reduction import reference_part
from ranef.table import Table

if TYPE_CHECKING:
    from ranef.fit.fit import Fit

LARGEST = 1e150  # a standard deviation of which the square is a number
D_NOTE = "Intervals by the delta method, the standard deviation being estimated too; t with the degrees of freedom of the effect."


@checked
def cohens_d(fit: Fit, L: Any = None, *, sd: str | float | list[str] = "total", level: float = 0.95) -> Table:
    """Effects over a standard deviation: term estimate std_error df conf_low conf_high.

    Parameters
    ----------
    L
        Which effects: text such as ``"trt[T.b] - trt[T.c]"``, weights by name, or a matrix (as `Fit.test` takes them); all
        coefficients but the intercept if not given.
    sd
        ``"residual"``, ``"total"`` (random and residual part, averaged over the rows), a grouping factor, a list of these whose
        variances add up, or a number that counts as known (such as the SD of a control group).

    Raises ModelError for an unknown or vanished standard deviation, and for effects that cannot be read.

    Examples
    --------
    >>> import ranef
    >>> m = ranef.lmm("score ~ Machine + (1 | Worker / Machine)", ranef.datasets.load("Machines"))
    >>> ranef.cohens_d(m)
    Cohen's d
    Term               d  Std. error    df   Lower   Upper
    ------------------------------------------------------
    Machine[T.B]  1.2976      0.4705  10.0  0.2494  2.3459
    Machine[T.C]  2.2668      0.6461  10.0  0.8272  3.7064
    Standardised by the standard deviation: total.
    Intervals by the delta method, the standard deviation being estimated too; t
    with the degrees of freedom of the effect.
    Intervals hold with probability 0.95.
    >>> ranef.cohens_d(m, "Machine[T.C] - Machine[T.B]", sd="residual")
    Cohen's d
    Term                             d  Std. error    df  Lower   Upper
    -------------------------------------------------------------------
    Machine[T.C] - Machine[T.B]  6.188       2.379  10.0  0.888  11.487
    Standardised by the standard deviation: residual.
    Intervals by the delta method, the standard deviation being estimated too; t
    with the degrees of freedom of the effect.
    Intervals hold with probability 0.95.
    """
    parts, asked = Parts.of(fit), _asked(fit, L)
    value, std_error = _standardised(parts, asked.L, _divisor(parts, sd))
    df = fit.denominator().df(asked.L)
    half = _t(df, level) * std_error
    columns = {
        "term": list(asked.labels), "estimate": value, "std_error": std_error, "df": df,
        "conf_low": value - half, "conf_high": value + half,
    }  # fmt: skip
    notes = (_words(sd), D_NOTE)
    return Table(columns, title="Cohen's d", notes=notes, level=level, headings={"estimate": "d"}, frame_kind=fit.model.rows.frame)


def _asked(fit: Fit, L: Any) -> Hypothesis:
    if L is not None:
        return hypothesis(fit, L)
    names = [name for name in fit.params.index if name != "(Intercept)"]
    if not names:
        raise ModelError("The fixed part has no effects beside the intercept.", hint="Give L to standardise the intercept.")
    return hypothesis(fit, [{name: 1.0} for name in names])


def _divisor(parts: Parts, sd: str | float | list[str]) -> Part:
    if isinstance(sd, str | list):
        if not sd:
            raise ModelError(f"sd={sd!r} names no standard deviation.")
        part = Part.stack([reference_part(parts, word) for word in ([sd] if isinstance(sd, str) else sd)])
        if part.variance > 0.0:
            return part
        raise ModelError(f"The standard deviation {sd!r} was estimated as zero, so nothing can be divided by it.")
    if isinstance(sd, bool) or not isinstance(sd, int | float | np.number) or not 0.0 < sd < LARGEST:
        raise ModelError(f"sd={sd!r} must be a positive number, or name standard deviations of the model.")
    return Part(np.array([float(sd)]), np.zeros((1, len(parts.spread))))


def _standardised(parts: Parts, L: Array, divisor: Part) -> tuple[Array, Array]:
    """d = l'beta / s and its standard error, by the covariance of beta that the fit reports."""
    vcov = parts.fit.denominator().vcov
    s = float(np.sqrt(divisor.variance))
    d = L @ parts.fit.solution.beta / s
    relative = divisor.root @ divisor.jacobian @ parts.spread / s**2  # of s
    return d, np.sqrt(np.einsum("ci,ij,cj->c", L, vcov, L) / s**2 + d**2 * float(relative @ relative))


def _t(df: Array, level: float) -> Array:
    quantile(level)
    tail, finite = 0.5 * (1.0 + level), ~np.isinf(df)
    return np.where(finite, stdtrit(np.where(finite, df, 1.0), tail), ndtri(tail))


def _words(sd: str | float | list[str]) -> str:
    if isinstance(sd, str | list):
        return f"Standardised by the standard deviation: {sd if isinstance(sd, str) else ' + '.join(sd)}."
    return f"Standardised by {sd:g}, taken as known."


@checked
def standardised(fit: Fit, *, method: Literal["refit", "basic"] = "refit", level: float = 0.95) -> Table:
    """Standardised coefficients: term estimate std_error df conf_low conf_high.

    ``"refit"``: the model fitted to data whose numeric columns, the response among them, have mean 0 and standard deviation 1.
    ``"basic"``: each coefficient times the standard deviation of its column over that of the response; zero for the intercept.
    The standard deviations count as known. Raises ModelError for a saved model (which has no rows) and an unknown method.

    Examples
    --------
    >>> import ranef
    >>> m = ranef.lmm("y ~ x + z + (1 | school / class)", ranef.datasets.load("schools"))
    >>> ranef.standardised(m)
    Standardised coefficients
    Term         Estimate  Std. error      df     Lower    Upper
    ------------------------------------------------------------
    (Intercept)   0.01215     0.21746   10.0   -0.47239  0.49670
    x             0.36553     0.03497  216.3    0.29660  0.43447
    z            -0.03668     0.22358    9.97  -0.53504  0.46167
    Numeric columns standardised, and the model fitted again.
    Intervals hold with probability 0.95.
    """
    needs_rows(fit, "standardised()")
    if method not in ("refit", "basic"):
        raise ModelError(f"method={method!r} is not known.", hint='Use "refit" or "basic".')
    model, factor = (_refitted(fit), np.ones(len(fit.params))) if method == "refit" else (fit, _units(fit))
    value, std_error, df = model.params.to_numpy() * factor, model.bse.to_numpy() * factor, model.df.to_numpy()
    half = _t(df, level) * std_error
    columns = {
        "term": list(model.params.index), "estimate": value, "std_error": std_error, "df": df,
        "conf_low": value - half, "conf_high": value + half,
    }  # fmt: skip
    refit = "Numeric columns standardised, and the model fitted again."
    notes = (refit if method == "refit" else "In standard deviations of column and response.",)
    return Table(columns, title="Standardised coefficients", notes=notes, level=level, frame_kind=fit.model.rows.frame)


def _refitted(fit: Fit) -> Fit:
    recipe = fit.model.recipe
    beside = [recipe.get(name) for name in ("precision_weights", "sampling_variance", "offset")]
    if any(given is not None for given in beside):
        raise ModelError(
            "A fit with weights, sampling variances or an offset is not standardised by refitting.", hint='Use method="basic".'
        )
    refuse_structured(fit, "Standardising by a new fit", 'Use method="basic".')
    grouping = {name for term in fit.model.design.terms for name in term.group.variables}
    data = {name: values if name in grouping else _unit_scale(values) for name, values in data_used(fit).items()}
    return fit.update(data=data)


def _unit_scale(values: Any) -> Any:
    numeric = isinstance(values, np.ndarray) and values.dtype.kind in "fiu"
    return (values - values.mean()) / values.std(ddof=1) if numeric and len(np.unique(values)) > 1 else values


def _units(fit: Fit) -> Array:
    """(r,) sd of each column over that of the response."""
    design = fit.model.design
    kept = [design.names.index(name) for name in fit.params.index]
    return design.X[:, kept].std(axis=0, ddof=1) / design.y.std(ddof=1)
