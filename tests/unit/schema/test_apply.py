"""New data follow the fit: the same columns from old rows, kept knots and levels, JSON there and back."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from tests.unit.schema.examples import small, take

from ranef.errors import DataError, FormulaError, SavedModelError
from ranef.schema import Schema

FORMULAS = [
    "y ~ x + z",
    "y ~ f * b + o",
    "y ~ poly(x, 3) + scale(z) + bs(x, df = 5) + ns(z, 3) + cr(x, 4)",
    "y ~ 0 + C(f, sum):x + dummy(s, 'a') + relevel(f, ref = 'hi') + factor(k)",
    "y ~ x + offset(log(z + 1)) + (f | g) + (0 + scale(x) | g:s) + (1 | k)",
    "y ~ .",
    "y ~ `my col` + I(x > 0) + C(s, Treatment('b')) + (1 | factor(k))",
]


def data() -> pd.DataFrame:
    return small().assign(**{"my col": np.arange(24) ** 2.0})


def same(found: Any, design: Any) -> None:
    np.testing.assert_array_equal(found.X, design.X)
    for new, term in zip(found.terms, design.terms, strict=True):
        np.testing.assert_array_equal(new.codes, term.group.codes)
        np.testing.assert_array_equal(new.z if new.z is not None else 1, term.z if term.z is not None else 1)
        assert new.labels.tolist() == term.group.levels[term.group.codes].tolist()
    if design.offset is not None:
        np.testing.assert_array_equal(found.offset, design.offset)


@pytest.mark.parametrize("formula", FORMULAS)
def test_old_rows_give_the_old_columns(formula: str) -> None:
    intake = take(formula, data())
    same(intake.schema.apply(data()), intake.design)
    same(Schema.from_json(json.loads(json.dumps(intake.schema.to_json()))).apply(data()), intake.design)


@pytest.mark.parametrize("formula", FORMULAS)
def test_single_rows_give_the_same_as_all(formula: str) -> None:
    intake = take(formula, data())
    found = [intake.schema.apply(data().iloc[[i]]).X[0] for i in range(0, 24, 5)]
    np.testing.assert_allclose(found, intake.design.X[::5], rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("formula", FORMULAS)
def test_json_is_plain_and_exact(formula: str) -> None:
    saved = take(formula, data()).schema.to_json()
    text = json.dumps(saved, allow_nan=False)
    assert Schema.from_json(json.loads(text)).to_json() == saved
    assert "24" not in {str(len(value)) for value in saved["states"].values()}  # no column of the data inside


def test_response_and_weights_on_request() -> None:
    intake = take("log(z + 1) ~ x", weights="k")
    found = intake.schema.apply(small(), response=True)
    np.testing.assert_allclose(found.y, np.log1p(np.arange(24)))
    np.testing.assert_array_equal(found.weights, small()["k"])
    without = intake.schema.apply(small()[["x"]])
    assert (without.y, without.weights, without.nobs) == (None, None, 24)
    np.testing.assert_array_equal(intake.schema.apply(small(), weights=np.arange(24)).weights, np.arange(24))


def test_unseen_levels_of_fixed_factors() -> None:
    schema = take("y ~ s + f").schema
    new = small().astype({"f": str})
    new.loc[[2, 5], "f"] = ["top", "bottom"]
    with pytest.raises(DataError, match=r"'f' has the level 'bottom', 'top' in row 2, 5") as caught:
        schema.apply(new)
    assert "Known levels: lo, mid, hi." in str(caught.value)
    unused = small().assign(f=pd.Categorical(small()["f"], categories=["lo", "mid", "hi", "unused"]))
    assert schema.apply(unused).X.shape == (24, 6)


def test_unseen_groups_keep_their_labels() -> None:
    schema = take("y ~ x + (1 | g) + (1 | g:b) + (x | k)").schema
    new = pd.DataFrame({"x": [0.0, 1.0, 2.0], "g": ["u", "new", None], "b": [True, False, True], "k": [0, 99, 1]})
    found = schema.apply(new)
    assert [term.codes.tolist() for term in found.terms] == [[0, -1, -1], [1, -1, -1], [0, -1, 1]]
    assert found.terms[0].labels.tolist() == ["u", "new", None]
    assert found.terms[1].labels.tolist() == ["u:True", "new:False", None]
    assert found.terms[2].labels.tolist() == [0, 99, 1]
    codes, z, labels = found.terms[2]
    assert (codes is found.terms[2].codes, z is found.terms[2].z, labels is found.terms[2].labels) == (True, True, True)


def test_unseen_combinations_of_seen_levels() -> None:
    frame = pd.DataFrame({"y": np.arange(3.0), "a": ["p", "p", "q"], "b": ["s", "t", "t"]})
    found = take("y ~ 1 + (1 | a:b)", frame).schema.apply({"a": ["q", "q", "p"], "b": ["s", "t", "s"]})
    assert found.terms[0].codes.tolist() == [-1, 2, 0]


def test_levels_match_across_kinds_of_columns() -> None:
    schema = take("y ~ factor(k) + b + (1 | k)").schema
    plain = schema.apply(small())
    for new in (
        small().astype({"k": str}),
        small().astype({"k": float}),
        small().assign(b=small()["b"].astype(int)),
        pl.from_pandas(small()[["k", "b"]]),
    ):
        found = schema.apply(new)
        np.testing.assert_array_equal(found.X, plain.X)
        np.testing.assert_array_equal(found.terms[0].codes, plain.terms[0].codes)


def test_missing_rows_are_kept_as_nan() -> None:
    schema = take("y ~ poly(x, 2) + f + (z | g)").schema
    new = small().iloc[:4].copy()
    new.loc[0, "x"], new.loc[1, "f"], new.loc[2, "z"], new.loc[3, "g"] = np.nan, None, np.nan, None
    found = schema.apply(new)
    assert np.isnan(found.X).any(axis=1).tolist() == [True, True, False, False]
    assert found.terms[0].z is not None
    assert np.isnan(found.terms[0].z).any(axis=1).tolist() == [False, False, True, False]
    assert found.terms[0].codes.tolist() == [0, 0, 0, -1]
    with pytest.raises(DataError, match="row 0, 1, 2, 3"):
        schema.apply(new, missing="raise")
    with pytest.raises(DataError, match="not known"):
        schema.apply(new, missing="drop")  # type: ignore[arg-type]


def test_population_predictions_need_no_groups() -> None:
    schema = take("y ~ x + (z | g)").schema
    found = schema.apply({"x": [1.0, 2.0]}, random=False)
    np.testing.assert_array_equal(found.X[:, 1], [1, 2])
    assert found.terms == ()
    with pytest.raises(DataError, match=r"no column 'g'|no column 'z'"):
        schema.apply({"x": [1.0, 2.0]})


def test_index_and_kind_of_frame_are_kept() -> None:
    schema = take("y ~ x").schema
    found = schema.apply(small().set_index("g"))
    assert found.index is not None
    assert found.index.name == "g"
    assert schema.apply(pl.from_pandas(small()[["x"]])).frame == "polars"


def test_splines_and_powers_extend_beyond_the_old_range() -> None:
    schema = take("y ~ ns(x, 3) + poly(z, 2)").schema
    X = schema.apply({"x": [-50.0, -51.0, -52.0], "z": [100.0, 101.0, 102.0]}).X
    np.testing.assert_allclose(np.diff(X[:, 1:4], 2, axis=0), 0, atol=1e-9)
    assert np.isfinite(X).all()


def test_offsets_of_new_rows() -> None:
    by_name = take("y ~ x", offset="z").schema
    np.testing.assert_array_equal(by_name.apply({"x": [1.0], "z": [5.0]}).offset, [5])
    with pytest.raises(DataError, match="no column 'z'"):
        by_name.apply({"x": [1.0]})
    loose = take("y ~ x", offset=np.ones(24)).schema
    with pytest.raises(DataError, match="offset as an array"):
        loose.apply({"x": [1.0]})
    np.testing.assert_array_equal(loose.apply({"x": [1.0]}, offset=[3.0]).offset, [3])


def test_functions_of_the_user_must_come_along() -> None:
    functions = {"cube": lambda v: v**3}
    schema = take("y ~ cube(x)", functions=functions).schema
    np.testing.assert_array_equal(schema.apply({"x": [2.0]}).X, [[1, 8]])
    loaded = Schema.from_json(schema.to_json())
    with pytest.raises(FormulaError, match="unknown function 'cube'"):
        loaded.apply({"x": [2.0]})
    np.testing.assert_array_equal(loaded.with_functions(functions).apply({"x": [2.0]}).X, [[1, 8]])


def test_changes_of_kind_are_refused() -> None:
    with pytest.raises(DataError, match="'x' was numeric in the fit"):
        take("y ~ x").schema.apply({"x": ["a"]})
    with pytest.raises(DataError, match="infinite in row 0"):
        take("y ~ x").schema.apply({"x": [np.inf]})
    grown = take("y ~ two(x)", functions={"two": lambda v: np.column_stack([v, v])}).schema
    with pytest.raises(FormulaError, match="2 columns in the fit and has 3"):
        grown.with_functions({"two": lambda v: np.column_stack([v, v, v])}).apply(small())


@pytest.mark.parametrize(
    "damage", [{}, {"formula": 3}, {"variables": [1]}, {"states": 1}, {"fixed": [[["x"]]]}, {"groups": [{}]}, {"formula": "y ~ ("}]
)
def test_damaged_schemas(damage: dict[str, Any]) -> None:
    saved = take("y ~ x + (1 | g)").schema.to_json()
    with pytest.raises(SavedModelError, match="damaged"):
        Schema.from_json(saved | damage if damage else {})
