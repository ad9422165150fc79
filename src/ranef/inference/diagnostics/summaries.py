"""What is kept of the replicates: the statistics that the checks compare with those of the data."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ranef.covariance.base import Array
from ranef.fit.effects import factors
from ranef.inference.diagnostics.quantiles import places
from ranef.inference.diagnostics.replicates import Analysis
from ranef.inference.diagnostics.serial import Series, autocorrelation, durbin_watson

if TYPE_CHECKING:
    from ranef.fit.fit import Fit
    from ranef.inference.diagnostics.evidence import Evidence

NONE = 1e-8  # a predicted effect whose variance is less than this share of that of the effect does not vary
LAGS = 15


@dataclass(frozen=True, eq=False)
class Summaries:
    """b replicates (first axis)."""

    along: Array  # (b,) Durbin and Watson's d over all rows
    within: Array  # (b,) the same within the series
    acf: Array  # (b, lags)
    residuals: Array  # (b, q) ordered, standardised
    effects: dict[tuple[str, str], Array]  # (b, q) ordered, standardised; by group and term


def lags_of(series: Series) -> list[int]:
    """As many as R's `acf` would show of a series of the average length, where there are ten pairs and more."""
    length = len(series.rows) / max(len(np.unique(series.codes)), 1)
    return series.lags(min(LAGS, int(10 * np.log10(max(length, 1.0))) + 1), 10)


@dataclass(frozen=True, eq=False)
class Collector:
    """Makes summaries of replicates while they come in."""

    evidence: Evidence
    shown: NDArray[np.intp]  # places of ordered residuals
    lags: list[int]
    residuals: list[tuple[Array, ...]]
    effects: dict[tuple[str, str], list[Array]]

    @classmethod
    def of(cls, evidence: Evidence) -> Collector:
        effects: dict[tuple[str, str], list[Array]] = {key: [] for key in evidence.effect_spreads}
        return cls(evidence, places(len(evidence.usable)), lags_of(evidence.runs), [], effects)

    def add(self, e: Array) -> None:
        """Standardised residuals (usable rows, c)."""
        overall, series = self.evidence.overall, self.evidence.runs
        acf, ordered = autocorrelation(e, series, self.lags).T, np.sort(e, axis=0)[self.shown].T
        self.residuals.append((durbin_watson(e, overall), durbin_watson(e, series), acf, ordered))

    def add_analysed(self, analysis: Analysis) -> None:
        rows, spreads = self.evidence.usable, self.evidence.effect_spreads
        own = analysis.residuals if len(rows) == len(analysis.residuals) else analysis.residuals.T.take(rows, axis=-1).T
        self.add(own / self._scale[:, None] / analysis.sigma)
        for f, factor in enumerate(factors(self.evidence.fit)):
            for k, term in enumerate(factor.names):
                if (factor.name, term) in spreads:
                    scaled = analysis.effects[f][:, k] / (spreads[factor.name, term][:, None] * analysis.sigma)
                    self.effects[factor.name, term].append(np.sort(scaled, axis=0)[places(len(scaled))].T)

    @cached_property
    def _scale(self) -> Array:
        """(usable rows,)"""
        return np.sqrt(1.0 - self.evidence.fit._leverage[self.evidence.usable])

    @property
    def summaries(self) -> Summaries:
        along, within, acf, residuals = (np.concatenate(parts) for parts in zip(*self.residuals, strict=True))
        return Summaries(along, within, acf, residuals, {key: np.concatenate(parts) for key, parts in self.effects.items()})


def effect_spreads(fit: Fit) -> dict[tuple[str, str], Array]:
    """(m,) standard deviations over sigma of the predicted effects: Var(b_hat) = Omega - C - D D' of `ranef.fit.points`.

    Without those that do not vary: of variance zero, or of which the data say nothing.
    """
    solution = fit.solution
    out = {}
    for f, factor in enumerate(factors(fit)):
        every = np.arange(len(factor.levels))
        root = solution.root(f)
        total = np.einsum("kl,kl->k", root, root)
        left = np.einsum("mkk->mk", solution.conditional(f, f, every, every)) + np.sum(solution.beta_share[f] ** 2, axis=2)
        for k, term in enumerate(factor.names):
            variance = total[k] - left[:, k]
            if np.all(variance > NONE * max(float(total[k]), 1e-300)) and total[k] > 0:
                out[factor.name, term] = np.sqrt(variance)
    return out
