"""Rows: what is dropped, what is counted, what is refused; weights, offsets, the user's index."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from tests.unit.schema.examples import names, small, take

from ranef.errors import DataError, FormulaError, MemoryEstimateError, ModelError, RanefError
from ranef.schema import memory

N = 24


def gaps() -> pd.DataFrame:
    frame = small()
    frame.loc[0, "y"] = np.nan
    frame.loc[[1, 2], "x"] = np.nan
    frame.loc[2, "s"] = None
    frame.loc[3, "g"] = None
    frame.loc[4, "z"] = np.nan
    frame.index = pd.Index([f"row{i}" for i in range(N)], name="id")
    return frame


def test_one_mask_over_everything() -> None:
    weights = np.ones(N)
    weights[5], weights[6], weights[0] = np.nan, 0, 0
    found = take("y ~ x + s + offset(z) + (1 | g)", gaps(), weights=weights)
    rows = found.rows
    assert rows.missing == {"y": 1, "x": 2, "s": 1, "g": 1, "z": 1, "precision_weights": 1}
    assert (rows.n_total, rows.n_kept, rows.zero_weights) == (24, 17, 1)
    assert rows.index is not None
    assert rows.index.tolist() == [f"row{i}" for i in range(7, N)]
    assert found.design.nobs == 17
    assert found.design.weights is not None
    assert found.design.offset is not None
    np.testing.assert_array_equal(found.design.offset, np.arange(7.0, N))


def test_complete_data_keep_all_rows() -> None:
    rows = take("y ~ x").rows
    assert rows.kept is None
    assert rows.n_kept == rows.n_total == N
    assert not rows.missing
    assert rows.index is not None


def test_raise_names_columns_and_rows() -> None:
    with pytest.raises(DataError, match=r"'y' in row 0; 'x' in row 1, 2; 's' in row 2"):
        take("y ~ x + s", gaps(), missing="raise")
    with pytest.raises(DataError, match=r"'log\(x\)' in row"):
        take("y ~ log(x)", missing="raise")
    assert take("y ~ x", missing="raise").rows.kept is None


def test_no_row_left() -> None:
    with pytest.raises(DataError, match="no row of 24 is complete: missing values: 24 in 'x'"):
        take("y ~ x", small().assign(x=np.nan))
    with pytest.raises(DataError, match="24 rows have weight zero"):
        take("y ~ x", weights=np.zeros(N))
    with pytest.raises(DataError, match="the data have no rows"):
        take("y ~ x", small().iloc[:0])


def test_unused_levels_are_dropped_and_counted() -> None:
    frame = small()
    frame["f"] = frame["f"].cat.add_categories(["never"])
    frame["g"] = pd.Categorical(frame["g"], categories=list("tuvwxyz"))
    frame.loc[frame["f"] == "mid", "x"] = np.nan
    found = take("y ~ x + f + (f | g)", frame)
    assert found.design.names == ("(Intercept)", "x", "f[T.hi]")
    assert found.rows.unused_levels == {"f": 2, "g": 1}
    assert found.design.terms[0].group.levels.tolist() == list("uvwxyz")
    assert found.design.terms[0].names == ("(Intercept)", "f[T.hi]")


@pytest.mark.parametrize("given", ["z", np.arange(N) * 1.0, list(range(N)), pd.Series(np.arange(N), index=np.arange(N) + 7)])
def test_weights_and_offsets_by_name_or_by_row(given: Any) -> None:
    found = take("y ~ x", weights=given)
    assert found.rows.zero_weights == 1
    np.testing.assert_array_equal(found.design.weights, np.arange(1.0, N))
    np.testing.assert_array_equal(take("y ~ x", offset=given).design.offset, np.arange(N))


def test_offsets_add_up() -> None:
    found = take("y ~ x + offset(z) + offset(log(z + 1))", offset=np.ones(N)).design
    np.testing.assert_allclose(found.offset, np.arange(N) + np.log1p(np.arange(N)) + 1)
    assert found.names == ("(Intercept)", "x")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weights": -np.ones(N)}, "negative or infinite in row 0, 1"), ({"weights": np.full(N, np.inf)}, "negative or infinite"),
        ({"weights": [1.0] * 3}, "3 values for 24 rows"), ({"weights": "s"}, "holds text"), ({"weights": "nope"}, "no column 'nope'"), ({"weights": 2.0}, "not float"),
        ({"offset": "g"}, "must be numbers"), ({"offset": np.full(N, np.inf)}, "offset is infinite"), ({"offset": object()}, "not object"), ({"missing": "omit"}, "not known"),
    ],
)  # fmt: skip
def test_bad_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        take("y ~ x", **options)


def test_offsets_must_be_numbers() -> None:
    with pytest.raises(FormulaError, match="one number for each row"):
        take("y ~ x + offset(s)")


@pytest.mark.parametrize("column", ["y", "x", "z"])
def test_infinite_values_are_refused_by_row(column: str) -> None:
    frame = small()
    frame.loc[[3, 7], column] = -np.inf
    with pytest.raises(DataError, match=r"infinite in row 3, 7"):
        take("y ~ x + (z | g)", frame)
    frame.loc[[3, 7], "k"] = np.nan
    assert take("y ~ x + k + (z | g)", frame).design.nobs == 22


def test_values_whose_squares_overflow_are_not_called_infinite() -> None:
    frame = small().assign(x=np.where(np.arange(N) % 2 == 0, 1.7e308, 1.6e308))
    with pytest.raises(DataError, match=r"x is as large as 1\.7e\+308"):
        take("y ~ x", frame)
    assert take("y ~ x", frame.assign(x=frame["x"] * 1e-170)).design.X[0, 1] == 1.7e308 * 1e-170


def test_no_response() -> None:
    with pytest.raises(FormulaError, match="no response"):
        take("~ x")


def test_too_large_a_matrix_is_refused_before_it_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "available_bytes", lambda: 1e9)
    frame = pd.DataFrame({"y": np.arange(20_000.0), "a": np.arange(20_000) % 10_000})
    with pytest.raises(MemoryEstimateError, match=r"20,000 rows, 10,000 columns\) would need 1\.6 GB"):
        take("y ~ factor(a)", frame)
    assert memory.available_bytes() == 1e9


def test_available_memory_is_positive() -> None:
    assert memory.available_bytes() > 0
    memory.refuse_beyond(1e3, "little")
    with pytest.raises(MemoryEstimateError, match="far too much"):
        memory.refuse_beyond(1e30, "far too much")


def test_more_covariance_parameters_than_any_data_identify() -> None:
    frame = pd.DataFrame({"y": np.arange(5000.0), "a": np.arange(5000), "g": np.arange(5000) % 3})
    with pytest.raises(ModelError, match="12,502,500 covariance parameters"):
        take("y ~ 1 + (factor(a) | g)", frame)


def test_constant_responses_are_left_to_the_fit() -> None:
    assert take("y ~ x", small().assign(y=1.0)).design.nobs == N


@pytest.mark.parametrize(
    "formula",
    ["y ~ nope", "y ~ x + (nope | g)", "y ~ x + (1 | nope)", "nope ~ x", "y ~ offset(nope)", "y ~ log(nope)", "y ~ f(x)", "y ~ x + (1 | poly(x, 2))",
     "s ~ x", "y ~ (f(x) | g)", "y ~ I(s + 1)", "y ~ x:nope", "y ~ `a b`", "cbind(y, x) ~ 1", "y ~ 1 + (1 | mm(g))"],
)  # fmt: skip
def test_what_cannot_be_had_is_one_error_of_ours(formula: str) -> None:
    with pytest.raises(RanefError) as caught:
        take(formula)
    assert caught.value.__cause__ is None


def test_names_are_those_of_r() -> None:
    assert names("y ~ I(x^2) + log(z+1) + x:z") == ["(Intercept)", "I(x^2)", "log(z + 1)", "x:z"]
