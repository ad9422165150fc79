"""Comparison of models fitted to the same rows: likelihood ratios, F tests of nested means, information criteria, variances."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ranef.arguments import checked
from ranef.errors import ModelError
from ranef.fit.methods import DDF
from ranef.fit.overlap import special_cases
from ranef.formula import format
from ranef.inference.comparable import deviance_of, on_one_likelihood, refuse_different_data, told
from ranef.inference.conditional_aic import conditional_aic
from ranef.inference.mixture import tail
from ranef.inference.nested import cone_between, restriction
from ranef.inference.reference import Kind, RatioP, Reference, no_test, ratio_p
from ranef.table import Table

if TYPE_CHECKING:
    from ranef.fit.fit import Fit

HEADINGS = {"statistic": "Chi-sq.", "p_mixture": "Mixture p"}
LOWER = 1e-5  # relative to the deviance: a larger model that fits worse than this has not found its optimum


@checked
def compare(
    *fits: Fit,
    test: Literal["lrt", "f"] = "lrt",
    ddf: str | None = None,
    names: Sequence[str] | None = None,
    reference: Kind = "auto",
    draws: int | None = None,
    seed: int = 1,
) -> Table:
    """Compare models fitted to the same rows, each with the next smaller one.

    Parameters
    ----------
    fits
        Two or more; ordered by their number of parameters.
    test
        ``"lrt"``: likelihood ratio tests. Models whose fixed parts differ are refitted by maximum likelihood; the table says so.
        ``"f"``: F tests of the fixed part, with ``ddf``.
    ddf
        Method of the degrees of freedom of F tests; that of the larger fit if not given.
    names
        Of the models; numbers if not given.
    reference
        Where p values come from. ``"auto"``: the exact distribution of the ratio where it is known (regressions; one variance
        against none), else refits of both models to data simulated under the smaller one, and for models that are too large for
        that in a second or two the asymptotic mixture of chi-squares. ``"simulated"``: refits however long they take.
        ``"asymptotic"``: the mixture. The notes say what was used, with its Monte Carlo error.
    draws, seed
        Of the simulation. By default 10,000 draws of an exact distribution or a mixture, and up to 1,000 simulated data sets.

    Returns
    -------
    Table
        model npar llf aic aicc bic caic weight statistic df p_value p_mixture p_naive. ``p_mixture`` is asymptotic and accounts for
        variances on the boundary, ``p_naive`` does not. ``caic`` is the conditional AIC, ``weight`` Akaike's weight. Models that
        are not nested are not tested.

    Raises
    ------
    ModelError
        For fewer than two models, and for models of different rows, responses, weights or offsets.

    Examples
    --------
    >>> import ranef
    >>> m = ranef.lmm("Reaction ~ Days + (Days | Subject)", ranef.datasets.load("sleepstudy"))
    >>> m0 = m.update(formula="Reaction ~ Days + (1 | Subject)")
    >>> ranef.compare(m0, m, names=["intercepts", "and slopes"])
    Comparison of models
    Model       Parameters   logLik      AIC     AICc      BIC     cAIC  Weight
    ---------------------------------------------------------------------------
    intercepts           4  -893.23  1794.47  1794.69  1807.24  1767.10   0.000
    and slopes           6  -871.81  1755.63  1756.11  1774.79  1711.52   1.000
    <BLANKLINE>
    Model       Chi-sq.  df       p  Mixture p  Naive p
    ---------------------------------------------------
    intercepts
    and slopes    42.84   2  <0.001     <0.001   <0.001
    intercepts: Reaction ~ Days + (1 | Subject)
    and slopes: Reaction ~ Days + (Days | Subject)
    Restricted likelihoods (REML): the models have the same fixed part.
    and slopes against intercepts: p from the fitted tail of 1,000 simulated data
    sets (seed 1); asymptotically 1/2 chi2(1) + 1/2 chi2(2).
    """
    if len(fits) < 2:
        raise ModelError("compare() needs two models or more.", hint="For example compare(m0, m1).")
    labels = [str(i + 1) for i in range(len(fits))] if names is None else [str(name) for name in names]
    if len(labels) != len(fits):
        raise ModelError(f"There are {len(fits)} models and {len(labels)} names.")
    order = sorted(range(len(fits)), key=lambda i: fits[i].npar)
    chosen, labels = [fits[i] for i in order], [labels[i] for i in order]
    refuse_different_data(chosen, labels)
    if test == "lrt":
        return _by_likelihood(chosen, labels, Reference(reference, draws, seed))
    if test == "f":
        return _by_f(chosen, labels, ddf)
    raise ModelError(f"test={test!r} is not known.", hint='Use "lrt" or "f".')


def _by_likelihood(fits: list[Fit], labels: list[str], reference: Reference) -> Table:
    used, said = on_one_likelihood(fits, labels)
    reml = said.startswith("Restricted")
    columns = criteria(used, labels, reml)
    tests = [ratio_test(small, large, reml, reference) for small, large in pairwise(used)]
    columns["statistic"] = [None, *(ratio for ratio, _, _ in tests)]
    columns["df"] = [None, *(df for _, df, _ in tests)]
    columns["p_value"] = [None, *(p.value for _, _, p in tests)]
    columns["p_mixture"] = [None, *(p.mixture for _, _, p in tests)]
    columns["p_naive"] = [None, *(p.naive for _, _, p in tests)]
    told = [f"{labels[i + 1]} against {labels[i]}: {p.words}." for i, (_, _, p) in enumerate(tests)]
    notes = (*_formulas(fits, labels), said, *told)
    return Table(columns, "Comparison of models", notes, fits[0].model.rows.frame, headings=HEADINGS, rules={"df": "count"})


def criteria(fits: Sequence[Fit], labels: Sequence[str], reml: bool) -> dict[str, Any]:
    """npar llf aic aicc bic caic weight of each model."""
    n = fits[0].nobs
    k = np.array([fit.npar for fit in fits], dtype=float)
    deviance = np.array([deviance_of(fit, reml) for fit in fits])
    aic = deviance + 2.0 * k
    room = n - k - 1.0
    aicc = aic + np.divide(2.0 * k * (k + 1.0), room, out=np.full(len(k), np.inf), where=room > 0)
    weight = np.exp(-0.5 * (aic - aic.min()))
    return {
        "model": list(labels),
        "npar": [fit.npar for fit in fits],
        "llf": -0.5 * deviance,
        "aic": aic,
        "aicc": aicc,
        "bic": deviance + np.log(n) * k,
        "caic": [np.nan if fit.criterion.residual is not None else conditional_aic(fit).value for fit in fits],
        "weight": weight / weight.sum(),
    }


def ratio_test(small: Fit, large: Fit, reml: bool, reference: Reference) -> tuple[float, int | None, RatioP]:
    """(chi-squared, parameters tested, p): NaN where the models are not nested."""
    df = large.npar - small.npar
    here = deviance_of(small, reml)
    ratio = here - deviance_of(large, reml)
    inner, outer = without_special_cases(small), without_special_cases(large)
    cone = cone_between(inner, outer) if df > 0 else "as many parameters"
    if isinstance(cone, str):
        return np.nan, None, no_test(f"no test ({cone})")
    if ratio < -LOWER * (1.0 + abs(here)):
        return ratio, df, no_test("no test (the larger model fits worse: it has not reached its optimum)")
    if not cone.size:
        return 0.0, df, RatioP(1.0, 1.0, 1.0, "what is left out is a special case of another term: the models are the same")
    p = ratio_p(ratio, cone, inner, outer, reml=reml, reference=reference)
    return max(ratio, 0.0), df, p if cone.size == df else replace(p, naive=tail(max(ratio, 0.0), df))


def without_special_cases(fit: Fit) -> Fit:
    """The same model without random terms that are special cases of others, whose variances have no information of their own."""
    found = special_cases(fit.model.design.terms)
    if not found or fit.model.recipe.get("hold"):
        return fit
    formula = fit.model.schema.formula
    bars = tuple(bar for i, bar in enumerate(formula.bars) if i not in found)
    return fit.update(formula=format(replace(formula, bars=bars, text="")))


def _by_f(fits: list[Fit], labels: list[str], ddf: str | None) -> Table:
    """F tests of the fixed part; the random part must be the same."""
    columns: dict[str, list[Any]] = {name: [] for name in ("model", "num_df", "den_df", "statistic", "p_value")}
    methods = []
    for (small, large), label in zip(pairwise(fits), labels[1:], strict=True):
        if small.model.schema.formula.bars != large.model.schema.formula.bars:
            raise ModelError("An F test compares fixed parts; the random parts of these models differ.", hint='Use test="lrt".')
        L = restriction(small, large)
        if L is None or not len(L):
            raise ModelError(f"The fixed part of the smaller model is not nested in that of {label!r}.")
        L = np.linalg.qr(L.T).Q.T  # several rows: Satterthwaite's df depend on the basis, and this is pbkrtest's
        test = large.denominator(ddf).test(L, np.zeros(len(L)))
        methods.append(large.ddf if ddf is None else large.applicable(ddf))
        for name, value in zip(columns, (label, test.num_df, test.den_df, test.statistic, test.p_value), strict=True):
            columns[name].append(value)
    notes = (*_formulas(fits, labels), "Each model against the one before it.", *dict.fromkeys(DDF[method] for method in methods))
    return Table(columns, "F tests of nested models", notes, fits[0].model.rows.frame, headings={"statistic": "F"})


def _formulas(fits: Sequence[Fit], labels: Sequence[str]) -> tuple[str, ...]:
    return tuple(f"{label}: {text}" for text, label in zip(told(fits), labels, strict=True))


@checked
def variance_change(*fits: Fit, names: Sequence[str] | None = None) -> Table:
    """Variances and covariances of each model, and their relative change from the first: model group term1 term2 vcov change.

    Raises ModelError for fewer than two models, and for models of different rows.

    Examples
    --------
    >>> import ranef
    >>> data = ranef.datasets.load("schools")
    >>> without, having = ranef.lmm("y ~ 1 + (1 | school)", data), ranef.lmm("y ~ x + z + (1 | school)", data)
    >>> ranef.variance_change(without, having, names=["without", "with x and z"])
    Variance components of the models
    Model         Group     Term         With  Variance  Change
    -----------------------------------------------------------
    without       school    (Intercept)           2.059   0.000
    without       Residual                        2.030   0.000
    with x and z  school    (Intercept)           2.205   0.071
    with x and z  Residual                        1.576  -0.224
    without: y ~ 1 + (1 | school)
    with x and z: y ~ x + z + (1 | school)
    Change relative to without.
    """
    if len(fits) < 2:
        raise ModelError("variance_change() needs two models or more.", hint="For example variance_change(m0, m1).")
    labels = [str(i + 1) for i in range(len(fits))] if names is None else [str(name) for name in names]
    refuse_different_data(fits, labels)
    columns: dict[str, list[Any]] = {name: [] for name in ("model", "group", "term1", "term2", "vcov", "change")}
    first = {(row["group"], row["term1"], row["term2"]): row["vcov"] for row in fits[0].varcorr}
    for fit, label in zip(fits, labels, strict=True):
        for row in fit.varcorr:
            before = first.get((row["group"], row["term1"], row["term2"]), np.nan)
            change = row["vcov"] / before - 1.0 if before else np.nan
            for name, value in zip(
                columns, (label, *(row[key] for key in ("group", "term1", "term2", "vcov")), change), strict=True
            ):
                columns[name].append(value)
    notes = (*_formulas(fits, labels), f"Change relative to {labels[0]}.")
    return Table(columns, "Variance components of the models", notes, fits[0].model.rows.frame)
