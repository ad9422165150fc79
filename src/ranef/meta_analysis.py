"""A meta-analysis of one effect a study, in the words that its users know: y_i ~ N(x_i'beta, tau^2 + v_i), the v_i known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from ranef.api import lmm
from ranef.arguments import checked
from ranef.errors import Finding, ModelError
from ranef.fit.answer import changed
from ranef.fit.fit import Fit
from ranef.inference.meta.components import studies
from ranef.inference.meta.estimators import NAMES, estimate
from ranef.optim.problem import Certificate, Optimum

TESTS = {"z": "asymptotic", "t": "residual", "knha": "knapp-hartung"}
LIKELIHOODS = {"REML": True, "ML": False}
FIXED = ("FE", "EE", "CE")  # fixed, equal, common effects


@checked
def meta(
    yi: Any,
    vi: Any,
    mods: str | None = None,
    data: Any = None,
    *,
    method: str = "reml",
    test: str = "z",
    study: str | None = None,
    missing: str = "drop",
) -> Fit:
    """Fit a meta-analysis or a meta-regression with one effect for each study.

    The same as ``lmm(f"{yi} ~ {mods} + (1 | {study})", data, sampling_variance=vi)``, which takes more: several levels, several
    outcomes, correlated sampling errors. `ranef.heterogeneity` of the fit has tau2, I2, H2, Q and R2;
    ``fit.predict(re="population", interval="prediction")`` the prediction interval; ``fit.predict(interval="confidence")`` the best
    linear unbiased predictions of the studies' own effects.

    Parameters
    ----------
    yi, vi
        Observed effects and their sampling variances: names of columns of `data`, or arrays without `data`.
    mods
        Moderators as a formula: ``"~ latitude + factor(allocation)"``.
    data
        As in `lmm`.
    method
        Estimator of tau2: ``"reml"``, ``"ml"``, ``"dl"`` (DerSimonian-Laird), ``"he"`` (Hedges), ``"hs"`` (Hunter-Schmidt),
        ``"sj"`` (Sidik-Jonkman), ``"pm"`` (Paule-Mandel), ``"eb"`` (empirical Bayes), or ``"fe"``: no random effects.
    test
        ``"z"``; ``"t"`` with n - p degrees of freedom; ``"knha"``: t with the standard errors of Knapp and Hartung.
    study
        The column that names the studies, each in one row; without it they are numbered in the order of the rows.

    Raises
    ------
    ModelError for an unknown method or test and for a study with several rows; DataError and FormulaError as `lmm`.

    Examples
    --------
    >>> import ranef
    >>> m = ranef.meta("yi", "vi", "~ ablat", ranef.datasets.load("bcg"), test="knha")
    >>> print(m.tidy("fixed"))
    Estimates
    Effect  Group  Term          Estimate  Std. error    df  Statistic      p
    -------------------------------------------------------------------------
    fixed          (Intercept)   0.251468    0.283925  11.0       0.89  0.395
    fixed          ablat        -0.029102    0.008201  11.0      -3.55  0.005
    Knapp and Hartung's standard errors and residual degrees of freedom
    """
    known = (*LIKELIHOODS, *NAMES, *FIXED)
    chosen = method.upper() if isinstance(method, str) else method
    if chosen not in known:
        raise ModelError(f"method={method!r} is not known.", hint=f"Use one of: {', '.join(name.lower() for name in known)}.")
    if test not in TESTS:
        raise ModelError(f"test={test!r} is not known.", hint=f"Use one of: {', '.join(TESTS)}.")
    response, variance, table = _columns(yi, vi, data)
    right = "1" if mods is None else mods.strip().removeprefix("~").strip()
    options: dict[str, Any] = {"sampling_variance": variance, "ddf": TESTS[test], "missing": missing}
    if chosen in FIXED:
        return lmm(f"{response} ~ {right}", table, reml=False, **options)
    name, table = (study, table) if study is not None else _numbered(table)
    fit = lmm(f"{response} ~ {right} + (1 | {name})", table, reml=LIKELIHOODS.get(chosen, False), **options)
    if fit.nobs > next(iter(fit.ngroups.values())):
        raise ModelError(
            f"{fit.nobs} rows belong to {fit.ngroups[name]} levels of {name!r}, and meta() is for one effect a study.",
            hint=f'Use lmm("{response} ~ {right} + (1 | {name} / effect)", ...), "effect" telling the effects of a study apart.',
        )
    return with_moments(fit, chosen) if chosen in NAMES else fit


def with_moments(fit: Fit, method: str) -> Fit:
    """The fit with tau^2 by an estimator of moments in place of its own; the likelihood is the full one at that value."""
    tau2 = estimate(studies(fit), method).tau2
    theta = np.array([np.sqrt(tau2)])
    at = fit.criterion.evaluate(theta, 2)
    message = f"tau2 is the estimate of {NAMES[method]}; the likelihood is not at its maximum."
    none = Certificate(np.nan, np.nan, np.nan, 1, 1)
    optimum = Optimum(
        theta, at.value, "moment estimate", message, none, 1, method, (), np.zeros(1) if at.gradient is None else at.gradient,
        at.hessian, fit.criterion.boundary(theta),
    )  # fmt: skip
    finding = Finding(
        "moment_estimate", "note", f"tau2 is estimated by moments ({NAMES[method]}), not by likelihood.",
        "Likelihood ratios, profiles and refits of a bootstrap need method='ml' or 'reml'.", {"tau2": tau2 * fit.sigma**2},
    )  # fmt: skip
    kept = tuple(one for one in fit.findings if one.code not in ("singular_fit", "not_converged", "multiple_optima"))
    found = changed(fit, optimum=optimum, solution=replace(fit.solution, theta=theta))
    return replace(found, findings=(*kept, finding))


def _columns(yi: Any, vi: Any, data: Any) -> tuple[str, Any, Any]:
    """Response, variances and data of the call."""
    if data is None:
        if isinstance(yi, str) or isinstance(vi, str):
            raise ModelError("yi and vi are names of columns, and there are no data.", hint="Give data=..., or arrays.")
        return "yi", "vi", {"yi": np.asarray(yi, dtype=float), "vi": np.asarray(vi, dtype=float)}
    if not isinstance(yi, str):
        raise ModelError("With data, yi must be the name of a column.", hint='For example meta("yi", "vi", data=data).')
    return yi, vi, data


def _numbered(data: Any) -> tuple[str, Any]:
    """A column that numbers the rows, and the data with it."""
    if isinstance(data, Mapping):
        name = _free(list(data))
        return name, {**data, name: np.arange(1, 1 + len(next(iter(data.values()), ())))}
    import narwhals.stable.v1 as nw

    frame = nw.from_native(data, eager_only=True, pass_through=True)
    if not isinstance(frame, nw.DataFrame):
        raise ModelError(
            f"The studies of data of type {type(data).__name__} cannot be numbered.",
            hint="Name the column that tells them apart: study=...",
        )
    name = _free(frame.columns)
    numbers = nw.new_series(name, np.arange(1, 1 + len(frame)), nw.Int64, backend=nw.get_native_namespace(frame))
    if isinstance(data, nw.DataFrame):
        return name, frame.with_columns(numbers)
    native = nw.to_native(frame)
    if nw.get_native_namespace(frame).__name__ == "pandas":
        return name, native.assign(**{name: np.arange(1, 1 + len(frame))})
    return name, nw.to_native(frame.with_columns(numbers))


def _free(names: list[str]) -> str:
    return next(name for name in ("study", "study_row", "row_of_data", "ranef_study") if name not in names)
