"""Invariants of the model matrix on random formulas and data."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.schema.examples import LEVELS, small, take

from ranef.schema import Schema

TERMS = ["x", "z", "f", "b", "s", "k", "x:f", "f:b", "s:x", "poly(x, 2)", "scale(z)", "factor(k)", "b:f:x", "I(x > 0)", "bs(x, 4)"]
BARS = ["(1 | g)", "(x | g)", "(0 + f | g)", "(x + b || g)", "(1 | g/b)", "(f | s:b)"]

formulas = st.builds(
    lambda terms, bars, intercept: "y ~ " + " + ".join(["1" if intercept else "0", *terms, *bars]),
    st.lists(st.sampled_from(TERMS), min_size=1, max_size=4, unique=True),
    st.lists(st.sampled_from(BARS), max_size=2, unique=True),
    st.booleans(),
)


@st.composite
def frames(draw: st.DrawFn) -> pd.DataFrame:
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    frame = small(36)
    frame["x"], frame["y"] = rng.normal(size=(2, 36))
    for name, rows in draw(
        st.dictionaries(st.sampled_from(["x", "z", "s", "g", "y"]), st.sets(st.integers(0, 35), max_size=3), max_size=2)
    ).items():
        frame.loc[list(rows), name] = None if name in "sg" else np.nan
    return frame


@given(formulas, frames(), st.randoms(use_true_random=False))
def test_permuting_rows_permutes_the_design(formula: str, frame: pd.DataFrame, random: object) -> None:
    order = np.random.default_rng(1).permutation(len(frame))
    one, two = take(formula, frame), take(formula, frame.iloc[order])
    assert one.design.names == two.design.names
    assert one.rows.missing == two.rows.missing
    kept = np.ones(len(frame), bool) if one.rows.kept is None else one.rows.kept
    place = np.cumsum(kept) - 1
    rows = place[order[kept[order]]]
    np.testing.assert_allclose(two.design.X, one.design.X[rows], rtol=1e-9, atol=1e-9)
    for a, b in zip(one.design.terms, two.design.terms, strict=True):
        assert a.group.levels.tolist() == b.group.levels.tolist()
        np.testing.assert_array_equal(a.group.codes[rows], b.group.codes)


@given(formulas, frames())
def test_polars_arrow_dict_and_pandas_agree(formula: str, frame: pd.DataFrame) -> None:
    expected = take(formula, frame)
    polars = pl.from_pandas(frame.drop(columns=["f", "o"])).with_columns(
        f=pl.Series(frame["f"].astype(str).tolist(), dtype=pl.Enum(LEVELS))
    )
    for table in (polars, pa.Table.from_pandas(frame), dict(frame.items())):
        found = take(formula, table)
        assert found.design.names == expected.design.names
        np.testing.assert_array_equal(found.design.X, expected.design.X)
        assert found.schema.to_json() == expected.schema.to_json()


@given(formulas, frames())
def test_old_data_as_new_data_give_the_same(formula: str, frame: pd.DataFrame) -> None:
    intake = take(formula, frame)
    schema = Schema.from_json(json.loads(json.dumps(intake.schema.to_json(), allow_nan=False)))
    assert schema.to_json() == intake.schema.to_json()
    used = frame if intake.rows.kept is None else frame[intake.rows.kept]
    found = schema.apply(used)
    np.testing.assert_array_equal(found.X, intake.design.X)
    for new, term in zip(found.terms, intake.design.terms, strict=True):
        np.testing.assert_array_equal(new.codes, term.group.codes)


@given(formulas, frames())
def test_codes_cover_their_levels(formula: str, frame: pd.DataFrame) -> None:
    design = take(formula, frame).design
    assert np.isfinite(design.X).all()
    for term in design.terms:
        assert set(term.group.codes.tolist()) == set(range(term.group.size))
        assert len(set(term.group.levels.tolist())) == term.group.size
