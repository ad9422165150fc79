"""From a question to an answer: check, pass over the data, minimise, look."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ranef.arguments import as_numbers
from ranef.core.criterion import Criterion
from ranef.core.gram import Gram
from ranef.core.kernels.threads import one_thread, one_thread_for
from ranef.core.layout import Layout
from ranef.core.pieces import LinAlgError
from ranef.core.solution import Solution, theta_from_user
from ranef.core.standard import Array, extent, standardise
from ranef.errors import DataError, Finding, ModelError
from ranef.fit.answer import Calculated, Searched
from ranef.fit.checks import (
    OF_DATA,
    borrows,
    data_findings,
    identification_findings,
    optimum_findings,
    refuse_degenerate,
    refuse_em,
    refuse_unidentified,
)
from ranef.fit.fit import Fit
from ranef.fit.identification import order_findings
from ranef.fit.mean_variance import depends_on_mean, iterated
from ranef.fit.model import Model
from ranef.fit.overlap import overlap_findings
from ranef.fit.perfect import refuse_perfect, refuse_vanishing
from ranef.fit.rows import needs_rows
from ranef.fit.spanned import shortened, spanned_effects, spanned_findings, without_spanned
from ranef.optim import minimise
from ranef.optim.problem import Optimum, Step
from ranef.schema.frames import refuse_other_order
from ranef.schema.rows import refuse_extreme
from ranef.schema.values import all_finite

LONG = 12  # evaluations, more than a large model needs


def run(model: Model) -> Fit:
    """Fit a model. Raises ModelError where it is not identified; trouble on the way becomes findings."""
    design = model.design
    refuse_unidentified(design)
    layout = Layout.of(design.terms)
    with one_thread_for(*extent(design)) if len(layout.blocks) < 2 and design.residual is None else one_thread():
        gram = Gram.of(standardise(design, layout))
        if any(block.levels <= gram.rank for block in layout.blocks):
            model, gram = _identified(model, gram)
        if model.options.optimizer == "em":
            refuse_em(model.design)
        return answer(model, gram, model.options.start)


def _identified(model: Model, gram: Gram) -> tuple[Model, Gram]:
    """The model without the variances of which its data say nothing."""
    design = without_spanned(model.design, spanned_effects(gram), model.reml)
    if all(new is old for new, old in zip(design.terms, model.design.terms, strict=True)):
        return model, gram
    options = replace(model.options, start=shortened(model.options.start, design))
    intake = replace(model.intake, design=design)
    return replace(model, intake=intake, options=options), Gram.of(standardise(design, Layout.of(design.terms)))


def answer(
    model: Model,
    gram: Gram,
    start: Array | None,
    *,
    warm: Array | None = None,
    further: bool = False,
    criterion: Criterion | None = None,
) -> Fit:
    """Minimise the criterion of Gram blocks; `start` is on the user's scale, `warm` is a standardised theta.

    The search goes down from there, and looks `further` for other optima if asked.
    """
    if depends_on_mean(model.design):
        return iterated(
            model, gram, warm, lambda own, gram, warm: _answer(own, gram, start if depends_on_mean(own.design) else None, warm)
        )
    return _answer(model, gram, start, warm, further, criterion)


def _answer(
    model: Model, gram: Gram, start: Array | None, warm: Array | None, further: bool = False, criterion: Criterion | None = None
) -> Fit:
    """The same for a design that is known."""
    design = model.design
    refuse_degenerate(gram)
    criterion = criterion or criterion_of(model, gram)
    if start is not None and warm is None:
        warm = checked_start(start, criterion)
    optimum = search(criterion, model.options.optimizer, warm, further) if criterion.size else minimise(criterion)
    solution = Solution.of(criterion, optimum)
    dropped = tuple(name for j, name in enumerate(design.names) if j not in set(gram.standard.kept))
    findings = (
        *data_findings(design, model.rows, dropped), *optimum_findings(optimum), *identification_findings(design, optimum),
        *overlap_findings(design), *order_findings(design), *spanned_findings(criterion.gram),
    )  # fmt: skip
    _refuse_singular(solution, optimum.state, findings)
    return Fit(model, Searched(criterion, optimum, solution), findings)


def _refuse_singular(solution: Solution, state: str, findings: Sequence[Finding]) -> None:
    """Raises ModelError where the search ended so near a singular covariance matrix that nothing can be computed there."""
    if solution.criterion.residual is None or state != "not converged":
        return
    try:
        _ = solution.gls
    except LinAlgError:
        told = next((one for one in findings if one.code == "not_identified"), None)
        raise ModelError(
            told.message if told else "The search for the covariance parameters ended at a singular matrix: there is no maximum.",
            hint=told.remedy if told else "Take a structure with fewer parameters, such as toeph, ar1h, csh or cs.",
        ) from None


def criterion_of(model: Model, gram: Gram) -> Criterion:
    """The criterion that the model asks to minimise; without random effects or structure it does not matter which."""
    if model.design.residual is not None:
        return Criterion.with_residual(gram, model.reml)
    return Criterion.of_gram(gram, model.reml or not (model.design.terms or model.design.sigma))


def search(criterion: Criterion, optimizer: str, start: Array | None, further: bool = False) -> Optimum:
    """The optimum. A perfect fit has none: it is refused before the search where that is cheap, else once the search is long."""

    terms, n = criterion.gram.standard.design.terms, criterion.gram.nobs
    full = any(borrows(term) and term.group.size * term.width >= n for term in terms)  # they fit all rows, and are shrunken

    def refuse() -> None:
        if not full:
            refuse_perfect(criterion)

    def watch(step: Step) -> None:
        if step.evaluation == LONG:
            refuse()

    if criterion.scale is not None:
        return minimise(criterion, method=optimizer, start=start, further=further)
    if criterion.engine.exact:
        refuse()
    progress = None if criterion.engine.exact else watch
    optimum = minimise(criterion, method=optimizer, start=start, further=further, progress=progress)
    if not full:
        refuse_vanishing(criterion, optimum.theta)
    return optimum


def refit(fit: Fit, y: Array) -> Fit:
    """The same model and design with another response, searched for from the old optimum.

    Without a residual structure other optima are looked for as in a first fit.
    """
    needs_rows(fit, "refit()")
    design, rows = fit.model.design, fit.model.rows
    refuse_other_order(y, rows.index, "y")
    y = np.array(as_numbers("y", y))  # a copy: the caller may go on to change theirs
    if y.shape == (rows.n_total,) and rows.kept is not None:
        y = y[rows.kept]
    if y.shape != (design.nobs,):
        raise DataError(f"The new response has shape {y.shape}; {design.nobs} values are needed, one for each row used.")
    new, strata = fit.model.with_response(y), fit.answer.strata
    found = None if strata is None else strata.at(y)
    if found is not None:
        return Fit(new, Calculated(found, y), tuple(finding for finding in fit.findings if finding.code in OF_DATA))
    if not all_finite(y):
        if not np.isfinite(y).all():
            at = int(np.flatnonzero(~np.isfinite(y))[0])
            raise DataError(f"The new response is {y[at]} in row {at}; refit() needs finite values in every row used.")
        refuse_extreme("the new response", y)
    old = fit.criterion
    criterion = old.with_response(y) if old.residual is None else None
    gram = old.gram.with_response(y, own_units=True) if criterion is None else criterion.gram
    warm = None if old.unimodal else fit.optimum.theta
    return answer(new, gram, None, warm=warm, further=criterion is not None, criterion=criterion)


def checked_start(start: Array, criterion: Criterion) -> Array:
    """The standardised theta of a start. Raises ModelError for what is none, and where the likelihood cannot be computed."""
    size = criterion.size
    try:
        theta = np.asarray(start, dtype=float)
    except (TypeError, ValueError):
        theta = np.full(size + 1, np.nan)
    if theta.shape != (size,) or not np.all(np.isfinite(theta)):
        raise ModelError(f"start must hold {size} finite values of theta (see the fit's .theta), not {start!r}.")
    with np.errstate(all="ignore"):
        warm = theta_from_user(criterion, theta)
        if not _computable(criterion, warm):
            raise ModelError(
                f"The likelihood cannot be computed at start={start!r}: the values are too large or too small.",
                hint="theta are standard deviations relative to that of the residuals; 1 for each is a fair start.",
            )
    return warm


def _computable(criterion: Criterion, theta: Array) -> bool:
    """Are the criterion and its gradient finite at theta?"""
    try:
        at = criterion.evaluate(theta, 1)
        return math.isfinite(at.value) and (at.gradient is None or bool(np.isfinite(at.gradient).all()))
    except ArithmeticError:
        return False
