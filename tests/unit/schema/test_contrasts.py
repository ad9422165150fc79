"""Codings of factors: the matrices, their names, and what is refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from tests.unit.schema.examples import columns, names, small, take

from ranef.errors import ModelError
from ranef.schema.contrasts import FULL, Contrast, contrast_named, contrast_of

LEVELS = ["a", "b", "c", "d"]


@pytest.mark.parametrize(
    ("kind", "labels", "matrix"),
    [
        ("treatment", "[T.b] [T.c] [T.d]", [[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]]),
        ("sas", "[T.a] [T.b] [T.c]", [[1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 0]]),
        ("sum", "[S.a] [S.b] [S.c]", [[1, 0, 0], [0, 1, 0], [0, 0, 1], [-1, -1, -1]]),
        ("helmert", "[H.b] [H.c] [H.d]", [[-1, -1, -1], [1, -1, -1], [0, 2, -1], [0, 0, 3]]),
        ("full", "[a] [b] [c] [d]", np.eye(4)),
    ],
)
def test_matrices(kind: str, labels: str, matrix: list[list[float]]) -> None:
    table, found = Contrast(kind).table(LEVELS, "f")
    np.testing.assert_array_equal(table, matrix)
    assert " ".join(found) == labels


def test_polynomial_contrasts_are_orthonormal_and_rise() -> None:
    for m in (2, 3, 7, 12):
        table, labels = Contrast("poly").table(list(range(m)), "f")
        np.testing.assert_allclose(table.T @ table, np.eye(m - 1), atol=1e-10)
        np.testing.assert_allclose(table.sum(axis=0), 0, atol=1e-10)
        assert (table[-1] > 0).all()
        assert labels[:5] == (".L", ".Q", ".C", "^4", "^5")[: m - 1]


def test_every_coding_spans_the_same_space() -> None:
    ones = np.ones((4, 1))
    for kind in ("treatment", "sas", "sum", "helmert", "poly"):
        assert np.linalg.matrix_rank(np.hstack([ones, Contrast(kind).table(LEVELS, "f")[0]])) == 4


def test_spellings() -> None:
    for name in ("sum", "Sum", "contr.sum", "deviation"):
        assert contrast_named(name) == Contrast("sum")
    assert contrast_named("contr.SAS") == Contrast("sas")
    assert contrast_of({"treatment": "b"}, "f") == Contrast("treatment", "b")
    with pytest.raises(ModelError, match="Did you mean 'helmert'"):
        contrast_named("helmet")


def test_custom_matrices() -> None:
    half = np.array([[0.5, 0], [-0.5, 0], [0, 0.5], [0, -0.5]])
    table, labels = contrast_of(half, "f").table(LEVELS, "f")
    np.testing.assert_array_equal(table, half)
    assert labels == ("[C.1]", "[C.2]")
    named = pd.DataFrame(half, columns=["ab", "cd"], index=["d", "c", "b", "a"])
    table, labels = contrast_of(named, "f").table(LEVELS, "f")
    np.testing.assert_array_equal(table, half[::-1])
    assert labels == ("[C.ab]", "[C.cd]")
    assert contrast_of(named, "f").table(["c", "a"], "f")[0].shape == (2, 2)


@pytest.mark.parametrize(
    ("asked", "message"),
    [("sm", "unknown contrasts"), (np.ones((3, 1)), "3 rows; the factor has 4 levels"), (np.ones((4, 4)), "fewer columns than rows"), (np.full((4, 1), np.nan), "finite"),
     (3, "fewer columns"), ([["a"], ["b"]], "matrix of numbers"), ({"treatment": "q"}, "no level of 's'"), ({"sum": "a"}, "no reference level"), ({}, "one entry"),
     (pd.DataFrame({"u": [1.0, 0, 0]}, index=["a", "b", "D"]), "no row for the level")],
)  # fmt: skip
def test_refusals(asked: object, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        take("y ~ s", contrasts={"s": asked})


def test_per_call_and_per_variable() -> None:
    assert names("y ~ s + f", contrasts={"s": "sum"}) == ["(Intercept)", "s[S.D]", "s[S.a]", "s[S.b]", "f[T.mid]", "f[T.hi]"]
    assert names("y ~ C(f, sum)") == ["(Intercept)", "C(f, sum)[S.lo]", "C(f, sum)[S.mid]"]
    assert names("y ~ C(f, 'contr.helmert')") == ["(Intercept)", 'C(f, "contr.helmert")[H.mid]', 'C(f, "contr.helmert")[H.hi]']
    for spelling in (
        "C(f, Treatment('mid'))",
        "C(f, treatment, base = 2)",
        "C(f, contr.treatment(base = 2))",
        "C(f, base = 'mid')",
    ):
        assert [name[-6:] for name in names(f"y ~ {spelling}")[1:]] == ["[T.lo]", "[T.hi]"]
    assert len(names("y ~ C(f, levels = c('hi', 'mid', 'lo'))")) == 3


def test_contrasts_of_the_call_leave_random_terms_as_they_are() -> None:
    found = take("y ~ f + (f | g)", contrasts={"f": "sum"}).design
    assert found.names == ("(Intercept)", "f[S.lo]", "f[S.mid]")
    assert found.terms[0].names == ("(Intercept)", "f[T.mid]", "f[T.hi]")
    assert take("y ~ 1 + (C(f, sum) | g)").design.terms[0].names[1] == "C(f, sum)[S.lo]"


def test_contrasts_for_what_is_no_factor() -> None:
    with pytest.raises(ModelError, match="'x', which is numeric"):
        take("y ~ x", contrasts={"x": "sum"})
    with pytest.raises(ModelError, match="'ff', which is no factor"):
        take("y ~ f", contrasts={"ff": "sum"})
    with pytest.raises(ModelError, match="'g', which is no factor"):
        take("y ~ f + (1 | g)", contrasts={"g": "sum"})


def test_ordered_factors_have_polynomials() -> None:
    assert names("y ~ o") == ["(Intercept)", "o.L", "o.Q"]
    assert names("y ~ o", contrasts={"o": "treatment"}) == ["(Intercept)", "o[T.mid]", "o[T.hi]"]
    assert names("y ~ 0 + o") == ["o[lo]", "o[mid]", "o[hi]"]


def test_a_factor_with_one_level() -> None:
    frame = small().assign(c="same")
    with pytest.raises(ModelError, match="'c' has only level 'same'"):
        take("y ~ c", frame)
    assert names("y ~ 0 + c", frame) == ["c[same]"]
    with pytest.raises(ModelError, match="'f' has only level 'lo'"):
        take("y ~ f", small().assign(x=np.where(small()["f"] == "lo", 1.0, np.nan), f=small()["f"]).dropna())


def test_json_round_trip() -> None:
    for contrast in (
        FULL,
        Contrast("treatment", "b"),
        Contrast("treatment", 3),
        contrast_of(pd.DataFrame({"u": [0.1, 1 / 3]}, index=["a", "b"]), "f"),
    ):
        assert Contrast.from_json(contrast.to_json()) == contrast


def test_columns_hold_the_contrasts() -> None:
    found = columns("y ~ f", contrasts={"f": "sum"})
    np.testing.assert_array_equal(found["f[S.lo]"], np.array([1.0, 0, -1])[np.arange(24) % 3])
