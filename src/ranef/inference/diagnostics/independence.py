"""Independence: do residuals that stand side by side resemble each other?"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.special import fdtrc, ndtr, ndtri

from ranef.covariance.base import Array
from ranef.design import Codes
from ranef.inference.clusters import clusters_of
from ranef.inference.diagnostics.answer import Assessment, judge, untested
from ranef.inference.diagnostics.evidence import Evidence
from ranef.inference.diagnostics.serial import autocorrelation, durbin_watson, durbin_watson_p
from ranef.inference.diagnostics.summaries import lags_of
from ranef.inference.rows import whitened_rows
from ranef.table import Table

ASSUMPTION, PANEL = "Independence", "acf"
SMALL, LARGE = 0.1, 0.3  # correlation of neighbours
REMEDY = (
    "Are the rows in order of time (`order=`)? A missing effect of time, a random slope of time or a correlated residual structure "
    "may describe it."
)
CLUSTERED = "Rows of one level resemble each other: give the factor a random intercept, or standard errors that allow for it."


def independence(evidence: Evidence) -> Iterator[Assessment]:
    yield _overall(evidence)
    if evidence.series is not None:
        name = evidence.series[0]
        d = float(durbin_watson(evidence.scaled[evidence.usable], evidence.runs))
        yield _compared(f"independence_{name}", f"Durbin-Watson, within {name}", d, evidence.summaries.within)
    yield _acf(evidence)
    if evidence.by is not None:
        name, _, codes = clusters_of(evidence.fit, evidence.by)
        if name not in evidence.groups:
            yield _clustered(evidence, name, codes)


def _overall(evidence: Evidence) -> Assessment:
    code, check = "independence", "Durbin-Watson"
    if evidence.groups or evidence.structured:
        d = float(durbin_watson(evidence.scaled[evidence.usable], evidence.overall))
        return _compared(code, check, d, evidence.summaries.along)
    rows = evidence.sequence
    e, (white, _) = evidence.plain[rows], whitened_rows(evidence.fit)
    weights = evidence.fit.model.design.weights
    basis = (white if weights is None else white * np.sqrt(weights)[:, None])[rows]
    d = float(np.sum(np.diff(e) ** 2) / np.sum(e**2))
    below = durbin_watson_p(d, basis)
    expected = (2.0 * (len(e) - 1) - float(np.sum(np.diff(basis, axis=0) ** 2))) / (len(e) - basis.shape[1])
    return _assessment(code, check, d, expected, 2.0 * min(below, 1.0 - below))


def _compared(code: str, check: str, d: float, replicates: Array) -> Assessment:
    """By mean and standard deviation of d in replicates: a ratio of quadratic forms in many normal variables is about normal."""
    expected, spread = float(replicates.mean()), float(replicates.std(ddof=1))
    if not (np.isfinite(d) and spread > 0):
        return untested(code, ASSUMPTION, check, "There are no neighbours to compare.")
    return _assessment(code, check, d, expected, float(2.0 * ndtr(-abs(d - expected) / spread)))


def _assessment(code: str, check: str, d: float, expected: float, p: float) -> Assessment:
    correlation = 1.0 - d / expected
    words = f"{d:.2f} where {expected:.2f} is expected: neighbours correlate by {correlation:.2f}."
    return Assessment(code, ASSUMPTION, check, d, p, judge(p, abs(correlation), small=SMALL, large=LARGE), words, REMEDY, PANEL)


def _acf(evidence: Evidence) -> Assessment:
    """The lag that deviates most, with a p value for the largest of several, Sidak (1967)."""
    code, lags = "autocorrelation", lags_of(evidence.runs)
    if not lags:
        return untested(code, ASSUMPTION, "Autocorrelation", "The series are too short.")
    check = f"Autocorrelation, lags 1-{len(lags)}" if len(lags) > 1 else "autocorrelation, lag 1"
    observed, mean, spread = _correlogram(evidence)
    z = (observed - mean) / spread
    worst = int(np.argmax(np.abs(z)))
    p = float(-np.expm1(len(lags) * np.log1p(-2.0 * ndtr(-abs(z[worst])))))
    off = float(observed[worst] - mean[worst])
    words = f"at lag {lags[worst]} the correlation is {off:+.2f} off what the model expects."
    return Assessment(
        code, ASSUMPTION, check, float(z[worst]), p, judge(p, abs(off), small=SMALL, large=LARGE), words, REMEDY, PANEL
    )


def _correlogram(evidence: Evidence) -> tuple[Array, Array, Array]:
    """(lags,) autocorrelations, and mean and standard deviation of those of replicates."""
    replicates = evidence.summaries.acf
    observed = autocorrelation(evidence.scaled[evidence.usable], evidence.runs, lags_of(evidence.runs))
    return observed, replicates.mean(axis=0), replicates.std(axis=0, ddof=1)


def _clustered(evidence: Evidence, name: str, codes: Codes) -> Assessment:
    """One-way analysis of variance of the residuals, for a factor that the model does not have; its effect the ICC."""
    rows = evidence.usable
    levels, own = np.unique(codes[rows], return_inverse=True)
    e, sizes, check = evidence.scaled[rows], np.bincount(own), f"Clusters of {name}"
    n, m = len(e), len(levels)
    if m < 2 or n <= m:
        return untested(f"clusters_{name}", ASSUMPTION, check, "Each level needs more than one row.")
    means = np.bincount(own, e) / sizes
    between = float(np.sum(sizes * (means - e.mean()) ** 2)) / (m - 1)
    inside = float(np.sum((e - means[own]) ** 2)) / (n - m)
    size = (n - float(np.sum(sizes.astype(float) ** 2)) / n) / (m - 1)
    icc = (between - inside) / (between + (size - 1) * inside)
    p = float(fdtrc(m - 1, n - m, between / inside))
    words = f"the intraclass correlation of the residuals is {icc:.2f}."
    verdict = judge(p, icc, small=0.02, large=0.1)
    return Assessment(f"clusters_{name}", ASSUMPTION, check, between / inside, p, verdict, words, CLUSTERED)


def independence_panels(evidence: Evidence) -> Iterator[tuple[str, Table]]:
    lags = lags_of(evidence.runs)
    if not lags:
        return
    observed, mean, spread = _correlogram(evidence)
    width = -ndtri(0.5 * -np.expm1(np.log(0.95) / len(lags)))
    columns = {
        "lag": np.array(lags),
        "acf": observed,
        "lower": mean - width * spread,
        "upper": mean + width * spread,
        "pairs": np.array([evidence.runs.pairs(lag) for lag in lags]),
    }
    where = "in the order of the data" if evidence.series is None else f"within {evidence.series[0]}"
    yield "acf", evidence.table(columns, f"Autocorrelation of the residuals {where}")
