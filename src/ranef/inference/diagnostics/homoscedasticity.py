"""Homoscedasticity: do the residuals spread alike everywhere?"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ranef.covariance.base import Array
from ranef.design import Codes
from ranef.inference.diagnostics.answer import Assessment, judge, untested
from ranef.inference.diagnostics.evidence import Evidence
from ranef.inference.diagnostics.spread import SpreadTest, breusch_pagan, levene
from ranef.table import Table

ASSUMPTION = "Homoscedasticity"
SMALL, LARGE = 1.4, 2.0  # ratio of standard deviations: twice, and four times the variance
FEW = 4  # rows of a group below which its spread says little
REMEDY = "Look where the spread changes; transform the response, weight the rows, or give the residuals unequal variances."


def homoscedasticity(evidence: Evidence) -> Iterator[Assessment]:
    X = evidence.fit.model.design.X[:, list(evidence.fit.criterion.gram.standard.kept)]
    residuals, rows = _residuals(evidence)
    yield _breusch_pagan("homoscedasticity", "Breusch-Pagan, predictors", residuals, X[rows])
    yield _breusch_pagan("homoscedasticity_fitted", "Breusch-Pagan, fitted values", residuals, evidence.fitted[rows, None])
    for name, factor in evidence.factors.items():
        yield _levene(evidence, name, factor.codes)


def _residuals(evidence: Evidence) -> tuple[Array, Codes]:
    """In ordinary regression the residuals themselves, as lmtest; else scaled ones, for the leverage of the rows differs much."""
    if not evidence.groups:
        return evidence.plain, np.arange(evidence.fit.nobs)
    return evidence.scaled[evidence.usable], evidence.usable


def _breusch_pagan(code: str, check: str, residuals: Array, Z: Array) -> Assessment:
    if np.all(np.ptp(Z, axis=0) <= 1e-10 * np.abs(Z).max(axis=0)):
        return untested(code, ASSUMPTION, check, "There is nothing that the spread could depend on.")
    return _assessment(code, check, breusch_pagan(residuals, Z), "along them", "scale")


def _levene(evidence: Evidence, name: str, codes: Codes) -> Assessment:
    code, check = f"homoscedasticity_{name}", f"Levene, {name}"
    rows = evidence.usable
    sizes = np.bincount(codes[rows])
    rows = rows[sizes[codes[rows]] >= FEW]
    levels, own = np.unique(codes[rows], return_inverse=True)
    if len(levels) < 2:
        return untested(code, ASSUMPTION, check, f"Fewer than two levels of {name} have {FEW} rows.")
    return _assessment(code, check, levene(evidence.scaled[rows], own), f"between levels of {name}", f"spread:{name}")


def _assessment(code: str, check: str, test: SpreadTest, where: str, panel: str) -> Assessment:
    words = f"the standard deviation of the residuals varies by a factor of {test.ratio:.2f} {where}."
    verdict = judge(test.p_value, test.ratio, small=SMALL, large=LARGE)
    return Assessment(code, ASSUMPTION, check, test.statistic, test.p_value, verdict, words, REMEDY, panel)


def scale_panels(evidence: Evidence) -> Iterator[tuple[str, Table]]:
    rows = evidence.usable
    root = np.sqrt(np.abs(evidence.scaled[rows]))
    fitted = evidence.fitted[rows]
    yield "scale", evidence.table({"fitted": fitted, "sqrt_abs_residual": root}, "Spread of the residuals")
    yield "scale_trend", evidence.trend(fitted, root, "Trend of the spread")
    for name, factor in evidence.factors.items():
        own = factor.codes[rows]
        m = len(factor.levels)
        sizes = np.bincount(own, minlength=m)
        mean_square = np.bincount(own, evidence.scaled[rows] ** 2, m) / np.maximum(sizes, 1)
        columns = {"level": factor.levels, "rows": sizes, "sd": np.where(sizes > 0, np.sqrt(mean_square), np.nan)}
        yield f"spread:{name}", evidence.table(columns, f"Standard deviation of the scaled residuals by {name}")
