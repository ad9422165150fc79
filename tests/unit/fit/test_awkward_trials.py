"""Trials as they come: visits and patients that are hardly there, and visits of all kinds. Nothing crashes, nothing is silently wrong."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy.linalg import block_diag

import ranef
from ranef.core.solution import Solution

FACTORS = "y ~ arm * visit + base"
NUMBERS = "y ~ arm * factor(visit) + base"


def trial(patients: int = 60, visits: int = 4) -> pd.DataFrame:
    rng = np.random.default_rng(1)
    data = pd.DataFrame({"id": np.repeat(np.arange(patients), visits), "visit": np.tile(np.arange(1, visits + 1), patients)})
    data["arm"] = np.where(data["id"] % 2, "act", "pbo")
    data["base"] = np.repeat(rng.normal(size=patients), visits)
    data["y"] = data["base"] + 0.3 * data["visit"] + np.repeat(rng.normal(size=patients), visits) + rng.normal(size=len(data))
    return data


def fitted(data: object, formula: str = NUMBERS, **options: object) -> ranef.Fit:
    return ranef.mmrm(formula, data, **{"subject": "id", "visit": "visit", "cov": "un"} | options)


def codes(fit: ranef.Fit) -> list[str]:
    return [finding.code for finding in fit.findings]


def text(fit: ranef.Fit, code: str) -> str:
    (found,) = [finding.message for finding in fit.findings if finding.code == code]
    return str(found)


def test_a_visit_missing_in_an_arm() -> None:
    """The cell is not estimable and says so; the other means are those of the model without that visit in that arm."""
    data = trial()
    fit = fitted(data[~((data["arm"] == "act") & (data["visit"] == 3))])
    assert fit.status == "optimum"
    assert codes(fit) == ["rank_deficient_columns_dropped"]
    means = {(row["arm"], str(row["visit"])): row["estimate"] for row in ranef.emmeans(fit, ["arm", "visit"])}
    assert np.isnan(means["act", "3"])
    assert sum(np.isnan(list(means.values()))) == 1


def test_a_patient_with_one_visit_counts() -> None:
    """As in dense algebra: the row adds to the likelihood through the variance of its visit."""
    data = trial()
    fit = fitted(data[~((data["id"] == 0) & (data["visit"] > 1))])
    assert (fit.status, fit.nobs) == ("optimum", 237)
    assert not fit.findings


@pytest.mark.parametrize("kind", ["floats", "text", "string", "categorical", "ordered", "polars", "enum", "names with spaces"])
def test_visits_of_all_kinds_are_the_same_fit(kind: str) -> None:
    data, formula = trial(), FACTORS
    words = "V" + data["visit"].astype(str)
    options: dict[str, str] = {}
    made = {
        "floats": data.assign(visit=1.5 * data["visit"]),
        "text": data.assign(visit=words),
        "string": data.assign(visit=words.astype("string")),
        "categorical": data.assign(visit=pd.Categorical(words)),
        "ordered": data.assign(visit=pd.Categorical(data["visit"], ordered=True)),
        "polars": pl.from_pandas(data),
        "enum": pl.from_pandas(data.assign(visit=words)).with_columns(pl.col("visit").cast(pl.Enum(["V1", "V2", "V3", "V4"]))),
        "names with spaces": data.rename(columns={"visit": "study visit", "id": "patient number"}),
    }[kind]
    if kind in ("floats", "polars"):
        formula = NUMBERS
    if kind == "names with spaces":
        formula = "y ~ arm * factor(`study visit`) + base"
        options = {"subject": "patient number", "visit": "study visit"}
    ours, plain = (
        fitted(made, formula, reml=False, ddf="satterthwaite", **options),
        fitted(trial(), reml=False, ddf="satterthwaite"),
    )
    assert ours.llf == pytest.approx(plain.llf, rel=1e-10)


@pytest.mark.parametrize("kind", ["times", "objects", "polars"])
def test_dates_are_levels_in_their_order(kind: str) -> None:
    times = pd.Timestamp("2024-01-29") + pd.to_timedelta(14 * trial()["visit"], unit="D")
    data = trial().assign(week=times if kind == "times" else [time.date() for time in times])
    fit = fitted(pl.from_pandas(data) if kind == "polars" else data, visit="week")
    assert fit.llf == pytest.approx(fitted(trial()).llf, rel=1e-12)
    assert [str(day)[:10] for day in fit.residual_covariance()["row"]] == ["2024-02-12", "2024-02-26", "2024-03-11", "2024-03-25"]


@pytest.mark.parametrize("word", ["ar1", "toep", "sp_exp"])
def test_dates_are_no_steps_and_no_distances(word: str) -> None:
    """The unit would be a guess."""
    dates = pd.Timestamp("2024-01-01") + pd.to_timedelta(14 * trial()["visit"], unit="D")
    with pytest.raises(ranef.DataError, match=r"dates or times[\s\S]*number in a unit of your choice"):
        fitted(trial().assign(week=dates), visit="week", cov=word)


def test_levels_that_never_occur_are_no_visits() -> None:
    data = trial()
    padded = data.assign(visit=pd.Categorical(data["visit"], categories=[0, 1, 2, 3, 4, 5]))
    fit, plain = fitted(padded, FACTORS), fitted(data.assign(visit=pd.Categorical(data["visit"])), FACTORS)
    assert fit.npar == plain.npar
    assert fit.llf == pytest.approx(plain.llf, rel=1e-12)
    assert list(fit.residual_covariance()["row"]) == ["1", "2", "3", "4"]


def test_a_level_between_counts_as_a_step() -> None:
    data = trial()
    late = data.assign(visit=pd.Categorical(data["visit"] + (data["visit"] > 2), categories=[0, 1, 2, 3, 4, 5, 6]))
    by_level, by_number = (ranef.lmm("y ~ arm", frame, residual="ar1(visit | id)") for frame in (late, late.astype({"visit": int})))
    assert by_level.llf == pytest.approx(by_number.llf, rel=1e-12)


def test_visits_that_nobody_has_both_of() -> None:
    """Their covariance is not in the data; the fixed effects are those of the two halves fitted together."""
    data = trial()
    early = data["id"] % 3 == 0
    fit = fitted(data[(early & (data["visit"] <= 2)) | (~early & (data["visit"] > 2))], "y ~ arm + factor(visit)")
    assert text(fit, "not_identified").startswith("No level of id has rows at both 1 and 3, 1 and 4, 2 and 3, 2 and 4:")
    assert np.isfinite(fit.bse).all()
    assert np.isfinite(fit.df).all()
    linear = fit.with_ddf("kenward-roger-linear")
    np.testing.assert_allclose(linear.bse, fit.bse, rtol=1e-8)
    assert (fit.bse >= fit.with_ddf("satterthwaite").bse * (1 - 1e-6)).all()


@pytest.mark.parametrize("patients", [1, 2])
def test_a_visit_that_is_fitted_exactly_has_no_variance_of_its_own(patients: int) -> None:
    """A ladder goes on to a structure that borrows it."""
    data = trial()
    rows = data[(data["visit"] < 4) | (data["id"] < patients)]
    with pytest.raises(ranef.ModelError, match=r"fit (the only row|all 2 rows) of visit 4 exactly"):
        fitted(rows)
    taken = fitted(rows, cov=["un", "cs"])
    assert "cs" in text(taken, "structure_chosen")
    (finding,) = [finding for finding in taken.findings if finding.code == "structure_chosen"]
    assert str(finding.evidence["tried"]).startswith("un: refused (The fixed effects fit")
    assert np.isfinite(taken.bse).all()


def test_fewer_patients_than_visits() -> None:
    fit = fitted(trial(10, 12), "y ~ arm * visit + base")
    assert fit.status == "not converged"
    assert text(fit, "not_identified").startswith(
        "10 levels of id with 12 visits: a covariance matrix without structure needs more"
    )
    taken = fitted(trial(10, 12), "y ~ arm * visit + base", cov=["un", "ar1h", "cs"])
    assert taken.status == "optimum"
    assert "ar1h" in text(taken, "structure_chosen")


def test_too_few_patients_for_the_fixed_effects_too() -> None:
    """14 patients less two arms leave 12 dimensions for 12 visits, and the baseline takes one: a combination of visits is fitted."""
    fit = fitted(trial(14, 12), "y ~ arm * factor(visit) + base", ddf="satterthwaite")
    assert fit.status == "not converged"
    assert "14 levels of id with up to 12 visits are too few for un(visit | id) beside these fixed effects" in text(
        fit, "not_identified"
    )
    assert "toeph" in str(fit.findings[-1].remedy)
    enough = fitted(trial(15, 12), "y ~ arm * factor(visit) + base", ddf="satterthwaite")
    assert (enough.status, codes(enough)) == ("optimum", [])


def test_visits_that_repeat_others_have_no_maximum() -> None:
    """The difference of two visits is one constant: 60 patients do not help."""
    data = trial().set_index(["id", "visit"])
    data["y"] = (
        data["y"].unstack("visit").assign(**{"4": lambda wide: wide[3] + 1.0}).drop(columns=4).rename(columns={"4": 4}).stack()
    )
    fit = fitted(data.reset_index(), "y ~ arm * factor(visit)", ddf="satterthwaite")
    assert fit.status == "not converged"
    assert "no visit repeats another" in str(next(one.remedy for one in fit.findings if one.code == "not_identified"))


def test_twelve_visits_of_twenty_patients() -> None:
    fit = fitted(trial(20, 12), "y ~ arm * visit + base")
    assert (fit.status, len(fit.optimum.theta)) == ("optimum", 78)


def test_the_better_of_two_signs_of_a_correlation() -> None:
    """Slopes and ARMA residuals compete; an optimum that the first starts agree on is not the best. By a dense likelihood."""
    rng = np.random.default_rng(7)
    subjects, visits = 14, 4
    data = pd.DataFrame({"id": np.repeat(np.arange(subjects), visits), "visit": np.tile(np.arange(visits), subjects)})
    own, slope = rng.normal(size=subjects), 0.4 * rng.normal(size=subjects)
    data["y"] = np.repeat(own, visits) + data["visit"] * np.repeat(slope, visits) + rng.normal(size=len(data))
    fit = ranef.lmm("y ~ visit + (visit | id)", data, residual="arma11(visit | id)")
    X = np.column_stack([np.ones(len(data)), data["visit"]])
    assert dense_loglik(marginal_blocks(fit, subjects), X, data["y"].to_numpy()) == pytest.approx(fit.llf, abs=1e-8)
    assert fit.llf > -86.6716  # where the starts with positive correlations end: -86.7174


WEEKS = {1: "base", 2: "w4", 3: "w12", 4: "w24"}


@pytest.mark.parametrize("word", ["car1", "sp_exp"])
def test_text_in_alphabetical_order_is_no_distance(word: str) -> None:
    """w12 comes before w4; a categorical has the order that its maker gave it."""
    data = trial().assign(week=lambda rows: rows["visit"].map(WEEKS))
    with pytest.raises(
        ranef.DataError, match=r"week is text, and its levels in alphabetical order are no positions: base, w12, w24"
    ):
        ranef.lmm("y ~ arm", data, residual=f"{word}(week | id)")
    ordered = data.assign(week=pd.Categorical(data["week"], categories=list(WEEKS.values())))
    numbers, levels = (
        ranef.lmm("y ~ arm", frame, residual=f"{word}({name} | id)") for frame, name in ((data, "visit"), (ordered, "week"))
    )
    assert levels.llf == pytest.approx(numbers.llf, rel=1e-12)


def test_steps_in_alphabetical_order_are_told() -> None:
    data = trial().assign(week=lambda rows: rows["visit"].map(WEEKS))
    told = ranef.lmm("y ~ arm", data, residual="ar1(week | id)")
    assert (
        text(told, "visits_in_alphabetical_order") == "ar1(week | id) takes the visits in alphabetical order: base, w12, w24, w4."
    )
    assert not codes(ranef.lmm("y ~ arm", data, residual="cs(week | id)"))  # in which order does not matter
    assert not codes(ranef.lmm("y ~ arm", data.assign(week="V" + data["visit"].astype(str)), residual="ar1(week | id)"))
    ordered = data.assign(week=pd.Categorical(data["week"], categories=list(WEEKS.values())))
    assert not codes(ranef.lmm("y ~ arm", ordered, residual="ar1(week | id)"))


def test_a_visit_of_constant_responses_has_no_variance() -> None:
    data = trial()
    data.loc[data["visit"] == 1, "y"] = 0.0
    fit = fitted(data, "y ~ arm * factor(visit)", ddf="satterthwaite")
    assert fit.status == "not converged"
    assert text(fit, "not_identified").startswith("The fixed effects fit the rows of visit 1 exactly")


@pytest.mark.parametrize("cov", [None, 3, ["un", None]])
def test_what_is_no_structure(cov: object) -> None:
    with pytest.raises(ranef.ModelError, match="is no structure"):
        fitted(trial(), cov=cov)


def test_mmrm_takes_no_residual() -> None:
    with pytest.raises(ranef.ModelError, match="makes the residual structure of cov="):
        fitted(trial(), residual="cs(visit | id)")


def test_the_best_range_beside_random_effects() -> None:
    """No correlation, and one over several days, are optima; candidates of one neighbourhood all lead to the first, at -115.24."""
    rng = np.random.default_rng(64)
    n, k = 16, 4
    days, z = rng.uniform(0.3, 2.0, size=(n, k)).cumsum(axis=1).ravel(), rng.uniform(0.5, 3.0, size=n * k)
    errors = np.zeros((n, k))
    for j in range(k):
        errors[:, j] = 0.6 * (errors[:, j - 1] if j else 0.0) + rng.normal(size=n) * (0.7 + 0.2 * j)
    data = pd.DataFrame({"id": np.repeat(np.arange(n), k), "day": days, "z": z})
    data["y"] = (np.repeat(0.7 * rng.normal(size=n), k) + errors.ravel()) * (0.4 + 0.5 * z)
    fit = ranef.lmm("y ~ day + (1 | id)", data, residual="car1(day | id) * power(z)")
    X = np.column_stack([np.ones(n * k), days])
    assert dense_loglik(marginal_blocks(fit, n), X, data["y"].to_numpy()) == pytest.approx(fit.llf, abs=1e-8)
    assert fit.llf > -114.7376


def marginal_blocks(fit: ranef.Fit, subjects: int) -> np.ndarray:
    tables = [fit.residual_covariance(subject=i, marginal=True) for i in range(subjects)]
    return block_diag(*(np.array([list(row.values())[1:] for row in table], dtype=float) for table in tables))


def dense_loglik(V: np.ndarray, X: np.ndarray, y: np.ndarray) -> float:
    inner = X.T @ np.linalg.solve(V, X)
    rest = y - X @ np.linalg.solve(inner, X.T @ np.linalg.solve(V, y))
    nu, s = len(y) - X.shape[1], rest @ np.linalg.solve(V, rest)
    return float(-0.5 * (np.linalg.slogdet(V)[1] + np.linalg.slogdet(inner)[1] + s + nu * np.log(2.0 * np.pi)))


def test_a_matrix_that_rounding_makes_indefinite_is_refused_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a search ends beside a singular matrix, whether it can be factored is a matter of the last digit."""

    def indefinite(self: Solution) -> None:
        raise np.linalg.LinAlgError("V is not positive definite")

    data = trial()
    data.loc[data["visit"] == 1, "y"] = 0.0
    monkeypatch.setattr(Solution, "gls", property(indefinite))
    with pytest.raises(ranef.ModelError, match="The fixed effects fit the rows of visit 1 exactly"):
        fitted(data, "y ~ arm * factor(visit)", ddf="satterthwaite")
