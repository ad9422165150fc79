"""The distribution of the response as a whole, by simulated quantile residuals."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.stats import rankdata

from ranef.covariance.base import Array
from ranef.inference.diagnostics.answer import Assessment, judge
from ranef.inference.diagnostics.evidence import Evidence
from ranef.inference.diagnostics.quantiles import band, places
from ranef.inference.diagnostics.scaled import QuantileResiduals, quarters
from ranef.table import Table

ASSUMPTION = "Distribution"
NEAR, FAR = 0.05, 0.1  # Kolmogorov and Smirnov's distance beyond what is expected
LITTLE, MUCH = np.log(1.2), np.log(1.5)  # ratio of variances
SOME, MANY = 2.0, 4.0  # times as many outliers as expected
REMEDY = "Data from this model would look otherwise: look at the panels of normality, spread and linearity to see in what way."
WINDOW = 40  # places of the running quartiles


def distribution(evidence: Evidence) -> Iterator[Assessment]:
    new = evidence.quantile_residuals["new"]
    yield _uniformity("uniformity", "Uniformity, new effects" if evidence.groups else "Uniformity", new, "qq_uniform")
    if "fitted" in evidence.quantile_residuals:
        yield _uniformity(
            "uniformity_conditional", "Uniformity, fitted effects", evidence.quantile_residuals["fitted"], "quantile_conditional"
        )
    if np.ptp(new.center) > 1e-10 * max(float(np.abs(new.center).max()), 1e-300):
        yield _along(new)
    if evidence.groups:  # else sigma is estimated from the same residuals
        yield _dispersion(new)
    yield _outliers(new)


def _uniformity(code: str, check: str, found: QuantileResiduals, panel: str) -> Assessment:
    test = found.uniformity
    beyond = test.statistic - test.expected
    words = f"the quantile residuals are {test.statistic:.3f} away from uniform, where {test.expected:.3f} is expected"
    words += f"; tested on {len(found.rows)} of {len(found.values)} rows." if len(found.rows) < len(found.values) else "."
    verdict = judge(test.p_value, beyond, small=NEAR, large=FAR)
    return Assessment(code, ASSUMPTION, check, test.statistic, test.p_value, verdict, words, REMEDY, panel)


def _along(found: QuantileResiduals) -> Assessment:
    codes = quarters(found.center)
    test = found.along(codes)
    size = float(np.sqrt(np.mean(np.bincount(codes[found.rows]))))
    own, usual = test.statistic / size, test.expected / size
    words = f"in the worst quarter of the predictions they are {own:.3f} away from uniform, where {usual:.3f} is expected."
    verdict = judge(test.p_value, own - usual, small=NEAR, large=FAR)
    check = "Uniformity by prediction"
    return Assessment("uniformity_along", ASSUMPTION, check, own, test.p_value, verdict, words, REMEDY, "quantile")


def _dispersion(found: QuantileResiduals) -> Assessment:
    test = found.dispersion
    words = f"the variance is {test.statistic:.2f} times that of simulated data."
    verdict = judge(test.p_value, abs(float(np.log(max(test.statistic, 1e-300)))), small=LITTLE, large=MUCH)
    return Assessment("dispersion", ASSUMPTION, "Dispersion", test.statistic, test.p_value, verdict, words, REMEDY, "dispersion")


def _outliers(found: QuantileResiduals) -> Assessment:
    test = found.outliers
    outside = f"{test.statistic:.0f} of {len(found.rows)} rows outside of all {found.n} simulations"
    words = f"{outside}, where {test.expected:.1f} are expected."
    times = (test.statistic + 0.5) / (test.expected + 0.5)
    verdict = judge(test.p_value, times, small=SOME, large=MANY)
    code, check = "simulated_outliers", "Simulation outliers"
    return Assessment(code, ASSUMPTION, check, test.statistic, test.p_value, verdict, words, REMEDY, "quantile")


def distribution_panels(evidence: Evidence) -> Iterator[tuple[str, Table]]:
    new = evidence.quantile_residuals["new"]
    rank = (rankdata(new.center) - 0.5) / len(new.center)
    yield "quantile", evidence.table({"predicted_rank": rank, "scaled_residual": new.values}, "Quantile residuals")
    if np.ptp(rank) > 0:
        yield "quantile_trend", evidence.table(_quartiles(rank, new.values), "Quartiles of the quantile residuals")
    if "fitted" in evidence.quantile_residuals:
        fitted = evidence.quantile_residuals["fitted"]
        rank = (rankdata(fitted.center) - 0.5) / len(fitted.center)
        columns = {"predicted_rank": rank, "scaled_residual": fitted.values}
        yield "quantile_conditional", evidence.table(columns, "Quantile residuals given the random effects")
    shown = places(len(new.rows))
    observed = np.sort(new.values[new.rows])[shown]
    found = band(observed, np.sort(new.ranks, axis=1)[:, shown])
    columns = {"expected": (shown + 0.5) / len(new.rows), "observed": observed, "lower": found.lower, "upper": found.upper}
    yield "qq_uniform", evidence.table(columns, "Quantile residuals against the uniform distribution")
    if evidence.groups:
        ratio = new.dispersion.simulated / new.dispersion.statistic
        yield "dispersion", evidence.table({"simulated": ratio}, "Variance of simulated over that of observed residuals")


def _quartiles(rank: Array, values: Array) -> dict[str, Array]:
    """Of each rank where there are few, else of the tenth of the rows (ten and more) around each of some places."""
    few = np.unique(rank)
    if len(few) <= WINDOW:
        return _columns(few, [values[rank == place] for place in few])
    order = np.argsort(rank, kind="stable")
    n = len(order)
    half = min(n, max(10, n // 10)) // 2
    middle = np.unique(np.linspace(half, max(n - half - 1, half), WINDOW).astype(np.intp))
    return _columns(rank[order[middle]], [values[order[max(i - half, 0) : i + half + 1]] for i in middle])


def _columns(x: Array, parts: list[Array]) -> dict[str, Array]:
    found = np.array([np.quantile(part, [0.25, 0.5, 0.75]) for part in parts])
    return {"x": x, "q25": found[:, 0], "q50": found[:, 1], "q75": found[:, 2]}
