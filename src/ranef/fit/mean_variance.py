"""Residual variances that depend on the mean: `residual="power(fitted)"`.

The covariate of the variance function is the conditional mean x'beta + z'b, which the fit itself estimates. Given the covariate v
the model is one of a known v; the two steps

    fit given v        v = the fitted values

alternate until v does not change. That is a fixed point, not the maximum of a likelihood in which v moves too: such a likelihood
fits the means to the variances as well, and suffers where the variance function is wrong. The first v are the fitted values of the
model without functions of the mean. Standard errors and degrees of freedom are those for the v found.
Pinheiro and Bates (2000), section 5.2; Carroll and Ruppert (1988), Transformation and Weighting in Regression, chapters 2 and 3.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from ranef.core.gram import Gram
from ranef.covariance.base import Array
from ranef.design import Design, ResidualTerm
from ranef.errors import Finding, ModelError
from ranef.fit.answer import changed
from ranef.fit.fit import Fit
from ranef.fit.model import Model

SETTLED = 1e-8  # of the largest fitted value, by which none moves any more
MOST = 100  # rounds

Answer = Callable[[Model, Gram, "Array | None"], Fit]  # of a model whose covariates are known, from a start or from a warm theta


def depends_on_mean(design: Design) -> bool:
    return design.residual is not None and bool(design.residual.of_mean)


def iterated(model: Model, gram: Gram, warm: Array | None, answer: Answer) -> Fit:
    """The fixed point; with `warm` from the covariates of the design, which are those of a fit to similar data."""
    if warm is None:
        values = answer(*_without(model, gram), None)._fitted
        fit = answer(*_with(model, gram, values), None)
    else:
        fit = answer(model, gram, warm)
        values = _covariate(fit)
    change = np.inf
    for _ in range(MOST):
        moved = fit._fitted
        change = float(np.abs(moved - values).max() / np.abs(moved).max())
        if change <= SETTLED:
            break
        values = moved
        fit = answer(*_with(model, gram, values), fit.optimum.theta)
    return _with_findings(fit, change)


def _covariate(fit: Fit) -> Array:
    term = _term(fit.model.design)
    return term.functions[term.of_mean[0]][1]


def _term(design: Design) -> ResidualTerm:
    assert design.residual is not None
    return design.residual


def _without(model: Model, gram: Gram) -> tuple[Model, Gram]:
    term = _term(model.design)
    kept = tuple(pair for i, pair in enumerate(term.functions) if i not in term.of_mean)
    return _replaced(model, gram, replace(term, functions=kept, of_mean=()))


def _with(model: Model, gram: Gram, values: Array) -> tuple[Model, Gram]:
    """Raises ModelError where the function of the mean has no value."""
    term = _term(model.design)
    words = [term.functions[i][0].word for i in term.of_mean]
    if not np.all(np.isfinite(values)) or ((values == 0).any() and any(word != "exponential" for word in words)):
        raise ModelError(
            f"A fitted value is zero or not finite, where {words[0]}(fitted) has no residual variance.",
            hint="Use exponential(fitted), or a variance function of a covariate: power(x).",
        )
    functions = tuple((function, values if i in term.of_mean else v) for i, (function, v) in enumerate(term.functions))
    return _replaced(model, gram, replace(term, functions=functions))


def _replaced(model: Model, gram: Gram, term: ResidualTerm) -> tuple[Model, Gram]:
    design = replace(model.design, residual=term)
    model = replace(model, intake=replace(model.intake, design=design))
    return model, replace(gram, standard=replace(gram.standard, design=replace(gram.standard.design, residual=term)))


def _with_findings(fit: Fit, change: float) -> Fit:
    values, findings, term = _covariate(fit), [], _term(fit.model.design)
    words = [term.functions[i][0].word for i in term.of_mean]
    if change > SETTLED:
        message = f"The fitted values, on which the residual variance depends, have not settled after {MOST} rounds."
        findings.append(
            Finding(
                "not_converged", "serious", message, "Use a variance function of a covariate.", {"relative_change": change}
            )
        )  # fmt: skip
        fit = changed(fit, optimum=replace(fit.optimum, state="not converged", message=message))
    if values.min() < 0 < values.max() and any(word != "exponential" for word in words):
        findings.append(
            Finding(
                "mean_near_zero", "warning",
                "Fitted values have both signs, and the residual variance is a power of them: it is close to zero where they are.",
                "Use exponential(fitted), or constpower(fitted), whose variance does not vanish.",
                {"smallest": float(values.min()), "largest": float(values.max())},
            )
        )  # fmt: skip
    return replace(fit, findings=(*fit.findings, *findings)) if findings else fit
