"""Kinds of columns: what may be a predictor, what a grouping factor, and the order of levels."""

from __future__ import annotations

import datetime
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from tests.unit.schema.examples import columns, names, small, take

from ranef.errors import DataError
from ranef.schema.values import code_floats, code_integers, code_texts, level_text


def with_column(values: Any) -> pd.DataFrame:
    return small().assign(c=values)


@pytest.mark.parametrize(
    "values",
    [pd.date_range("2020-01-01", periods=24), pd.date_range("2020-01-01", periods=24, tz="UTC"), pd.timedelta_range("1h", periods=24),
     pd.period_range("2020-01", periods=24, freq="M"), [datetime.date(2020, 1, 1 + i) for i in range(24)]],
)  # fmt: skip
def test_times_are_groups_but_no_predictors(values: Any) -> None:
    with pytest.raises(DataError, match="'c' holds dates or times"):
        take("y ~ c", with_column(values))
    with pytest.raises(DataError, match="'c' holds dates or times"):
        take("c ~ x", with_column(values))
    assert take("y ~ x + (1 | c)", with_column(values)).design.terms[0].group.size == 24


@pytest.mark.parametrize("values", [[1j] * 24, ["a", 1] * 12, [[1]] * 24, [{"a": 1}] * 24, [b"a"] * 24])
def test_unusable_columns_are_named(values: Any) -> None:
    with pytest.raises(DataError, match="column 'c'"):
        take("y ~ c", with_column(values))
    assert names("y ~ x", with_column(values)) == ["(Intercept)", "x"]


def test_nested_and_struct_columns_of_polars() -> None:
    frame = pl.DataFrame({"y": [1.0, 2.0], "a": [[1], [2]]}).with_columns(s=pl.struct("y"))
    for formula in ("y ~ a", "y ~ s", "y ~ 1 + (1 | a)"):
        with pytest.raises(DataError, match="no model here can use"):
            take(formula, frame)
        with pytest.raises(DataError, match="no model here can use"):
            take(formula, frame.to_arrow())


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (pd.Categorical(["b", "a", "c"] * 8, categories=list("zbcxa")), ["b", "c", "a"]),
        (pd.Series(["b", "a", "c"] * 8), ["a", "b", "c"]),
        (pd.Series(["b", "a", "c"] * 8, dtype=object), ["a", "b", "c"]),
        (["B", "a", "č"] * 8, ["B", "a", "č"]),
        (pd.Categorical([3, 1, 2] * 8), [1, 2, 3]),
        (
            pd.Categorical(pd.to_datetime(["2020-01-03", "2020-01-01", "2020-01-02"] * 8)),
            ["2020-01-01 00:00:00", "2020-01-02 00:00:00", "2020-01-03 00:00:00"],
        ),
    ],
)
def test_order_of_levels(values: Any, expected: list[Any]) -> None:
    assert take("y ~ 1 + (1 | c)", with_column(values)).design.terms[0].group.levels.tolist() == expected


def test_polars_enum_keeps_order_and_categorical_is_sorted() -> None:
    text = ["mid", "hi", "lo"] * 4
    frame = pl.DataFrame({"y": np.arange(12.0)}).with_columns(
        e=pl.Series(text, dtype=pl.Enum(["lo", "mid", "hi"])), c=pl.Series(text, dtype=pl.Categorical)
    )
    assert names("y ~ e", frame) == ["(Intercept)", "e[T.mid]", "e[T.hi]"]
    assert names("y ~ c", frame) == ["(Intercept)", "c[T.lo]", "c[T.mid]"]


def test_large_integers_stay_apart_as_groups() -> None:
    for dtype in ("int64", "uint64", "Int64"):
        frame = with_column(pd.array(np.repeat([2**53, 2**53 + 1, 2**53 + 2], 8), dtype=dtype))
        group = take("y ~ x + (1 | c)", frame).design.terms[0].group
        assert group.levels.tolist() == [2**53, 2**53 + 1, 2**53 + 2]
        assert take("y ~ factor(c)", frame).design.X.shape == (24, 3)
    with_gap = pd.array([2**53, None, 2**53 + 1] * 8, dtype="Int64")
    assert take("y ~ x + (1 | c)", with_column(with_gap)).design.terms[0].group.size == 2


def test_logicals() -> None:
    found = columns("y ~ b")
    np.testing.assert_array_equal(found["b[T.True]"], small()["b"])
    assert names("y ~ 0 + b") == ["b[False]", "b[True]"]
    assert names("y ~ b", small().assign(b=True)) == ["(Intercept)", "b[T.True]"]  # as in R, which keeps both levels
    gaps = with_column([True, None, False] * 8)
    assert take("y ~ c", gaps).rows.missing == {"c": 8}
    assert names("y ~ c", gaps) == ["(Intercept)", "c[T.True]"]
    assert take("y ~ 1 + (1 | c)", small().assign(c=True)).design.terms[0].group.levels.tolist() == [True]


def test_missing_of_all_kinds_are_the_same() -> None:
    for values in (
        ["a", None] * 12,
        ["a", np.nan] * 12,
        [1.5, None] * 12,
        [1, pd.NA] * 12,
        pd.array([1, None] * 12, dtype="Int64"),
        [None, True] * 12,
    ):
        found = take("y ~ 0 + c", with_column(values))
        assert found.rows.missing == {"c": 12}
        assert found.design.nobs == 12


def test_codes_of_integers_by_counting_and_by_sorting_agree() -> None:
    rng = np.random.default_rng(0)
    for values in (
        rng.integers(-5, 9, 100),
        rng.integers(-(2**62), 2**62, 100),
        np.array([-128, 127], dtype=np.int8),
        np.array([], dtype=np.int64),
    ):
        found = code_integers(values)
        np.testing.assert_array_equal(found.levels[found.codes].astype(values.dtype), values)
        assert found.levels.tolist() == sorted(set(values.tolist()))


def test_codes_of_floats_and_texts() -> None:
    assert code_floats(np.array([2.0, np.nan, -1.0, 2.0])).codes.tolist() == [1, -1, 0, 1]
    found = code_texts(np.array(["b", None, "a", "b"], dtype=object))
    assert (found.codes.tolist(), found.levels.tolist()) == ([1, -1, 0, 1], ["a", "b"])


def test_text_of_levels() -> None:
    assert [level_text(level) for level in (8.0, 0.5, 3, True, "8.0", 1e300, float("inf"))] == [
        "8",
        "0.5",
        "3",
        "True",
        "8.0",
        "1e+300",
        "inf",
    ]


def test_different_levels_that_read_the_same() -> None:
    with pytest.raises(DataError, match="read the same"):
        take(
            "y ~ 1 + (1 | c)", with_column(pd.Categorical(pd.Series([datetime.date(2020, 1, 1), "2020-01-01"] * 12, dtype=object)))
        )
