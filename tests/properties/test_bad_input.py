"""Bad and odd input: each gives the exact answer or one clear error that names the column, the level, the option or the token.

REFUSED: formula, what is wrong with the data, arguments, and words that the message must hold.
SAME: odd spellings of data that must give the very numbers of a plain spelling.
"""

from __future__ import annotations

import datetime
import decimal
import io
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import ranef

GOOD = "y ~ x + (1 | g)"


def base() -> pd.DataFrame:
    """Six groups of four rows, two covariates, a two-level factor."""
    rng = np.random.default_rng(11)
    g = np.repeat(np.arange(6), 4)
    x, z = rng.normal(size=24), rng.normal(size=24)
    y = 2 + x + rng.normal(size=6)[g] + rng.normal(0, 0.7, 24)
    return pd.DataFrame({"y": y, "x": x, "z": z, "g": [f"g{i}" for i in g], "c": ["a", "b"] * 12})


def with_columns(**columns: Any) -> Callable[[], pd.DataFrame]:
    return lambda: base().assign(**columns)


def changed(column: str, row: int, value: Any) -> Callable[[], pd.DataFrame]:
    def make() -> pd.DataFrame:
        frame = base()
        frame[column] = frame[column].astype(object) if isinstance(value, str) else frame[column]
        frame.loc[row, column] = value
        return frame

    return make


def duplicated() -> pd.DataFrame:
    frame = base()
    return pd.concat([frame, frame[["x"]] * 2], axis=1)


def one_group_left() -> pd.DataFrame:
    frame = base()
    frame.loc[frame["g"] != "g0", "x"] = np.nan
    return frame


DAYS = [datetime.datetime(2024, 1, 1) + datetime.timedelta(days=i) for i in range(24)]

# name: (formula, data, arguments, words that the message must hold)
REFUSED: dict[str, tuple[str, Callable[[], Any], dict[str, Any], tuple[str, ...]]] = {
    # the formula
    "empty formula": ("", base, {}, ()),
    "blank formula": ("   ", base, {}, ()),
    "no tilde": ("y + x", base, {}, ("~",)),
    "two tildes": ("y ~ x ~ z", base, {}, ("~",)),
    "no response": ("~ x + (1 | g)", base, {}, ("response",)),
    "nothing on the right": ("y ~ ", base, {}, ("y ~",)),
    "dangling plus": ("y ~ x +", base, {}, ("+",)),
    "double plus operator": ("y ~ x + * z", base, {}, ("*",)),
    "open bracket": ("y ~ x + (1 | g", base, {}, ("(",)),
    "closing bracket too many": ("y ~ x + (1 | g))", base, {}, (")",)),
    "empty group": ("y ~ x + (1 | )", base, {}, ("|",)),
    "empty terms before the bar": ("y ~ x + ( | g)", base, {}, ("|",)),
    "triple bar": ("y ~ x + (1 ||| g)", base, {}, ("|",)),
    "bar in a bar": ("y ~ x + (1 | (1 | g))", base, {}, ("|",)),
    "bar without brackets": ("y ~ x + 1 | g", base, {}, ("|",)),
    "unknown structure": ("y ~ x + foo(1 | g)", base, {}, ("foo",)),
    "assignment": ("y = x + (1 | g)", base, {}, ("=",)),
    "stray character": ("y ~ x $ z + (1 | g)", base, {}, ("$",)),
    "open quote": ("y ~ x + `z + (1 | g)", base, {}, ("`",)),
    "open string": ("y ~ dummy(c, 'a) + (1 | g)", base, {}, ("'",)),
    "unknown function": ("y ~ sqroot(x) + (1 | g)", base, {}, ("sqroot", "sqrt")),
    "python builtin": ("y ~ eval('1') + (1 | g)", base, {}, ("eval",)),
    "import": ("y ~ __import__('os') + (1 | g)", base, {}, ("__import__",)),
    "attribute": ("y ~ x.values + (1 | g)", base, {}, ("x",)),
    "subscript": ("y ~ x[0] + (1 | g)", base, {}, ("[",)),
    "lambda": ("y ~ (lambda: 1)() + (1 | g)", base, {}, ("lambda",)),
    "formula bomb": ("y ~ (" + " + ".join(f"a{i}" for i in range(40)) + ")^20 + (1 | g)", base, {}, ()),
    "deep nesting": ("y ~ " + "(" * 500 + "x" + ")" * 500, base, {}, ("nest",)),
    "huge formula": ("y ~ " + " + ".join(["x"] * 200_000), base, {}, ("limit",)),
    "negative power": ("y ~ (x + z)^-1 + (1 | g)", base, {}, ("^",)),
    "formula is a number": (3, base, {}, ("formula", "int")),  # type: ignore[dict-item]
    "formula is none": (None, base, {}, ("formula",)),  # type: ignore[dict-item]
    # columns
    "unknown column": ("y ~ xx + (1 | g)", base, {}, ("xx", "x")),
    "unknown column, nearest name": ("Reaktion ~ x + (1 | g)", with_columns(Reaction=1.0), {}, ("Reaktion", "Reaction")),
    "unknown column, other case": ("y ~ X + (1 | g)", base, {}, ("X", "x")),
    "unknown group": ("y ~ x + (1 | grp)", base, {}, ("grp", "g")),
    "unknown group in an interaction": ("y ~ x + (1 | g:h)", base, {}, ("h",)),
    "unknown slope": ("y ~ x + (days | g)", base, {}, ("days",)),
    "unknown weights": (GOOD, base, {"precision_weights": "ww"}, ("ww",)),
    "unknown offset": (GOOD, base, {"offset": "off"}, ("off",)),
    "unknown column in a call": ("y ~ log(xx) + (1 | g)", base, {}, ("xx",)),
    "duplicate column": (GOOD, duplicated, {}, ("x", "2")),
    "all missing covariate": (GOOD, with_columns(x=np.nan), {}, ("x",)),
    "all missing response": (GOOD, with_columns(y=np.nan), {}, ("y",)),
    "all missing group": (GOOD, with_columns(g=None), {}, ("g",)),
    "no row is complete": (GOOD, lambda: base().assign(x=[1.0, np.nan] * 12, y=[np.nan, 1.0] * 12), {}, ("row",)),
    "infinite covariate": (GOOD, changed("x", 3, np.inf), {}, ("x", "inf")),
    "infinite response": (GOOD, changed("y", 3, -np.inf), {}, ("y", "inf")),
    "log of a negative number": ("log(y) ~ x + (1 | g)", with_columns(y=np.arange(24.0) - 3), {}, ("log(y)",)),
    "log of zero": ("y ~ log(x) + (1 | g)", with_columns(x=np.arange(24.0)), {}, ("log(x)",)),
    "division by zero": ("y ~ I(1 / x) + (1 | g)", with_columns(x=np.arange(24.0)), {}, ("1/x", "row 0")),
    "text as response": ("c ~ x + (1 | g)", base, {}, ("c",)),
    "categorical response": ("c ~ x + (1 | g)", lambda: base().astype({"c": "category"}), {}, ("c",)),
    "text among numbers": (GOOD, changed("x", 2, "n/a"), {}, ("x",)),
    "text among numbers of the response": (GOOD, changed("y", 2, "12,5"), {}, ("y",)),
    "tuples in cells": (GOOD, lambda: base().assign(g=lambda d: [(v, 1) for v in d["g"]]), {}, ("g", "tuple")),
    "lists in cells": (GOOD, with_columns(x=[[1, 2]] * 24), {}, ("x",)),
    "complex numbers": (GOOD, with_columns(x=np.full(24, 1j)), {}, ("x",)),
    "dates as response": ("d ~ x + (1 | g)", with_columns(d=DAYS), {}, ("d",)),
    "dates as covariate": ("y ~ d + (1 | g)", with_columns(d=DAYS), {}, ("d",)),
    "constant factor": ("y ~ c + (1 | g)", with_columns(c="a"), {}, ("c", "level")),
    "factor as function argument": ("y ~ log(c) + (1 | g)", base, {}, ("c",)),
    "poly of too high degree": ("y ~ poly(k, 3) + (1 | g)", with_columns(k=[0.0, 1.0] * 12), {}, ("poly",)),
    "unknown contrasts": ("y ~ c + (1 | g)", base, {"contrasts": {"c": "sumo"}}, ("sumo",)),
    "contrasts of an unknown column": (GOOD, base, {"contrasts": {"cc": "sum"}}, ("cc",)),
    "contrast matrix of the wrong size": ("y ~ c + (1 | g)", base, {"contrasts": {"c": np.eye(3)[:, :2]}}, ("c", "3")),
    # groups
    "one level": (GOOD, with_columns(g="a"), {}, ("g", "level")),
    "one level left after missing rows": (GOOD, one_group_left, {}, ("g", "level")),
    "all singletons": (GOOD, with_columns(g=np.arange(24)), {}, ("g", "24")),
    "singletons of an interaction": ("y ~ x + (1 | g:k)", with_columns(k=np.tile(np.arange(4), 6)), {}, ("g:k",)),
    "more random effects than rows": ("y ~ x + (x + z + I(x^2) + I(z^2) | g)", lambda: base().iloc[::2], {}, ("g", "12")),
    "as many random effects as rows": ("y ~ x + (x | k)", with_columns(k=np.repeat(np.arange(12), 2)), {}, ("k", "24")),
    "group is a float with fractions": ("y ~ x + (1 | x)", base, {}, ("x",)),
    # rows and degrees of freedom
    "empty frame": (GOOD, lambda: base().iloc[:0], {}, ("row",)),
    "empty dict": (GOOD, dict, {}, ("no rows",)),
    "one row": (GOOD, lambda: base().iloc[:1], {}, ()),
    "two rows": (GOOD, lambda: base().iloc[:2], {}, ()),
    "columns of different length": (GOOD, lambda: {"y": [1.0, 2.0], "x": [1.0], "g": ["a", "b"]}, {}, ("x",)),
    "more coefficients than rows": ("y ~ factor(k) + x", with_columns(k=np.arange(24)), {}, ("24",)),
    "constant response": (GOOD, with_columns(y=4.2), {}, ("y", "constant")),
    "constant response of a regression": ("y ~ x", with_columns(y=0.0), {}, ("y", "constant")),
    "perfect fit": (GOOD, lambda: base().assign(y=lambda d: 1 + 2 * d["x"]), {}, ("y", "perfect")),
    "perfect fit of a regression": ("y ~ x", lambda: base().assign(y=lambda d: 1 + 2 * d["x"]), {}, ("y", "perfect")),
    "response is constant within groups": ("y ~ 1 + (1 | g)", with_columns(y=np.repeat(np.arange(6.0), 4)), {}, ("y",)),
    # weights and offset
    "negative weight": (GOOD, with_columns(w=[-1.0] + [1.0] * 23), {"precision_weights": "w"}, ("w", "negative", "row 0")),
    "weights all zero": (GOOD, with_columns(w=0.0), {"precision_weights": "w"}, ()),
    "infinite weight": (GOOD, with_columns(w=[np.inf] + [1.0] * 23), {"precision_weights": "w"}, ("w",)),
    "weights of another length": (GOOD, base, {"precision_weights": np.ones(23)}, ("23", "24")),
    "weights are text": (GOOD, base, {"precision_weights": "c"}, ("c",)),
    "offset of another length": (GOOD, base, {"offset": np.ones(5)}, ("5", "24")),
    "offset is text": (GOOD, base, {"offset": "c"}, ("c",)),
    "infinite offset": (GOOD, base, {"offset": np.full(24, np.inf)}, ("offset",)),
    # arguments
    "unknown ddf": (GOOD, base, {"ddf": "kenward"}, ("kenward", "satterthwaite")),
    "unknown optimizer": (GOOD, base, {"optimizer": "adam"}, ("adam", "newton")),
    "unknown treatment of missing values": (GOOD, base, {"missing": "ignore"}, ("ignore",)),
    "missing values refused": (GOOD, changed("x", 2, np.nan), {"missing": "raise"}, ("x", "missing")),
    "start of another length": (GOOD, base, {"start": [1.0, 2.0]}, ("start", "1")),
    "start is not finite": (GOOD, base, {"start": [np.nan]}, ("start",)),
    "start is text": (GOOD, base, {"start": "auto"}, ("start",)),
    "data is a number": (GOOD, lambda: 3, {}, ("int",)),
    "data is none": (GOOD, lambda: None, {}, ("None",)),
    "data is a list": (GOOD, lambda: [1, 2, 3], {}, ("list",)),
    "data is a matrix": (GOOD, lambda: np.ones((4, 3)), {}, ("ndarray",)),
    "file that is not there": (GOOD, lambda: "no_such_file.csv", {}, ("no_such_file.csv",)),
    "file of another kind": (GOOD, lambda: "measurements.xlsx", {}, ("measurements.xlsx",)),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_refused_with_one_clear_error(name: str) -> None:
    formula, data, arguments, words = REFUSED[name]
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        with pytest.raises(ranef.RanefError) as caught:
            ranef.lmm(formula, data(), **arguments)
    message = str(caught.value)
    assert len(message) > 20
    assert len(message.splitlines()) <= 15
    assert max(map(len, message.splitlines())) < 600
    assert [word for word in words if word not in message] == [], message


CARETS = {
    "y ~ x + * z": 8,
    "y ~ x $ z": 6,
    "y ~ x + (1 | g))": 15,
    "y ~ x ~ z": 6,
    "y ~ sqroot(x)": 4,
    "y ~ x[0]": 5,
    "y ~ x + foo(1 | g)": 8,
}


@pytest.mark.parametrize("formula", CARETS)
def test_formula_errors_point_at_the_token(formula: str) -> None:
    with pytest.raises(ranef.FormulaError) as caught:
        ranef.lmm(formula, base())
    error = caught.value
    assert (error.text, error.start) == (formula, CARETS[formula])
    lines = str(error).splitlines()
    at = lines.index(f"  {formula}")
    assert lines[at + 1].index("^") - 2 == CARETS[formula]


def text_of(frame: pd.DataFrame) -> str:
    return frame.to_csv(index=False)


def reference() -> ranef.Fit:
    return ranef.lmm(GOOD, base())


# name: (formula, data, arguments), which must give the numbers of GOOD on base()
SAME: dict[str, tuple[str, Callable[[], Any], dict[str, Any]]] = {
    "polars": (GOOD, lambda: pl.from_pandas(base()), {}),
    "polars categorical": (GOOD, lambda: pl.from_pandas(base()).with_columns(pl.col("g").cast(pl.Categorical)), {}),
    "polars lazy": (GOOD, lambda: pl.from_pandas(base()).lazy(), {}),
    "pyarrow": (GOOD, lambda: pa.Table.from_pandas(base()), {}),
    "pyarrow dictionary": (GOOD, lambda: pa.Table.from_pandas(base().astype({"g": "category"})), {}),
    "dict of arrays": (GOOD, lambda: {k: v.to_numpy() for k, v in base().items()}, {}),
    "dict of lists": (GOOD, lambda: {k: v.tolist() for k, v in base().items()}, {}),
    "categorical group": (GOOD, lambda: base().astype({"g": "category"}), {}),
    "unused categories": (GOOD, lambda: base().assign(g=lambda d: pd.Categorical(d["g"], [f"g{i}" for i in range(-9, 9)])), {}),
    "object columns": (GOOD, lambda: base().astype({"g": object, "x": object}), {}),
    "decimals": (GOOD, lambda: base().assign(x=lambda d: [decimal.Decimal(repr(float(v))) for v in d["x"]]), {}),
    "nullable numbers": (GOOD, lambda: base().convert_dtypes(), {}),
    "arrow-backed pandas": (GOOD, lambda: base().convert_dtypes(dtype_backend="pyarrow"), {}),
    "huge ids": (GOOD, lambda: base().assign(g=lambda d: d["g"].map(lambda v: 2**62 + int(v[1:]))), {}),
    "unsigned ids": (GOOD, lambda: base().assign(g=lambda d: d["g"].str[1:].astype("uint64") + np.uint64(2**63)), {}),
    "float ids": (GOOD, lambda: base().assign(g=lambda d: d["g"].str[1:].astype(float)), {}),
    "dates as groups": (GOOD, lambda: base().assign(g=lambda d: d["g"].map(lambda v: DAYS[int(v[1:])])), {}),
    "group names with signs": (GOOD, lambda: base().assign(g=lambda d: d["g"] + ":|~ (é) "), {}),
    "non-ASCII names": ("höhe ~ größe + (1 | 群)", lambda: base().rename(columns={"y": "höhe", "x": "größe", "g": "群"}), {}),
    "names with blanks": ("`my y` ~ `x (cm)` + (1 | `the g`)",
                          lambda: base().rename(columns={"y": "my y", "x": "x (cm)", "g": "the g"}), {}),
    "names of Python words": ("class ~ lambda + (1 | import)",
                              lambda: base().rename(columns={"y": "class", "x": "lambda", "g": "import"}), {}),
    "names with points": ("y ~ x.1 + (1 | g_1.a)", lambda: base().rename(columns={"x": "x.1", "g": "g_1.a"}), {}),
    "an index that repeats": (GOOD, lambda: base().set_axis([7] * 24), {}),
    "a many-level index": (GOOD, lambda: base().set_index(["c", "z"], append=True), {}),
    "rows in another order": (GOOD, lambda: base().sample(frac=1, random_state=3), {}),
    "read-only arrays": (GOOD, lambda: {k: read_only(v.to_numpy()) for k, v in base().items()}, {}),
    "big-endian numbers": (GOOD, lambda: base().assign(x=lambda d: d["x"].to_numpy().astype(">f8")), {}),
    "a strided view": (GOOD, lambda: {k: np.repeat(v.to_numpy(), 2)[::2] for k, v in base().items()}, {}),
    "weights one": (GOOD, base, {"precision_weights": np.ones(24)}),
    "offset zero": (GOOD, base, {"offset": np.zeros(24)}),
    "integer weights": (GOOD, lambda: base().assign(w=1), {"precision_weights": "w"}),
    "booleans as weights": (GOOD, lambda: base().assign(w=True), {"precision_weights": "w"}),
    "rows with missing values beside": (GOOD, lambda: pd.concat([base(), base().head(3).assign(x=np.nan)], ignore_index=True), {}),
    "missing values in columns not used": (GOOD, lambda: base().assign(z=np.nan, other=None), {}),
    "a duplicate column that is not used": (GOOD, lambda: pd.concat([base(), base()[["z"]]], axis=1), {}),
    "a covariate twice": ("y ~ x + x + (1 | g)", base, {}),
    "a collinear covariate": ("y ~ x + I(2 * x) + (1 | g)", base, {}),
    "spaces and line breaks": (" y~x\n   +(1|g) ", base, {}),
    "an explicit intercept": ("y ~ 1 + x + (1 | g)", base, {}),
    "brackets": ("y ~ (x) + ((1 | g))", base, {}),
}  # fmt: skip


def read_only(values: np.ndarray) -> np.ndarray:
    out = values.copy()
    out.flags.writeable = False
    return out


@pytest.mark.parametrize("name", SAME)
def test_odd_but_right_input_gives_the_exact_answer(name: str) -> None:
    formula, data, arguments = SAME[name]
    m, expected = ranef.lmm(formula, data(), **arguments), reference()
    assert m.deviance == pytest.approx(expected.deviance, rel=1e-10)
    assert m.params.to_numpy() == pytest.approx(expected.params.to_numpy(), rel=1e-6)
    assert m.nobs == 24
    assert list(m.ngroups.values()) == [6]


def test_a_row_of_weight_zero_is_left_out() -> None:
    m = ranef.lmm(GOOD, base().assign(w=[0.0] + [1.0] * 23), precision_weights="w")
    assert m.nobs == 23
    assert m.deviance == pytest.approx(ranef.lmm(GOOD, base().iloc[1:]).deviance, rel=1e-10)


def test_booleans_are_a_factor_with_two_levels() -> None:
    data = base().assign(b=lambda d: d["c"] == "b")
    m, expected = ranef.lmm("y ~ b + (1 | g)", data), ranef.lmm("y ~ c + (1 | g)", data)
    assert m.params.to_numpy() == pytest.approx(expected.params.to_numpy(), rel=1e-8)


def test_file_names_read_as_frames(tmp_path: Path) -> None:
    base().to_csv(tmp_path / "d.csv", index=False)
    base().to_csv(tmp_path / "d.csv.gz", index=False)
    base().to_parquet(tmp_path / "d.parquet")
    for name in ("d.csv", "d.csv.gz", "d.parquet"):
        for path in (tmp_path / name, str(tmp_path / name)):
            assert ranef.lmm(GOOD, path).deviance == pytest.approx(reference().deviance, rel=1e-10)


@pytest.mark.parametrize(
    "content", [b"", b"\x00\xff\xfe\x01" * 20, b"y,x,g\n", b'y,x,g\n1,"2,3\n'], ids=["empty", "binary", "header", "quote"]
)
def test_broken_files_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "broken.csv"
    path.write_bytes(content)
    with pytest.raises(ranef.RanefError):
        ranef.lmm(GOOD, path)


def test_counts_of_missing_rows_are_a_finding() -> None:
    frame = base()
    frame.loc[[1, 2], "x"] = np.nan
    frame.loc[5, "g"] = None
    m = ranef.lmm(GOOD, frame)
    (found,) = [f for f in m.findings if f.code == "rows_dropped_missing"]
    assert m.nobs == 21
    assert "3 of 24" in found.message and "2 in x" in found.message and "1 in g" in found.message
    assert list(m.resid.index) == [i for i in range(24) if i not in (1, 2, 5)]


@pytest.mark.parametrize(
    ("new", "words"),
    [
        ({"x": [1.0]}, ("g",)),
        ({"g": ["g0"]}, ("x",)),
        ({"x": ["a"], "g": ["g0"]}, ("x",)),
        ({"x": [1.0], "g": ["nobody"]}, ("nobody", "g")),
        ({"x": [np.inf], "g": ["g0"]}, ("x",)),
        (3, ("int",)),
    ],
    ids=["group absent", "covariate absent", "text", "new level", "infinite", "number"],
)
def test_new_data_that_cannot_be_predicted(new: Any, words: tuple[str, ...]) -> None:
    with pytest.raises(ranef.RanefError) as caught:
        reference().predict(pd.DataFrame(new) if isinstance(new, dict) else new)
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_a_level_of_a_fixed_factor_that_was_not_there() -> None:
    m = ranef.lmm("y ~ c + (1 | g)", base())
    with pytest.raises(ranef.RanefError, match="zebra"):
        m.predict(pd.DataFrame({"c": ["a", "zebra"], "g": ["g0", "g0"]}))


@pytest.mark.parametrize(
    ("method", "arguments"),
    [
        ("predict", {"re": "all"}), ("predict", {"new_levels": "zero"}), ("predict", {"interval": "both"}),
        ("predict", {"interval": "confidence", "level": 95}), ("conf_int", {"level": 0}), ("conf_int", {"method": "exact"}),
        ("tidy", {"effects": "random"}), ("residuals", {"kind": "deviance"}), ("residuals", {"level": "group"}),
        ("simulate", {"n": 0}), ("simulate", {"re": "old"}), ("refit", {"y": np.ones(3)}), ("refit", {"y": np.full(24, np.nan)}),
        ("refit", {"y": np.ones(24)}), ("update", {"formula": "y ~ x + (1 | nowhere)"}),
    ],
)  # fmt: skip
def test_questions_with_wrong_arguments(method: str, arguments: dict[str, Any]) -> None:
    with pytest.raises(ranef.RanefError):
        getattr(reference(), method)(**arguments)


def test_lm_refuses_bars_and_says_what_to_use() -> None:
    with pytest.raises(ranef.FormulaError, match="lmm"):
        ranef.lm(GOOD, base())


def test_a_csv_in_memory_is_no_data() -> None:
    with pytest.raises(ranef.RanefError, match="StringIO"):
        ranef.lmm(GOOD, io.StringIO(text_of(base())))


def test_there_are_enough_cases() -> None:
    assert len(REFUSED) + len(SAME) >= 80
