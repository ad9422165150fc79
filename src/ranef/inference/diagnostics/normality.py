"""Normality of the residuals and of each random effect."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ranef.covariance.base import Array
from ranef.fit.effects import Factor, factors
from ranef.inference.diagnostics.answer import Assessment, judge, untested
from ranef.inference.diagnostics.evidence import Evidence
from ranef.inference.diagnostics.quantiles import band, normal_quantiles, places
from ranef.table import Table

ASSUMPTION = "Normality"
MOST = 5000  # values for which Royston's (1995) p value is valid
FEWEST = 3
SMALL, LARGE = 0.5, 1.0  # of the larger of |skewness| and half of |excess kurtosis|
HEAVY = 0.5  # mean share of shrinkage beyond which predicted effects look normal whatever the effects are
RESIDUALS = (
    "Look for outliers, a bounded or skewed response and missing predictors; transform the response or take bootstrap intervals. "
    "With many rows tests of fixed effects hold all the same."
)
EFFECTS = (
    "Look for a few unusual levels, or two kinds of them that a predictor would tell apart. "
    "Fixed effects hardly suffer; variances and predicted effects may."
)


@dataclass(frozen=True)
class Shape:
    statistic: float  # Shapiro and Wilk's W
    p_value: float
    skewness: float
    kurtosis: float  # in excess of the normal distribution's
    tested: int  # values

    @property
    def departure(self) -> float:
        return max(abs(self.skewness), abs(self.kurtosis) / 2.0)


def shape(values: Array) -> Shape:
    """Shapiro and Wilk (1965), Biometrika 52, 591-611, of at most 5000 values, evenly spaced as given; moments of all."""
    from scipy.stats import shapiro

    n = len(values)
    some = values if n <= MOST else values[np.linspace(0, n - 1, MOST).astype(np.intp)]
    W, p = shapiro(some)
    z = (values - values.mean()) / values.std()
    return Shape(float(W), float(p), float(np.mean(z**3)), float(np.mean(z**4) - 3.0), len(some))


def normality(evidence: Evidence) -> Iterator[Assessment]:
    yield _assess("normality", "Shapiro-Wilk, residuals", evidence.scaled[evidence.usable], RESIDUALS, "qq_residuals")
    for factor in factors(evidence.fit):
        for k, term in enumerate(factor.names):
            yield _effect(evidence, factor, k, term)


def _assess(code: str, check: str, values: Array, remedy: str, panel: str, note: str = "") -> Assessment:
    if len(values) < FEWEST or not np.ptp(values) > 0:
        return untested(code, ASSUMPTION, check, f"{len(values)} values do not show a distribution.")
    found = shape(values)
    words = f"skewness {found.skewness:.2f}, excess kurtosis {found.kurtosis:.2f}"
    words += f"; tested on {found.tested} of {len(values)} values" if found.tested < len(values) else ""
    verdict = judge(found.p_value, found.departure, small=SMALL, large=LARGE)
    return Assessment(code, ASSUMPTION, check, found.statistic, found.p_value, verdict, f"{words}{note}.", remedy, panel)


def _effect(evidence: Evidence, factor: Factor, k: int, term: str) -> Assessment:
    code, check = f"normality_{factor.name}_{term}", f"Shapiro-Wilk, {factor.name} {term.strip('()')}"
    values = scaled_effects(evidence, factor, k, term)
    if values is None:
        why = "The effect does not vary in this fit, or the data say nothing of it."
        structured = "Not available for models with a residual structure."
        return untested(code, ASSUMPTION, check, structured if evidence.structured else why)
    root = evidence.fit.solution.root(factor.block)[k]
    kept = float(np.mean(evidence.effect_spreads[factor.name, term] ** 2) / (root @ root))
    note = "; strong shrinkage makes any effects look normal" if kept < HEAVY else ""
    return _assess(code, check, values, EFFECTS, f"qq_ranef:{factor.name}:{term}", note)


def scaled_effects(evidence: Evidence, factor: Factor, k: int, term: str) -> Array | None:
    """(m,) predicted effects over their standard deviations under the model, Lange and Ryan (1989), Ann. Stat. 17, 624-642."""
    spread = evidence.effect_spreads.get((factor.name, term))
    if spread is None:
        return None
    return evidence.fit.solution.effects[factor.block][:, k] / (spread * evidence.fit.sigma)


def normality_panels(evidence: Evidence) -> Iterator[tuple[str, Table]]:
    rows = evidence.usable
    columns = _quantiles(evidence.scaled[rows], evidence.summaries.residuals)
    yield "qq_residuals", evidence.table(columns, "Quantiles of the standardised residuals")
    for factor in factors(evidence.fit):
        for k, term in enumerate(factor.names):
            values = scaled_effects(evidence, factor, k, term)
            if values is not None:
                columns = _quantiles(values, evidence.summaries.effects[factor.name, term])
                columns["level"] = factor.levels[np.argsort(values, kind="stable")[places(len(values))]]
                title = f"Quantiles of the standardised effects of {term} in {factor.name}"
                yield f"qq_ranef:{factor.name}:{term}", evidence.table(columns, title)


def _quantiles(values: Array, simulated: Array) -> dict[str, Any]:
    sample = np.sort(values)[places(len(values))]
    found = band(sample, simulated)
    return {"theoretical": normal_quantiles(len(values)), "sample": sample, "lower": found.lower, "upper": found.upper}
