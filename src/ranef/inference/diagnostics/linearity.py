"""Linearity: does a curve explain what the line leaves?

RESET (`ranef.inference.diagnostics.reset`) with powers of the fitted values of the fixed effects, X beta: given the variances they
are independent of the residuals P y that the test looks at, so that the F test is as exact as any other of the model. In ordinary
regression it is lmtest's `resettest`. The same with powers of one numeric predictor asks about that predictor.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ranef.covariance.base import Array
from ranef.fit.fit import Fit
from ranef.inference.diagnostics.answer import Assessment, judge, untested
from ranef.inference.diagnostics.evidence import Evidence
from ranef.inference.diagnostics.reset import Reset, resets
from ranef.inference.terms import terms_of
from ranef.table import Table

ASSUMPTION = "Linearity"
SMALL, LARGE = 0.02, 0.13  # partial R2: Cohen's (1988) small and medium f2 of 0.02 and 0.15
REMEDY = "Look at the trend of the residuals; a transformation, a polynomial, a spline or a missing predictor may describe it."


def linearity(evidence: Evidence) -> Iterator[Assessment]:
    """One assessment of the fitted values, and one of each numeric predictor with more than two values."""
    asked = {"": evidence.mean}
    for name, x in predictors(evidence.fit).items():
        if abs(np.corrcoef(x, evidence.mean)[0, 1]) < 1.0 - 1e-10:  # else it is the same question
            asked[name] = x
    for name, found in zip(asked, resets(evidence.fit, list(asked.values())), strict=True):
        yield _assess(evidence, name, found)


def _assess(evidence: Evidence, name: str, found: Reset) -> Assessment:
    """Of the predictor called `name`; of the fitted values where that is empty."""
    code, panel = (f"linearity_{name}", f"linearity:{name}") if name else ("linearity", "linearity")
    check, test = f"Curve in {name}" if name else "RESET, fitted values", found.test
    if found.problem is not None:
        return untested(code, ASSUMPTION, check, f"The powers cannot be added: {found.problem.message}")
    if not test.num_df:
        return untested(code, ASSUMPTION, check, "The powers say nothing that the fixed effects do not say already.")
    share = test.num_df * test.statistic
    share = share / (share + test.den_df) if np.isfinite(test.den_df) else share / (share + evidence.fit.nobs)
    words = f"a curve explains {share:.1%} of the variance that is left{', with the variances held' if found.held else ''}."
    verdict = judge(test.p_value, share, small=SMALL, large=LARGE)
    return Assessment(code, ASSUMPTION, check, test.statistic, test.p_value, verdict, words, REMEDY, panel)


def predictors(fit: Fit) -> dict[str, Array]:
    """The numeric predictors that enter the fixed effects by themselves, with more than two values."""
    schema, design = fit.model.schema, fit.model.design
    _, terms = terms_of(schema, fit.criterion.gram.standard.kept)
    out = {}
    for term in terms.tested:
        name = next(iter(term.numerics), "")
        if term.factors or len(term.numerics) != 1 or schema.variables[name].kind != "numeric":
            continue
        values = design.X[:, terms.at[term.columns][0]]
        if len(np.unique(values[:1000])) > 2 or len(np.unique(values)) > 2:
            out[name] = values
    return out


def linearity_panels(evidence: Evidence) -> Iterator[tuple[str, Table]]:
    residual = evidence.fit.model.design.y - evidence.fitted
    yield "linearity", evidence.table({"fitted": evidence.fitted, "residual": residual}, "Residuals against fitted values")
    yield "linearity_trend", evidence.trend(evidence.fitted, residual, "Trend of the residuals over the fitted values")
    for name, x in predictors(evidence.fit).items():
        yield f"linearity:{name}", evidence.table({"x": x, "residual": residual}, f"Residuals against {name}")
        yield f"linearity_trend:{name}", evidence.trend(x, residual, f"Trend of the residuals over {name}")
