"""What is kept of the replicates: the statistics that the checks compare with those of the data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ranef.covariance.base import Array
from ranef.fit.effects import factors
from ranef.inference.diagnostics.quantiles import places
from ranef.inference.diagnostics.replicates import STREAM, Analysis, Replicator, how_many
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


def summaries(evidence: Evidence) -> Summaries:
    fit, rows, overall, series = evidence.fit, evidence.usable, evidence.overall, evidence.runs
    shown, lags = places(len(rows)), lags_of(series)
    spreads = evidence.effect_spreads
    collected: list[tuple[Array, ...]] = []
    effects: dict[tuple[str, str], list[Array]] = {key: [] for key in spreads}
    for e, analysis in _standardised(evidence):
        ordered = np.sort(e, axis=0)[shown]
        collected.append((durbin_watson(e, overall), durbin_watson(e, series), autocorrelation(e, series, lags).T, ordered.T))
        for f, factor in enumerate(factors(fit)):
            for k, term in enumerate(factor.names):
                if analysis is not None and (factor.name, term) in spreads:
                    scaled = analysis.effects[f][:, k] / (spreads[factor.name, term][:, None] * analysis.sigma)
                    effects[factor.name, term].append(np.sort(scaled, axis=0)[places(len(scaled))].T)
    along, within, acf, residuals = (np.concatenate(parts) for parts in zip(*collected, strict=True))
    return Summaries(along, within, acf, residuals, {key: np.concatenate(parts) for key, parts in effects.items()})


def _standardised(evidence: Evidence) -> Iterator[tuple[Array, Analysis | None]]:
    """(usable rows, c) standardised residuals of replicates. With a residual structure they are independent by construction."""
    fit, rows, n = evidence.fit, evidence.usable, how_many(evidence.fit.nobs, evidence.simulations)
    if evidence.structured:
        yield np.random.default_rng([evidence.seed, STREAM]).standard_normal((n, len(rows))).T, None
        return
    scale = np.sqrt(1.0 - fit._leverage[rows])[:, None]
    for analysis in Replicator(fit).replicates(n, evidence.seed):
        yield analysis.residuals[rows] / (scale * analysis.sigma), analysis


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
