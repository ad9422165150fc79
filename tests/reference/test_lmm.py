"""Linear mixed models against lme4, lmerTest: 141 cases, each fitted once, each kind of number by the rules of tolerances.json.

Where R stopped short of the optimum, ours must be better, and R's own point, evaluated with our criterion, must give R's number:
then the estimates belong to different points and only the likelihood is compared (`STOPPED_EARLY`).
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import ranef
from ranef.fit.effects import conditional_covariance, factor_named
from tests.reference import align, compare
from tests.reference.load import Case, fitted, predictions, reference_case, reference_cases, reference_data

CASES = reference_cases("lmm")

# The covariance parameters of these models are not identified (see the case's note): any split between terms has the same likelihood.
NOT_IDENTIFIED = frozenset({
    "edge-collinear-random",
    "edge-redundant-random",
    "lmm-orthodont-factor-slope",
    "lmm-sim-crossed-doublebar-factor",
    "more-cake-temperature-slope",
})  # fmt: skip
IDENTIFIED = [name for name in CASES if name not in NOT_IDENTIFIED]

# lme4 stopped short of the optimum (badly scaled covariates): the likelihoods are compared by direct evaluation, the estimates belong
# to different points.
STOPPED_EARLY = frozenset({"more-bad-scaling", "more-uncentred"})
REACHED = [name for name in CASES if name not in STOPPED_EARLY]
SETTLED = [name for name in IDENTIFIED if name not in STOPPED_EARLY]


def results(case_id: str) -> Case:
    return reference_case(case_id)["results"]


def criterion(r: Case) -> float:
    return r["reml_criterion"] if "reml_criterion" in r else r["minus2_loglik"]


@pytest.mark.parametrize("case_id", CASES)
def test_sizes(case_id: str) -> None:
    m, r = fitted(case_id), results(case_id)
    assert (m.nobs, m.npar, m.df_residual) == (r["nobs"], r["npar"], r["df_residual"])
    assert {align.group_key(g): n for g, n in m.ngroups.items()} == {align.group_key(g): n for g, n in r["ngrps"].items()}


@pytest.mark.parametrize("case_id", CASES)
def test_likelihood(case_id: str) -> None:
    m, r = fitted(case_id), results(case_id)
    compare.likelihood(m.llf, r["loglik"], "loglik", sign=1)
    compare.likelihood(m.deviance, criterion(r), "criterion", sign=-1)
    compare.likelihood(m.aic, r["aic"], "aic", sign=-1)
    compare.likelihood(m.bic, r["bic"], "bic", sign=-1)


@pytest.mark.parametrize("case_id", CASES)
def test_criterion_at_the_theta_of_lme4_is_that_of_lme4(case_id: str) -> None:
    """Direct evaluation: the functions agree, so a lower criterion of ours is a better optimum."""
    m, r = fitted(case_id), results(case_id)
    there = m.deviance_at(align.theta_in_our_order(m, r, r["theta"]["values"]))
    compare.relative(there, criterion(r), 1e-8, "criterion at lme4's theta")
    assert m.deviance <= there + 1e-9 * (1 + abs(there))


@pytest.mark.parametrize("case_id", sorted(STOPPED_EARLY))
def test_where_lme4_stopped_early_ours_is_lower(case_id: str) -> None:
    m, r = fitted(case_id), results(case_id)
    assert m.deviance < criterion(r) - 1e-4
    assert m.deviance < m.deviance_at(align.theta_in_our_order(m, r, r["theta"]["values"])) - 1e-4


@pytest.mark.parametrize("case_id", CASES)
def test_status_is_an_optimum(case_id: str) -> None:
    m = fitted(case_id)
    assert m.status in ("optimum", "optimum on the boundary")
    if case_id in IDENTIFIED:
        assert m.is_singular == bool(reference_case(case_id)["quality"]["singular"])


@pytest.mark.parametrize("case_id", reference_cases("lmm", "objective_at"))
def test_objective_and_gradient_at_given_theta(case_id: str) -> None:
    m, r = fitted(case_id), results(case_id)
    for at in r["objective_at"]:
        theta = align.theta_in_our_order(m, r, at["theta"])
        compare.relative(m.deviance_at(theta), at["value"], 1e-9, "objective")
        steps = 1e-5 * np.eye(len(theta))
        slopes = [(m.deviance_at(theta + h) - m.deviance_at(theta - h)) / 2e-5 for h in steps]
        compare.relative(slopes, align.theta_in_our_order(m, r, at["gradient"]), 1e-4, "gradient", floor=1e-5)


@pytest.mark.parametrize("case_id", REACHED)
def test_fixed_effects(case_id: str) -> None:
    m, r = fitted(case_id), results(case_id)
    f = r["fixef"]
    compare.coefficients(m.params, f["estimate"], f["se"], "estimate")
    compare.relative(m.bse, f["se"], compare.rule("se|vcov")["rel"], "se")
    compare.statistics(m.tvalues, f["stat"], "t")
    compare.covariance_matrix(m.cov_params(), r["vcov"], "vcov")
    assert list(m.dropped) == r.get("dropped_columns", [])


@pytest.mark.parametrize("case_id", [c for c in CASES if "contrasts" not in reference_case(c)])
def test_names_are_those_of_r(case_id: str) -> None:
    m, r = fitted(case_id), results(case_id)
    assert [align.r_name(name) for name in m.params.index] == [align.plain(name) for name in r["fixef"]["term"]]


@pytest.mark.parametrize("case_id", CASES)
def test_model_matrix(case_id: str) -> None:
    m, x = fitted(case_id), results(case_id)["X"]
    X = m.model.design.X[:, [j for j, name in enumerate(m.model.design.names) if name not in m.dropped]]
    assert X.shape == (x["rows"], len(x["columns"]))
    r = compare.rule("design values")
    size = np.abs(X).sum(axis=0)
    compare.within(X.sum(axis=0), x["column_sums"], np.maximum(r["rel"] * size, r["floor"] * len(X)), "column sums")
    wsums = np.cos(np.arange(1, len(X) + 1)) @ X
    compare.within(wsums, x["column_wsums"], np.maximum(r["rel"] * size, r["floor"] * len(X)), "weighted column sums")
    if "values" in x:
        compare.relative(X, x["values"], r["rel"], "values", floor=r["floor"])


@pytest.mark.parametrize("case_id", reference_cases("lmm", "Z"))
def test_random_effects_matrix(case_id: str) -> None:
    m, z = fitted(case_id), results(case_id)["Z"]
    terms = m.model.design.terms
    entries = np.concatenate([np.ones(m.nobs) if t.z is None else t.z.ravel() for t in terms])
    assert [m.nobs, sum(t.group.size * t.width for t in terms)] == z["dim"]
    compare.relative(np.sum(entries**2), z["checksum"]["sumsq"], 1e-12, "sum of squares of Z")
    compare.relative(entries.sum() / np.prod(z["dim"]), z["checksum"]["mean"], 1e-12, "mean of Z")


@pytest.mark.parametrize("case_id", REACHED)
def test_sigma(case_id: str) -> None:
    m, r = fitted(case_id), results(case_id)
    compare.relative(m.sigma, r["sigma"], compare.rule("sigma|varcorr.sdcor (sd)|random.sd|tau2")["rel"], "sigma")


@pytest.mark.parametrize("case_id", SETTLED)
def test_theta(case_id: str) -> None:
    m, r = fitted(case_id), results(case_id)
    theirs = align.theta_in_our_order(m, r, r["theta"]["values"])
    compare.within(m.theta, theirs, compare.rule("theta")["abs"] * np.maximum(1.0, np.abs(theirs)), "theta")


@pytest.mark.parametrize("case_id", SETTLED)
def test_variance_components(case_id: str) -> None:
    """Standard deviations always; correlations of effects whose standard deviations are not zero."""
    m, r = fitted(case_id), results(case_id)
    ours = align.our_omegas(m)
    smallest = compare.rule("sigma|varcorr.sdcor (sd)|random.sd|tau2")["abs_of_sigma"] * r["sigma"]
    for i, block in align.matched(m, r):
        sd, their_sd = np.sqrt(np.diag(ours[i])), np.sqrt(np.diag(block.omega))
        compare.standard_deviations(sd, their_sd, r["sigma"], f"sd of {block.names} in {block.group}")
        live = (their_sd > smallest) & (sd > smallest)
        select = np.ix_(live, live)
        if live.any():
            correlation = ours[i][select] / np.outer(sd[live], sd[live])
            theirs = block.omega[select] / np.outer(their_sd[live], their_sd[live])
            compare.within(correlation, theirs, compare.rule("theta")["abs"], f"correlations in {block.group}")
    compare.relative(m.varcorr["vcov"][-1], r["varcorr"]["vcov"][-1], 2e-4, "residual variance")


@pytest.mark.parametrize("case_id", [c for c in reference_cases("lmm", "ranef") if c in SETTLED])
def test_random_effects(case_id: str) -> None:
    """Conditional modes in units of their standard deviation, and those standard deviations."""
    m, r = fitted(case_id), results(case_id)
    table = pd.DataFrame(m.ranef(cond_var=True).to_dict())
    for theirs in r["ranef"]:
        group, name = align.our_column(m, r, theirs["group"], theirs["term"])
        mine = table[(table["group"] == group) & (table["term"] == name)]
        assert len(mine) == theirs["n"]
        index = {align.level_key(group, level): row for level, row in zip(mine["level"], mine.index, strict=True)}
        chosen = mine.loc[[index[align.level_key(theirs["group"], level)] for level in theirs["levels"]]]
        condsd, what = compare.numbers(theirs["condsd"]), f"{theirs['group']} {theirs['term']}"
        nothing = 1e-6 * r["sigma"]  # where the variance is zero, modes are zero and so are their units
        allowed = compare.rule("ranef.values")["sd_mult"] * condsd
        compare.within(chosen["estimate"], theirs["values"], np.maximum(allowed, nothing), what)
        compare.relative(
            chosen["std_error"], condsd, compare.rule("ranef.condsd")["rel"], f"conditional sd of {what}", floor=nothing
        )
        sumsq = theirs["values_checksum"]["sumsq"]
        compare.relative(np.sum(mine["estimate"] ** 2), sumsq, 1e-3, f"sum of squares of {what}", floor=theirs["n"] * nothing**2)


@pytest.mark.parametrize("case_id", [c for c in reference_cases("lmm", "ranef_condvar") if c in SETTLED])
def test_conditional_covariances(case_id: str) -> None:
    """Joint covariance matrices of the effects of a level, over all terms of its grouping factor."""
    m, r = fitted(case_id), results(case_id)
    for theirs in r["ranef_condvar"]:
        (group,) = {t.group.name for t in m.model.design.terms if align.group_key(t.group.name) == align.group_key(theirs["group"])}
        levels = [align.level_key(group, level) for level in factor_named(m, group).levels]
        tiles = conditional_covariance(m, group)
        order = align.column_order(m, r, group, theirs["terms"])
        for level, matrix in zip(theirs["levels"], theirs["matrices"], strict=True):
            sd = np.sqrt(np.diag(compare.numbers(matrix)))
            allowed = 2 * compare.rule("ranef.condsd")["rel"] * np.outer(sd, sd) + 1e-6 * r["sigma"] ** 2 * 1e-3
            mine = tiles[levels.index(align.level_key(theirs["group"], level))][np.ix_(order, order)]
            compare.within(mine, matrix, allowed, f"{theirs['group']} {level}")


@pytest.mark.parametrize("case_id", REACHED)
def test_fitted_values_and_residuals(case_id: str) -> None:
    m, r = fitted(case_id), results(case_id)
    compare.checksum(m.fittedvalues, r["fitted"], "fitted")
    size = compare.rule("fitted|residuals checksums")["rel"] * max(abs(r["fitted"]["max"]), abs(r["fitted"]["min"]))
    compare.checksum(m.resid, r["residuals"], "residuals", floor=max(1e-6, size))
    if "residuals_pearson" in r:
        compare.checksum(m.residuals(kind="pearson"), r["residuals_pearson"], "pearson", floor=max(1e-6, size))


@pytest.mark.parametrize("case_id", [c for c in reference_cases("lmm", "satterthwaite") if c in REACHED])
def test_satterthwaite(case_id: str) -> None:
    m, s = fitted(case_id), results(case_id)["satterthwaite"]
    compare.relative(m.df, s["df"], compare.rule("satterthwaite.df|den_df (Satterthwaite)")["rel"], "df")
    compare.statistics(m.tvalues, s["t"], "t")
    compare.p_values(m.pvalues, s["p"], "p")
    table = m.conf_int()
    allowed = compare.rule("lower|upper")["se_mult"] * compare.numbers(s["se"])
    compare.within(table["conf_low"], s["lower"], allowed, "lower")
    compare.within(table["conf_high"], s["upper"], allowed, "upper")


@pytest.mark.parametrize(("case_id", "k"), list(predictions("lmm")))
def test_predictions(case_id: str, k: int) -> None:
    """A level that is not in the data has random effect zero where the request allows it, and is refused by name where not."""
    m, request = fitted(case_id), results(case_id)["predictions"][k]
    new = pd.DataFrame(request["newdata"])
    if "error" in request:
        with pytest.raises(ranef.RanefError, match="999"):
            m.predict(new)
        return
    r = compare.rule("predictions")["rel"]
    if request["re"] == "none":
        compare.relative(np.asarray(m.predict(new, re="population")), request["prediction"], r, "population")
        band = m.predict(new, re="population", interval="confidence")
        compare.relative(band["std_error"], request["se_fixed"], compare.rule("se|vcov")["rel"], "se of X b")
    elif request["re"] == "all":
        compare.relative(np.asarray(m.predict(new, new_levels="population")), request["prediction"], r, "conditional")
    else:
        compare.relative(np.asarray(m.predict(new, re=request["re"])), request["prediction"], r, request["re"])


def test_data_sets_are_complete() -> None:
    for case_id in CASES:
        assert len(reference_data(reference_case(case_id)["data"])) >= results(case_id)["nobs"]
