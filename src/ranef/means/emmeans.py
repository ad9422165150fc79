"""Marginal means of a model: predictions on a reference grid, averaged over what is not asked about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

from ranef.arguments import checked
from ranef.errors import ModelError
from ranef.means.averaging import Averages, average, check_weights, targets, weight_table
from ranef.means.estimates import estimates_of
from ranef.means.functions import Functions
from ranef.means.grid import Grid, Nesting, Reduce, reference_grid
from ranef.means.marginal import Marginal, marginal, on_response
from ranef.means.specs import read_specs


class MeansAndContrasts(NamedTuple):
    """What a text with contrasts (`pairwise ~ trt`) gives."""

    means: Marginal
    contrasts: Marginal

    def __repr__(self) -> str:
        return f"{self.means}\n\n{self.contrasts}"

    def _repr_html_(self) -> str:
        return self.means._repr_html_() + self.contrasts._repr_html_()


@checked
def emmeans(
    model: Any,
    specs: str | Sequence[str],
    by: str | Sequence[str] | None = None,
    *,
    at: Mapping[str, Any] | None = None,
    weights: str = "equal",
    ddf: str | None = None,
    cov_reduce: Reduce = None,
    nesting: Nesting | None = None,
    type: Literal["link", "response"] = "link",
    bias_adjust: bool | float = False,
    level: float = 0.95,
    data: Any = None,
) -> Any:
    """Estimated marginal means (least-squares means).

    Parameters
    ----------
    model
        A fit, or anything that offers `ranef.means.estimates.Estimates`.
    specs
        The factors of the means: ``"trt"``, ``["trt", "week"]``, or a text, ``"trt | week"`` for families by week and
        ``"pairwise ~ trt | week"`` for contrasts, too.
    by
        Factors that divide the means into families.
    at
        Values of predictors to use instead of all levels or the mean: ``{"age": [8, 11, 14]}``.
    weights
        How the levels that are averaged over count: ``"equal" "proportional" "outer" "cells" "flat"``; ``"show"`` lists them.
    ddf
        Method of the degrees of freedom, as in ``lmm``; the fit's own unless given.
    cov_reduce
        What becomes of a numeric predictor with more than two values: a function (its mean), or False for all its values; or a
        dict of these by name. Predictors with two values keep both, so that a 0/1 column counts as a factor does; predictors that
        `specs` or `by` name keep up to ten.
    nesting
        ``{"city": ["country"]}`` where the data should not decide; ``{}`` for none.
    type, bias_adjust
        ``"response"`` for a response that the formula transforms; see `Marginal.response`.
    level
        Of the intervals.
    data
        The data, for a model that was loaded from a file.

    Returns
    -------
    A `Marginal` table with methods contrast, test, confint, joint_tests, cld, response; (means, contrasts) for a text with
    contrasts.

    References
    ----------
    Searle, Speed and Milliken (1980), Population marginal means in the linear model, The American Statistician 34, 216-221.

    Examples
    --------
    >>> import ranef
    >>> m = ranef.lmm("yield ~ nitroF + Variety + (1 | Block / Variety)", ranef.datasets.load("Oats"))
    >>> means = ranef.emmeans(m, "nitroF", ddf="kenward-roger")
    >>> means
    Marginal means of nitroF
    nitroF     Mean     SE    df    Lower    Upper
    ----------------------------------------------
    0        79.389  7.132  6.64   62.335   96.442
    0.2      98.889  7.132  6.64   81.835  115.942
    0.4     114.222  7.132  6.64   97.169  131.276
    0.6     123.389  7.132  6.64  106.335  140.442
    Averaged over: Variety (equal weights).
    Kenward and Roger's degrees of freedom and standard errors.
    Intervals hold with probability 0.95.
    >>> means.contrast("trt.vs.ctrl")
    Differences from the reference of nitroF
    Contrast             Estimate     SE    df      t       p
    ---------------------------------------------------------
    nitroF0.2 - nitroF0    19.500  4.250  51.0   4.59  <0.001
    nitroF0.4 - nitroF0    34.833  4.250  51.0   8.20  <0.001
    nitroF0.6 - nitroF0    44.000  4.250  51.0  10.35  <0.001
    Averaged over: Variety (equal weights).
    Kenward and Roger's degrees of freedom and standard errors.
    Adjusted for multiple comparisons: Dunnett (multivariate t), 3 tests.
    """
    if type not in ("link", "response"):
        raise ModelError(f"type={type!r} is not known.", hint='Use "link" or "response".')
    if bias_adjust and type == "link":
        raise ModelError("bias_adjust belongs to a back-transformation.", hint='Add type="response".')
    asked, rule = read_specs(specs, by), check_weights(weights)
    estimates = estimates_of(model, ddf, data)
    grid = reference_grid(estimates, at=at, cov_reduce=cov_reduce, nesting=nesting, keep=(*asked.names, *asked.by))
    names, families = targets(grid, asked.names, asked.by)
    if rule == "show":
        return weight_table(grid, (*names, *families))
    functions = mean_functions(grid, average(grid, (*names, *families), rule), (names, families), rule)
    if type == "response":
        functions = on_response(functions, bias_adjust)
    means = marginal(functions, level)
    return means if asked.method is None else MeansAndContrasts(means, means.contrast(asked.method))


def mean_functions(grid: Grid, averages: Averages, names: tuple[tuple[str, ...], tuple[str, ...]], rule: str) -> Functions:
    """The means as functions, with what to know about them."""
    means, families = names
    by = f" by {', '.join(families)}" if families else ""
    return Functions(
        grid.estimates, averages.L, averages.offset, averages.labels, families,
        what=f"Marginal means of {' and '.join(means)}{by}" if means else "Marginal mean",
        about=_about(grid, averages, rule), warnings=_warnings(grid, averages, (*means, *families)), link=grid.estimates.link,
    )  # fmt: skip


def _about(grid: Grid, averages: Averages, rule: str) -> tuple[str, ...]:
    out = [f"Averaged over: {', '.join(averages.over)} ({rule} weights)."] if averages.over else []
    fixed = [(name, levels[0]) for name, levels in grid.levels.items() if len(levels) == 1]
    if fixed:
        shown = ", ".join(f"{name} = {_value(value)}{_how(grid.reduced.get(name))}" for name, value in fixed)
        out.append(f"At: {shown}.")
    nested = [f"{inner} in {' and '.join(outers)}" for inner, outers in grid.nesting.items()]
    return (*out, f"Nested: {', '.join(nested)}.") if nested else tuple(out)


def _value(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _how(how: str | None) -> str:
    return "" if how in (None, "given") else f" ({how})"


def _warnings(grid: Grid, averages: Averages, names: tuple[str, ...]) -> tuple[str, ...]:
    """Means may mislead that are averaged over an interaction, and hold at one value where they interact with a number."""
    still = {name for name, levels in grid.levels.items() if len(levels) == 1} - {grid.slope[1] if grid.slope else ""}
    mixed = {
        other for term in grid.estimates.terms for other in term & (set(averages.over) | still)
        if term & set(names) and len(term) > 1 and not _nests(grid, term & set(names), other)
    }  # fmt: skip
    over, at = ([name for name in pool if name in mixed] for pool in (averages.over, sorted(still)))
    said = [f"Interactions with {', '.join(over)} are averaged over: these {_kind(grid)} may mislead."] if over else []
    return (*said, f"Interactions with {', '.join(at)}: these {_kind(grid)} hold at the value above only.") if at else tuple(said)


def _kind(grid: Grid) -> str:
    return "means" if grid.slope is None else "slopes"


def _nests(grid: Grid, inside: frozenset[str] | set[str], other: str) -> bool:
    """Whether all these factors are what `other` is nested in; a mean over nested levels is no mean over an interaction."""
    return inside <= set(grid.nesting.get(other, ()))
