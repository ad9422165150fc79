"""Exact slopes of model columns against differences, and trends against coefficients."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import ranef
from ranef.errors import ModelError
from ranef.schema.derivative import design_slopes

RIGHT_SIDES = [
    "x", "poly(x, 3) * g", "poly(x, 2, raw=True)", "bs(x, df=5):g + g", "bs(x, df=4, degree=2)", "ns(x, 3) * z", "cr(x, df=4)",
    "log(x) * g + sqrt(x) + I(x**2)", "x * z + I(x * z) + scale(x)", "center(x) + I(1 / x)", "pmin(x, 4) + pmax(x, z) + exp(x / 5)",
    "I(2**x)", "hump(x) * g", "log(x, 2) + log1p(x) + log10(x)", "ns(log(x), 3)", "sin(x) + cos(x) + I(-x) + abs(x)", "I(x**2 / (1 + x))",
]  # fmt: skip


@pytest.fixture(scope="module")
def data() -> pd.DataFrame:
    rng = np.random.default_rng(1)
    n = 200
    frame = pd.DataFrame({"x": rng.uniform(1, 9, n), "z": rng.normal(size=n), "g": rng.choice(list("abc"), n)})
    frame["group"] = rng.integers(0, 20, n).astype(str)
    return frame.assign(y=rng.normal(size=n) + np.sqrt(frame.x))


@pytest.mark.parametrize("right", RIGHT_SIDES)
def test_slopes_of_columns_against_differences(right: str, data: pd.DataFrame) -> None:
    m = ranef.lm(f"y ~ {right}", data, functions={"hump": np.sin})
    new = {"x": np.array([2.0, 3.3, 7.1]), "z": np.array([0.5, 1.0, 2.0]), "g": np.array(list("abc"), dtype=object)}
    slopes = design_slopes(m.model.schema, new, "x")
    h = 1e-5
    after, before = (m.model.schema.apply({**new, "x": new["x"] + step}, random=False).X for step in (h, -h))
    np.testing.assert_allclose(slopes, (after - before) / (2 * h), rtol=1e-6, atol=1e-7)


def test_splines_beyond_their_boundary_are_lines(data: pd.DataFrame) -> None:
    m = ranef.lm("y ~ ns(x, 3) + cr(x, df=4)", data)
    far = {"x": np.array([-3.0, 0.0, 12.0, 20.0])}
    slopes = design_slopes(m.model.schema, far, "x")
    np.testing.assert_allclose(slopes[0], slopes[1], atol=1e-12)
    np.testing.assert_allclose(slopes[2], slopes[3], atol=1e-12)


def test_slope_of_a_line_is_its_coefficient(data: pd.DataFrame) -> None:
    m = ranef.lmm("y ~ x * g + (1 | group)", data, ddf="kenward-roger")
    slopes = ranef.emtrends(m, "x", "g")
    assert slopes["estimate"][0] == pytest.approx(m.params["x"])
    assert slopes["std_error"][0] == pytest.approx(m.bse["x"])
    assert slopes["df"][0] == pytest.approx(m.df["x"])
    difference = slopes.contrast("trt.vs.ctrl")
    np.testing.assert_allclose(difference["estimate"], m.params[["x:g[T.b]", "x:g[T.c]"]])


def test_slopes_of_a_parabola_at_several_points(data: pd.DataFrame) -> None:
    m = ranef.lm("y ~ x + I(x**2)", data)
    slopes = ranef.emtrends(m, "x", "x", at={"x": [2, 5, 8]})
    np.testing.assert_allclose(slopes["estimate"], m.params["x"] + 2 * m.params["I(x^2)"] * np.array([2, 5, 8]))
    assert slopes["x"] == [2, 5, 8]


def test_slope_is_the_same_in_any_basis(data: pd.DataFrame) -> None:
    raw, orthogonal = (ranef.lm(f"y ~ {basis} * g", data) for basis in ("poly(x, 3, raw=True)", "poly(x, 3)"))
    for at in ({"x": [3]}, None):
        a, b = (ranef.emtrends(m, "x", "pairwise ~ g", at=at)[1] for m in (raw, orthogonal))
        np.testing.assert_allclose(a["estimate"], b["estimate"], rtol=1e-6)
        np.testing.assert_allclose(a["std_error"], b["std_error"], rtol=1e-6)


def test_trend_in_an_expression(data: pd.DataFrame) -> None:
    m = ranef.lm("y ~ log(x) * g", data)
    assert ranef.emtrends(m, "log(x)")["estimate"][0] == pytest.approx(
        np.mean([m.params["log(x)"] + d for d in (0, *m.params[-2:])])
    )


def test_refusals(data: pd.DataFrame) -> None:
    m = ranef.lm("y ~ x + factor(z > 0) + g", data)
    with pytest.raises(ModelError, match="'g' is a factor"):
        ranef.emtrends(m, "g", "g")
    with pytest.raises(ModelError, match="no numeric predictor"):
        ranef.emtrends(m, "weight", "g")
    with pytest.raises(ModelError, match="cannot be back-transformed"):
        ranef.emtrends(m, "x", "g").response()
    assert "Slopes of x for g" in str(ranef.emtrends(m, "x", "g"))
