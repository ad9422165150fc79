"""Is each random term needed? The likelihood ratio test of every random effect that can be left out, the last one included.

A bar with several effects loses one at a time (`(x | g)` becomes `(1 | g)`), a bar with one is left out: against a regression
without random effects when it was the only one. Fixed effects stay, so that REML fits are compared by their restricted likelihood.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ranef.arguments import checked
from ranef.errors import ModelError
from ranef.fit.rows import needs_rows
from ranef.formula import Bar, Formula, Term, bar_text, format, term_label
from ranef.inference.comparable import deviance_of
from ranef.inference.compare import HEADINGS, ratio_test
from ranef.inference.reference import Kind, Reference
from ranef.table import Table

if TYPE_CHECKING:
    from ranef.fit.fit import Fit


@checked
def ranova(fit: Fit, *, reference: Kind = "auto", draws: int | None = None, seed: int = 1) -> Table:
    """Test every random effect: term npar llf aic statistic df p_value p_mixture p_naive; the first row is the model itself.

    `reference`, `draws` and `seed` say where p values come from, as in `compare`. `p_mixture` is asymptotic and accounts for
    variances on the boundary, `p_naive` does not (lmerTest's). Raises ModelError for a model without random effects, or without
    its rows.

    Examples
    --------
    >>> import ranef
    >>> m = ranef.lmm("score ~ Machine + (1 | Worker / Machine)", ranef.datasets.load("Machines"))
    >>> ranef.ranova(m)
    Likelihood ratio tests of the random effects
    Term                  Parameters   logLik     AIC  Chi-sq.  df       p
    ----------------------------------------------------------------------
    <none>                         6  -107.84  227.69
    (1 | Worker)                   5  -110.63  231.26     5.57   1   0.007
    (1 | Worker:Machine)           5  -143.44  296.88    71.19   1  <0.001
    <BLANKLINE>
    Term                  Mixture p  Naive p
    ----------------------------------------
    <none>
    (1 | Worker)              0.009    0.018
    (1 | Worker:Machine)     <0.001   <0.001
    Restricted likelihoods.
    (1 | Worker): p from 1,000 simulated data sets (seed 1, Monte Carlo error
    0.002); asymptotically 1/2 chi2(0) + 1/2 chi2(1).
    (1 | Worker:Machine): p from the fitted tail of 1,000 simulated data sets (seed
    1); asymptotically 1/2 chi2(0) + 1/2 chi2(1).
    """
    if not fit.model.design.terms:
        raise ModelError("The model has no random effects to test.")
    needs_rows(fit, "ranova()")
    if fit.model.recipe.get("hold"):
        raise ModelError("ranova() does not know what to hold in the smaller models.", hint="Fit them, and use compare().")
    asked = Reference(reference, draws, seed)
    columns: dict[str, list[Any]] = {
        name: [] for name in ("term", "npar", "llf", "aic", "statistic", "df", "p_value", "p_mixture", "p_naive")
    }  # fmt: skip
    _add(columns, "<none>", fit, fit.reml, (None,) * 5)
    notes = [f"{'Restricted' if fit.reml else 'Full'} likelihoods."]
    for label, formula in reductions(fit.model.schema.formula):
        smaller = fit.update(formula=format(formula))
        ratio, df, p = ratio_test(smaller, fit, fit.reml, asked)
        _add(columns, label, smaller, fit.reml, (ratio, df, p.value, p.mixture, p.naive))
        notes.append(f"{label}: {p.words}.")
    title = "Likelihood ratio tests of the random effects"
    return Table(columns, title, tuple(notes), fit.model.rows.frame, headings=HEADINGS, rules={"df": "count"})


def _add(columns: dict[str, list[Any]], label: str, fit: Fit, reml: bool, tested: tuple[Any, ...]) -> None:
    deviance = deviance_of(fit, reml)
    row = (label, fit.npar, -0.5 * deviance, deviance + 2.0 * fit.npar, *tested)
    for name, value in zip(columns, row, strict=True):
        columns[name].append(value)


def reductions(formula: Formula) -> Iterator[tuple[str, Formula]]:
    """What can be left out of the bars, and the formula that remains."""
    for i, bar in enumerate(formula.bars):
        others = formula.bars[:i], formula.bars[i + 1 :]
        droppable = _droppable(bar)
        if not droppable:
            yield bar_text(bar), replace(formula, bars=(*others[0], *others[1]), text="")
        for term in droppable:
            kept = tuple(one for one in bar.terms if one is not term)
            left = replace(bar, terms=kept, text="")
            yield f"{term_label(term)} in {bar_text(bar)}", replace(formula, bars=(*others[0], left, *others[1]), text="")


def _droppable(bar: Bar) -> list[Term]:
    """Terms that are no margin of another, where another stays: the intercept only goes with the bar.

    A structure that relates the columns goes as a whole.
    """
    if len(bar.terms) < 2 or bar.structure not in ("un", "diag", "id"):
        return []
    sets = [frozenset(term.factors) for term in bar.terms]
    return [term for term, own in zip(bar.terms, sets, strict=True) if own and not any(own < other for other in sets)]
