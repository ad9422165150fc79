"""What becomes of the variance components: from one model to another, or between two conditions of one model.

reduction       (tau_0^2 - tau_1^2) / tau_0^2              of a component, from the first model to the second; negative if
it grew
std_difference  (tau_1 - tau_0) / s                        of standard deviations, s a reference standard deviation
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ranef.arguments import checked
from ranef.design import Array
from ranef.errors import ModelError
from ranef.fit.effects import factor_named, factors
from ranef.fit.residual_side import average_variance
from ranef.inference.parts import Part, Parts
from ranef.inference.ratios import Estimate, quantile, variance
from ranef.inference.resample import apart, limits_note, percentiles, together
from ranef.table import Table

if TYPE_CHECKING:
    from ranef.fit.fit import Fit

Component = tuple[str, str | None]  # grouping factor (or Residual) and column
RESIDUAL: Component = ("Residual", None)
MOVER = "Limits from those of the two standard deviations (Zou and Donner 2008), as if these were independent."


@checked
def variance_reduction(
    first: Fit, second: Fit, *, reference: str | float = "residual", level: float = 0.95, n: int = 200, seed: int = 1
) -> Table:
    """Each variance component that both models have: quantity component term before after estimate conf_low conf_high.

    Parameters
    ----------
    first, second
        Two models of the same rows, such as without and with a predictor, or one model fitted to the rows of two conditions.
    reference
        What a difference of standard deviations is divided by: ``"residual"`` or ``"total"`` (random and residual part,
        averaged over the rows) of the first model, or a number.
    n, seed
        Intervals are percentiles of n refits to simulated data, the same data for both models if their rows are; n=0 leaves
        them out.

    Raises ModelError for models without a common component, and for an unknown reference.

    Examples
    --------
    >>> import ranef
    >>> data = ranef.datasets.load("schools")
    >>> without, having = ranef.lmm("y ~ 1 + (1 | school)", data), ranef.lmm("y ~ x + z + (1 | school)", data)
    >>> ranef.variance_reduction(without, having, n=50)
    Change of variance components
    Quantity        Component  Term         Before  After  Estimate     Lower
    -------------------------------------------------------------------------
    reduction       school     (Intercept)   2.059  2.205  -0.07103  -0.18306
    reduction       Residual                 2.030  1.576   0.22360   0.14104
    std_difference  school     (Intercept)   2.059  2.205   0.03515  -0.16608
    std_difference  Residual                 2.030  1.576  -0.11887  -0.18144
    <BLANKLINE>
    Quantity        Component  Term         Before  After     Upper
    ---------------------------------------------------------------
    reduction       school     (Intercept)   2.059  2.205   0.28731
    reduction       Residual                 2.030  1.576   0.32996
    std_difference  school     (Intercept)   2.059  2.205   0.09113
    std_difference  Residual                 2.030  1.576  -0.07320
    y ~ 1 + (1 | school)  to  y ~ x + z + (1 | school) (the same rows).
    Differences of standard deviations are in units of the residual standard
    deviation.
    Intervals are percentiles of a parametric bootstrap (50 pairs of refits; seed
    1).
    Intervals hold with probability 0.95.
    """
    shared = [name for name in _variances(first) if name in _variances(second)]
    same = np.array_equal(first.model.design.y, second.model.design.y)
    draw = together if same else apart

    def change(before: Fit, after: Fit) -> Array:
        old, new = (np.array([found[name] for name in shared]) for found in (_variances(before), _variances(after)))
        return np.concatenate([_reduction(old, new), (np.sqrt(new) - np.sqrt(old)) / _reference(before, reference)])

    draws = draw(first, second, change, n, seed)
    low, high = percentiles(draws.values, level)
    twice = [*shared, *shared]
    columns = {
        "quantity": np.repeat(np.array(["reduction", "std_difference"], dtype=object), len(shared)),
        "component": [group for group, _ in twice],
        "term": [term for _, term in twice],
        "before": np.array([_variances(first)[name] for name in twice]),
        "after": np.array([_variances(second)[name] for name in twice]),
        "estimate": change(first, second),
        "conf_low": low,
        "conf_high": high,
    }
    rows = "the same rows" if same else "different rows"
    notes = (f"{first.formula}  to  {second.formula} ({rows}).", _reference_note(reference), limits_note(draws))
    return Table(columns, title="Change of variance components", notes=notes, level=level, frame_kind=first.model.rows.frame)


@checked
def sd_difference(
    fit: Fit, first: Component | str, second: Component | str, *, reference: str | float = "residual", level: float = 0.95
) -> Table:
    """(sd of the second component - sd of the first) / reference, within one model: estimate conf_low conf_high.

    A component is ``("school", "trt[a]")``, a grouping factor where it has one random effect (``"school"``), or ``"Residual"``.
    With a term such as ``diag(0 + trt | school)`` this compares the heterogeneity of two conditions. Raises ModelError for a
    component that the model does not have, and for an unknown reference.

    Examples
    --------
    >>> import ranef
    >>> m = ranef.lmm("distance ~ age * Sex + diag(0 + Sex | Subject)", ranef.datasets.load("Orthodont"))
    >>> ranef.sd_difference(m, ("Subject", "Sex[Male]"), ("Subject", "Sex[Female]"))
    Standardised difference of standard deviations
    First SD  Second SD  Estimate    Lower   Upper
    ----------------------------------------------
       1.692      1.988    0.2128  -0.6488  1.1549
    Subject Sex[Female] less Subject Sex[Male].
    Differences of standard deviations are in units of the residual standard
    deviation.
    Limits from those of the two standard deviations (Zou and Donner 2008), as if
    these were independent.
    Intervals hold with probability 0.95.
    """
    parts = Parts.of(fit)
    one, two = (_sd(parts, name, level) for name in (first, second))
    scale = _reference(fit, reference)
    value = (two.value - one.value) / scale
    down = np.hypot(two.value - two.low, one.high - one.value) / scale
    up = np.hypot(two.high - two.value, one.value - one.low) / scale
    columns = {
        "before": [one.value],
        "after": [two.value],
        "estimate": [value],
        "conf_low": [value - down],
        "conf_high": [value + up],
    }
    headings = {"before": "First SD", "after": "Second SD"}
    notes = (f"{_shown(second)} less {_shown(first)}.", _reference_note(reference), MOVER)
    title = "Standardised difference of standard deviations"
    return Table(columns, title=title, notes=notes, level=level, headings=headings, frame_kind=fit.model.rows.frame)


def reference_part(parts: Parts, reference: str) -> Part:
    """The variance that a word names: residual, total, or a grouping factor.

    Raises ModelError for other words.
    """
    if reference == "residual":
        return parts.residual
    if reference == "total":
        return Part.stack([parts.all_random, parts.residual])
    known = [factor.name for factor in parts.factors]
    if reference in known:
        return parts.random[known.index(reference)]
    raise ModelError(
        f"The standard deviation {reference!r} is not known.",
        hint=f"Use {', '.join(map(repr, ['residual', 'total', *known]))} or a number.",
    )


def _reference(fit: Fit, reference: str | float) -> float:
    if isinstance(reference, str):
        return float(np.sqrt(reference_part(Parts.of(fit), reference).variance))
    if not reference > 0.0:
        raise ModelError(f"The reference standard deviation is {reference!r}; it must be positive.")
    return float(reference)


def _reference_note(reference: str | float) -> str:
    what = f"the {reference} standard deviation" if isinstance(reference, str) else f"{reference:g}"
    return f"Differences of standard deviations are in units of {what}."


def _variances(fit: Fit) -> dict[Component, float]:
    """The variance of each random effect, and of the residual if it is estimated."""
    out: dict[Component, float] = {}
    for factor in factors(fit):
        root = fit.solution.sigma * fit.solution.root(factor.block)
        out |= {(factor.name, name): float(row @ row) for name, row in zip(factor.names, root, strict=True)}
    if fit.model.design.known_variances:
        return out
    return {**out, RESIDUAL: fit.sigma**2 if fit.criterion.residual is None else average_variance(fit)[0]}


def _reduction(old: Array, new: Array) -> Array:
    """Nothing becomes of a variance that was zero and stays so."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where((old == 0.0) & (new == 0.0), 0.0, (old - new) / old)


def _sd(parts: Parts, name: Component | str, level: float) -> Estimate:
    quantile(level)
    if not isinstance(name, str) and not (isinstance(name, tuple | list) and len(name) == 2):
        raise ModelError(f"{name!r} is no component.", hint='Give "Residual", a grouping factor, or a pair ("school", "slope").')
    group, term = (name, None) if isinstance(name, str) else name
    if group == "Residual":
        part = parts.residual
    else:
        factor = factor_named(parts.fit, group)
        if term is None and len(factor.names) > 1:
            raise ModelError(f"{group!r} has several random effects.", hint=f"Name one: {', '.join(factor.names)}.")
        if term is not None and term not in factor.names:
            raise ModelError(f"{group!r} has no random effect {term!r}.", hint=f"It has: {', '.join(factor.names)}.")
        part = parts.column_part(factor.block, 0 if term is None else factor.names.index(term))
    found = variance(part, parts.spread, level)
    return Estimate(*(float(np.sqrt(value)) for value in (found.value, found.std_error, found.low, found.high)))


def _shown(name: Component | str) -> str:
    return name if isinstance(name, str) else " ".join(part for part in name if part)
