"""SAS 9.4 on the FEV1 trial: criteria, covariance parameters, fixed effects, tests, LS means and Kenward-Roger contrasts.

PROC MIXED stops when its criterion is flat to about 1e-8 of its size. A criterion that lies g above the minimum is sqrt(g) standard
errors of the covariance parameters away from it, so that this is how far the digits of a listing can be off beside its rounding.
"""

from __future__ import annotations

import json
import math
import re
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import ranef
from ranef.fit.residual_side import natural_parameters
from tests.reference import compare

HERE = Path(__file__).with_name("certified")
LISTING = json.loads((HERE / "mmrm_sas.json").read_text(encoding="utf-8"))
RUNS, CONTRASTS, TESTS = LISTING["runs"], LISTING["kr_contrasts"], LISTING["anova_tests"]
WORDS = {
    "Ante-dependence": "adh", "Autoregressive": "ar1", "Heterogeneous": "ar1h", "Compound Symmetry": "cs",
    "Heterogeneous Compound": "csh", "Heterogeneous Toeplitz": "toeph", "Unstructured": "un", "Spatial Exponential": "sp_exp",
    "Spatial Gaussian": "sp_gau",
    "arh1": "ar1h", "us": "un", "spexp": "sp_exp",
}  # fmt: skip
EXACT = 5e-9  # the last of eight decimals


@cache
def trial() -> pd.DataFrame:
    return pd.read_csv(HERE / "mmrm_sas" / "fev_data.csv")


def word(run: dict[str, Any]) -> str:
    return WORDS.get(run["cov"], run["cov"])


def coordinates(run: dict[str, Any], name: str) -> str:
    """`sp_exp` and `sp_gau` have one coordinate in the files that end in their name, two in the others."""
    if not word(run).startswith("sp_"):
        return "AVISIT"
    return "VISITN" if re.fullmatch(r"sas_sp_(exp|gau)_(re)?ml", name) else "VISITN + VISITN2"


def levels(run: dict[str, Any]) -> dict[str, list[str]]:
    """In the order in which the first is the reference; SAS takes the last, of visits in the order of the data."""
    visits = run.get("visit_order") or ["VIS1", "VIS2", "VIS3", "VIS4"]
    if "AVISIT" in run["model_fixed"]:
        visits = [visits[-1], *visits[:-1]]
    shown = {effect["effect"]: effect["levels"][0] for effect in run.get("fixed", []) if len(effect["levels"]) == 1}
    arms = ["TRT", "PBO"] if shown.get("ARMCD") == "PBO" else ["PBO", "TRT"]
    return {"ARMCD": arms, "SEX": ["Male", "Female"], "AVISIT": visits}


@cache
def fitted(name: str) -> ranef.Fit:
    run = RUNS.get(name) or CONTRASTS[name]
    data = trial().assign(**{c: pd.Categorical(trial()[c], categories=order) for c, order in levels(run).items()})
    formula = run["model_fixed"].split("  (")[0].split(" (")[0]
    arm = f", by={run['group']}" if run.get("group") else ""
    return ranef.lmm(
        formula, data, residual=f"{word(run)}({coordinates(run, name)} | USUBJID{arm})", reml=run.get("method") != "ML",
        precision_weights=run.get("weight"),
    )  # fmt: skip


def distance(name: str) -> float:
    """How far from the minimum SAS stopped, in standard errors of the covariance parameters."""
    run = RUNS.get(name) or CONTRASTS[name]
    gap = float(run.get("minus2ll") or run["minus2ll_reml"]) - fitted(name).deviance
    assert gap > -2 * EXACT, f"{name}: the criterion of SAS is lower by {-gap:.2g}"
    assert gap < 2e-5, f"{name}: the criterion of SAS is higher by {gap:.2g}"
    return math.sqrt(max(gap, 0.0) + EXACT)


def printed(text: str) -> float:
    """Half a unit of the last printed digit."""
    return 0.51 * 10.0 ** -len(text.partition(".")[2])


def agree(ours: float, text: str, slack: float, what: str) -> None:
    compare.within(ours, float(text), printed(text) + slack, what)


@pytest.mark.parametrize("name", RUNS)
def test_criterion(name: str) -> None:
    """To the eight decimals, or lower where SAS stopped early; with as many covariance parameters and rows."""
    fit, run = fitted(name), RUNS[name]
    assert (fit.status, fit.nobs) == ("optimum", run["n_used"])
    assert len(fit.optimum.theta) == len(run["cov_params"])
    assert distance(name) < 5e-3


# -- covariance parameters


def in_words_of_sas(kind: str, natural: dict[str, float], arm: str | None, order: list[str]) -> dict[str, float]:
    """The parameters of one arm by SAS's names from ours."""
    mine = re.compile(rf"(.*?)(?:\[{arm}\]|__{arm})" if arm else "(.*)")
    own = {found[1]: v for k, v in natural.items() if (found := mine.fullmatch(k))}
    lags = {k.removeprefix("rho__"): v for k, v in own.items() if k.startswith("rho__")}
    if "sd" not in own:
        sd = [own[f"sd__{visit}"] for visit in order]
        out = {f"Var({i})": s**2 for i, s in enumerate(sd, 1)}
        if kind == "un":
            pairs = [(i, j) for i in range(len(order)) for j in range(i + 1)]
            cor = {(i, j): _correlation(own, order[i], order[j]) if i > j else 1.0 for i, j in pairs}
            return {f"UN({i + 1},{j + 1})": cor[i, j] * sd[i] * sd[j] for i, j in pairs}
        names = {"toeph": "TOEPH({})", "adh": "Rho({})"}
        return out | ({names[kind].format(k): v for k, v in lags.items()} if lags else {_single(kind): own["rho"]})
    variance = own["sd"] ** 2
    if kind == "cs":
        return {"CS": own["rho"] * variance, "Residual": (1 - own["rho"]) * variance}
    if kind == "toep":
        return {"Residual": variance} | {f"TOEP({int(k) + 1})": v * variance for k, v in lags.items()}
    return {"Residual": variance, _single(kind): own["range" if kind.startswith("sp_") else "rho"]}


def _correlation(own: dict[str, float], a: str, b: str) -> float:
    return own[f"cor__{a}.{b}"] if f"cor__{a}.{b}" in own else own[f"cor__{b}.{a}"]


def _single(kind: str) -> str:
    return {"ar1": "AR(1)", "ar1h": "ARH(1)", "csh": "CSH", "sp_exp": "SP(EXP)", "sp_gau": "SP(GAU)"}[kind]


def sas_parameters(name: str) -> tuple[dict[tuple[str | None, str], float], np.ndarray]:
    """Estimates by group and name, and their covariance matrix by the delta method from that of our parameters."""
    fit, run = fitted(name), RUNS.get(name) or CONTRASTS[name]
    parameters, values, slopes = natural_parameters(fit)
    order = run.get("visit_order") or ["VIS1", "VIS2", "VIS3", "VIS4"]
    arms = ["PBO", "TRT"] if run.get("group") else [None]

    def translated(x: np.ndarray) -> dict[tuple[str | None, str], float]:
        natural = {parameter.name: float(v) for parameter, v in zip(parameters, x, strict=True)}
        return {(arm, k): v for arm in arms for k, v in in_words_of_sas(word(run), natural, arm, order).items()}

    def column(h: np.ndarray) -> np.ndarray:
        up, down = translated(values + h), translated(values - h)
        return (np.array(list(up.values())) - np.array(list(down.values()))) / (2 * h.max())

    T = np.column_stack([column(h) for h in np.diag(1e-5 * np.maximum(np.abs(values), 1e-2))]) @ slopes
    return translated(values), T @ fit.variance_parameters.covariance @ T.T


def limits(estimate: float, error: float, variance: bool) -> tuple[float, float]:
    """SAS: Satterthwaite's chi-squared limits of a variance, Wald's of other parameters."""
    if not variance:
        z = stats.norm.isf(0.025)
        return estimate - z * error, estimate + z * error
    df = 2.0 * (estimate / error) ** 2
    return df * estimate / stats.chi2.isf(0.025, df), df * estimate / stats.chi2.ppf(0.025, df)


def bounded(parameter: str) -> bool:
    """Does SAS bound it below by zero?"""
    return bool(re.match(r"Var|Residual|SP\(", parameter)) or bool(re.match(r"UN\((\d),\1\)", parameter))


@pytest.mark.parametrize("name", [*RUNS, *(k for k in CONTRASTS if k.endswith("/kenward-roger"))])
def test_covariance_parameters(name: str) -> None:
    """Estimates and limits, and with these the standard errors."""
    run, off = RUNS.get(name) or CONTRASTS[name], distance(name)
    ours, spread = sas_parameters(name)
    errors = dict(zip(ours, np.sqrt(np.diag(spread)), strict=True))
    assert len(ours) == len(run["cov_params"])
    for listed in run["cov_params"]:
        arm = listed["group"].split()[-1] if listed["group"] else None
        key = "Residual" if listed["name"] == "Variance" else listed["name"]
        estimate, error = ours[arm, key], errors[arm, key]
        agree(estimate, listed["estimate"], off * error, f"{name}: {listed['name']}")
        low, high = limits(estimate, error, bounded(key))
        agree(low, listed["lower"], 3 * off * error, f"{name}: {listed['name']}: lower limit")
        agree(high, listed["upper"], 3 * off * error, f"{name}: {listed['name']}: upper limit")


# -- fixed effects


def coefficient(fit: ranef.Fit, effect: str, chosen: list[str]) -> str:
    """The name of a coefficient from SAS's effect and levels."""
    if effect == "Intercept":
        return "(Intercept)"
    wanted = set(zip(effect.split("*"), chosen, strict=True))
    (found,) = [name for name in fit.params.index if set(re.findall(r"(\w+)\[T\.([^\]]+)\]", name)) == wanted]
    return str(found)


def method_of(run: dict[str, Any]) -> str:
    if run["ddf"] == "Satterthwaite":
        return "satterthwaite"
    first_order = run["se"].startswith("Prasad")  # Prasad and Rao, Jeske, Kackar and Harville
    return "kenward-roger-observed-linear" if first_order else "kenward-roger-observed"


@pytest.mark.parametrize("name", RUNS)
def test_fixed_effects(name: str) -> None:
    run, off = RUNS[name], distance(name)
    fit = fitted(name).with_ddf(method_of(run))
    assert len(fit.params) == len(run["fixed"])
    bounds = {row["term"]: (row["conf_low"], row["conf_high"]) for row in fit.conf_int()}
    for listed in run["fixed"]:
        at, what = coefficient(fit, listed["effect"], listed["levels"]), f"{name}: {listed['effect']} {listed['levels']}"
        agree(fit.params[at], listed["estimate"], off * fit.bse[at], what)
        agree(fit.bse[at], listed["se"], off * fit.bse[at], f"{what}: standard error")
        agree(fit.tvalues[at], listed["t"], off * (1 + abs(fit.tvalues[at])), f"{what}: t")
        if not run.get("weight"):
            agree(fit.df[at], listed["df"], off * fit.df[at], f"{what}: df")
            if listed["ci"]:
                low, high = bounds[at]
                agree(low, listed["ci"][0], 2 * off * fit.bse[at], f"{what}: lower limit")
                agree(high, listed["ci"][1], 2 * off * fit.bse[at], f"{what}: upper limit")


def test_degrees_of_freedom_with_weights() -> None:
    """SAS prints 407 for the intercept, and up to 519 with 200 patients, where its unweighted run has at most 219.

    Criterion, estimates, standard errors and limits of covariance parameters agree with the listing, so that only its derivative of
    the covariance matrix of the estimates can be another one. Ours is that of dense algebra: V_i = W_i^-1/2 Sigma W_i^-1/2.
    """
    fit = fitted("sas_weighted")
    ours, spread = sas_parameters("sas_weighted")
    data = trial().dropna(subset=["FEV1"]).reset_index(drop=True)
    X, visit, root = fit.model.design.X, data["VISITN"].to_numpy() - 1, np.sqrt(data["WEIGHT"].to_numpy())
    subjects = list(data.groupby("USUBJID").indices.values())

    def variances(omega: np.ndarray) -> np.ndarray:
        sigma = np.zeros((4, 4))
        sigma[np.tril_indices(4)] = omega
        sigma += np.tril(sigma, -1).T
        V = [sigma[np.ix_(visit[rows], visit[rows])] / np.outer(root[rows], root[rows]) for rows in subjects]
        information = sum(X[rows].T @ np.linalg.solve(v, X[rows]) for rows, v in zip(subjects, V, strict=True))
        return np.diag(np.linalg.inv(information))

    at = np.array(list(ours.values()))
    order = [list(ours).index((None, f"UN({i},{j})")) for i in range(1, 5) for j in range(1, i + 1)]
    at, spread, steps = at[order], spread[np.ix_(order, order)], np.diag(np.full(10, 1e-3))
    slopes = np.array([(variances(at + h) - variances(at - h)) / 2e-3 for h in steps])
    compare.relative(fit.bse**2, variances(at), 1e-8, "variances")
    compare.relative(fit.df, 2 * variances(at) ** 2 / np.einsum("ak,ab,bk->k", slopes, spread, slopes), 1e-5, "df")


@pytest.mark.parametrize("name", [name for name, run in RUNS.items() if run.get("type3")])
def test_type_three_tests(name: str) -> None:
    run, off = RUNS[name], distance(name)
    table = fitted(name).anova(ddf=method_of(run))
    ours = {frozenset(row["term"].split(":")): row for row in table}
    for listed in run["type3"]:
        row, what = ours[frozenset(listed["effect"].split("*"))], f"{name}: {listed['effect']}"
        assert row["num_df"] == int(listed["numdf"])
        agree(row["statistic"], listed["F"], 2 * off * (1 + row["statistic"]), f"{what}: F")
        if not run.get("weight"):
            agree(row["den_df"], listed["dendf"], off * row["den_df"], f"{what}: df")


@pytest.mark.parametrize("name", [name for name, run in RUNS.items() if run.get("lsmeans")])
def test_least_squares_means(name: str) -> None:
    run, off = RUNS[name], distance(name)
    ours = {(row["AVISIT"], row["ARMCD"]): row for row in ranef.emmeans(fitted(name), ["AVISIT", "ARMCD"])}
    assert len(ours) == len(run["lsmeans"])
    for listed in run["lsmeans"]:
        row, what = ours[tuple(listed["levels"])], f"{name}: {listed['levels']}"
        agree(row["estimate"], listed["estimate"], off * row["std_error"], what)
        agree(row["std_error"], listed["se"], off * row["std_error"], f"{what}: standard error")
        if not run.get("weight"):
            agree(row["df"], listed["df"], off * row["df"], f"{what}: df")
            agree(row["conf_low"], listed["lower"], 2 * off * row["std_error"], f"{what}: lower limit")
            agree(row["conf_high"], listed["upper"], 2 * off * row["std_error"], f"{what}: upper limit")


@pytest.mark.parametrize("name", CONTRASTS)
def test_kenward_roger(name: str) -> None:
    """SAS has the observed information: `DDFM=KR` is kenward-roger-observed, `DDFM=KR(FIRSTORDER)` its linear variant."""
    listed, off = CONTRASTS[name], distance(name)
    linear = name.endswith("linear")
    fit = fitted(name).with_ddf("kenward-roger-observed-linear" if linear else "kenward-roger-observed")
    arm = fit.params.index[1]
    compare.within(fit.params[arm], float(listed["estimate"]), off * fit.bse[arm], f"{name}: estimate")
    compare.relative(fit.bse[arm], float(listed["se"]), off, f"{name}: standard error")
    compare.relative(fit.df[arm], float(listed["df"]), off, f"{name}: df")
    compare.relative(fit.tvalues[arm], float(listed["t"]), off, f"{name}: t")


MODELS = {"1": "FEV1 ~ ARMCD * FEV1_BL", "2": "FEV1 ~ ARMCD * SEX + ARMCD:FEV1_BL"}


@pytest.mark.parametrize("name", TESTS)
def test_types_two_and_three(name: str) -> None:
    """Fifteen digits of F and df; the listing has no criterion, so that SAS's stopping rule is allowed for: 1e-5."""
    kind, model = name.removeprefix("test").split("_")
    table = ranef.lmm(MODELS[model], trial(), residual="ar1(AVISIT | USUBJID)").anova(type=int(kind))
    ours = {frozenset(row["term"].split(":")): row for row in table}
    for listed in TESTS[name]:
        row = ours[frozenset(listed["Effect"].split("*"))]
        compare.relative(row["statistic"], float(listed["FValue"]), 1e-5, f"{name}: {listed['Effect']}: F")
        compare.relative(row["den_df"], float(listed["DenDF"]), 1e-5, f"{name}: {listed['Effect']}: df")


# -- Potthoff and Roy's growth data with a REPEATED statement: SAS's documentation, and Jennrich and Schluchter (1986)

GROWTH = json.loads((HERE / "published.json").read_text(encoding="utf-8"))["examples"]["sas-potthoff-roy-repeated"]


@cache
def growth(structure: str, reml: bool) -> ranef.Fit:
    data = pd.read_csv(HERE / "published" / "potthoff_roy.csv").assign(Gender=lambda d: pd.Categorical(d["Gender"], ["M", "F"]))
    return ranef.lmm("y ~ Gender * Age", data, residual=structure, reml=reml)


@pytest.mark.parametrize("kind", ["un", "cs", "ar1"])
@pytest.mark.parametrize("method", ["ML", "REML"])
def test_growth(kind: str, method: str) -> None:
    """Computed with gls, whose standard errors under ML carry the factor N / (N - p) in their squares."""
    m, theirs = growth(f"{kind}(Age | Person)", method == "REML"), GROWTH["computed"][method][kind]
    factor = 1.0 if method == "REML" else math.sqrt(m.nobs / (m.nobs - 4))
    compare.likelihood(m.deviance, theirs["m2ll"], "criterion", sign=-1)
    compare.within(m.deviance, theirs["m2ll"], 1e-6, "criterion")
    se = np.array(list(theirs["se"].values())) / factor
    compare.coefficients(m.params, list(theirs["coef"].values()), se, "estimate")
    compare.relative(m.bse, se, 1e-4, "standard error")


@pytest.mark.parametrize(
    ("structure", "name"),
    [("un(Age | Person)", "un"), ("cs(Age | Person)", "cs"), ("cs(Age | Person, by=Gender)", "cs_by_gender")],
)
def test_growth_as_printed(structure: str, name: str) -> None:
    assert f"{growth(structure, False).deviance:.1f}" == str(GROWTH["published"]["ml"][name]["m2ll"])
