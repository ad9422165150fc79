"""Meta-analyses against metafor's rma and rma.mv: known sampling variances, one and several levels, structures, all estimators.

metafor adds log|X'X| / 2 to the restricted log likelihood, lme4 and ranef do not; it is taken off here. Its BIC under REML counts
n - p rows, ours n as lme4's, so that BIC is compared under ML alone.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.special import chdtrc

import ranef
from tests.reference import compare
from tests.reference.load import Case, reference_case, reference_data

DISTRICTS, FINE, BCG = "dat_konstantopoulos2011", "dat_fine1993", "dat_bcg"


def lmm(formula: str, data: str, **options: Any) -> Callable[[], ranef.Fit]:
    def fit() -> ranef.Fit:
        frame = reference_data(data)
        frame["row"] = np.arange(len(frame))
        if data == FINE:
            frame["time"] = pd.Categorical(frame["time"])
        return ranef.lmm(formula, frame, **{"sampling_variance": "vi", "ddf": "asymptotic", **options})

    return fit


def berkey(formula: str, **options: Any) -> Callable[[], ranef.Fit]:
    """Two outcomes a trial, whose sampling errors have the covariance matrix in the columns v1i and v2i."""

    def fit() -> ranef.Fit:
        frame = reference_data("dat_berkey1998")
        blocks = [part[["v1i", "v2i"]].to_numpy() for _, part in frame.groupby("trial", sort=False)]
        return ranef.lmm(formula, frame, sampling_variance=blocks, ddf="asymptotic", **options)

    return fit


def meta(data: str, mods: str | None = None, **options: Any) -> Callable[[], ranef.Fit]:
    return lambda: ranef.meta("yi", "vi", mods, reference_data(data).assign(longest=lambda d: _longest(d)), **options)


def _longest(data: pd.DataFrame) -> Any:
    return np.minimum(data["weeks"], 3) if "weeks" in data else 0


FITS: dict[str, Callable[[], ranef.Fit]] = {
    **{f"meta-bcg-{name}": meta(BCG, method=name) for name in ("reml", "ml", "dl", "he", "hs", "sj", "pm", "eb", "fe")},
    "meta-bcg-reml-knha": meta(BCG, test="knha"),
    "meta-bcg-mods": meta(BCG, "~ ablat + year"),
    "meta-bcg-mods-factor-knha": meta(BCG, "~ factor(alloc) + ablat", method="ml", test="knha"),
    "meta-hackshaw-design": meta("dat_hackshaw1998", "~ design"),
    "meta-raudenbush-reml": meta("dat_raudenbush1985"),
    "meta-raudenbush-weeks": meta("dat_raudenbush1985", "~ longest", method="ml"),
    "meta-konstantopoulos-2level": lmm("yi ~ 1 + (1 | study)", DISTRICTS, reml=False),
    "meta-konstantopoulos-3level": lmm("yi ~ 1 + (1 | district/school)", DISTRICTS),
    "meta-konstantopoulos-mods-t": lmm("yi ~ I(year - 1990) + (1 | district/school)", DISTRICTS, ddf="containment"),
    "meta-konstantopoulos-cs": lmm("yi ~ 1 + cs(0 + factor(school) | district)", DISTRICTS),
    "meta-fine-ar-ml": lmm("yi ~ 0 + time + ar1(0 + time | study)", FINE, reml=False),
    "meta-berkey-un": berkey("yi ~ 0 + outcome + un(0 + outcome | trial)", reml=False),
    "meta-berkey-hcs-reml": berkey("yi ~ 0 + outcome + outcome:I(year - 1983) + csh(0 + outcome | trial)"),
    "meta-fine-har": lmm("yi ~ 0 + time + ar1h(0 + time | study)", FINE),
}
ONE = [name for name in FITS if "tau2" in reference_case(name)["results"]]
SEVERAL = [name for name in FITS if name not in ONE]
SINGULAR = {"meta-fine-ar-ml", "meta-fine-har"}  # metafor stops at a correlation of 1 - 1e-8


@cache
def fitted(case_id: str) -> ranef.Fit:
    return FITS[case_id]()


def results(case_id: str) -> Case:
    return reference_case(case_id)["results"]


def restricted(m: ranef.Fit) -> float:
    """log|X'X| / 2 under REML."""
    X = m.model.design.X
    return 0.5 * float(np.linalg.slogdet(X.T @ X)[1]) if m.reml else 0.0


@pytest.mark.parametrize("case_id", FITS)
def test_likelihood(case_id: str) -> None:
    m, r = fitted(case_id), results(case_id)
    assert (m.nobs, m.npar) == (r["k"], r["npar"])
    stopped_early = case_id == "meta-bcg-pm"  # metafor's tau2 solves Q = n - p to four digits
    compare.likelihood(m.llf + restricted(m), r["loglik"], "loglik", sign=1)
    if not stopped_early:
        stats = dict(zip(r["fit_stats"]["stat"], r["fit_stats"]["reml" if m.reml else "ml"], strict=True))
        compare.relative(m.aic - 2 * restricted(m), stats["AIC"], 1e-6, "AIC", floor=1e-6)
        if not m.reml:
            compare.relative(m.bic, stats["BIC"], 1e-6, "BIC", floor=1e-6)


@pytest.mark.parametrize("case_id", FITS)
def test_coefficients(case_id: str) -> None:
    m, r = fitted(case_id), results(case_id)
    b = r["beta"]
    compare.coefficients(m.params, b["estimate"], b["se"], "estimate")
    compare.relative(m.bse, b["se"], compare.rule("se|vcov")["rel"], "se")
    compare.covariance_matrix(m.cov_params(), r["vcov"], "vcov")
    compare.statistics(m.tvalues, b["stat"], "z")
    compare.p_values(m.pvalues, b["p"], "p")
    limits = m.conf_int()
    for ours, theirs in (("conf_low", "lower"), ("conf_high", "upper")):
        compare.within(limits[ours], b[theirs], compare.rule("lower|upper")["se_mult"] * compare.numbers(b["se"]), theirs)
    if "df" in b:
        compare.within(m.df, b["df"], 1e-9, "df")


@pytest.mark.parametrize("case_id", FITS)
def test_tests_of_heterogeneity_and_moderators(case_id: str) -> None:
    m, r = fitted(case_id), results(case_id)
    tests = ranef.heterogeneity(m).tests
    compare.statistics(tests["statistic"][0], r["QE"], "Q")
    assert tests["num_df"][0] == r["QE_df"]
    compare.p_values(tests["p_value"][0], r["QEp"], "p of Q")
    if "QM" in r:
        compare.statistics(tests["statistic"][1], r["QM"], "QM")
        compare.p_values(tests["p_value"][1], r["QMp"], "p of QM")
        assert tests["num_df"][1] == r["QM_df"][0]
        assert r["QM_df"][1] is None or tests["den_df"][1] == pytest.approx(r["QM_df"][1])
    else:
        assert len(tests) == 1


@pytest.mark.parametrize("case_id", ONE)
def test_heterogeneity_of_one_variance(case_id: str) -> None:
    m, r = fitted(case_id), results(case_id)
    h, rel = ranef.heterogeneity(m), compare.rule("sigma|varcorr.sdcor (sd)|random.sd|tau2")["rel"]
    compare.relative(h.tau2, r["tau2"], rel, "tau2", floor=1e-9)
    compare.relative([h.i2, h.h2], [r["I2"], r["H2"]], rel, "I2, H2", floor=1e-6)
    if r["se_tau2"] is not None:
        compare.relative(h.variances["std_error"][0], r["se_tau2"], compare.rule("se|vcov")["rel"], "se of tau2")
    if r.get("R2") is not None:
        compare.within(h.r2, r["R2"], 1e-4 * 100, "R2 (%)")


@pytest.mark.parametrize("case_id", [name for name in ONE if "tau2_ci" in results(name)])
def test_q_profile(case_id: str) -> None:
    """metafor solves for the limits to about four digits of 1; ours are exact: Q at them is the quantile of chi-squared."""
    m, r = fitted(case_id), results(case_id)
    h, table = ranef.heterogeneity(m), r["tau2_ci"]["table"]
    y, v = m.model.design.y, reference_data(reference_case(case_id)["data"])["vi"].to_numpy()
    for ours, theirs, tail in (("conf_low", "ci_lb", 0.025), ("conf_high", "ci_ub", 0.975)):
        tau2 = h.variances[ours][0]
        w = 1.0 / (v + tau2)
        q = float(np.sum(w * (y - np.average(y, weights=w)) ** 2))
        assert tau2 == 0.0 or chdtrc(m.nobs - 1, q) == pytest.approx(tail, rel=1e-8)
        found = [tau2, np.sqrt(tau2), h.shares[ours][0], h.shares[ours][1]]
        compare.relative(found, table[theirs], 2e-3, theirs, floor=1e-4)


def marginal(case: str) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
    """y, v and Z Z' of district and of school, for a direct evaluation."""
    data = reference_data(reference_case(case)["data"])
    same = [data[name].to_numpy()[:, None] == data[name].to_numpy() for name in ("district", "study")]
    return data["yi"].to_numpy(), data["vi"].to_numpy(), [block.astype(float) for block in same]


def test_profile_limits_by_direct_evaluation() -> None:
    """-2 log restricted likelihood, minimised over the other variance, rises by 3.8415 (metafor's limits have three digits)."""
    from scipy.optimize import minimize_scalar

    y, v, blocks = marginal("meta-konstantopoulos-3level")
    m = fitted("meta-konstantopoulos-3level")
    table = ranef.heterogeneity(m).variances

    def criterion(*variances: float) -> float:
        V = np.diag(v) + sum(t * block for t, block in zip(variances, blocks, strict=True))
        inverse = np.linalg.inv(V)
        information = float(inverse.sum())
        rest = y - float(inverse.sum(axis=0) @ y) / information
        return float(np.linalg.slogdet(V)[1] + np.log(information) + rest @ inverse @ rest + (len(y) - 1) * np.log(2 * np.pi))

    assert criterion(*table["variance"]) == pytest.approx(m.deviance, abs=1e-9)
    for place in (0, 1):
        for limit in (table["conf_low"][place], table["conf_high"][place]):
            held = lambda t: criterion(*((limit, t) if place == 0 else (t, limit)))  # noqa: B023, E731
            best = minimize_scalar(held, bounds=(0.0, 1.0), method="bounded", options={"xatol": 1e-12})
            assert best.fun - m.deviance == pytest.approx(3.841458820694124, abs=1e-5)
    theirs = results("meta-konstantopoulos-3level")["profile_ci"][""]
    compare.relative([table["conf_low"][1], table["conf_high"][1]], [theirs["ci_lb"][0], theirs["ci_ub"][0]], 1e-3, "limits")


@pytest.mark.parametrize("case_id", [name for name in SEVERAL if "sigma2" in results(name)])
def test_variances_of_levels(case_id: str) -> None:
    m, r = fitted(case_id), results(case_id)
    theirs = r["sigma2"]
    compare.standard_deviations(np.sqrt(m.varcorr["vcov"]), np.sqrt(theirs["values"]), 1.0, "tau")
    assert list(m.ngroups.values()) == theirs["nlevels"]


@pytest.mark.parametrize("case_id", [name for name in SEVERAL if "G" in results(name)])
def test_structures(case_id: str) -> None:
    m, G = fitted(case_id), np.array(results(case_id)["G"]["matrix"], dtype=float)
    root = m.sigma * m.solution.root(0)
    scale = np.sqrt(np.outer(np.diag(G), np.diag(G)))
    allowed = 1e-4 * scale + 1e-10
    if case_id in SINGULAR:
        assert m.status == "optimum on the boundary"
    compare.within(root @ root.T, G, allowed, "G")


@pytest.mark.parametrize("case_id", [name for name in FITS if "blup" in results(name)])
def test_predictions_of_true_effects(case_id: str) -> None:
    m, r = fitted(case_id), results(case_id)
    found, sd = m.predict(interval="confidence"), compare.numbers(r["blup"]["se"])
    compare.within(found["fit"], r["blup"]["pred"], 1e-4 * sd + 1e-9, "best linear unbiased predictions")
    compare.relative(found["std_error"], r["blup"]["se"], 1e-3, "their standard errors")


def random_errors(m: ranef.Fit) -> np.ndarray:
    """(m, k) standard errors of b_hat - b, the uncertainty of beta included (`m.ranef` gives those at known beta)."""
    equations, solution = ranef.henderson(m), m.solution
    joint = equations.covariance()[equations.fixed :, equations.fixed :].diagonal()
    within = np.concatenate([
        (m.sigma**2 * np.einsum("mkk->mk", solution.conditional(f, f, np.arange(b.levels), np.arange(b.levels)))).ravel()
        for f, b in enumerate(m.criterion.layout.blocks)
    ])  # fmt: skip
    factor = m.denominator().vcov[0, 0] / solution.vcov[0, 0]
    return np.sqrt(np.maximum(within + factor * (joint - within), 0.0))


@pytest.mark.parametrize("case_id", [name for name in ONE if "ranef" in results(name)])
def test_random_effects_of_studies(case_id: str) -> None:
    m, r = fitted(case_id), results(case_id)
    sd = compare.numbers(r["ranef"]["se"])
    compare.within(m.ranef()["estimate"], r["ranef"]["pred"], 1e-4 * sd + 1e-9, "random effects")
    compare.within(random_errors(m), r["ranef"]["se"], 1e-3 * sd + 1e-6, "their standard errors")


@pytest.mark.parametrize("case_id", [name for name in SEVERAL if "sigma2" in results(name)])
def test_random_effects_of_levels(case_id: str) -> None:
    m, r = fitted(case_id), results(case_id)
    found, errors = m.ranef(), random_errors(m)
    for group, theirs in zip(m.ngroups, r["ranef"].values(), strict=True):
        here = np.array([name == group for name in found["group"]])
        estimate, sd = np.asarray(found["estimate"])[here], errors[here]
        names = np.asarray(found["level"], dtype=object)[here]
        if group == "study":
            order = np.argsort([int(name) for name in names])
            estimate, sd = estimate[order], sd[order]
        head = compare.numbers(theirs["se_head"])
        compare.within(estimate[: len(head)], theirs["intrcpt_head"], 1e-4 * head + 1e-9, group)
        compare.within(sd[: len(head)], theirs["se_head"], 1e-3 * head, f"{group}: standard errors")
        compare.checksum(estimate, theirs["checksum"], group, rel=1e-4, floor=1e-5)


@pytest.mark.parametrize("case_id", [name for name in FITS if "prediction" in results(name)])
def test_prediction_interval_of_the_mean(case_id: str) -> None:
    m, r = fitted(case_id), results(case_id)["prediction"]
    new = reference_data(reference_case(case_id)["data"]).head(1)
    mean, study = (m.predict(new, re="population", interval=kind) for kind in ("confidence", "prediction"))
    compare.relative(mean["fit"], [r["pred"]], 1e-5, "pred")
    compare.relative(mean["std_error"], [r["se"]], 1e-4, "se")
    se = r["se"]
    pairs = [(mean, "ci")] + ([(study, "pi")] if r["pi_lower"] is not None else [])
    for table, prefix in pairs:
        compare.within(table["conf_low"], [r[f"{prefix}_lower"]], 1e-3 * se, f"{prefix} lower")
        compare.within(table["conf_high"], [r[f"{prefix}_upper"]], 1e-3 * se, f"{prefix} upper")


@pytest.mark.parametrize(("case_id", "columns"), [("meta-bcg-mods", ["ablat", "year"]), ("meta-raudenbush-weeks", ["longest"])])
def test_predictions_at_moderators(case_id: str, columns: list[str]) -> None:
    m, (request,) = fitted(case_id), results(case_id)["predictions"]
    new = pd.DataFrame(np.array(request["newmods"], dtype=float).reshape(-1, len(columns)), columns=columns)
    for kind, prefix in (("confidence", "ci"), ("prediction", "pi")):
        table = m.predict(new, re="population", interval=kind)
        compare.relative(table["fit"], request["pred"], 1e-5, "pred")
        for ours, side in (("conf_low", "lower"), ("conf_high", "upper")):
            compare.within(table[ours], request[f"{prefix}_{side}"], 1e-3 * compare.numbers(request["se"]), f"{prefix} {side}")


@pytest.mark.parametrize("case_id", FITS)
def test_rows(case_id: str) -> None:
    m, r = fitted(case_id), results(case_id)
    residuals = m.residuals("raw", level="marginal")
    compare.checksum(m.model.design.y - residuals, r["fitted"], "fitted")
    compare.checksum(residuals, r["residuals"], "residuals")
    rel = 1e-4 if case_id == "meta-bcg-pm" else 1e-5
    compare.checksum(ranef.heterogeneity(m).weights["weight"], r["weights"], "weights", rel=rel, floor=1e-4)


@pytest.mark.parametrize("case_id", ["meta-berkey-un", "meta-berkey-hcs-reml"])
def test_random_effects_of_outcomes(case_id: str) -> None:
    m, theirs = fitted(case_id), results(case_id)["ranef"]["~outcome | trial"]
    found = np.asarray(m.ranef()["estimate"]).reshape(2, -1).T.ravel()
    compare.within(found, theirs["intrcpt_head"], 1e-4 * compare.numbers(theirs["se_head"]) + 1e-9, "random effects")


def test_cluster_robust() -> None:
    """metafor's standard error is CR1; its df are clusters - p, ours Satterthwaite's."""
    m, r = fitted("meta-konstantopoulos-3level"), results("meta-konstantopoulos-3level")["robust"]
    compare.relative(ranef.robust(m, "CR1", "district").bse, r["se"], 1e-4, "robust se")


def test_location_and_scale() -> None:
    """log(tau2) = a + b ablat: sampling variances beside residuals whose standard deviation is sd exp(b ablat / 2)."""
    m = lmm("yi ~ ablat", BCG, residual="exponential(ablat)")()
    r = results("meta-bcg-location-scale")
    assert (m.nobs, m.npar) == (r["k"], r["npar"])
    assert m.llf + restricted(m) == pytest.approx(r["loglik"], abs=1e-6)
    compare.coefficients(m.params, r["beta"]["estimate"], r["beta"]["se"], "beta")
    compare.relative(m.bse, r["beta"]["se"], 1e-4, "std. error")
    table = m.residual_parameters()
    (sd, slope), (sd_error, slope_error) = table["estimate"], table["std_error"]
    ours, errors = np.array([2.0 * np.log(sd), 2.0 * slope]), np.array([2.0 * sd_error / sd, 2.0 * slope_error])
    compare.within(ours, r["scale"]["estimate"], 1e-4 * compare.numbers(r["scale"]["se"]), "scale")
    compare.relative(errors, r["scale"]["se"], 1e-4, "std. error of the scale")
    tau2 = np.exp(ours[0] + ours[1] * reference_data(BCG)["ablat"])
    compare.relative(tau2, r["tau2"], 1e-4, "tau2")


def test_sampling_variances_beside_a_structure() -> None:
    """Residuals of unequal variance contain those of one variance, which are a random effect of the row."""
    by_row = lmm("yi ~ ablat + (1 | row)", BCG)()
    unequal = lmm("yi ~ ablat", BCG, residual="ident(alloc)")()
    assert unequal.npar == by_row.npar + 2
    assert unequal.llf >= by_row.llf
    with pytest.raises(ranef.ModelError, match="covariance matrix of the sampling errors"):
        lmm("yi ~ ablat", BCG, sampling_variance=np.eye(13), residual="ident(alloc)")()
