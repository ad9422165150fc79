"""What every report of a fit says in words, before anyone decides how it looks. Nothing is estimated here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ranef.cells import number, p_value
from ranef.fit.rows import has_rows
from ranef.layouts.shown import pretty

if TYPE_CHECKING:
    from ranef.fit.fit import Fit


def kind(fit: Fit) -> str:
    """Which model this is and how it was fitted."""
    known = " with known sampling variances" if fit.model.design.known_variances else ""
    if not fit.model.design.mixed or (known and not fit.ngroups):
        return f"Linear model{known} fit by {'weighted ' if known else ''}least squares"
    method = "REML" if fit.reml else "maximum likelihood"
    if fit.status == "moment estimate":
        method = f"moments ({fit.optimum.optimizer})"
    model = f"Linear mixed model{known}" if fit.ngroups else "Linear model with structured residuals"
    return f"{model} fit by {method}"


def data_line(fit: Fit) -> str:
    """Rows and groups: "180 rows; Subject: 18 levels"."""
    total = fit.model.rows.n_total
    rows = f"{fit.nobs:,} rows" if total <= fit.nobs else f"{fit.nobs:,} of {total:,} rows"
    groups = dict(fit.ngroups)
    residual = fit.model.design.residual
    if residual is not None and residual.subject.variables:
        groups.setdefault(residual.subject.name, residual.subject.size)
    return "; ".join([rows, *(f"{group}: {size:,} levels" for group, size in groups.items())])


def tiles(fit: Fit) -> dict[str, str]:
    """The numbers at the head of a report."""
    counts = {"rows": f"{fit.nobs:,}", **{f"levels of {group}": f"{size:,}" for group, size in fit.ngroups.items()}}
    residual = {} if fit.model.design.known_variances else {"residual SD": number(fit.sigma)}
    return {**counts, **{name: pretty(f"{value:,.2f}") for name, value in criteria(fit).items()}, **residual}


def arguments(fit: Fit) -> dict[str, str]:
    """Residual structure, weights, sampling variances and offset, which the formula does not tell."""
    schema, design = fit.model.schema, fit.model.design
    known, given = design.known_variances, fit.model.recipe.get("sampling_variance")
    structure = "" if known or design.residual is None else design.residual.label
    variances = "" if not known else f"sampling variances {given}" if isinstance(given, str) else "sampling variances"
    weights = "" if known else schema.weights or ("precision weights, given as numbers" if design.weights is not None else "")
    offset = schema.offset or ("given as numbers" if schema.loose_offset else "")
    told = (("Errors", structure), ("Weights", weights), ("Known", variances), ("Offset", offset))
    return {name: text for name, text in told if text}


def residual_line(fit: Fit) -> str:
    if fit.model.design.known_variances:
        return f"Known sampling variances, typically {fit.sigma**2:.4g}"
    return f"Residual standard deviation {fit.sigma:.4g} on {fit.df_residual:,} degrees of freedom"


def explained_lines(fit: Fit) -> list[str]:
    """R2 and the joint F test of a linear model; none for a model that was loaded without its rows, without predictors or without
    an intercept, or with known sampling variances, where R2 has no one meaning.
    """
    from ranef.inference.r2 import r2

    tested = [j for j, name in enumerate(fit.model.design.names) if name in fit.params.index and name != "(Intercept)"]
    design = fit.model.design
    if design.mixed or design.known_variances or design.intercept is None or not tested or not has_rows(fit):
        return []
    multiple, adjusted = r2(fit)["estimate"]
    test = fit.denominator("residual").test(np.eye(len(fit.model.design.names))[tested], np.zeros(len(tested)))
    return [
        f"Multiple R2 {multiple:.4f}, adjusted R2 {adjusted:.4f}",
        f"F {test.statistic:.2f} on {test.num_df} and {test.den_df:,.0f} degrees of freedom, p {equals(test.p_value)}",
    ]


def equals(p: float) -> str:
    """A p value after the letter p: "= 0.043" or "<0.001"."""
    text = p_value(p)
    return text if text[0] in "<>" else f"= {text}"


def reason(fit: Fit) -> str:
    """Why the fit has its status, in a sentence; empty where a finding says it."""
    told = any(finding.code in ("singular_fit", "not_converged") for finding in fit.findings)
    return "" if told else fit.optimum.message


def verdict(fit: Fit) -> str:
    """The status, and why."""
    return f"{fit.status}. {reason(fit)}".removesuffix(". ")


def criteria(fit: Fit) -> dict[str, float]:
    """Names and values of what the fit minimised and of the information criteria."""
    reml = fit.reml and (fit.model.design.mixed or fit.model.design.sigma)
    first = {"REML criterion": fit.deviance} if reml else {"Deviance": fit.deviance}
    return {**first, "logLik": fit.llf, "AIC": fit.aic, "BIC": fit.bic}
