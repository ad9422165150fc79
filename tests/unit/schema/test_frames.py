"""The door: the same data in any kind of table give the same design."""

from __future__ import annotations

import gzip
from decimal import Decimal
from pathlib import Path
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.unit.schema.examples import LEVELS, columns, names, small, take

from ranef.errors import DataError

FORMULA = "y ~ x + f * b + poly(z, 2) + s + (1 + f | id) + (1 | s:k)"


def data() -> pd.DataFrame:
    frame = small()
    frame["id"] = np.tile([2**60, 2**60 + 1], 12)  # the same number as a float
    frame.loc[5, "x"] = np.nan
    frame.loc[3, "s"] = None
    return frame


def in_polars(frame: pd.DataFrame) -> pl.DataFrame:
    plain = pl.from_pandas(frame.drop(columns=["f", "o"]))
    enum = pl.Enum(LEVELS)
    return plain.with_columns(**{name: pl.Series(frame[name].astype(str).tolist(), dtype=enum) for name in ("f", "o")})


def in_arrow(frame: pd.DataFrame) -> pa.Table:
    return pa.Table.from_pandas(frame)


KINDS: dict[str, tuple[Any, str]] = {
    "polars": (in_polars, "polars"),
    "lazy polars": (lambda d: in_polars(d).lazy(), "polars"),
    "arrow": (in_arrow, "pyarrow"),
    "arrow in chunks": (lambda d: pa.concat_tables([in_arrow(d)[:7], in_arrow(d)[7:]]), "pyarrow"),
    "dict of series": (lambda d: dict(d.items()), "dict"),
    "dict of arrays and lists": (
        lambda d: {c: d[c].array if c in "fo" else d[c].to_numpy() if c == "id" else d[c].tolist() for c in d},
        "dict",
    ),
    "dict of polars series": (lambda d: {c: in_polars(d)[c] for c in d}, "dict"),
    "narwhals": (nw.from_native, "pandas"),
    "pandas with arrow types": (lambda d: in_arrow(d).to_pandas(types_mapper=pd.ArrowDtype), "pandas"),
    "pandas with nullable types": (lambda d: d.convert_dtypes(), "pandas"),
    "pandas with objects": (lambda d: d.astype({"s": object, "b": object, "x": object}), "pandas"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_table_gives_the_same(kind: str) -> None:
    make, frame = KINDS[kind]
    expected, found = take(FORMULA, data()), take(FORMULA, make(data()))
    assert found.design.names == expected.design.names
    np.testing.assert_array_equal(found.design.X, expected.design.X)
    np.testing.assert_array_equal(found.design.y, expected.design.y)
    for ours, theirs in zip(found.design.terms, expected.design.terms, strict=True):
        assert ours.group.levels.tolist() == theirs.group.levels.tolist()
        np.testing.assert_array_equal(ours.group.codes, theirs.group.codes)
    assert found.schema.to_json() == expected.schema.to_json()
    assert found.rows.missing == {"x": 1, "s": 1}
    assert found.rows.frame == frame


def test_csv_and_parquet_by_name(tmp_path: Path) -> None:
    frame = data().drop(columns=["f", "o"])
    formula = "y ~ x + b + s + (1 | id)"
    expected = take(formula, frame)
    frame.to_csv(tmp_path / "a.csv", index=False)
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress((tmp_path / "a.csv").read_bytes()))
    frame.to_csv(tmp_path / "a.tsv", index=False, sep="\t")
    pq.write_table(in_arrow(frame), tmp_path / "a.parquet")
    for name in ("a.csv", "a.csv.gz", "a.tsv", "a.parquet"):
        for path in (tmp_path / name, str(tmp_path / name)):
            found = take(formula, path)
            assert found.design.names == expected.design.names
            np.testing.assert_array_equal(found.design.X, expected.design.X)
            assert found.design.terms[0].group.levels.tolist() == [2**60, 2**60 + 1]


def test_only_needed_columns_are_read(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a,b,bad\n1,2,[x\n2,3,{}\n")
    assert names("a ~ b", tmp_path / "a.csv") == ["(Intercept)", "b"]
    wide = pl.DataFrame({"a": [1.0, 2.0], "b": [1, 2], "bad": [[1], [2]]})
    assert names("a ~ b", wide) == ["(Intercept)", "b"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "", "no header"),
        ("a.csv", "a,b\n1,2,3\n", "3 fields in line 2"),
        ("a.csv", 'a,b\n1,"2\n', "cannot be read as a table"),
        ("a.csv", "a,b\n1,2\n", "no column 'c'"),
        ("a.csv.gz", "a,b\n1,2\n", "cannot be read as text"),
        ("a.parquet", "a,b\n1,2\n", "not a readable parquet"),
        ("a.xlsx", "", "what kind of file"),
    ],
)
def test_bad_files(tmp_path: Path, name: str, content: str, message: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(DataError, match=message):
        take("a ~ c", tmp_path / name)


def test_absent_file_names_its_neighbours(tmp_path: Path) -> None:
    (tmp_path / "sleep.csv").write_text("a\n1\n")
    with pytest.raises(DataError, match=r"Did you mean 'sleep.csv'"):
        take("a ~ 1", tmp_path / "slep.csv")


def test_missing_in_files_and_signs_of_byte_order(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("\ufeffa;b\n1;2\n2;NA\n;3\n5;6\n", encoding="utf-8")
    found = take("a ~ b", tmp_path / "a.csv")
    assert found.rows.missing == {"a": 1, "b": 1}
    np.testing.assert_array_equal(found.design.X[:, 1], [2, 6])


@pytest.mark.parametrize("data", [42, None, [1, 2], np.zeros((2, 2)), object(), "text without ending"])
def test_things_that_are_no_table(data: Any) -> None:
    with pytest.raises(DataError):
        take("y ~ x", data if data is not None else {})


def test_lazy_tables_that_fail(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="lazy polars table could not be read"):
        take("y ~ x", pl.scan_csv(tmp_path / "absent.csv"))
    broken = pl.DataFrame({"y": [1.0, 2.0], "x": ["1", "a"]}).lazy().with_columns(pl.col("x").cast(pl.Int64))
    with pytest.raises(DataError, match="lazy polars table could not be read"):
        take("y ~ x", broken)


def test_records() -> None:
    records = np.array([(1.0, 2), (2.0, 3), (4.0, 1)], dtype=[("y", "f8"), ("x", "i8")])
    np.testing.assert_array_equal(columns("y ~ x", records)["x"], [2, 3, 1])


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.array([1, 2, 3], dtype=np.int8), [1, 2, 3]),
        (np.array([1, 2, 3], dtype=np.uint64), [1, 2, 3]),
        (np.array([1, 2, 3], dtype=np.float32), [1, 2, 3]),
        ([Decimal("1.5"), Decimal(2), Decimal(3)], [1.5, 2, 3]),
        ([1, 2.5, 3], [1, 2.5, 3]),
        (pd.array([1, 2, 3], dtype="Int64"), [1, 2, 3]),
        (pd.arrays.SparseArray([0.0, 0.0, 3.0]), [0, 0, 3]),
        (range(3), [0, 1, 2]),
    ],
)
def test_numbers_of_all_kinds(values: Any, expected: list[float]) -> None:
    np.testing.assert_array_equal(columns("y ~ x", {"y": [1.0, 2.0, 4.0], "x": values})["x"], expected)


def test_input_is_never_written_to() -> None:
    frame = data()
    before = frame.copy(deep=True)
    found = take(
        "y ~ scale(x) + log(z + 1) + f + pmax(x, 0) + double(x) + (x | s)",
        frame,
        functions={"double": lambda v: np.add(v, v, out=v)},
    )
    assert found.design.y is not None
    pd.testing.assert_frame_equal(frame, before)
    full = small()
    design = take("y ~ x", full).design
    assert not np.shares_memory(design.y, full["y"].to_numpy())
    assert not np.shares_memory(design.X, full["x"].to_numpy())


def test_column_names() -> None:
    frame = small().rename(columns={"x": "my col", "z": "naïve:größe", "k": 1})
    assert names("y ~ `my col` + `naïve:größe` + `1`", frame) == ["(Intercept)", "`my col`", "`naïve:größe`", "`1`"]
    assert names("y ~ größe", {"y": [1.0, 2.0, 3.0], "größe": [1, 2, 4]}) == ["(Intercept)", "größe"]


@pytest.mark.parametrize("wrap", [lambda d: d, in_arrow, lambda d: in_polars(d).lazy()])
def test_unknown_column_offers_the_nearest(wrap: Any) -> None:
    with pytest.raises(DataError, match="no column 'zz'") as caught:
        take("y ~ x + log(zz)", wrap(small()))
    assert "Did you mean 'z'?" in str(caught.value)
    assert "y ~ x + log(zz)\n              ^^" in str(caught.value)


def test_duplicate_columns() -> None:
    frame = pd.concat([small(), small()[["x"]]], axis=1)
    with pytest.raises(DataError, match="2 columns named 'x'"):
        take("y ~ x", frame)
    assert names("y ~ z", frame) == ["(Intercept)", "z"]


def test_columns_of_unequal_length() -> None:
    with pytest.raises(DataError, match="y 3, x 2"):
        take("y ~ x", {"y": [1, 2, 3], "x": [1, 2]})


def test_several_levels_of_column_names() -> None:
    with pytest.raises(DataError, match="several levels of column names"):
        take("y ~ x", pd.DataFrame(np.zeros((3, 2)), columns=pd.MultiIndex.from_tuples([("y", 1), ("x", 2)])))
