"""The friendly layer: one call from data and formula to a fit. Only here is anything guessed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from ranef.arguments import check_flag, check_mapping, checked
from ranef.covariance import STRUCTURES, word_of
from ranef.covariance.variance_functions import VARIANCE_FUNCTIONS
from ranef.errors import FormulaError, ModelError
from ranef.fit.describe import Description, describe_design
from ranef.fit.fit import Fit
from ranef.fit.methods import check_ddf
from ranef.fit.model import Model, Options
from ranef.fit.run import run
from ranef.formula import parse
from ranef.formula.residual import Vocabulary, parse_residual
from ranef.schema import ingest
from ranef.schema.hold import with_held
from ranef.schema.sampling import covariance_matrix

if TYPE_CHECKING:
    from ranef.covariance.base import Array

OPTIMIZERS = ("newton", "bobyqa", "lbfgs", "em")


@checked
def lmm(
    formula: str,
    data: Any,
    *,
    reml: bool = True,
    residual: str | None = None,
    precision_weights: Any = None,
    sampling_variance: Any = None,
    offset: Any = None,
    contrasts: Mapping[str, Any] | None = None,
    missing: Literal["drop", "raise"] = "drop",
    ddf: str = "satterthwaite",
    optimizer: str = "newton",
    start: Array | None = None,
    functions: Mapping[str, Callable[..., Any]] | None = None,
    covariances: Mapping[str, Any] | None = None,
    hold: Mapping[str, Mapping[str | int, float]] | None = None,
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
    residual
        Covariance structure of the residuals, such as ``"ar1(visit | subject)"``; None: independent, with one variance.
        The words, options and variance functions are listed in the reference of structures.
    precision_weights
        Column name or array: the residual variance of row i is sigma^2 / w_i.
    sampling_variance
        Column name or array: the residual variance of row i is known to be v_i, as in a meta-analysis, where it is the square of
        the standard error of an estimate. No residual variance is estimated then; `(1 | study)` may have one row in each study.
        A matrix, or a list of matrices along the rows of the data: the covariances of the sampling errors are known, too.
        See `ranef.heterogeneity` and `ranef.meta`.
    offset
        Column name or array: a part of the mean with coefficient one.
    contrasts
        Coding of factors for this call, e.g. ``{"cond": "sum"}``.
    missing
        ``"drop"`` leaves out rows with a missing value in any variable used and counts them; ``"raise"`` refuses them.
    ddf
        Degrees of freedom of tests and intervals: ``"satterthwaite"``, ``"kenward-roger"``, ``"kenward-roger-linear"``,
        ``"kenward-roger-observed"``, ``"kenward-roger-observed-linear"``, ``"between-within"``, ``"containment"``, ``"residual"``
        or ``"asymptotic"``; with `sampling_variance` also ``"knapp-hartung"``.
    optimizer
        ``"newton"``; ``"bobyqa"``, ``"lbfgs"`` and ``"em"`` to compare or to teach.
    start
        theta (as in ``Fit.theta``) to start from.
    functions
        Functions that the formula may call besides the known ones.
    covariances
        Known covariances of levels, by the names that the formula gives them in ``(1 | gr(id, cov=A))``: a square pandas frame with
        labels, a pair of a matrix and its levels, a pedigree (`ranef.pedigree`), a precision matrix (`ranef.precision`) or a root
        of low rank (`ranef.low_rank`).
    hold
        Covariance parameters that are not estimated, by term and name: ``{"ar1(visit | subject)": {"rho": 0.5}}``, ``{"Residual":
        {"rho": 0.5}}``. A grouping factor with one term stands for that term; correlations, ranges and the like are called as the
        summary calls them. A number stands for that entry of a random term's theta. (SAS: PARMS / HOLD, glmmTMB: map.)

    Raises
    ------
    FormulaError, DataError, ModelError, MemoryEstimateError
        Each says what was found, where, and what to do.

    References
    ----------
    Bates, Maechler, Bolker and Walker (2015), Fitting linear mixed-effects models using lme4, J. Stat. Softw. 67(1).

    Examples
    --------
    >>> import ranef
    >>> m = ranef.lmm("Reaction ~ Days + (Days | Subject)", ranef.datasets.load("sleepstudy"))
    >>> m.params.round(2)
    (Intercept)    251.41
    Days            10.47
    Name: estimate, dtype: float64
    >>> m.ngroups, m.status
    ({'Subject': 18}, 'optimum')
    >>> ranef.lmm("Reaction ~ Days + (Days || Subject)", ranef.datasets.load("sleepstudy"), reml=False).varcorr
    Variance components
    Group     Term         With  Variance  SD / corr.
    -------------------------------------------------
    Subject   (Intercept)          584.25      24.171
    Subject   Days                  33.63       5.799
    Residual                       653.12      25.556
    """
    if not isinstance(formula, str):
        raise ModelError(f"formula must be a string, not {type(formula).__name__}.", hint='For example "y ~ x + (1 | g)".')
    check_flag("reml", reml)
    check_mapping("contrasts", contrasts, '{"cond": "sum"}')
    check_mapping("functions", functions, '{"half": lambda x: x / 2}')
    check_mapping("covariances", covariances, '{"A": A}')
    check_mapping("hold", hold, '{"Residual": {"rho": 0.5}}')
    if optimizer not in OPTIMIZERS:
        raise ModelError(f"optimizer={optimizer!r} is not known.", hint=f"Use one of: {', '.join(OPTIMIZERS)}.")
    options = Options(check_ddf(ddf), optimizer, start)
    noise = Noise.of(precision_weights, sampling_variance, residual)
    structure = None if residual is None else parse_residual(residual, vocabulary())
    intake = ingest(
        parse(formula), data, weights=noise.weights, offset=offset, contrasts=contrasts, missing=missing, functions=functions,
        known=noise.known, errors=noise.covariance, residual=structure, covariances=covariances,
    )  # fmt: skip
    if hold:
        intake = replace(intake, design=with_held(intake.design, hold))
    recipe = {
        "data": data,
        "residual": residual,
        "precision_weights": precision_weights,
        "sampling_variance": sampling_variance,
        "offset": offset,
        "contrasts": contrasts,
        "missing": missing,
        "ddf": ddf,
        "optimizer": optimizer,
        "functions": functions,
        "covariances": covariances,
        "hold": hold,
    }
    return run(Model(parse(formula), intake, reml, options, recipe))


def vocabulary() -> Vocabulary:
    """The words of `residual=`."""
    return Vocabulary(word_of, VARIANCE_FUNCTIONS, {word: entry.about.options for word, entry in STRUCTURES.items()})


@dataclass(frozen=True, eq=False)
class Noise:
    """What is known of the residual variances of the rows: weights, or sampling (co)variances in place of them."""

    weights: Any
    known: bool = False
    covariance: Array | None = None

    @classmethod
    def of(cls, precision: Any, variance: Any, residual: str | None = None) -> Noise:
        """Raises ModelError where two arguments contradict each other."""
        if variance is None:
            return cls(precision)
        if precision is not None:
            raise ModelError(
                "precision_weights and sampling_variance both say what the variance of a row is.",
                hint="Give sampling_variance where variances are known, precision_weights where they are known up to sigma^2.",
            )
        V = covariance_matrix(variance)
        if V is not None and residual is not None:
            raise ModelError(
                "residual= cannot be added to a covariance matrix of the sampling errors.",
                hint="It can be added to sampling variances that are independent.",
            )
        return cls(variance, True) if V is None else cls(V.diagonal(), True, V)


@checked
def lm(formula: str, data: Any, **options: Any) -> Fit:
    """Fit an ordinary (weighted) linear regression: `lmm` without random terms, with the same Fit.

    Takes the arguments of `lmm`. Raises FormulaError for a formula with a random term.

    Examples
    --------
    >>> import ranef
    >>> cake = ranef.datasets.load("cake")
    >>> ranef.lm("angle ~ temp", cake).tidy()
    Estimates
    Effect    Group     Term             Estimate  Std. error     df  Statistic
    ---------------------------------------------------------------------------
    fixed               (Intercept)       0.51587     5.55717  268.0       0.09
    fixed               temp              0.15803     0.02769  268.0       5.71
    ran_pars  Residual  sd__Observation   7.76912
    <BLANKLINE>
    Effect    Group     Term                  p
    -------------------------------------------
    fixed               (Intercept)       0.926
    fixed               temp             <0.001
    ran_pars  Residual  sd__Observation
    residual degrees of freedom
    """
    parsed = parse(formula)
    if parsed.bars:
        bar = parsed.bars[0].text
        at = max(formula.find("|"), 0)
        found = f"lm() takes no random terms, and the formula has {bar}."
        raise FormulaError(found, text=formula, start=at, stop=at + 1, hint="Use lmm().")
    return lmm(formula, data, **options)


@checked
def describe(
    formula: str,
    data: Any,
    *,
    residual: str | None = None,
    precision_weights: Any = None,
    sampling_variance: Any = None,
    offset: Any = None,
    contrasts: Mapping[str, Any] | None = None,
    missing: Literal["drop", "raise"] = "drop",
    functions: Mapping[str, Callable[..., Any]] | None = None,
    covariances: Mapping[str, Any] | None = None,
) -> Description:
    """What a model would ask of the data, before any fit: terms, parameters, levels, rank, and what is confounded; of a residual
    structure its subjects, parameters, and which visits are missing.

    Takes the arguments of `lmm` and raises FormulaError and DataError as it does; what `lmm` would refuse as unidentified
    is a finding.

    Examples
    --------
    >>> import ranef
    >>> ranef.describe("strength ~ 1 + (1 | batch / cask)", ranef.datasets.load("Pastes"))
    strength ~ 1 + (1 | batch / cask)
    <BLANKLINE>
    Size
    Quantity                Count
    -----------------------------
    rows used                  60
    rows left out               0
    fixed coefficients          1
    rank of the fixed part      1
    random effects             40
    covariance parameters       2
    <BLANKLINE>
    Fixed effects
    Term          Mean  Std. dev.  Estimable
    ----------------------------------------
    (Intercept)  1.000        0.0  yes
    <BLANKLINE>
    Random effects
    Term              Group       Levels  Columns      Structure  Parameters
    ------------------------------------------------------------------------
    (1 | batch)       batch           10  (Intercept)  un                  1
    (1 | batch:cask)  batch:cask      30  (Intercept)  un                  1
    <BLANKLINE>
    Term              Group       Min. rows  Median rows  Max. rows
    ---------------------------------------------------------------
    (1 | batch)       batch               6            6          6
    (1 | batch:cask)  batch:cask          2            2          2
    <BLANKLINE>
    Grouping factors
    First  Second      Relation
    -----------------------------------------
    batch  batch:cask  second nested in first
    """
    parsed = parse(formula)
    noise = Noise.of(precision_weights, sampling_variance, residual)
    structure = None if residual is None else parse_residual(residual, vocabulary())
    intake = ingest(
        parsed, data, weights=noise.weights, offset=offset, contrasts=contrasts, missing=missing, functions=functions,
        known=noise.known, errors=noise.covariance, residual=structure, covariances=covariances,
    )  # fmt: skip
    return describe_design(parsed.text, intake.design, intake.rows)
