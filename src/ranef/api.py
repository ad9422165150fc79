"""The friendly layer: one call from data and formula to a fit. Only here is anything guessed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal

from ranef.errors import FormulaError, ModelError
from ranef.fit.describe import Description, describe_design
from ranef.fit.fit import Fit
from ranef.fit.methods import check_ddf
from ranef.fit.model import Model, Options
from ranef.fit.run import run
from ranef.formula import parse
from ranef.schema import ingest

if TYPE_CHECKING:
    from ranef.covariance.base import Array

OPTIMIZERS = ("newton", "bobyqa", "lbfgs", "em")


def lmm(
    formula: str,
    data: Any,
    *,
    reml: bool = True,
    precision_weights: Any = None,
    offset: Any = None,
    contrasts: Mapping[str, Any] | None = None,
    missing: Literal["drop", "raise"] = "drop",
    ddf: str = "satterthwaite",
    optimizer: str = "newton",
    start: Array | None = None,
    functions: Mapping[str, Callable[..., Any]] | None = None,
) -> Fit:
    """Fit a linear mixed model.

    Parameters
    ----------
    formula
        lme4's language: ``"Reaction ~ Days + (Days | Subject)"``. Without a bar the model is an ordinary regression.
    data
        A pandas, polars or pyarrow frame, a dict of arrays, or the name of a CSV or parquet file.
    reml
        Restricted (default) or full maximum likelihood.
    precision_weights
        Column name or array: the residual variance of row i is sigma^2 / w_i.
    offset
        Column name or array: a part of the mean with coefficient one.
    contrasts
        Coding of factors for this call, e.g. ``{"cond": "sum"}``.
    missing
        ``"drop"`` leaves out rows with a missing value in any variable used and counts them; ``"raise"`` refuses them.
    ddf
        Degrees of freedom of tests and intervals: ``"satterthwaite"``, ``"kenward-roger"``, ``"kenward-roger-linear"``,
        ``"kenward-roger-observed"``, ``"between-within"``, ``"containment"``, ``"residual"`` or ``"asymptotic"``.
    optimizer
        ``"newton"``; ``"bobyqa"``, ``"lbfgs"`` and ``"em"`` to compare or to teach.
    start
        theta (as in ``Fit.theta``) to start from.
    functions
        Functions that the formula may call besides the known ones.

    Raises
    ------
    FormulaError, DataError, ModelError, MemoryEstimateError
        Each says what was found, where, and what to do.

    References
    ----------
    Bates, Maechler, Bolker and Walker (2015), Fitting linear mixed-effects models using lme4, J. Stat. Softw. 67(1).
    """
    if not isinstance(formula, str):
        raise ModelError(f"formula must be a string, not {type(formula).__name__}.", hint='For example "y ~ x + (1 | g)".')
    if optimizer not in OPTIMIZERS:
        raise ModelError(f"optimizer={optimizer!r} is not known.", hint=f"Use one of: {', '.join(OPTIMIZERS)}.")
    options = Options(check_ddf(ddf), optimizer, start)
    intake = ingest(
        parse(formula), data, weights=precision_weights, offset=offset, contrasts=contrasts, missing=missing, functions=functions
    )
    recipe = {
        "data": data,
        "precision_weights": precision_weights,
        "offset": offset,
        "contrasts": contrasts,
        "missing": missing,
        "ddf": ddf,
        "optimizer": optimizer,
        "functions": functions,
    }
    return run(Model(parse(formula), intake, reml, options, recipe))


def lm(formula: str, data: Any, **options: Any) -> Fit:
    """Fit an ordinary (weighted) linear regression: `lmm` without random terms, with the same Fit.

    Takes the arguments of `lmm`. Raises FormulaError for a formula with a random term.
    """
    parsed = parse(formula)
    if parsed.bars:
        bar = parsed.bars[0].text
        at = max(formula.find("|"), 0)
        found = f"lm() takes no random terms, and the formula has {bar}."
        raise FormulaError(found, text=formula, start=at, stop=at + 1, hint="Use lmm().")
    return lmm(formula, data, **options)


def describe(
    formula: str,
    data: Any,
    *,
    precision_weights: Any = None,
    offset: Any = None,
    contrasts: Mapping[str, Any] | None = None,
    missing: Literal["drop", "raise"] = "drop",
    functions: Mapping[str, Callable[..., Any]] | None = None,
) -> Description:
    """What a model would ask of the data, before any fit: terms, parameters, levels, rank, and what is confounded.

    Takes the arguments of `lmm` and raises FormulaError and DataError as it does; what `lmm` would refuse as unidentified
    is a finding.
    """
    parsed = parse(formula)
    intake = ingest(
        parsed, data, weights=precision_weights, offset=offset, contrasts=contrasts, missing=missing, functions=functions
    )
    return describe_design(parsed.text, intake.design, intake.rows)
