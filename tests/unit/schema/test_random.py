"""Random terms: grouping factors from crossed levels, columns by the rule of the bar, shared groups."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from tests.unit.schema.examples import small, take

import ranef
from ranef.errors import ModelError
from ranef.schema import grouping
from ranef.schema.grouping import make_grouping
from ranef.schema.values import Factor, objects


def test_an_intercept_alone_needs_no_columns() -> None:
    term = take("y ~ x + (1 | g)").design.terms[0]
    assert (term.z, term.names, term.label, term.group.name) == (None, ("(Intercept)",), "(1 | g)", "g")
    assert term.group.levels.tolist() == list("uvwxyz")
    assert (term.group.levels[term.group.codes] == small()["g"]).all()


@pytest.mark.parametrize(
    ("bar", "expected", "label"),
    [
        ("(x | g)", "(Intercept) x", "(x | g)"), ("(0 + x | g)", "x", "(0 + x | g)"), ("(f | g)", "(Intercept) f[T.mid] f[T.hi]", "(f | g)"),
        ("(0 + f | g)", "f[lo] f[mid] f[hi]", "(0 + f | g)"), ("(x * b | g)", "(Intercept) x b[T.True] x:b[T.True]", "(x + b + x:b | g)"),
        ("diag(x | g)", "(Intercept) x", "diag(x | g)"), ("(poly(x, 2) | g)", "(Intercept) poly(x, 2)1 poly(x, 2)2", "(poly(x, 2) | g)"),
        ("(0 + f:x | g)", "f[lo]:x f[mid]:x f[hi]:x", "(0 + f:x | g)"),
    ],
)  # fmt: skip
def test_columns_of_a_bar(bar: str, expected: str, label: str) -> None:
    term = take(f"y ~ 1 + {bar}").design.terms[0]
    assert " ".join(term.names) == expected
    assert term.label == label
    assert term.z is not None
    assert term.z.shape == (24, term.width)
    assert term.z.flags.f_contiguous
    assert term.covariance.k == term.width


def test_double_bars() -> None:
    terms = take("y ~ x + (x || g)").design.terms
    assert [term.names for term in terms] == [("(Intercept)",), ("x",)]
    terms = take("y ~ f + (f || g)").design.terms  # as in lme4: the factor stays one block, beside the intercept
    assert [(term.names, term.covariance.word) for term in terms] == [
        (("(Intercept)",), "un"),
        (("f[lo]", "f[mid]", "f[hi]"), "un"),
    ]


def test_terms_with_the_same_group_share_it() -> None:
    terms = take("y ~ x + (1 | g) + (0 + x | g) + (1 | g:f) + (0 + z | g:f)").design.terms
    assert terms[0].group is terms[1].group
    assert terms[2].group is terms[3].group
    assert terms[0].group is not terms[2].group


def test_crossed_groups_list_observed_combinations_in_the_order_of_their_levels() -> None:
    frame = pd.DataFrame(
        {
            "y": np.arange(5.0),
            "a": pd.Categorical(["q", "p", "q", "p", "q"], categories=["q", "p", "never"]),
            "b": [10, 2, 2, 10, 10],
        }
    )
    group = take("y ~ 1 + (1 | a:b)", frame).design.terms[0].group
    assert group.levels.tolist() == ["q:2", "q:10", "p:2", "p:10"]
    assert group.codes.tolist() == [1, 2, 0, 3, 1]
    assert (group.name, group.variables) == ("a:b", ("a", "b"))


def test_nested_groups() -> None:
    terms = take("y ~ x + (1 | g/b/f)").design.terms
    assert [term.group.name for term in terms] == ["g", "g:b", "g:b:f"]
    assert terms[2].group.size == len(small().groupby(["g", "b", "f"], observed=True))


def test_crossing_by_counting_and_by_sorting_agree() -> None:
    rng = np.random.default_rng(3)
    few = [Factor(rng.integers(0, 5, 200), objects(list(range(5)))) for _ in range(2)]
    many = [Factor(factor.codes * 400, objects(list(range(2000)))) for factor in few]
    for factors in (few, many):
        made, levels = make_grouping(["a", "b"], factors)
        pairs = list(zip(*(factor.codes.tolist() for factor in factors), strict=True))
        order = {pair: code for code, pair in enumerate(sorted(set(pairs)))}
        assert made.codes.tolist() == [order[pair] for pair in pairs]
        np.testing.assert_array_equal(levels.codes_of(factors), made.codes)


def test_more_combinations_than_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grouping, "MOST_KEYS", 10)
    with pytest.raises(ModelError, match="more combinations"):
        take("y ~ 1 + (1 | g:f)")


def test_groups_from_expressions() -> None:
    terms = take("y ~ 1 + (1 | factor(k)) + (1 | I(x > 0)) + (1 | b) + (1 | z)").design.terms
    assert [term.group.levels.tolist()[:2] for term in terms] == [[0, 1], [False, True], [False, True], [0.0, 1.0]]


def test_random_variables_need_not_be_fixed_ones() -> None:
    found = take("y ~ 1 + (scale(x) + s | g)")
    assert found.design.terms[0].names == ("(Intercept)", "scale(x)", "s[T.a]", "s[T.b]", "s[T.č]")
    assert "scale(x)" in found.schema.states


@pytest.mark.parametrize(
    ("formula", "names", "shares"),
    [
        ("y ~ f + x + t + (0 + x + t | g)", "x t", True),
        ("y ~ f + x + t + (0 + f | g)", "f[a] f[b] f[c]", False),  # indicators of all levels here, contrasts there
        ("y ~ x + f + t + (x + f | g)", "(Intercept) x f[T.b] f[T.c]", True),
        ("y ~ x + t + (t + x | g)", "(Intercept) t x", False),  # in another order
    ],
)
def test_random_columns_are_those_of_x_where_they_stand_there(formula: str, names: str, shares: bool) -> None:
    rng = np.random.default_rng(0)
    data = {"y": rng.normal(size=30), "x": rng.normal(size=30), "t": rng.normal(size=30)}
    data |= {"f": np.array(list("abc") * 10), "g": np.repeat(list("uvwxy"), 6)}
    design = ranef.lmm(formula, data).model.design
    (term,) = design.terms
    values = {"(Intercept)": np.ones(30)} | {name: data[name] for name in "xt"}
    values |= {f"f[T.{level}]": data["f"] == level for level in "abc"} | {f"f[{level}]": data["f"] == level for level in "abc"}
    assert term.z is not None
    assert " ".join(term.names) == names
    assert np.shares_memory(term.z, design.X) == shares
    np.testing.assert_array_equal(term.z, np.column_stack([values[name] for name in term.names]))
