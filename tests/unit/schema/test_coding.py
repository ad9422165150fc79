"""R's rule: contrasts where the margin is in the model, indicators where it is not; and R's order of columns."""

from __future__ import annotations

import numpy as np
import pytest
from tests.unit.schema.examples import columns, names, small, take


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        ("y ~ b:x", "(Intercept) b[False]:x b[True]:x"),
        ("y ~ x + b:x", "(Intercept) x x:b[T.True]"),
        ("y ~ b + b:x", "(Intercept) b[T.True] b[False]:x b[True]:x"),
        ("y ~ b * x", "(Intercept) b[T.True] x b[T.True]:x"),
        ("y ~ b / f", "(Intercept) b[T.True] b[False]:f[T.mid] b[True]:f[T.mid] b[False]:f[T.hi] b[True]:f[T.hi]"),
        ("y ~ b:f", "(Intercept) b[False]:f[lo] b[True]:f[lo] b[False]:f[mid] b[True]:f[mid] b[False]:f[hi] b[True]:f[hi]"),
        ("y ~ 0 + b + f", "b[False] b[True] f[T.mid] f[T.hi]"),
        ("y ~ 0 + x + b + f", "x b[False] b[True] f[T.mid] f[T.hi]"),
        ("y ~ 0 + b:x", "b[False]:x b[True]:x"),
        ("y ~ 0 + x + x:b", "x x:b[False] x:b[True]"),
        ("y ~ poly(x, 2):b", "(Intercept) poly(x, 2)1:b[False] poly(x, 2)2:b[False] poly(x, 2)1:b[True] poly(x, 2)2:b[True]"),
        ("y ~ x:b + x + b", "(Intercept) x b[T.True] x:b[T.True]"),
        ("y ~ b:x + x", "(Intercept) x b[T.True]:x"),
    ],
)
def test_names_and_order(formula: str, expected: str) -> None:
    assert " ".join(names(formula)).replace("poly(x, 2)", "poly(x, 2)") == expected


def test_interactions_are_products() -> None:
    frame = small()
    found = columns("y ~ f * b * x", frame)
    expected = (frame["f"] == "hi") * frame["b"] * frame["x"]
    np.testing.assert_array_equal(found["f[T.hi]:b[T.True]:x"], expected)
    assert np.linalg.matrix_rank(np.column_stack(list(found.values()))) == 12


@pytest.mark.parametrize(
    "formula", ["y ~ b * f", "y ~ b / f", "y ~ f %in% b + b", "y ~ 0 + b:f", "y ~ (b + f + o)^2", "y ~ 0 + f + b:f"]
)
def test_cell_means_are_always_in_the_span(formula: str) -> None:
    """Whatever the coding, the columns reproduce every cell mean of the crossed factors."""
    frame = small()
    X = take(formula, frame).design.X
    cells = columns("y ~ 0 + b:f", frame)
    both = np.column_stack([X, *cells.values()])
    assert np.linalg.matrix_rank(both) == np.linalg.matrix_rank(X)


def test_the_intercept_is_known() -> None:
    assert take("y ~ x").design.intercept == 0
    assert take("y ~ 0 + x").design.intercept is None
    assert take("y ~ 0 + f").design.intercept is None
    assert take("y ~ 1").design.names == ("(Intercept)",)
    assert take("y ~ 0").design.X.shape == (24, 0)


def test_the_matrix_is_column_major_and_of_floats() -> None:
    for formula in ("y ~ x", "y ~ b * f + k"):
        X = take(formula).design.X
        assert X.flags.f_contiguous
        assert X.dtype == np.float64


def test_dot_stands_for_the_other_columns() -> None:
    assert names("y ~ . + (1 | g)", small()[["y", "x", "z", "g"]]) == ["(Intercept)", "x", "z"]
    assert names("y ~ . - z", small()[["y", "x", "z", "b"]]) == ["(Intercept)", "x", "b[T.True]"]
