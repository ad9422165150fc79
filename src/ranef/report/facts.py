"""What every report of a fit says in words, before anyone decides how it looks. Nothing is estimated here."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ranef.fit.fit import Fit


def kind(fit: Fit) -> str:
    """Which model this is and how it was fitted."""
    if not fit.ngroups:
        return "Linear model fit by least squares"
    return f"Linear mixed model fit by {'REML' if fit.reml else 'maximum likelihood'}"


def data_line(fit: Fit) -> str:
    """Rows and groups: "180 rows; Subject: 18 levels"."""
    total = fit.model.rows.n_total
    rows = f"{fit.nobs:,} rows" if total <= fit.nobs else f"{fit.nobs:,} of {total:,} rows"
    return "; ".join([rows, *(f"{group}: {size:,} levels" for group, size in fit.ngroups.items())])


def reason(fit: Fit) -> str:
    """Why the fit has its status, in a sentence; empty where a finding says it."""
    told = any(finding.code in ("singular_fit", "not_converged") for finding in fit.findings)
    return "" if told else fit.optimum.message


def verdict(fit: Fit) -> str:
    """The status, and why."""
    return f"{fit.status}. {reason(fit)}".removesuffix(". ")


def criteria(fit: Fit) -> dict[str, float]:
    """Names and values of what the fit minimised and of the information criteria."""
    first = {"REML criterion": fit.deviance} if fit.reml and fit.ngroups else {"Deviance": fit.deviance}
    return {**first, "logLik": fit.llf, "AIC": fit.aic, "BIC": fit.bic}
