"""The paragraph for the methods section of a paper, and what it cites."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from ranef.formula import term_label
from ranef.report.references import REFERENCES, cite
from ranef.report.spreads import Spread, spreads
from ranef.report.words import counted, listed

if TYPE_CHECKING:
    from ranef.fit.fit import Fit

OPTIMIZERS = {
    "newton": "a trust-region Newton method with exact derivatives",
    "bobyqa": "the derivative-free method BOBYQA, finished by Newton steps",
    "lbfgs": "the quasi-Newton method L-BFGS, finished by Newton steps",
    "em": "the EM algorithm, finished by Newton steps",
}
# What tests rest on, and the source.
DDF = {
    "satterthwaite": ("degrees of freedom by Satterthwaite's method", "satterthwaite"),
    "kenward-roger": ("the adjusted standard errors and degrees of freedom of Kenward and Roger", "kenward-roger"),
    "kenward-roger-linear": (
        "the adjusted standard errors and degrees of freedom of Kenward and Roger, in the linear variant", "kenward-roger",
    ),
    "kenward-roger-observed": (
        "the adjusted standard errors and degrees of freedom of Kenward and Roger, with the observed information", "kenward-roger",
    ),
    "kenward-roger-observed-linear": (
        "the adjusted standard errors and degrees of freedom of Kenward and Roger, with the observed information and in the linear "
        "variant",
        "kenward-roger",
    ),
    "knapp-hartung": ("the standard errors and residual degrees of freedom of Knapp and Hartung", "knapp"),
    "between-within": ("between-within degrees of freedom", "pinheiro"),
    "containment": ("containment degrees of freedom", "sas"),
}  # fmt: skip


def paragraph(fit: Fit, tested: bool = True, effect_sizes: bool = True) -> str:
    """The methods in sentences; `tested` says that random effects were tested, `effect_sizes` that R2 is reported."""
    return " ".join([*_model(fit), *_data(fit), *_estimation(fit), *_tests(fit, tested), *_sizes(fit, effect_sizes), _software()])


def keys(fit: Fit, tested: bool = True, effect_sizes: bool = True) -> list[str]:
    """The references that the paragraph cites."""
    text = paragraph(fit, tested, effect_sizes)
    return [key for key in REFERENCES if cite(key) in text]


def _model(fit: Fit) -> Iterator[str]:
    response = fit.model.design.response
    terms = [term_label(term) for term in fit.model.formula.fixed if term.order]
    noun = "fixed effect" if len(terms) == 1 else "fixed effects"
    fixed = f"with {listed(terms)} as {noun}" if terms else "with an intercept as the only fixed effect"
    if not fit.model.design.mixed:
        predictors = f"on {listed(terms)}" if terms else "on an overall mean alone"
        yield f"We regressed {response} {predictors} by {'weighted' if _weighted(fit) else 'ordinary'} least squares."
        return
    residual = fit.model.design.residual
    random = f" and {'; '.join(_random(spreads(fit)))}" if fit.ngroups else ""
    yield f"We fitted a linear {'mixed-effects ' if fit.ngroups else ''}model to {response}, {fixed}{random}."
    if residual is not None:
        subject = f" within levels of {residual.subject.name}" if residual.subject.variables else ""
        yield f"Residuals{subject} have the covariance structure {residual.label}, with {_parameters(fit)}."


def _parameters(fit: Fit) -> str:
    assert fit.criterion.residual is not None
    return counted(fit.criterion.residual.size, "parameter", "parameters")


def _random(terms: list[Spread]) -> list[str]:
    """Each random term in words; those of one group that have no correlation with each other are said together."""
    out = []
    for group in dict.fromkeys(term.group for term in terms):
        own = [term for term in terms if term.group == group]
        parts = listed([_effects(term.names) for term in own])
        structure = ", uncorrelated" if len(own) > 1 else f", with {_structure(own[0])}" if own[0].size > 1 else ""
        out.append(f"random {parts} by {group}{structure}")
    return out


def _effects(names: tuple[str, ...]) -> str:
    others = [name for name in names if name != "(Intercept)"]
    kind = "effects" if any("[" in name for name in others) else "slopes"
    parts = ["intercepts"] if "(Intercept)" in names else []
    return listed([*parts, *([f"{kind} of {listed(others, 4)}"] if others else [])])


def _structure(term: Spread) -> str:
    known = {"un": "an unstructured covariance matrix", "diag": "a diagonal covariance matrix", "id": "one common variance"}
    return known.get(term.structure, f"a covariance matrix of structure {term.structure} ({term.structure_title})")


def _data(fit: Fit) -> Iterator[str]:
    groups = [counted(size, f"level of {group}", f"levels of {group}") for group, size in fit.ngroups.items()]
    within = f" in {listed(groups)}" if groups else ""
    yield f"The data are {counted(fit.nobs, 'observation', 'observations')}{within}."
    rows = fit.model.rows
    left = rows.n_total - fit.nobs - rows.zero_weights
    if left > 0:
        columns = [name for name, count in (*rows.missing.items(), *rows.created.items()) if count]
        missing = f" with missing values in {listed(columns)}" if columns else ""
        yield f"We left out {counted(left, 'row', 'rows')}{missing}."
    if fit.model.design.known_variances:
        given = fit.model.recipe.get("sampling_variance")
        yield f"Their sampling variances{f' ({given})' if isinstance(given, str) else ''} were taken as known."
    elif _weighted(fit):
        name = fit.model.schema.weights
        yield f"Observations were weighted by {name or 'given precision weights'}: the residual variance is inverse to the weight."
    schema = fit.model.schema
    if schema.offset or schema.loose_offset or schema.formula.offsets:
        yield f"{'The offset ' + schema.offset if schema.offset else 'An offset'} entered the mean with a coefficient of one."
    if fit.dropped:
        what = "is a linear combination" if len(fit.dropped) == 1 else "are linear combinations"
        yield f"We dropped {listed(list(fit.dropped), 6)}, which {what} of other predictors."


def _estimation(fit: Fit) -> Iterator[str]:
    if not fit.model.design.mixed:
        return
    if fit.status == "moment estimate":
        yield f"The variance between groups was estimated by the method of moments ({fit.optimum.optimizer})."
        return
    how = f"restricted maximum likelihood (REML) {cite('patterson')}" if fit.reml else "maximum likelihood"
    optimizer = OPTIMIZERS.get(fit.model.options.optimizer, fit.model.options.optimizer)
    yield f"Parameters were estimated by {how}; the profiled criterion {cite('bates')} was minimised by {optimizer}."
    yield _status(fit)


def _status(fit: Fit) -> str:
    if fit.status == "not converged":
        return "The search did not converge, so that the estimates are provisional."
    checked = "At the estimates the gradient is zero and the criterion rises in every direction that the data identify"
    if not fit.is_singular:
        return f"{checked}."
    return f"{checked}; the fit is singular, that is, on the boundary of the parameter space ({'; '.join(fit.optimum.boundary)})."


def _tests(fit: Fit, tested: bool) -> Iterator[str]:
    ddf = fit.ddf
    if ddf in DDF:
        basis, source = DDF[ddf]
        yield f"Tests and 95 % confidence intervals of fixed effects use t and F distributions with {basis} {cite(source)}."
    elif ddf == "asymptotic":
        yield "Tests and 95 % confidence intervals of fixed effects are asymptotic (normal and chi-squared distributions)."
    elif ddf == "residual":
        yield f"Tests and 95 % confidence intervals use t and F distributions with {fit.df_residual:,} residual degrees of freedom."
    else:
        yield (
            f"Tests and 95 % confidence intervals of fixed effects use cluster-robust standard errors ({ddf}) with Satterthwaite's "
            f"degrees of freedom {cite('robust')}."
        )
    if tested and fit.ngroups:
        yield (
            "Random effects were tested by likelihood ratios whose p values account for variances on the boundary of the "
            f"parameter space {cite('boundary')}."
        )


def _sizes(fit: Fit, wanted: bool) -> Iterator[str]:
    if wanted and fit.ngroups:
        yield f"R² and intraclass correlations are those of Nakagawa and others {cite('nakagawa')}."


def _software() -> str:
    from ranef import __version__

    return f"Computations were done with ranef {__version__} in Python {platform.python_version()} (NumPy {np.__version__})."


def _weighted(fit: Fit) -> bool:
    return fit.model.schema.weights is not None or fit.model.design.weights is not None
