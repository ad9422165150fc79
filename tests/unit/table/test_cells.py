"""Numbers as readers see them."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ranef import cells
from ranef.glossary import GLOSSARY
from ranef.layouts.plain import folded


def test_decimals_are_those_that_the_smallest_standard_error_supports():
    shown = cells.shown({"estimate": [251.40510, 10.46729], "std_error": [6.82460, 1.54579]})
    assert shown == {"estimate": ["251.405", "10.467"], "std_error": ["6.825", "1.546"]}


def test_limits_share_the_decimals_of_the_estimate_without_standard_errors():
    shown = cells.shown({"estimate": [251.405, 10.467], "conf_low": [237.0067, 7.2059], "conf_high": [265.8035, 13.7287]})
    assert shown["conf_low"] == ["237.007", "7.206"]


@pytest.mark.parametrize(
    ("p", "text"),
    [
        (0.0, "<0.001"),
        (1e-300, "<0.001"),
        (0.00099, "<0.001"),
        (0.001, "0.001"),
        (0.0426, "0.043"),
        (0.99996, ">0.999"),
        (1.0, "1.000"),
        (math.nan, "NaN"),
    ],
)
def test_p_values(p, text):
    assert cells.p_value(p) == text


@pytest.mark.parametrize(
    ("df", "text"), [(3.14159, "3.14"), (9.996, "10.0"), (17.0, "17.0"), (12345.6, "12346"), (math.inf, "inf")]
)
def test_degrees_of_freedom(df, text):
    assert cells.number(df, "df") == text


def test_rows_of_other_magnitudes_get_decimals_of_their_own():
    shown = cells.shown({"estimate": [153232.22, -3.2e-9, 12.3], "std_error": [25000.0, 1e-10, 1.0]})
    assert shown["estimate"] == ["153232", "-3.200e-09", "12.300"]


def test_a_rounded_negative_zero_has_no_sign():
    assert cells.shown({"estimate": [-0.00001], "std_error": [1.0]})["estimate"] == ["0.000"]
    assert cells.number(-0.0001, "statistic") == "0.00"


def test_none_is_blank_and_nan_is_said():
    assert cells.shown({"correlation": [None, math.nan, 0.5]})["correlation"] == ["", "NaN", "0.500"]
    assert cells.shown({"sd": [None, 1.0]})["sd"] == ["", "1.000"]


def test_a_table_may_know_better_how_its_numbers_are_shown():
    columns = {"estimate": [0.72166, 0.0813], "std_error": [0.07209, 0.29], "conf_low": [14.3814, -0.4815]}
    assert cells.shown(columns, dict.fromkeys(columns, "fraction"))["estimate"] == ["0.722", "0.081"]
    limits = {"estimate": [23.7806, 0.0813], "conf_low": [14.3814, -0.4815], "conf_high": [37.7161, 0.685]}
    assert cells.shown(limits, dict.fromkeys(limits, "row"))["conf_low"] == ["14.381", "-0.4815"]
    assert cells.shown({"mean": [298.507892, 4.5, 0.0109753, 1e-9]}, {"mean": "own"})["mean"] == [
        "298.508",
        "4.5",
        "0.01098",
        "1.000e-09",
    ]
    assert cells.rule_of("estimate", ["a"], {"estimate": "fraction"}) == "text"


def test_rows_of_about_one_scale_have_the_same_decimals():
    columns = {"estimate": [2.3292, 0.72492], "std_error": [0.3293, 0.09493]}
    assert cells.shown(columns, dict.fromkeys(columns, "even")) == {
        "estimate": ["2.3292", "0.7249"],
        "std_error": ["0.3293", "0.0949"],
    }
    other = {"estimate": [232.92, 0.72492], "std_error": [32.93, 0.09493]}
    assert cells.shown(other, dict.fromkeys(other, "even")) == cells.shown(other, dict.fromkeys(other, "row"))


def test_names_are_folded_before_a_bracket():
    assert folded("factor(nitro)[T.0.2]:Variety[T.Victory]", 30) == ["factor(nitro)[T.0.2]:Variety", "  [T.Victory]"]


def test_decimal_points_stand_below_each_other():
    head, texts = cells.aligned(["1.5", "22.25", "3", "NaN", ""], "x", numeric=True)
    assert len({len(text) for text in [head, *texts]}) == 1
    assert texts[0].index(".") == texts[1].index(".")
    assert texts[2].rstrip()[-1] == "3"
    assert texts[2].index("3") == texts[0].index(".") - 1


def test_a_numbered_column_is_one_of_its_kind():
    assert cells.rule_of("correlation_2", [0.5]) == "fraction"
    assert cells.heading("correlation_2", {}) == GLOSSARY["correlation"].heading
    assert cells.heading("correlation_2", {"correlation_2": ""}) == ""


@given(
    st.lists(st.floats(allow_nan=True, allow_infinity=True), min_size=1, max_size=8),
    st.sampled_from(["estimate", "sd", "statistic", "df", "p_value", "aic", "nobs", "unknown"]),
)
def test_any_number_can_be_shown(values, name):
    (texts,) = cells.shown({name: values}).values()
    assert len(texts) == len(values)
    assert all(text and len(text) <= 320 for text in texts)
    for text, value in zip(texts, values, strict=True):
        if name == "sd" and math.isfinite(value) and value != 0:
            assert float(text) == pytest.approx(value, rel=6e-4)


@given(st.lists(st.floats(1e-12, 1e12), min_size=1, max_size=6))
def test_four_digits_of_every_size_survive(values):
    for text, value in zip(cells.shown({"sd": values})["sd"], values, strict=True):
        assert float(text) == pytest.approx(value, rel=6e-4)


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (np.float64(1.5), 1.5),
        (math.nan, None),
        (np.inf, None),
        (np.int64(3), 3),
        (np.bool_(True), True),
        ("a", "a"),
        (None, None),
        ((1, 2), "(1, 2)"),
    ],
)
def test_jsonable(value, plain):
    assert cells.jsonable(value) == plain
    assert type(cells.jsonable(value)) is type(plain)
