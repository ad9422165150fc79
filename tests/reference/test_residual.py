"""Residual structures, alone and with random effects, against nlme, mmrm-like direct likelihoods, and glmmTMB without a residual."""

import numpy as np
import pytest

from .compare import (
    checksum,
    coefficients,
    covariance_matrix,
    equal_or_better,
    numbers,
    p_values,
    relative,
    rule,
    statistics,
    within,
)
from .load import reference_case, reference_cases, reference_data
from .structured import TMB, fitted_structure, residual

NLME = [*reference_cases("gls"), *reference_cases("lme")]
MMRM = reference_cases("mmrm")
# nlme takes groups of unequal size in the order of their levels and the rows in that of the data
MISALIGNED = ("gls-ovary-ar1", "gls-soybean-comb", "gls-chick-carpower", "gls-scoretime-csh-ml")
BETTER = ("gls-simar-lin",)  # several local optima, of which nlme has not the best; see test_the_better_optimum
SINGULAR = ("lme-dialyzer-ar1", "lme-glucose2-ar1", "lme-igf-diag", "lme-simschool3-twolevel-slope", "lme-simtrial-ar1")


def corrected(case, fit, values):
    """The standard errors of gls under ML carry the factor sqrt(N / (N - p))."""
    factor = fit.nobs / (fit.nobs - len(fit.params)) if case["method"] == "ML" and case["kind"] == "gls" else 1.0
    return np.asarray(numbers(values)) / factor


@pytest.mark.parametrize("name", NLME)
def test_likelihood_and_coefficients_of_nlme(name):
    case, fit = reference_case(name), fitted_structure(name)
    results = case["results"]
    best = case["quality"].get("loglik_best", results["loglik"])
    llf = -0.5 * fit.optimum.value  # of a regression `llf` is the full likelihood, as that of R's lm
    equal_or_better(llf, best, f"{name}: log likelihood", sign=+1)
    assert fit.nobs == results["nobs"]
    assert fit.npar == results["npar"], f"{name}: {fit.npar} parameters, nlme has {results['npar']}"
    optimum = results.get("optimum", {})
    fixed = results["fixef"]
    if abs(llf - best) > 1e-3:
        assert name in BETTER and llf > best
        return
    coefficients(fit.params, optimum.get("beta", fixed["estimate"]), fixed["se"], f"{name}: estimate")
    if abs(results["loglik"] - best) < 1e-5:
        covariance_matrix(fit.cov_params(), corrected(case, fit, results["vcov"]), f"{name}: vcov")
    sigma = optimum.get("sigma", results["sigma"])
    within(fit.sigma, sigma, rule("sigma|varcorr.sdcor (sd)|random.sd|tau2")["rel"] * sigma * 10, f"{name}: sigma")


def test_the_better_optimum():
    """Both optima evaluated by a dense likelihood that shares nothing with the package."""
    fit, data = fitted_structure("gls-simar-lin"), reference_data("sim_ar")
    lag = np.abs(np.subtract.outer(data["day"].to_numpy(), data["day"].to_numpy()))
    same = data["id"].to_numpy()[:, None] == data["id"].to_numpy()
    X, y = np.column_stack([np.ones(len(data)), data["day"]]), data["y"].to_numpy()

    def loglik(length):
        V = np.where(same, np.clip(1.0 - lag / length, 0.0, None), 0.0)
        inner = X.T @ np.linalg.solve(V, X)
        rest = y - X @ np.linalg.solve(inner, X.T @ np.linalg.solve(V, y))
        nu = len(y) - 2
        s = rest @ np.linalg.solve(V, rest) / nu
        return -0.5 * (np.linalg.slogdet(V)[1] + np.linalg.slogdet(inner)[1] + nu * (1.0 + np.log(2.0 * np.pi * s)))

    case = reference_case("gls-simar-lin")
    theirs = case["results"]["correlation"]["parameters"]["values"][0]
    ours = next(row["estimate"] for row in fit.residual_parameters() if row["term"] == "range")
    assert loglik(theirs) == pytest.approx(case["results"]["loglik"], abs=1e-6)
    assert loglik(ours) == pytest.approx(fit.llf, abs=1e-5)  # the likelihood has a kink there
    assert fit.llf > case["results"]["loglik"] + 1.0


@pytest.mark.parametrize("name", [name for name in NLME if "ranef" not in reference_case(name)["results"] and name not in BETTER])
def test_residuals_of_gls(name):
    results, fit = reference_case(name)["results"], fitted_structure(name)
    rel = 1e-4  # nlme stops at about that relative precision of its parameters
    checksum(fit.fittedvalues, results["fitted"], f"{name}: fitted", rel=rel)
    checksum(fit.residuals("pearson") / fit.sigma, results["residuals_pearson"], f"{name}: pearson", rel=rel)
    if "residuals_normalized" in results and residual(reference_case(name)) is not None:
        ours, theirs = fit.residuals("normalized").to_numpy(), results["residuals_normalized"]
        if name not in MISALIGNED:  # nlme's root of a compound-symmetric matrix is another one, with the same sum of squares
            relative(np.sum(ours**2), theirs["sumsq"], 2e-4, f"{name}: sum of squares of the normalized residuals")


@pytest.mark.parametrize("name", [name for name in NLME if "ranef" in reference_case(name)["results"] and name not in SINGULAR])
def test_random_effects_beside_structured_residuals(name):
    results, fit = reference_case(name)["results"], fitted_structure(name)
    ours = {(row["group"], row["level"], row["term"]): row for row in fit.ranef()}
    for block in results["ranef"]:
        group = block["group"]
        for level, values in zip(block["levels"], block["values"], strict=False):
            for term, value in zip(block["terms"], np.atleast_1d(values), strict=True):
                row = _found(ours, group, level, term)
                if row is not None:
                    allowed = 1e-3 * row["std_error"] + 1e-6 * fit.sigma
                    within(row["estimate"], value, allowed, f"{name}: {group} {level} {term}")


def _found(ours, group, level, term):
    label = level.replace("/", ":")
    for (own_group, own_level, own_term), row in ours.items():
        if own_group.split(":")[-1] == group and str(own_level) == label and own_term == term:
            return row
    return None


@pytest.mark.parametrize("name", MMRM)
def test_mmrm_likelihood_and_coefficients(name):
    case, fit = reference_case(name), fitted_structure(name)
    results = case["results"]
    equal_or_better(fit.llf, results["loglik"], f"{name}: log likelihood", sign=+1)
    within(fit.aic, results["aic"], 1e-5, f"{name}: AIC")
    within(fit.bic, results["bic_nobs"], 1e-5, f"{name}: BIC")
    assert fit.npar == results["npar"]
    coefficients(fit.params, results["beta"]["estimate"], results["beta"]["se"], name, target=True)
    covariance_matrix(fit.cov_params(), results["vcov"], f"{name}: vcov")
    checksum(fit.fittedvalues, results["fitted"], f"{name}: fitted")


@pytest.mark.parametrize("name", [name for name in MMRM if "byarm" not in name and "spexp" not in name])
def test_mmrm_covariance_matrix(name):
    results, fit = reference_case(name)["results"], fitted_structure(name)
    table = fit.residual_covariance()
    ours = np.column_stack([table[column] for column in list(table.columns)[1:]])
    relative(ours, results["Sigma"], 1e-5, f"{name}: Sigma")


@pytest.mark.parametrize("name", [name for name in MMRM if "covariance_parameter_vcov" in reference_case(name)["results"]])
def test_standard_errors_of_covariance_parameters(name):
    """Those that a structure shares with the reference's parameters: standard deviations and rho."""
    results, fit = reference_case(name)["results"], fitted_structure(name)
    theirs = dict(
        zip(results["covariance_parameters"]["names"], np.sqrt(np.diag(results["covariance_parameter_vcov"])), strict=True)
    )
    values = dict(zip(results["covariance_parameters"]["names"], results["covariance_parameters"]["values"], strict=True))
    table = fit.residual_parameters()
    same = {"rho": "rho", "sd": "sd"} if "rho" in theirs and "sd" in theirs else {}
    for row in table:
        if row["term"] in same:
            relative(row["estimate"], values[same[row["term"]]], 1e-4, f"{name}: {row['term']}")
            relative(row["std_error"], theirs[same[row["term"]]], 1e-3, f"{name}: std. error of {row['term']}")


@pytest.mark.parametrize("name", MMRM)
def test_satterthwaite(name):
    results, fit = reference_case(name)["results"], fitted_structure(name)
    theirs = results["satterthwaite"]
    relative(fit.df, theirs["df"], rule("satterthwaite.df|den_df (Satterthwaite)")["rel"], f"{name}: df")
    statistics(fit.tvalues, theirs["t"], f"{name}: t")
    p_values(fit.pvalues, theirs["p"], f"{name}: p")


@pytest.mark.parametrize("name", reference_cases("mmrm", "kenward_roger_linear"))
def test_kenward_roger_linear(name):
    results, fit = reference_case(name)["results"], fitted_structure(name).with_ddf("kenward-roger-linear")
    theirs = results["kenward_roger_linear"]
    relative(fit.df, theirs["table"]["df"], 1e-5, f"{name}: df")
    relative(fit.bse, theirs["table"]["se"], 1e-5, f"{name}: std. error")
    covariance_matrix(fit.cov_params(), theirs["vcov_adjusted"], f"{name}: adjusted vcov")
    for test in results.get("tests", []):
        found = fit.denominator().test(np.array(test["L"], dtype=float), np.zeros(len(test["L"])))
        expected = test["kenward_roger_linear"]
        relative(found.den_df, expected["den_df"], 1e-4, f"{name}: {test['id']}: den. df")
        relative(found.statistic, expected["f"], 1e-4, f"{name}: {test['id']}: F")


@pytest.mark.parametrize("name", TMB)
def test_glmmtmb_without_a_residual(name):
    """Its residual variance is not quite zero, so that the exact optimum of `direct_check` counts where there is one."""
    case, fit = reference_case(name), fitted_structure(name)
    results = case["results"]
    check = results.get("direct_check", {})
    equal_or_better(fit.llf, check.get("loglik", case["quality"]["loglik_best"]), f"{name}: log likelihood", sign=+1)
    fixed = results["fixef"]["cond"]
    coefficients(fit.params, check.get("beta", fixed["estimate"]), fixed["se"], f"{name}: estimate")


def test_published_values():
    """The values of Pinheiro and Bates (2000) and of the documentation of nlme."""
    orthodont = {name: fitted_structure(f"gls-orthodont-{name}").llf for name in ("cs", "ar1", "un")}
    assert orthodont == pytest.approx({"cs": -216.8786, "ar1": -222.2937, "un": -212.2734}, abs=5e-5)
    assert fitted_structure("lme-ovary-ar1").llf == pytest.approx(-774.724, abs=5e-4)


def test_the_data_of_a_case_are_in_rs_order():
    assert list(reference_data("Ovary").columns)[:2] == ["Mare", "Time"]
