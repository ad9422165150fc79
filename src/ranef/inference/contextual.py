"""Contextual effects: does the mean of a covariate in the cluster matter beside the covariate itself?

    y = ... + beta_within (x - mean_j) + beta_between mean_j,        contextual effect = beta_between - beta_within

A covariate that enters without its cluster means has one slope that mixes both. Raudenbush and Bryk (2002), ch. 5; Mundlak (1978).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ranef.arguments import checked
from ranef.errors import ModelError
from ranef.fit.effects import factors
from ranef.formula import parse, term_label
from ranef.inference.contrasts import linear_test
from ranef.table import Table

if TYPE_CHECKING:
    from ranef.fit.fit import Fit


@checked
def contextual(fit: Fit, x: str, group: str | None = None, *, ddf: str | None = None, level: float = 0.95) -> Table:
    """Within, between and contextual effect of a numeric covariate: effect estimate std_error df statistic p_value conf_low
    conf_high.

    Parameters
    ----------
    x
        A covariate of the model, as the formula writes it: alone, or as `within(x, g)`. Where `between(x, g)` is not in the model
        the model is fitted again with it.
    group
        The grouping factor whose means are meant; may be left out where there is one.

    Raises ModelError for a covariate that is not in the fixed part, that has no variance between or within the clusters, or for an
    unknown group.

    Examples
    --------
    >>> import ranef
    >>> m = ranef.lmm("y ~ x + (1 | school)", ranef.datasets.load("schools"))
    >>> ranef.contextual(m, "x")
    Effects of x within and between the levels of school
    Effect      Estimate  Std. error      df     t       p     Lower    Upper
    -------------------------------------------------------------------------
    within       0.66549     0.08013  235.0   8.30  <0.001   0.50761  0.82336
    between      2.09023     2.42693    9.98  0.86   0.409  -3.31855  7.49900
    contextual   1.42474     2.42825   10.0   0.59   0.570  -3.98538  6.83486
    Fitted again with between(x, school).
    Satterthwaite's degrees of freedom
    Intervals hold with probability 0.95.
    """
    if not isinstance(x, str):
        raise ModelError(f"x={x!r} must be the name of a column.")
    variables = _cluster_variables(fit, group)
    arguments = ", ".join([x, *variables])
    within, between = _label(f"within({arguments})"), _label(f"between({arguments})")
    terms = {term_label(term) for term in fit.model.schema.formula.fixed}
    if x not in terms and within not in terms:
        raise ModelError(
            f"The fixed part has neither {x!r} nor {within!r}.", hint=f"Its terms: {', '.join(sorted(terms - {'(Intercept)'}))}."
        )
    model = fit if between in terms else fit.update(formula=f"{fit.formula} + {between}")
    own = within if within in terms else x
    lost = {own, between} & set(model.dropped)
    if lost:
        raise ModelError(
            f"{lost.pop()!r} is aliased with other columns, so that {x!r} does not vary both within and between clusters."
        )
    centred = own == within
    rows = {
        "within": {own: 1.0},
        "between": {between: 1.0} if centred else {own: 1.0, between: 1.0},
        "contextual": {between: 1.0, own: -1.0} if centred else {between: 1.0},
    }
    tested = linear_test(model, rows, ddf=ddf, level=level)
    columns = {"effect": list(rows), **{name: np.asarray(tested[name]) for name in tested.columns if name != "term"}}
    again = () if model is fit else (f"Fitted again with {between}.",)
    title = f"Effects of {x} within and between the levels of {':'.join(variables)}"
    return Table(
        columns, title=title, notes=(*again, *tested.notes), level=level, headings=tested.headings, frame_kind=tested.frame_kind
    )


def _cluster_variables(fit: Fit, group: str | None) -> tuple[str, ...]:
    known = {factor.name: factor for factor in factors(fit)}
    if group is None and len(known) == 1:
        group = next(iter(known))
    if group not in known:
        found = f"The model has no grouping factor {group!r}." if group else f"The model has {len(known) or 'no'} grouping factors."
        raise ModelError(found, hint=f"Give group= one of: {', '.join(known)}." if known else "Means need a grouping factor.")
    return next(term.group.variables for term in fit.model.design.terms if term.group.name == group)


def _label(text: str) -> str:
    """The name of the term."""
    return term_label(parse(f"~ 0 + {text}").fixed[0])
