"""Bootstrap distributions of the parameters of a fit, and the intervals read from them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ranef.arguments import check_count, check_level, checked
from ranef.covariance.base import Array
from ranef.errors import Finding, ModelError
from ranef.fit.perfect import needs_residuals
from ranef.fit.spanned import refuse_spanned
from ranef.inference.bootstrap import limits
from ranef.inference.bootstrap.run import Work, entropy_of
from ranef.inference.bootstrap.sources import Source, cases, parametric, residual
from ranef.inference.clusters import top_grouping
from ranef.inference.parameters import Batch, Names, of_solution
from ranef.table import Table

if TYPE_CHECKING:
    from ranef.fit.fit import Fit

Kind = Literal["parametric", "residual", "case", "cluster"]
KINDS = ("parametric", "residual", "case", "cluster")
SLOW = 1e8  # floating-point operations of an evaluation from which every refit is a chunk of its own
WORDS = {
    "parametric": "new random effects and errors from the fitted normal distributions",
    "residual": "random effects and errors drawn from the predicted ones, centred and rescaled",
    "case": "rows drawn with replacement",
    "cluster": "clusters drawn with replacement",
}


@dataclass(frozen=True, eq=False)
class Bootstrap:
    """Refits of a model to new data. `draws` (n, P) has a row for each refit that succeeded, in the order of the table's rows."""

    fit: Fit
    kind: Kind
    seed: int  # makes the same draws again
    asked: int
    batch: Batch
    complete: bool
    cluster: str | None
    level: float
    method: str

    @property
    def draws(self) -> Array:
        return self.batch.estimates[self.batch.done]

    @property
    def failures(self) -> int:
        """Refits that did not converge or could not be made."""
        return int(np.sum(~self.batch.done))

    @cached_property
    def names(self) -> Names:
        return Names.of(self.fit)

    @cached_property
    def estimates(self) -> Batch:
        """Those of the fit."""
        return of_solution(self.fit.solution)

    @property
    def findings(self) -> tuple[Finding, ...]:
        out = []
        made = len(self.batch.done)
        if not self.complete:
            out.append(
                Finding(
                    "bootstrap_interrupted", "warning", f"The bootstrap was interrupted after {made} of {self.asked} refits.",
                    "Call it again with the same seed for the rest.", {"made": made, "asked": self.asked},
                )
            )  # fmt: skip
        if self.failures:
            severity: Any = "warning" if self.failures > 0.01 * made else "note"
            out.append(
                Finding(
                    "bootstrap_failures", severity, f"{self.failures} of {made} refits failed and are left out.",
                    "Where many fail the model is too large for the data.", {"failures": self.failures, "made": made},
                )
            )  # fmt: skip
        if len(self.draws) < 2:
            out.append(
                Finding(
                    "bootstrap_too_few", "warning",
                    f"Standard errors and intervals need at least two refits that succeed, and there {_are(len(self.draws))}.",
                    "Take n=1000 for intervals.", {"refits": len(self.draws)},
                )
            )  # fmt: skip
        return tuple(out)

    @cached_property
    def intervals(self) -> Table:
        return self.conf_int(self.level, self.method)

    def conf_int(self, level: float = 0.95, method: str = "percentile") -> Table:
        """effect group term estimate bias std_error conf_low conf_high; see `ranef.inference.bootstrap.limits` for the methods.

        Studentised intervals exist for fixed effects; the other rows get percentiles. Raises ModelError for an unknown method and a
        level outside of (0, 1).
        """
        method = limits.SPELLINGS.get(method, method)
        if method not in limits.METHODS:
            raise ModelError(f"method={method!r} is not known.", hint=f"Use one of: {', '.join(limits.METHODS)}.")
        check_level(level)
        both = np.array([self._limits(i, level, method) for i in range(len(self.names.term))])
        estimate, draws = self.estimates.estimates[0], self.draws
        with np.errstate(invalid="ignore"):
            bias, spread = _mean(draws) - estimate, _spread(draws)
        columns = {
            "effect": self.names.effect, "group": self.names.group, "term": self.names.term, "estimate": estimate, "bias": bias,
            "std_error": spread, "conf_low": both[:, 0], "conf_high": both[:, 1],
        }  # fmt: skip
        notes = (
            f"{self.kind.capitalize()} bootstrap, {len(draws)} refits: {WORDS[self.kind]}. Seed {self.seed}.",
            f"{'BCa' if method == 'bca' else method.capitalize()} intervals"
            + ("; percentiles for random parameters." if method == "studentised" else "."),
            *(str(finding) for finding in self.findings),
        )
        return Table(columns, title="Bootstrap", notes=notes, frame_kind=self.fit.model.rows.frame, level=level)

    def _limits(self, i: int, level: float, method: str) -> tuple[float, float]:
        draws, estimate = self.draws[:, i], float(self.estimates.estimates[0, i])
        known = np.isfinite(draws)
        draws, fixed = draws[known], i < self.names.fixed
        if len(draws) < 2 or not np.isfinite(estimate):
            return np.nan, np.nan
        if method == "studentised" and fixed:
            std_errors = self.batch.std_errors[self.batch.done][known, i]
            return limits.studentised(draws, std_errors, estimate, float(self.estimates.std_errors[0, i]), level)
        if method == "basic":
            return limits.basic(draws, estimate, level, _bounds(self.names.effect[i], self.names.term[i]))
        if method == "bca":
            return limits.bca(draws, estimate, level, float(self._acceleration[i]))
        return limits.percentile(draws, level)

    @cached_property
    def _acceleration(self) -> Array:
        """From the estimates without each cluster (without each row, where there are none), by one Newton step."""
        from ranef.inference.influence.deletion import estimates_without

        return limits.acceleration(estimates_without(self.fit, self.cluster))

    def __repr__(self) -> str:
        return repr(self.intervals)

    def _repr_html_(self) -> str:
        return self.intervals._repr_html_()


@checked
def bootstrap(
    fit: Fit,
    other: Fit | int | None = None,
    n: int = 1000,
    kind: Kind = "parametric",
    seed: int | None = None,
    *,
    method: str = "percentile",
    level: float = 0.95,
    cluster: str | None = None,
    n_jobs: int = 1,
    progress: bool | None = None,
) -> Any:
    """Bootstrap the parameters of a fit, or with two fits their likelihood-ratio test.

    `bootstrap(m, 1000)` refits m to 1000 new data sets: "parametric", "residual", "case" or "cluster" (see
    `ranef.inference.bootstrap.sources`); `cluster` names the grouping factor, by default the one that contains all others. The
    result is a `Bootstrap`. `bootstrap(m0, m1)` simulates from the smaller model and refits both: a `BootstrapTest`.

    The same seed gives the same draws for any number of workers `n_jobs`; without one the seed is chosen and told. Ctrl-C ends the
    work and keeps the refits made. Raises ModelError for unknown options, and for models that are not nested.

    Examples
    --------
    >>> import ranef
    >>> m = ranef.lmm("Reaction ~ Days + (Days | Subject)", ranef.datasets.load("sleepstudy"))
    >>> ranef.bootstrap(m, 100, seed=1).conf_int()
    Bootstrap
    Effect    Group     Term                   Estimate     Bias  Std. error
    ------------------------------------------------------------------------
    fixed               (Intercept)            251.4051  -0.3520      7.0261
    fixed               Days                    10.4673  -0.1044      1.4516
    ran_pars  Subject   sd__(Intercept)         24.7405  -0.1570      6.1202
    ran_pars  Subject   sd__Days                 5.9221  -0.2112      1.1789
    ran_pars  Subject   cor__(Intercept).Days    0.0656  -0.0125      0.3760
    ran_pars  Residual  sd__Observation         25.5918  -0.3857      1.5796
    <BLANKLINE>
    Effect    Group     Term                      Lower     Upper
    -------------------------------------------------------------
    fixed               (Intercept)            236.5318  263.1237
    fixed               Days                     7.5603   13.0625
    ran_pars  Subject   sd__(Intercept)         13.2081   35.0875
    ran_pars  Subject   sd__Days                 3.3878    8.0905
    ran_pars  Subject   cor__(Intercept).Days   -0.5835    0.8656
    ran_pars  Residual  sd__Observation         22.1445   28.2185
    Parametric bootstrap, 100 refits: new random effects and errors from the fitted
    normal distributions. Seed 1.
    Percentile intervals.
    Intervals hold with probability 0.95.
    >>> m0 = m.update(formula="Reaction ~ 1 + (Days | Subject)")
    >>> ranef.bootstrap(m0, m, 100, seed=1).table
    Bootstrap likelihood-ratio test
    Statistic    df  p (bootstrap)  MC error  p (chi-square)
    --------------------------------------------------------
        23.54  1.00          0.010  0.009852          <0.001
    Reaction ~ 1 + (Days | Subject)  against  Reaction ~ Days + (Days | Subject), by
    ML.
    100 data sets simulated under the smaller model; std_error is of the simulated
    p. Seed 1.
    """
    from ranef.fit.fit import Fit as FitType

    if isinstance(other, FitType):
        from ranef.inference.bootstrap.comparison import compare_by_bootstrap

        if kind != "parametric":
            raise ModelError("The test of two models is a parametric bootstrap.", hint="Leave kind out.")
        return compare_by_bootstrap(fit, other, n, seed, n_jobs=n_jobs, progress=progress)
    refuse_spanned(fit, "bootstrap()")
    needs_residuals(fit, "bootstrap()")
    n = checked_count(n if other is None else other)
    if kind not in KINDS:
        raise ModelError(f"kind={kind!r} is not known.", hint=f"Use one of: {', '.join(KINDS)}.")
    if kind == "cluster":
        cluster = top_grouping(fit, cluster).name
    batch, complete, entropy = refit_many(fit, _source(fit, kind, n, cluster), n, seed, n_jobs, progress)
    if batch is None:
        raise KeyboardInterrupt
    return Bootstrap(fit, kind, entropy, n, batch, complete, cluster, level, method)


def bootstrap_intervals(fit: Fit, level: float = 0.95, n: int = 1000, intervals: str = "percentile", **options: Any) -> Table:
    """The table of `conf_int(method="bootstrap")`; `intervals` names their kind."""
    answer: Bootstrap = bootstrap(fit, n, level=level, method=intervals, **options)
    return answer.intervals


def _source(fit: Fit, kind: Kind, n: int, cluster: str | None) -> Source:
    if kind == "parametric":
        return parametric(fit, n)
    return residual(fit, n) if kind == "residual" else cases(fit, cluster if kind == "cluster" else None)


def refit_many(
    fit: Fit, source: Source, n: int, seed: int | None, n_jobs: int, progress: bool | None
) -> tuple[Batch | None, bool, int]:
    """The refits, whether all were made, and the seed."""
    if not isinstance(n_jobs, int) or n_jobs == 0 or n_jobs < -1:
        raise ModelError(f"n_jobs={n_jobs!r} must be a number of workers, or -1 for one on each core.")
    if n_jobs == -1:
        from joblib import cpu_count

        n_jobs = cpu_count()
    entropy = entropy_of(seed)
    work = Work(source.refits, n, entropy, n_jobs, source.threads, small=fit.criterion.effort > SLOW)
    return (*work.run(progress), entropy)


def checked_count(n: object) -> int:
    return check_count("n", n, 1, "refits")


def _bounds(effect: str, term: str) -> tuple[float, float]:
    if effect == "fixed":
        return -np.inf, np.inf
    return (-1.0, 1.0) if term.startswith("cor__") else (0.0, np.inf)


def _mean(draws: Array) -> Array:
    known = np.isfinite(draws)
    return np.divide(np.where(known, draws, 0.0).sum(axis=0), known.sum(axis=0))


def _spread(draws: Array) -> Array:
    """Standard deviations of the columns; NaN for less than two draws."""
    known = np.isfinite(draws)
    off, dof = np.where(known, draws - _mean(draws), 0.0), known.sum(axis=0) - 1
    return np.sqrt(np.divide(np.sum(off**2, axis=0), dof, out=np.full(draws.shape[1], np.nan), where=dof > 0))


def _are(count: int) -> str:
    return {0: "is none", 1: "is one"}[count]
