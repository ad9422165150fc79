"""The embedded data: types, levels, provenance, speed."""

from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import ranef
from ranef import datasets
from ranef.datasets.catalogue import CATALOGUE
from ranef.errors import DataError

# rows, columns, and the sum of one numeric column, from the R originals
FACTS = {
    "sleepstudy": (180, 3, "Reaction", 53731.4205),
    "Dyestuff": (30, 2, "Yield", 45825),
    "Dyestuff2": (30, 2, "Yield", 169.968),
    "Penicillin": (144, 3, "diameter", 3308),
    "Pastes": (60, 4, "strength", 3603.2),
    "Machines": (54, 3, "score", 3221.1),
    "Orthodont": (108, 4, "distance", 2594.5),
    "Oats": (72, 5, "yield", 7486),
    "cake": (270, 5, "angle", 8673),
    "InstEval": (73421, 7, "y", 235369),
    "schools": (248, 5, "y", 1293.2559),
    "square": (64, 7, "score", 965.49),
    "square_slopes": (128, 4, "score", 1957.004),
    "square_visits": (36, 4, "score", 469.5301),
    "square_growth": (88, 3, "score", 1162.054),
    "bcg": (13, 11, "yi", -9.6284549557421713),
}


def test_all_are_known():
    assert set(datasets.names()) == set(FACTS)


@pytest.mark.parametrize("name", FACTS)
def test_rows_columns_and_sums(name):
    rows, columns, column, total = FACTS[name]
    data = datasets.load(name)
    assert data.shape == (rows, columns)
    assert data[column].sum() == pytest.approx(total, rel=1e-12)
    assert not data.isna().any().any()


@pytest.mark.parametrize("name", FACTS)
def test_types_and_levels_agree_between_kinds(name):
    frame, other, arrow, plain = (datasets.load(name, as_=kind) for kind in ("pandas", "polars", "arrow", "dict"))
    assert isinstance(frame, pd.DataFrame)
    assert isinstance(other, pl.DataFrame)
    assert isinstance(arrow, pa.Table)
    assert isinstance(plain, dict)
    for variable in CATALOGUE[name].variables:
        column = frame[variable.name]
        if variable.kind in ("factor", "ordered"):
            assert column.cat.ordered == (variable.kind == "ordered")
            assert other[variable.name].dtype == pl.Enum(list(column.cat.categories))
            assert arrow[variable.name].to_pylist() == list(column)
            assert arrow[variable.name].type.ordered == (variable.kind == "ordered")
            assert list(plain[variable.name]) == list(column)
            assert set(column) == set(column.cat.categories)
        else:
            assert column.dtype == (np.int64 if variable.kind == "whole" else np.float64)
            np.testing.assert_array_equal(column.to_numpy(), other[variable.name].to_numpy())


def test_levels_are_in_the_order_of_the_originals():
    assert list(datasets.load("Oats")["Block"].cat.categories) == ["VI", "V", "III", "IV", "II", "I"]
    assert list(datasets.load("Machines")["Worker"].cat.categories) == list("624135")
    assert list(datasets.load("InstEval")["s"].cat.categories[:11]) == [str(i) for i in range(1, 12)]
    assert datasets.load("cake")["temperature"].cat.ordered


def test_unknown_names_get_a_suggestion():
    with pytest.raises(DataError, match="Did you mean `sleepstudy`"):
        datasets.load("SleepStudy")
    with pytest.raises(DataError, match="There are: sleepstudy"):
        datasets.load("zzz")
    with pytest.raises(DataError, match="polars"):
        datasets.load("cake", as_="excel")


@pytest.mark.parametrize("name", FACTS)
def test_each_has_provenance_and_a_model_that_fits(name):
    entry = datasets.entry(name)
    assert entry.source
    assert entry.shows
    assert str(datasets.describe(name)).startswith(f"{name}: ")
    if name != "InstEval":
        m = ranef.lmm(entry.formula, datasets.load(name), sampling_variance=entry.sampling_variance)
        assert m.status != "not converged"


def test_the_page_about_them_is_complete():
    page = (Path(__file__).parents[3] / "docs/reference/data-sets.md").read_text(encoding="utf-8")
    for entry in CATALOGUE.values():
        assert f"## {entry.name}\n" in page
        assert entry.source in page
        assert entry.formula in page
        assert all(
            f"| `{variable.name}` | {variable.kind} | {variable.unit} | {variable.meaning} |" in page
            for variable in entry.variables
        )


def test_they_are_small():
    folder = Path(datasets.__file__).parent / "data"
    assert sum(file.stat().st_size for file in folder.iterdir()) < 500_000
