"""Structured random effects against glmmTMB: the same models in our words.

glmmTMB's standard errors come from the joint Hessian of fixed effects and variance parameters, ours from X'V^-1 X. So the covariance
matrix is compared twice: the joint one, computed here from its definition with dense matrices, and ours to the precision to which
the two agree. Its `cs` and `toep` have a standard deviation for each column, as our `csh` and `toeph`.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

import ranef
from tests.reference import compare
from tests.reference.load import Case, reference_case, reference_data

FORMULAS = {
    "tmb-simar-ar1": "y ~ time + ar1(tF | id)",
    "tmb-simar-exp": "y ~ day + sp_exp(day | id)",
    "tmb-simar-ou": "y ~ day + ou(day | id)",
    "tmb-simcrossed-cs-cond": "y ~ cond + csh(0 + cond | subj) + (1 | item)",
    "tmb-simcrossed-diag-cond": "y ~ cond + diag(0 + cond | subj) + (1 | item)",
    "tmb-simzinb-rr": "y ~ cond + rr(0 + cond + x | subj, d=1) + (1 | item)",
    "tmb-sleepstudy-diag": "Reaction ~ Days + diag(Days | Subject)",
}
every = pytest.mark.parametrize("case_id", FORMULAS)


@cache
def fit_of(case_id: str) -> ranef.Fit:
    case = reference_case(case_id)
    return ranef.lmm(FORMULAS[case_id], reference_data(case["data"]), reml=case["method"] == "REML")


def results(case_id: str) -> Case:
    return reference_case(case_id)["results"]


def marginal(m: ranef.Fit, theta: np.ndarray, sigma: float) -> np.ndarray:
    """(n, n) Var(y), from the definition."""
    design, at = m.model.design, 0
    V = np.eye(design.nobs)
    for term in design.terms:
        z = np.ones((design.nobs, 1)) if term.z is None else term.z
        same = term.group.codes[:, None] == term.group.codes
        own = theta[at : at + term.covariance.size]
        at += term.covariance.size
        V = V + same * (z @ term.covariance.matrix(own) @ z.T)
    return sigma**2 * V


def joint_covariance(m: ranef.Fit) -> np.ndarray:
    """(p, p) the block of beta in the inverse of the Hessian of -log L in (beta, theta, log sigma)."""
    X, y, beta = m.model.design.X, m.model.design.y, m.params.to_numpy()
    at = np.append(m.theta, np.log(m.sigma))

    def parts(p: np.ndarray) -> tuple[float, np.ndarray]:
        V, r = marginal(m, p[:-1], float(np.exp(p[-1]))), y - X @ beta
        solved = np.linalg.solve(V, r)
        return 0.5 * float(np.linalg.slogdet(V)[1] + r @ solved), -X.T @ solved

    steps = 2e-4 * np.eye(len(at))
    mixed = np.array([(parts(at + s)[1] - parts(at - s)[1]) / 4e-4 for s in steps]).T
    own = np.array([
        [
            (parts(at + s + t)[0] - parts(at + s - t)[0] - parts(at - s + t)[0] + parts(at - s - t)[0]) / 1.6e-7
            for t in steps
        ]
        for s in steps
    ])  # fmt: skip
    inner = X.T @ np.linalg.solve(marginal(m, m.theta, m.sigma), X)
    return np.linalg.inv(inner - mixed @ np.linalg.solve(own, mixed.T))


@every
def test_likelihood(case_id: str) -> None:
    m, r = fit_of(case_id), results(case_id)
    assert (m.nobs, m.npar) == (r["nobs"], r["npar"])
    compare.relative(m.llf, r["loglik"], 1e-9, "loglik")
    compare.relative(m.aic, r["aic"], 1e-9, "aic")


@every
def test_likelihood_is_that_of_the_definition(case_id: str) -> None:
    m = fit_of(case_id)
    V, r = marginal(m, m.theta, m.sigma), m.model.design.y - m.model.design.X @ m.params.to_numpy()
    value = -0.5 * (m.nobs * np.log(2 * np.pi) + np.linalg.slogdet(V)[1] + r @ np.linalg.solve(V, r))
    compare.relative(m.llf, value, 1e-10, "loglik")


@every
def test_fixed_effects(case_id: str) -> None:
    m, r = fit_of(case_id), results(case_id)
    found = r["fixef"]["cond"]
    compare.coefficients(m.params, found["estimate"], found["se"], "estimate")
    compare.relative(np.sqrt(np.diag(joint_covariance(m))), found["se"], 1e-6, "se of the joint Hessian")
    compare.relative(m.bse, found["se"], 1e-3 if case_id != "tmb-simzinb-rr" else 0.2, "se")


@every
def test_variances(case_id: str) -> None:
    m, r = fit_of(case_id), results(case_id)
    compare.relative(m.sigma, r["sigma"], 1e-5, "sigma")
    for term, theirs in zip(_in_their_order(m, r), r["varcorr"]["cond"], strict=True):
        at = sum(other.covariance.size for other in m.model.design.terms[: m.model.design.terms.index(term)])
        omega = m.sigma**2 * term.covariance.matrix(m.theta[at : at + term.covariance.size])
        sd = np.sqrt(omega.diagonal())
        compare.relative(sd, theirs["sd"], 1e-4, "sd")
        if "cor" in theirs:  # glmmTMB does not print the 151 x 151 matrices
            compare.within(omega / np.outer(sd, sd), theirs["cor"], 1e-4, "correlation")


def _in_their_order(m: ranef.Fit, r: Case) -> list:
    return [next(term for term in m.model.design.terms if term.group.name == found["group"]) for found in r["varcorr"]["cond"]]


@every
def test_fitted_values(case_id: str) -> None:
    m, r = fit_of(case_id), results(case_id)
    compare.checksum(m.fittedvalues, r["fitted"], "fitted", rel=1e-5, floor=1e-4)


@every
def test_conditional_modes(case_id: str) -> None:
    """Of the first column of each term, with the levels in glmmTMB's order. Those of `rr` are its factor scores, of variance one."""
    m, r = fit_of(case_id), results(case_id)
    table = m.ranef()
    found = {
        (g, str(level), t): v for g, level, t, v in zip(*(table[c] for c in ("group", "level", "term", "estimate")), strict=True)
    }
    for block in r["ranef"]:
        first = next(t for g, _, t in found if g == block["group"])
        if block["term"].endswith(_plain(first)) and "levels" in block:
            unit = m.sigma * m.theta[0] if case_id == "tmb-simzinb-rr" and block["group"] == "subj" else 1.0
            ours = [found[block["group"], str(level), first] for level in block["levels"]]
            compare.within(np.array(ours) / unit, block["values"], 1e-4 * np.array(block["condsd"]), "conditional modes")


def _plain(name: str) -> str:
    return name.replace("[", "").replace("]", "").replace("position(day)", "numFactor(day)")
