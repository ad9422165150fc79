"""Trials as they come: visits and patients that are hardly there, and visits of all kinds. Nothing crashes, nothing is silently wrong."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pytest

import ranef

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


def test_twelve_visits_of_twenty_patients() -> None:
    fit = fitted(trial(20, 12), "y ~ arm * visit + base")
    assert (fit.status, len(fit.optimum.theta)) == ("optimum", 78)
