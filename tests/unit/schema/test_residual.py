"""The residual structure on data: where rows stand, and which data it refuses."""

import numpy as np
import pandas as pd
import polars as pl
import pytest

import ranef
from ranef.fit.fit import Fit

SUBJECTS, VISITS = 12, 4


@pytest.fixture(scope="module")
def data() -> pd.DataFrame:
    rng = np.random.default_rng(1)
    ids, visits = np.repeat(np.arange(SUBJECTS), VISITS), np.tile(np.arange(VISITS), SUBJECTS)
    return pd.DataFrame(
        {
            "id": ids, "visit": visits, "day": np.array([1.0, 2.0, 4.0, 9.0])[visits], "uneven": np.array([1.0, 2.5, 4.0, 9.2])[visits],
            "arm": np.where(ids % 2, "a", "b"), "site": ids // 4, "sub": ids % 4, "the id": ids, "one": "k",
            "half": np.where(visits % 2, "p", "q"), "row": np.arange(len(ids)),
            "zero": visits.astype(float), "x": rng.normal(size=len(ids)), "y": rng.normal(size=len(ids)) + rng.normal(size=SUBJECTS)[ids],
        }
    )  # fmt: skip


def fitted(data: object, residual: str, **options: object) -> Fit:
    return ranef.lmm("y ~ x", data, residual=residual, **options)


REFUSED = [
    ("ar1(visit | nope)", ranef.DataError, r"no column 'nope'\n  ar1\(visit \| nope\)"),
    ("power(nope)", ranef.DataError, r"no column 'nope'\n  power\(nope\)"),
    ("un(visit | id, by=nope)", ranef.DataError, r"no column 'nope'"),
    ("ar1(visit | site)", ranef.DataError, r"site 0 has two rows for visit 0 \(rows 0 and 4"),
    ("car1(arm | id)", ranef.DataError, r"id 0 has two rows for position 1 \(rows 0 and 1"),
    ("ar1(visit | row)", ranef.ModelError, "Each level of row has one row"),
    ("ar1(uneven | id)", ranef.ModelError, r"values of uneven are not equally spaced\.\nUse car1\(uneven"),
    ("toeph(uneven | id)", ranef.ModelError, "not equally spaced"),
    ("un(visit | id, by=half)", ranef.DataError, "id 0 has rows in several levels of half"),
    ("car1(day | id, by=arm)", ranef.ModelError, "by distance there is one for all"),
    ("ar1(visit + day | id)", ranef.ModelError, "ordered by one column, not by 2"),
    ("sp_exp(1 | id)", ranef.ModelError, "sp_exp needs coordinates"),
    ("sp_sph(day + x + y + zero | id)", ranef.ModelError, "at most 3 dimensions"),
    ("rr(visit | id, d=1)", ranef.ModelError, "no full rank"),
    ("un(half) @ car1(day | id)", ranef.ModelError, "two structures over visits"),
    ("power(zero)", ranef.DataError, r"is zero where zero is, in row 0, 4, 8"),
    ("constpower(zero)", ranef.DataError, "is zero where zero is"),
    ("power(arm)", ranef.DataError, r"needs numbers, and arm has levels\.\nWrite ident\(arm\)"),
    ("ident(one)", ranef.ModelError, "one level only"),
    ("ident(fitted)", ranef.ModelError, "takes a factor"),
]


@pytest.mark.parametrize(("residual", "kind", "message"), REFUSED)
def test_refused(data, residual, kind, message):
    with pytest.raises(kind, match=message):
        fitted(data, residual)


def test_known_variances_are_added_to_the_structure(data):
    m = fitted(data, "ar1(visit | id)", sampling_variance="day")
    known = m.model.design.residual.known
    np.testing.assert_allclose(known, data["day"][m.model.rows.kept] if m.model.rows.kept is not None else data["day"])
    assert m.model.design.weights is None and m.model.design.sigma is None


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ar1(visit | id)", "ar1(1 | id)"),
        ("ar1(visit | id)", "ar1(visit | site / sub)"),
        ("ar1(visit | id)", "ar1(visit | site:sub)"),
        ("ar1(visit | id)", "ar1(visit | `the id`)"),
        ("ar1(visit | id)", "ar1(C(visit) | id)"),
        ("ar1(day | id)", "car1(day | id)"),  # times 3, 5, ... are positions without rows
        ("toep(visit | id, bands=4)", "toep(visit | id)"),
        ("exponential(zero)", "exponential(visit)"),
    ],
)
def test_the_same_structure_in_other_words(data, one, other):
    assert fitted(data, one).llf == pytest.approx(fitted(data, other).llf, abs=1e-7)


def test_positions_of_numbers_and_of_levels(data):
    term = fitted(data, "ar1(day | id)").model.design.residual
    assert term.visits == tuple("123456789")
    levels = data.assign(day=data["day"].astype(str))
    assert fitted(levels, "ar1(day | id)").model.design.residual.visits == ("1.0", "2.0", "4.0", "9.0")


def test_the_order_of_rows_does_not_matter_where_visits_are_named(data):
    shuffled = data.sample(frac=1.0, random_state=3)
    for residual in ("ar1(visit | id)", "car1(day | id)", "un(visit | id, by=arm)"):
        assert fitted(shuffled, residual).llf == pytest.approx(fitted(data, residual).llf, abs=1e-8)
    assert abs(fitted(shuffled, "ar1(1 | id)").llf - fitted(data, "ar1(1 | id)").llf) > 1e-3


@pytest.mark.parametrize("column", ["visit", "id", "arm"])
def test_rows_with_missing_values_are_left_out(data, column):
    holes = data.astype({column: object}).copy()
    holes.loc[[3, 18], column] = None
    whole = data.drop(index=[3, 18])
    residual = "ar1h(visit | id) * ident(arm)"
    fit = fitted(holes, residual)
    assert fit.nobs == len(data) - 2
    assert fit.llf == pytest.approx(fitted(whole, residual).llf, abs=1e-8)
    with pytest.raises(ranef.DataError, match=column):
        fitted(holes, residual, missing="raise")


def test_frames_of_any_kind(data):
    residual = "ar1(visit | id, by=arm)"
    reference = fitted(data, residual)
    for other in (pl.from_pandas(data), {name: data[name].to_numpy() for name in data}, {name: list(data[name]) for name in data}):
        fit = fitted(other, residual)
        assert fit.llf == pytest.approx(reference.llf, abs=1e-9)
        np.testing.assert_allclose(fit.params, reference.params, rtol=1e-8)
    assert isinstance(fitted(pl.from_pandas(data), residual).residual_parameters().frame, pl.DataFrame)


def test_levels_without_rows_are_visits(data):
    """A categorical keeps its levels, so that a visit that nobody has counts as a step."""
    some = data[data["visit"] != 1].copy()
    some["visit"] = pd.Categorical(some["visit"], categories=[0, 1, 2, 3])
    assert fitted(some, "ar1(visit | id)").llf == pytest.approx(
        fitted(some.assign(visit=some["visit"].astype(float)), "car1(visit | id)").llf
    )
