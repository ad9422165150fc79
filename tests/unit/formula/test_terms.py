"""Fixed terms: the labels and their order are those of R's `terms()` (R 4.2.2), as recorded here."""

from __future__ import annotations

import pytest

from ranef.formula import parse, term_label

# right side -> (intercept, labels)
AS_R = {
    "a": (1, "a"),
    "1": (1, ""),
    "0": (0, ""),
    "-1": (0, ""),
    "1 - 1": (0, ""),
    "-1 + 1": (1, ""),
    "a + b": (1, "a b"),
    "a + a": (1, "a"),
    "a:a": (1, "a"),
    "a:b + b:a": (1, "a:b"),
    "a*b": (1, "a b a:b"),
    "a*b*c": (1, "a b c a:b a:c b:c a:b:c"),
    "a:b:c + a*b": (1, "a b a:b a:b:c"),
    "b:a + a": (1, "a b:a"),
    "a + b*c:a": (1, "a b a:c a:b:c"),
    "c:(b:a) + (a:b)": (1, "b:a c:b:a"),
    "a/b": (1, "a a:b"),
    "a/b/c": (1, "a a:b a:b:c"),
    "a/(b + c)": (1, "a a:b a:c"),
    "(a + b)/c": (1, "a b a:b:c"),
    "(a + b)/(c + d)": (1, "a b a:b:c a:b:d"),
    "log(x)/b": (1, "log(x) log(x):b"),
    "a %in% b": (1, "a:b"),
    "(a + b) %in% c": (1, "a:c b:c"),
    "(a + b)^2": (1, "a b a:b"),
    "(a + b)**2": (1, "a b a:b"),
    "(a + 1 + b)^2": (1, "a b a:b"),
    "(a*b)^2": (1, "a b a:b"),
    "(a + b + c)^2 - a:b": (1, "a b c a:c b:c"),
    "(a + b)^2:c": (1, "a:c b:c a:b:c"),
    "(b/c + d*e)^2": (1, "b d e b:c b:d b:e d:e b:d:e b:c:d b:c:e b:c:d:e"),
    "(a + a*b + (c + a + d)^3)^3": (1, "a b c d a:b a:c a:d b:c b:d c:d a:c:d a:b:c a:b:d b:c:d a:b:c:d"),
    "a*b - a": (1, "b a:b"),
    "a*b - a:b": (1, "a b"),
    "a - (a + b)": (1, ""),
    "a - b": (1, "a"),
    "-a + b": (1, "b"),
    "a - 1": (0, "a"),
    "0 + a": (0, "a"),
    "a + 0": (0, "a"),
    "a + 0 - 1": (0, "a"),
    "a - 1 + 1": (1, "a"),
    "0 + a + 1": (1, "a"),
    "a - 0": (1, "a"),
    "-(1) + a": (0, "a"),
    "a + (0 + b)": (0, "a b"),
    "(a - 1)*b": (0, "a b a:b"),
    "(1 + a):b": (1, "a:b"),
    "+a": (1, "a"),
    "((a))": (1, "a"),
    "(a > 2):b": (1, "a > 2:b"),
    "a*(b > 11)": (1, "a b > 11 a:b > 11"),
    "`a b`:x": (1, "`a b`:x"),
    "I((a - 11)/2):b": (1, "I((a - 11)/2):b"),
    "poly(a, 2):b + b": (1, "b poly(a, 2):b"),
}  # fmt: skip


@pytest.mark.parametrize("right", AS_R)
def test_terms_are_those_of_r(right):
    intercept, labels = AS_R[right]
    fixed = parse(f"y ~ {right}").fixed
    found = [term_label(term) for term in fixed]
    assert (found[:1] == ["(Intercept)"]) == bool(intercept)
    assert [label for label in found if label != "(Intercept)"] == _split(labels)


def _split(labels: str) -> list[str]:
    for blank in (" > ", "`a b`", "I((a - 11)/2)", "poly(a, 2)"):
        labels = labels.replace(blank, blank.replace(" ", "\x00"))
    return [label.replace("\x00", " ") for label in labels.split()]


def test_the_intercept_stands_first():
    assert parse("y ~ a + 1").fixed[0].factors == ()
    assert parse("y ~ a + 1").fixed[0].order == 0


def test_a_name_with_a_dot_or_beyond_ascii_is_one_name():
    assert [term_label(term) for term in parse("y ~ x.y + größe + 身長 + .z + _w").fixed[1:]] == [
        "x.y",
        "größe",
        "身長",
        ".z",
        "_w",
    ]


def test_a_name_may_hold_combining_marks():
    assert term_label(parse("y ~ re\u0301sumé2 + कि").fixed[1]) == "re\u0301sumé2"
