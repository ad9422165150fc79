"""Transforms: values by definition, state that new data reuse, refusals that point into the formula."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.schema.examples import columns, names, small, take

from ranef.errors import DataError, FormulaError
from ranef.schema.polynomials import apply_polynomial, fit_polynomial
from ranef.schema.splines import apply_bspline, apply_cardinal, apply_natural, fit_bspline, fit_cardinal, fit_natural

X = small()["x"].to_numpy()
Z = small()["z"].to_numpy()


@pytest.mark.parametrize(
    ("term", "expected"),
    [
        ("log(z + 1)", np.log(Z + 1)), ("log(z + 1, 2)", np.log2(Z + 1)), ("log(z + 1, base = 10)", np.log10(Z + 1)),
        ("log1p(z)", np.log1p(Z)), ("log2(z + 1)", np.log2(Z + 1)), ("log10(z + 1)", np.log10(Z + 1)),
        ("exp(x)", np.exp(X)), ("expm1(x)", np.expm1(X)), ("sqrt(z)", np.sqrt(Z)), ("abs(x)", np.abs(X)), ("sign(x)", np.sign(X)),
        ("sin(2 * pi * x)", np.sin(2 * np.pi * X)), ("cos(x)", np.cos(X)), ("tan(x)", np.tan(X)),
        ("floor(x)", np.floor(X)), ("ceil(x)", np.ceil(X)), ("ceiling(x)", np.ceil(X)), ("round(x, 1)", np.round(X, 1)),
        ("pmin(x, 0)", np.minimum(X, 0)), ("pmax(x, z, 1)", np.maximum(np.maximum(X, Z), 1)),
        ("I(x^2)", X**2), ("I(-x)", -X), ("I((x - 1)/2 * z)", (X - 1) / 2 * Z), ("I(z %% 3)", Z % 3),
        ("scale(x)", (X - X.mean()) / X.std(ddof=1)), ("scale(x, scale = FALSE)", X - X.mean()),
        ("scale(x, center = FALSE)", X / np.sqrt((X**2).sum() / 23)), ("scale(x, center = 1, scale = 2)", (X - 1) / 2),
        ("center(x)", X - X.mean()), ("standardize(x)", (X - X.mean()) / X.std(ddof=1)),
        ("I(scale(x)^2)", ((X - X.mean()) / X.std(ddof=1)) ** 2), ("splines::ns(x)", None),
    ],
)  # fmt: skip
def test_values(term: str, expected: np.ndarray | None) -> None:
    X_ = take(f"y ~ {term}").design.X
    assert X_.shape == (24, 2)
    if expected is not None:
        np.testing.assert_allclose(X_[:, 1], expected, rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize(
    ("term", "expected"),
    [
        ("I(x > 0)", X > 0), ("(x > 0)", X > 0), ("I(x <= 0 | z > 20)", (X <= 0) | (Z > 20)), ("I(!(x > 0))", X <= 0),
        ("I(s == 'a')", small()["s"] == "a"), ("I(f != 'lo')", small()["f"] != "lo"), ("I(k == 2)", small()["k"] == 2), ("I(b & x > 0)", small()["b"] & (X > 0)),
    ],
)  # fmt: skip
def test_comparisons_are_logicals(term: str, expected: Any) -> None:
    design = take(f"y ~ {term}").design
    assert design.names[1].endswith("[T.True]")
    np.testing.assert_array_equal(design.X[:, 1], np.asarray(expected, dtype=float))


def test_missing_values_stay_missing_in_comparisons() -> None:
    frame = small()
    frame.loc[[2, 4], "x"] = np.nan
    found = take("y ~ I(x > 0)", frame)
    assert (found.rows.missing, dict(found.rows.created), found.design.nobs) == ({"x": 2}, {}, 22)


def test_what_transforms_make_missing_is_counted_apart() -> None:
    frame = small()
    frame.loc[0, "x"] = np.nan
    found = take("y ~ log(x) + sqrt(x)", frame)
    negative = int((X[1:] < 0).sum())
    assert found.rows.missing == {"x": 1}
    assert found.rows.created == {"log(x)": negative, "sqrt(x)": negative}
    assert found.design.nobs == 23 - negative


def test_infinities_that_transforms_make_are_refused() -> None:
    with pytest.raises(DataError, match=r"log\(z\) is infinite in row 0"):
        take("y ~ log(z)")
    frame = small()
    frame.loc[0, "y"] = np.nan
    assert take("y ~ log(z)", frame).design.nobs == 23  # that row is not used


def test_state_is_of_the_rows_before_others_are_dropped() -> None:
    frame = small()
    frame.loc[3, "y"] = np.nan
    frame.loc[5, "x"] = np.nan
    found = columns("y ~ scale(x)", frame)["scale(x)"]
    kept = frame["x"].dropna()
    np.testing.assert_allclose(found, ((frame["x"] - kept.mean()) / kept.std()).drop([3, 5]))


@given(st.integers(1, 6), st.floats(-1e6, 1e6), st.floats(1e-3, 1e3))
def test_polynomials_are_orthonormal(degree: int, shift: float, stretch: float) -> None:
    points = shift + stretch * np.linspace(-1, 1, 40)
    P = apply_polynomial(points, fit_polynomial(points, degree))
    np.testing.assert_allclose(P.T @ P, np.eye(degree), atol=1e-7)
    np.testing.assert_allclose(P.sum(axis=0), 0, atol=1e-7)
    assert (P[-1] > 0).all()


def test_natural_spline_is_linear_beyond_the_boundary_and_in_its_second_derivative_zero_there() -> None:
    state = fit_natural([0.2, 0.6], (0.0, 1.0), intercept=False)
    outside = apply_natural(np.array([-3.0, -2.0, -1.0, 2.0, 3.0, 4.0]), state)
    np.testing.assert_allclose(np.diff(outside[:3], 2, axis=0), 0, atol=1e-10)
    np.testing.assert_allclose(np.diff(outside[3:], 2, axis=0), 0, atol=1e-10)
    for edge in (0.0, 1.0):
        near = apply_natural(edge + np.array([-1e-4, 0, 1e-4]), state)
        assert np.abs(np.diff(near, 2, axis=0)).max() < 1e-10


def test_bsplines_add_up_to_one_and_continue_their_pieces() -> None:
    state = fit_bspline([0.3, 0.7], (0.0, 1.0), degree=3, intercept=True)
    points = np.linspace(-0.5, 1.5, 41)
    np.testing.assert_allclose(apply_bspline(points, state).sum(axis=1), 1)
    cubic = apply_bspline(np.linspace(0.7, 2.0, 14), state)
    np.testing.assert_allclose(np.diff(cubic, 4, axis=0), 0, atol=1e-10)


def test_cardinal_splines_are_one_at_their_knot() -> None:
    knots = [0.0, 0.2, 0.5, 1.0]
    state = fit_cardinal(np.linspace(0, 1, 30), knots, centred=False)
    np.testing.assert_allclose(apply_cardinal(np.array(knots), state), np.eye(4), atol=1e-14)
    centred = fit_cardinal(np.linspace(0, 1, 30), knots, centred=True)
    basis = apply_cardinal(np.linspace(0, 1, 30), centred)
    assert basis.shape == (30, 3)
    np.testing.assert_allclose(basis.mean(axis=0), 0, atol=1e-14)
    beyond = apply_cardinal(np.array([1.0, 2.0, 3.0]), state)
    np.testing.assert_allclose(np.diff(beyond, 2, axis=0), 0, atol=1e-12)


def test_widths_of_splines() -> None:
    frame = small()
    for term, width in [("bs(x)", 3), ("bs(x, df = 6)", 6), ("bs(x, degree = 1, knots = 0)", 2), ("bs(x, intercept = TRUE)", 4), ("ns(x, 3)", 3),
                        ("ns(x, 3, intercept = TRUE)", 3), ("cr(x, df = 4)", 4), ("cr(x, 4, constraints = 'none')", 4), ("poly(x, 3)", 3), ("poly(x, 2, raw = TRUE)", 2)]:  # fmt: skip
        design = take(f"y ~ {term}", frame).design
        assert design.X.shape[1] == 1 + width, term
        assert design.names[-1].endswith(f"){width}")


@pytest.mark.parametrize(
    ("term", "message"),
    [
        ("lg(x)", r"unknown function 'lg'"), ("os(x)", "unknown function"), ("poly(x, 30)", "needs more than 30 distinct values"), ("poly(x, 0)", "whole number"),
        ("poly(x, 1.5)", "whole number"), ("poly(x, z)", "must be a constant"), ("bs(x, df = 2)", "whole number from 3"), ("bs(x, knot = 1)", "no argument 'knot'"),
        ("bs(x, 1, 2, 3, 4, 5, 6)", "further arguments"), ("bs(x, knots = 99)", "between the boundary"), ("bs(x, knots = 'a')", "finite numbers"), ("ns(x, Boundary.knots = 1)", "boundary knots"),
        ("cr(x, 3, constraints = 'no')", "constraints"), ("bs(k, df = 12)", "coincide"), ("scale(I(x * 0))", "constant"), ("bs(I(x * 0))", "constant"), ("scale(s)", "this is a factor"),
        ("log(s)", "this is a factor"), ("log(x, 2, 3)", "takes 1 to 2"), ("exp(x, base = 2, digits = 2)", "takes 1 argument"), ("exp()", "takes 1 argument"), ("I(x, z)", "takes one argument"),
        ("I(s < 'b')", "== or !="), ("I(poly(x, 2) + 1)", "several columns"), ("I('a')", "no variable"), ("scale(2)", "needs a column"), ("scale(x, center = 'a')", "finite numbers"),
        ("relevel(s, ref = 'q')", "no level of s"), ("dummy(s, 'q')", "no level of s"), ("factor()", "takes a column"), ("C()", "needs a column"), ("factor(poly(x, 2))", "single column"),
        ("C(s, foo)", "unknown contrasts"), ("C(s, sum, 1, 2)", r"C\(\) takes"), ("C(s, sum, base = 2)", "no reference level"),
    ],
)  # fmt: skip
def test_refusals_point_into_the_formula(term: str, message: str) -> None:
    text = f"y ~ z + {term}"
    with pytest.raises(FormulaError, match=message) as caught:
        take(text)
    assert 8 <= caught.value.start < caught.value.stop <= len(text)


def test_infinite_and_missing_columns_of_stateful_transforms() -> None:
    with pytest.raises(DataError, match=r"scale\(x\).*infinity \(row 1\)"):
        take("y ~ scale(x)", small().assign(x=np.where(Z == 1, np.inf, X)))
    with pytest.raises(DataError, match="all values are missing"):
        take("y ~ scale(x)", small().assign(x=np.nan))


def test_functions_of_the_user() -> None:
    found = columns(
        "y ~ cube(x) + both(x, z, power = 2)",
        functions={"cube": lambda v: v**3, "both": lambda a, b, power: np.column_stack([a, b**power])},
    )
    np.testing.assert_allclose(found["cube(x)"], X**3)
    np.testing.assert_allclose(found["both(x, z, power = 2)2"], Z**2)
    np.testing.assert_array_equal(columns("y ~ is_a(s)", functions={"is_a": lambda v: v == "a"})["is_a(s)"], small()["s"] == "a")
    for bad, message in [
        (lambda v: v[:3], r"returned shape \(3,\)"),
        (lambda v: 1 / 0, "ZeroDivisionError"),
        (lambda v: 3.0, "returned shape"),
        (lambda: 1, "TypeError"),
    ]:
        with pytest.raises(FormulaError, match=message):
            take("y ~ bad(x)", functions={"bad": bad})


def test_constants_and_a_column_named_pi() -> None:
    np.testing.assert_array_equal(columns("y ~ 0 + I(1)")["I(1)"], np.ones(24))
    np.testing.assert_array_equal(columns("y ~ I(pi * 1)", small().assign(pi=2.0))["I(pi * 1)"], np.full(24, 2.0))


def test_factor_functions() -> None:
    assert names("y ~ factor(k)") == ["(Intercept)", "factor(k)[T.1]", "factor(k)[T.2]", "factor(k)[T.3]"]
    assert names("y ~ factor(z)", small(3)) == ["(Intercept)", "factor(z)[T.1]", "factor(z)[T.2]"]
    assert names("y ~ ordered(k)") == ["(Intercept)", "ordered(k).L", "ordered(k).Q", "ordered(k).C"]
    assert names("y ~ factor(o, ordered = FALSE)") == [
        "(Intercept)",
        "factor(o, ordered = FALSE)[T.mid]",
        "factor(o, ordered = FALSE)[T.hi]",
    ]
    assert names("y ~ relevel(f, ref = 'hi')") == ["(Intercept)", 'relevel(f, ref = "hi")[T.lo]', 'relevel(f, ref = "hi")[T.mid]']
    some = take("y ~ factor(k, levels = c(3, 2, 1))")
    assert some.design.names == ("(Intercept)", "factor(k, levels = c(3, 2, 1))[T.2]", "factor(k, levels = c(3, 2, 1))[T.1]")
    assert some.rows.created == {"factor(k, levels = c(3, 2, 1))": 6}


def test_dummy() -> None:
    found = columns("y ~ dummy(f, 'mid') + dummy(f, c('lo', 'hi')) + dummy(s)")
    np.testing.assert_array_equal(found['dummy(f, "mid")'], small()["f"] == "mid")
    np.testing.assert_array_equal(found['dummy(f, c("lo", "hi"))hi'], small()["f"] == "hi")
    assert [name for name in found if name.startswith("dummy(s)")] == ["dummy(s)a", "dummy(s)b", "dummy(s)č"]


def test_transforms_of_the_response() -> None:
    design = take("log(z + 1) ~ x").design
    assert design.response == "log(z + 1)"
    np.testing.assert_allclose(design.y, np.log(Z + 1))
    with pytest.raises(FormulaError, match="one number for each row"):
        take("poly(z, 2) ~ x")
    np.testing.assert_array_equal(take("I(x > 0) ~ z").design.y, X > 0)
    with pytest.raises(DataError, match="response 's' is not numeric"):
        take("s ~ x", pd.DataFrame(small()))
