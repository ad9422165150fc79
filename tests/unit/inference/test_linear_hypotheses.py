"""Hypotheses as text, weights and matrices; tests of them with a direction, a margin, or jointly."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.inference.examples import crossed

import ranef
from ranef.inference.ddf.base import principal
from ranef.inference.hypothesis import hypothesis
from ranef.inference.linear_text import read_hypotheses

NAMES = ["(Intercept)", "Days", "Days2", "I(Days^2)", "cond[T.odd]", "cond[T.odd]:Days", "poly(x, 2)1", "`my column`", "a.b", "b-c"]

GOOD = {
    "Days": ({"Days": 1}, 0),
    "Days2": ({"Days2": 1}, 0),
    "Days = 10": ({"Days": 1}, -10),
    "Days == 10": ({"Days": 1}, -10),
    "10 = Days": ({"Days": -1}, 10),
    "Days - Days2": ({"Days": 1, "Days2": -1}, 0),
    "2 * Days + 3*Days2 = 1e-1": ({"Days": 2, "Days2": 3}, -0.1),
    "(Days + Days2) / 2": ({"Days": 0.5, "Days2": 0.5}, 0),
    "-(Days - 2)": ({"Days": -1}, 2),
    "(Intercept) + 0.5*I(Days^2)": ({"(Intercept)": 1, "I(Days^2)": 0.5}, 0),
    "((Intercept))": ({"(Intercept)": 1}, 0),
    "cond[T.odd]:Days": ({"cond[T.odd]:Days": 1}, 0),
    "cond[T.odd] - cond[T.odd]:Days": ({"cond[T.odd]": 1, "cond[T.odd]:Days": -1}, 0),
    "poly(x, 2)1 = 0": ({"poly(x, 2)1": 1}, 0),
    "`my column` - `a.b`": ({"`my column`": 1, "a.b": -1}, 0),
    "a.b-b-c": ({"a.b": 1, "b-c": -1}, 0),
    "Days * 2 * 3": ({"Days": 6}, 0),
    "--Days": ({"Days": 1}, 0),
    "Days = Days2 + 1": ({"Days": 1, "Days2": -1}, -1),
}

BAD = {
    "": "missing",
    "Days +": "missing",
    "Days = ": "missing",
    "Dayz": "Did you mean 'Days",
    "Days * Days2": "linear",
    "1 / Days": "linear",
    "Days / 0": "zero",
    "(Days": "not closed",
    "Days)": "not expected",
    "`Days": "not closed",
    "`Dayz`": "no coefficient 'Dayz'",
    "3": "names no coefficient",
    "Days - Days": "names no coefficient",
    "Days,, Days2": "not expected",
    "Days Days2": "not expected",
    "Days < 3": "not expected",
    "__import__('os')": "no coefficient",
    "(" * 200 + "Days": "nested too deeply",
    "Days" + " + Days" * 30_000: "characters",
}


@pytest.mark.parametrize("text", GOOD)
def test_texts(text: str) -> None:
    (equation,) = read_hypotheses(text, NAMES)
    weights, constant = GOOD[text]
    assert {name: pytest.approx(weight) for name, weight in equation.form.weights.items() if weight} == weights
    assert equation.form.constant == pytest.approx(constant)


@pytest.mark.parametrize("text", BAD)
def test_refusals_say_what_and_where(text: str) -> None:
    with pytest.raises(ranef.FormulaError, match=BAD[text].replace("(", r"\(")) as caught:
        read_hypotheses(text, NAMES)
    assert 0 <= caught.value.start <= caught.value.stop <= max(len(text) + 1, 1)


def test_commas_and_chains() -> None:
    assert [e.text for e in read_hypotheses("Days, poly(x, 2)1 = 2", NAMES)] == ["Days", "poly(x, 2)1 = 2"]
    first, second = read_hypotheses("Days = Days2 = 3", NAMES)
    assert first.form.weights == {"Days": 1.0, "Days2": -1.0} and second.form.constant == -3.0


@given(st.text(alphabet="Days2()[]:+-*/=,.`1e ", max_size=30))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        found = read_hypotheses(text, NAMES)
    except ranef.FormulaError:
        return
    assert all(any(e.form.weights.values()) for e in found)


@given(
    st.lists(st.tuples(st.floats(-9, 9).filter(lambda w: abs(w) > 1e-3), st.sampled_from(NAMES)), min_size=1, max_size=4),
    st.floats(-9, 9),
)
def test_written_sums_are_read_back(parts: list[tuple[float, str]], value: float) -> None:
    wanted: dict[str, float] = {}
    for weight, name in parts:
        wanted[name] = wanted.get(name, 0.0) + weight
    if not any(wanted.values()):
        return
    (equation,) = read_hypotheses(" + ".join(f"({w!r}) * {name}" for w, name in parts) + f" = {value!r}", NAMES)
    assert equation.form.weights == pytest.approx(wanted)
    assert equation.form.constant == pytest.approx(-value)


@pytest.fixture(scope="module")
def m() -> ranef.Fit:
    return ranef.lmm("y ~ x + a + (x | g)", crossed())


def test_every_way_to_write_it(m: ranef.Fit) -> None:
    ways = [
        "x - 2 * a[T.q] = 1",
        ["x - 2 * a[T.q] = 1"],
        {"x": 1, "a[T.q]": -2},
        [{"x": 1, "a[T.q]": -2}],
        {"mine": {"x": 1, "a[T.q]": -2}},
        [0, 1, -2, 0],
        np.array([[0, 1, -2, 0.0]]),
        pd.Series([0, 1, -2, 0]),
        pd.Series({"a[T.q]": -2.0, "x": 1.0}),
        pd.DataFrame({"x": [1], "a[T.q]": [-2]}, index=["mine"]),
    ]
    first = hypothesis(m, ways[0])
    for i, way in enumerate(ways):
        found = hypothesis(m, way, 0.0 if i < 2 else 1.0)
        np.testing.assert_array_equal(found.L, first.L)
        np.testing.assert_array_equal(found.value, [1.0])
    assert hypothesis(m, ways[2]).labels == ("x - 2 a[T.q]",)
    assert hypothesis(m, ways[-1]).labels == ("mine",)


def test_degrees_of_freedom_take_every_way_to_write_it(m: ranef.Fit) -> None:
    for way in ("x - 2 * a[T.q] = 1", {"x": 1, "a[T.q]": -2}, [0, 1, -2, 0], np.array([[0, 1, -2, 0.0]])):
        np.testing.assert_array_equal(m.ddf_of(way), m.test(way)["df"])
        np.testing.assert_array_equal(m.ddf_of(way, "residual"), [m.nobs - 4])


def test_what_does_not_fit_the_model(m: ranef.Fit) -> None:
    with pytest.raises(ranef.ModelError, match="column for each of the 4"):
        m.test(np.eye(3))
    with pytest.raises(ranef.ModelError, match="weight zero"):
        m.test([[0, 0, 0, 0]])
    with pytest.raises(ranef.ModelError, match="Leave out one"):
        m.test("x = 1", 2.0)
    with pytest.raises(ranef.ModelError, match="one for each"):
        m.test("x, a[T.q]", [1.0, 2.0, 3.0])
    with pytest.raises(ranef.FormulaError, match="Did you mean"):
        m.test({"xx": 1})
    with pytest.raises(ranef.ModelError, match="numbers"):
        m.test({"x": "one"})
    with pytest.raises(ranef.ModelError, match="cannot be read"):
        m.test(object())
    with pytest.raises(ranef.ModelError, match="finite"):
        m.test([[0, np.inf, 0, 0]])
    with pytest.raises(ranef.ModelError, match="level"):
        m.test("x", level=95)
    with pytest.raises(ranef.ModelError, match="two-sided"):
        m.test("x", alternative="both")
    with pytest.raises(ranef.ModelError, match="no direction"):
        m.test("x", joint=True, alternative="less")
    with pytest.raises(ranef.ModelError, match="positive"):
        m.test("x", margin=-1.0)


def test_one_row_jointly_is_t_squared(m: ranef.Fit) -> None:
    for ddf in ("satterthwaite", "kenward-roger", "residual"):
        single, joint = m.test("x - a[T.q] = 0.3", ddf=ddf), m.test("x - a[T.q] = 0.3", ddf=ddf, joint=True)
        np.testing.assert_allclose(joint["statistic"], single["statistic"] ** 2, rtol=1e-8)
        np.testing.assert_allclose(joint["p_value"], single["p_value"], rtol=1e-7)
        np.testing.assert_allclose(joint["den_df"], single["df"], rtol=1e-8)


def test_joint_tests_do_not_depend_on_the_basis_for_kenward_roger(m: ranef.Fit) -> None:
    one = m.test("a[T.q], a[T.r]", joint=True, ddf="kenward-roger")
    two = m.test("a[T.q] - a[T.r], 3 * a[T.q] + a[T.r]", joint=True, ddf="kenward-roger")
    for name in ("statistic", "den_df", "p_value"):
        np.testing.assert_allclose(one[name], two[name], rtol=1e-7)


def test_directions_share_the_p_value(m: ranef.Fit) -> None:
    both, less, more = (m.test("x = 0.2", alternative=a) for a in ("two-sided", "less", "greater"))
    np.testing.assert_allclose(less["p_value"] + more["p_value"], 1.0)
    np.testing.assert_allclose(2 * np.minimum(less["p_value"], more["p_value"]), both["p_value"])
    assert less["conf_low"][0] == -np.inf and more["conf_high"][0] == np.inf
    half = m.test("x", level=0.9)
    np.testing.assert_allclose([less["conf_high"][0], more["conf_low"][0]], [half["conf_high"][0], half["conf_low"][0]])


def test_equivalence_is_two_one_sided_tests(m: ranef.Fit) -> None:
    """Equivalent at 5 % if and only if the 90 % interval lies within the margin."""
    estimate, se, df = float(m.params["x"]), float(m.bse["x"]), float(m.df["x"])
    for margin in (0.1, 1.0, 2.5):
        tost = m.test("x", margin=margin)["p_value"][0]
        lower = m.test("x", -margin, alternative="greater")["p_value"][0]
        upper = m.test("x", margin, alternative="less")["p_value"][0]
        np.testing.assert_allclose(tost, max(lower, upper))
        interval = m.test("x", level=0.9)
        inside = -margin < interval["conf_low"][0] and interval["conf_high"][0] < margin
        assert (tost < 0.05) == inside
    assert np.isfinite([estimate, se, df]).all()


def test_non_inferiority_moves_the_bound(m: ranef.Fit) -> None:
    np.testing.assert_allclose(
        m.test("x", margin=0.5, alternative="greater")["p_value"], m.test("x", -0.5, alternative="greater")["p_value"]
    )
    np.testing.assert_allclose(
        m.test("x", margin=0.5, alternative="less")["p_value"], m.test("x", 0.5, alternative="less")["p_value"]
    )
    assert "non-inferiority" in m.test("x", margin=0.5, alternative="greater").title


def test_dropped_coefficients_cannot_be_tested() -> None:
    data = crossed().assign(z=lambda d: d["x"])
    m = ranef.lmm("y ~ x + z + (1 | g)", data)
    with pytest.raises(ranef.FormulaError, match="no coefficient 'z'"):
        m.test("z")


def test_hypotheses_that_rounding_could_not_tell_apart_as_covariances() -> None:
    """The line at 0 and at 1, a thousand standard deviations away: together they say that all coefficients are zero."""
    rng = np.random.default_rng(4)
    z = rng.normal(size=20)
    y = 0.3 + z + rng.normal(size=20)
    m = ranef.lm("y ~ x", pd.DataFrame({"y": y, "x": 1e3 + z}))
    centred = z - z.mean()
    explained = 20 * y.mean() ** 2 + (centred @ y) ** 2 / (centred @ centred)
    noise = (y @ y - explained) / 18
    found = m.test(["(Intercept) = 0", "(Intercept) + x = 0"], joint=True)
    assert found["num_df"][0] == 2
    assert found["statistic"][0] == pytest.approx(explained / noise / 2, rel=1e-6)


def test_uncorrelated_combinations_of_nearly_equal_contrasts() -> None:
    root = np.array([[1.0, 0.0], [1.0, 1e-6]])
    difference = root @ np.array([1.0, 2.0])
    values, vectors = principal(root, difference)
    assert np.sum((vectors.T @ difference) ** 2 / values) == pytest.approx(5.0, rel=1e-8)
    with pytest.raises(ranef.ModelError, match="contradict"):
        principal(np.array([[1.0, 0.0], [1.0, 0.0]]), np.array([1.0, 2.0]))
