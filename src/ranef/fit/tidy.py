"""Estimates as tidy tables, with the columns of broom.mixed in Python's spelling."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtri, stdtrit

from ranef.arguments import check_level
from ranef.covariance.base import Array
from ranef.errors import ModelError
from ranef.fit.methods import DDF
from ranef.table import Table

if TYPE_CHECKING:
    from ranef.fit.fit import Fit


def tidy(fit: Fit, effects: Sequence[str], conf_int: bool, level: float) -> Table:
    """See `Fit.tidy`. Raises ModelError for an unknown kind of effects."""
    wanted = tuple(effects) if isinstance(effects, list | tuple | set) else (effects,)
    unknown = [kind for kind in wanted if not (isinstance(kind, str) and kind in ("fixed", "ran_pars"))]
    if unknown:
        raise ModelError(f"effects={unknown[0]!r} is not known.", hint='Use "fixed", "ran_pars" or both.')
    rows = (_fixed_rows(fit, level) if "fixed" in wanted else []) + (_random_rows(fit) if "ran_pars" in wanted else [])
    names = ["effect", "group", "term", "estimate", "std_error", "df", "statistic", "p_value"]
    names += ["conf_low", "conf_high"] if conf_int else []
    columns = {name: [row.get(name) for row in rows] for name in names}
    return Table(columns, title="Estimates", notes=(DDF[fit.ddf],), frame_kind=fit.model.rows.frame)


def _fixed_rows(fit: Fit, level: float) -> list[dict[str, object]]:
    low, high = limits(fit, level)
    table = zip(fit.params.index, fit.params, fit.bse, fit.df, fit.tvalues, fit.pvalues, low, high, strict=True)
    names = ("term", "estimate", "std_error", "df", "statistic", "p_value", "conf_low", "conf_high")
    return [{"effect": "fixed", **dict(zip(names, row, strict=True))} for row in table]


def _random_rows(fit: Fit) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    names = ("group", "term1", "term2", "vcov", "sdcor")
    for group, first, second, variance, value in zip(*(fit.varcorr[name] for name in names), strict=True):
        if variance is None:  # a correlation or a range of a structure
            term = first
        else:
            term = f"sd__{first or 'Observation'}" if second is None else f"cor__{first}.{second}"
        rows.append({"effect": "ran_pars", "group": group, "term": term, "estimate": value})
    return rows


def limits(fit: Fit, level: float) -> tuple[Array, Array]:
    """Wald limits of the fixed effects. Raises ModelError for a level outside (0, 1)."""
    check_level(level)
    df, tail = fit.df.to_numpy(), 0.5 * (1.0 + level)
    finite = ~np.isinf(df)
    quantile = np.where(finite, stdtrit(np.where(finite, df, 1.0), tail), ndtri(tail))
    half = quantile * fit.bse.to_numpy()
    return fit.params.to_numpy() - half, fit.params.to_numpy() + half


def conf_int(fit: Fit, method: str, level: float, options: Mapping[str, object]) -> Table:
    """See `Fit.conf_int`."""
    if method != "wald":
        raise ModelError(f"method={method!r} is not known.", hint="Use one of: wald, profile, bootstrap.")
    if options:
        unknown = next(iter(options))
        raise ModelError(f"Wald intervals have no option {unknown!r}.", hint='Did you mean method="profile" or "bootstrap"?')
    low, high = limits(fit, level)
    columns = {"term": list(fit.params.index), "estimate": fit.params.to_numpy(), "conf_low": low, "conf_high": high}
    note = f"{level:.0%} Wald intervals, {DDF[fit.ddf]}"
    return Table(columns, title="Confidence intervals", notes=(note,), frame_kind=fit.model.rows.frame)


def glance(fit: Fit) -> Table:
    """See `Fit.glance`."""
    columns = {
        "nobs": [fit.nobs],
        "sigma": [None if fit.model.design.known_variances else fit.sigma],
        "llf": [fit.llf],
        "aic": [fit.aic],
        "bic": [fit.bic],
        "remlcrit": [fit.deviance if fit.reml and (fit.model.design.mixed or fit.model.design.sigma) else None],
        "df_residual": [fit.df_residual],
    }
    return Table(columns, title="Model at a glance", frame_kind=fit.model.rows.frame)
