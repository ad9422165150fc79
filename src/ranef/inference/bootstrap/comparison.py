"""A parametric bootstrap test of nested models: how often data from the smaller one give a likelihood ratio as large as observed.

Davison and Hinkley (1997), 4.2: p = (1 + #{T* >= T}) / (1 + n). No asymptotics, and no concern with boundaries.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import chdtrc

from ranef.covariance.base import Array
from ranef.errors import ModelError
from ranef.fit.answer import changed
from ranef.fit.rows import needs_rows
from ranef.fit.run import run
from ranef.fit.simulate import responses_of
from ranef.inference.bootstrap.answer import checked_count, refit_many
from ranef.inference.bootstrap.refit import Refitter
from ranef.inference.bootstrap.sources import Rngs, Rows, Source, refitted, refitter_of, responses
from ranef.inference.comparable import told
from ranef.inference.parameters import Batch
from ranef.table import Table

if TYPE_CHECKING:
    from ranef.fit.fit import Fit

ROUNDING = 1e-7  # a likelihood ratio below this is zero


@dataclass(frozen=True, eq=False)
class BootstrapTest:
    """`statistic` is the observed likelihood ratio, `draws` those of data simulated under the smaller model."""

    statistic: float
    df: int
    draws: Array
    failures: int
    seed: int
    reml: bool
    formulas: tuple[str, str]
    frame_kind: str

    @property
    def p_value(self) -> float:
        return (1.0 + float(np.sum(self.draws >= self.statistic - ROUNDING))) / (1.0 + len(self.draws))

    @property
    def std_error(self) -> float:
        """Monte Carlo standard error of the p value."""
        return float(np.sqrt(self.p_value * (1.0 - self.p_value) / (1.0 + len(self.draws))))

    @property
    def table(self) -> Table:
        columns = {
            "statistic": [self.statistic], "df": [self.df], "p_value": [self.p_value], "std_error": [self.std_error],
            "p_naive": [float(chdtrc(self.df, self.statistic)) if self.statistic > 0 else 1.0],
        }  # fmt: skip
        notes = (
            f"{self.formulas[0]}  against  {self.formulas[1]}, by {'REML' if self.reml else 'ML'}.",
            f"{len(self.draws)} data sets simulated under the smaller model; std_error is of the simulated p. Seed {self.seed}.",
            *((f"{self.failures} refits failed and are left out.",) if self.failures else ()),
        )
        headings = {"p_value": "p (bootstrap)", "std_error": "MC error", "p_naive": "p (chi-square)"}
        return Table(columns, title="Bootstrap likelihood-ratio test", notes=notes, frame_kind=self.frame_kind, headings=headings)

    def __repr__(self) -> str:
        return repr(self.table)

    def _repr_html_(self) -> str:
        return self.table._repr_html_()


@dataclass(frozen=True, eq=False)
class Pair:
    """Simulates from the smaller model and refits both; the batch's one column is the likelihood ratio."""

    rows: Rows
    larger: Refitter

    @property
    def threads(self) -> bool:
        return False

    def refits(self, rngs: Rngs) -> Batch:
        responses_ = [self.rows.response(rng) for rng in rngs]
        small, large = self.rows.refitter.of_responses(responses_), self.larger.of_responses(responses_)
        ratio = np.maximum(small.value - large.value, 0.0)
        return Batch(ratio[:, None], np.zeros((len(ratio), 0)), ratio, small.done & large.done & np.isfinite(ratio))


@dataclass(frozen=True, eq=False)
class StructuredPair:
    """The same by whole fits, where either has a residual structure."""

    small: Fit
    large: Fit
    reml: bool

    @property
    def threads(self) -> bool:
        return False

    @cached_property
    def response(self) -> Callable[[np.random.Generator], Array]:
        return responses_of(self.small, "new")

    def refits(self, rngs: Rngs) -> Batch:
        ratio = np.array([self._ratio(self.response(rng)) for rng in rngs])
        return Batch(ratio[:, None], np.zeros((len(ratio), 0)), ratio, np.isfinite(ratio))

    def _ratio(self, y: Array) -> float:
        small, large = refitted(self.small, y), refitted(self.large, y)
        if small is None or large is None:
            return np.nan
        return max(_criterion(small, self.reml) - _criterion(large, self.reml), 0.0)


def compare_by_bootstrap(
    first: Fit, second: Fit, n: int, seed: int | None, *, n_jobs: int = 1, progress: bool | None = None
) -> BootstrapTest:
    """See `bootstrap`. With different fixed effects both are refitted by ML; with equal ones REML is kept.

    Raises ModelError for models of different rows or responses, or of which neither has more parameters.
    """
    small, large = sorted((first, second), key=lambda fit: fit.npar)
    for fit in (small, large):
        needs_rows(fit, "The bootstrap test")
    _check_nested(small, large)
    keep = small.reml and large.reml and _same_columns(small, large)
    small, large = (
        fit if fit.reml == keep or (not fit.model.design.mixed and keep) else by_likelihood(fit) for fit in (small, large)
    )
    statistic = max(_criterion(small, keep) - _criterion(large, keep), 0.0)
    pair = _pair(small, large, keep, checked_count(n))
    batch, _, entropy = refit_many(large, pair, n, seed, n_jobs, progress)
    if batch is None:
        raise KeyboardInterrupt
    one, other = told((small, large))
    frame = small.model.rows.frame
    draws = batch.estimates[batch.done, 0]
    return BootstrapTest(statistic, large.npar - small.npar, draws, int(np.sum(~batch.done)), entropy, keep, (one, other), frame)


def _pair(small: Fit, large: Fit, keep: bool, n: int) -> Source:
    if small.criterion.residual is not None or large.criterion.residual is not None:
        return StructuredPair(small, large, keep)
    return Pair(responses(_of_kind(small, keep), n), refitter_of(_of_kind(large, keep), n))


def by_likelihood(fit: Fit) -> Fit:
    """The fit by ML."""
    return run(replace(fit.model, reml=False))


def _of_kind(fit: Fit, reml: bool) -> Fit:
    """The fit with its criterion of the kind asked for: a regression has both."""
    return fit if fit.criterion.reml == reml else changed(fit, criterion=replace(fit.criterion, reml=reml))


def _criterion(fit: Fit, reml: bool) -> float:
    return replace(fit.criterion, reml=reml).evaluate(fit.optimum.theta, 0).value


def _same_columns(small: Fit, large: Fit) -> bool:
    X0, X1 = small.model.design.X, large.model.design.X
    return X0.shape == X1.shape and bool(np.array_equal(X0, X1))


def _check_nested(small: Fit, large: Fit) -> None:
    a, b = small.model.design, large.model.design
    if a.nobs != b.nobs or not np.array_equal(a.y, b.y):
        raise ModelError(
            f"The models were fitted to different data ({a.nobs} and {b.nobs} rows, or other responses).",
            hint="Fit both to the same rows; a missing value in a variable of one of them drops rows there only.",
        )
    if small.npar == large.npar:
        raise ModelError("Both models have as many parameters, so neither is nested in the other.")
    rest = a.X - b.X @ np.linalg.lstsq(b.X, a.X, rcond=None)[0]
    if np.abs(rest).max(initial=0.0) > 1e-6 * max(float(np.abs(a.X).max(initial=0.0)), 1e-300):
        raise ModelError("The fixed effects of the smaller model are not among those of the larger one: the models are not nested.")
