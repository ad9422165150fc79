"""Balanced crossed and nested random intercepts have one optimum, and a formula for it: where the search ends, too."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest

import ranef
from ranef.core.orthogonal import RESIDUAL, Tree

SDS = [(1.0, 0.5, 0.3), (0.0, 0.0, 0.0), (3.0, 0.0, 0.1), (0.0, 2.0, 0.0), (0.05, 0.1, 30.0)]


def layout(seed: int, sd: tuple[float, float, float], replicates: int = 2) -> pd.DataFrame:
    """6 a x 5 b x replicates, x within cells, treatments of a."""
    rng = np.random.default_rng(seed)
    rows = pd.DataFrame(itertools.product(range(6), range(5), range(replicates)), columns=["a", "b", "i"])
    effects = [scale * rng.normal(size=n) for scale, n in zip(sd, (6, 5, 30), strict=True)]
    rows["y"] = effects[0][rows.a] + effects[1][rows.b] + effects[2][rows.a * 5 + rows.b] + rng.normal(size=len(rows))
    return rows.assign(x=rows.i - rows.i.mean(), trt=rows.a % 2, y=rows.y + 0.5 * (rows.a % 2)).astype({"a": str, "b": str})


BALANCED = [
    ("y ~ 1 + (1 | a) + (1 | b)", 1, {True}),
    ("y ~ x * trt + (1 | a) + (1 | b)", 2, {True}),
    ("y ~ trt + (1 | a / b)", 2, {True, False}),
    ("y ~ b + (1 | a) + (1 | a:b)", 2, {True, False}),
    ("y ~ 1 + (1 | a) + (1 | b) + (1 | a:b)", 2, {True}),
    ("y ~ x + trt + (1 | a) + (1 | b) + (1 | a:b)", 2, {True}),
]


@pytest.mark.parametrize(("formula", "replicates", "formulas_for"), BALANCED)
@pytest.mark.parametrize("sd", SDS)
@pytest.mark.parametrize("reml", [True, False])
def test_the_formula_gives_the_optimum_that_the_search_finds(
    formula: str, replicates: int, formulas_for: set[bool], sd: tuple[float, float, float], reml: bool
) -> None:
    for seed in range(3):
        data = layout(seed, sd, replicates)
        found = ranef.lmm(formula, data, reml=reml)
        searched = [ranef.lmm(formula, data, reml=reml, start=[size] * len(found.theta)) for size in (0.3, 1.0, 3.0)]
        assert (found.optimum.evaluations == 1) == (reml in formulas_for)
        assert found.status.startswith("optimum")
        assert found.deviance <= min(m.deviance for m in searched) + 1e-9
        best = min(searched, key=lambda m: m.deviance)
        np.testing.assert_allclose(np.square(found.theta), np.square(best.theta), rtol=1e-4, atol=1e-5)


def test_mean_squares_of_the_analysis_of_variance() -> None:
    """Variances from the mean squares of the two-way layout and their expectations, as before there were likelihoods."""
    data = ranef.datasets.load("Penicillin")
    wide = data.pivot(index="plate", columns="sample", values="diameter").to_numpy()
    plates, samples = wide.mean(axis=1), wide.mean(axis=0)
    rest = wide - plates[:, None] - samples + wide.mean()
    within, between = np.sum(rest**2) / 115, (6 * plates.var(ddof=1), 24 * samples.var(ddof=1))
    m = ranef.lmm("diameter ~ 1 + (1 | plate) + (1 | sample)", data)
    assert m.optimum.evaluations == 1
    expected = [(between[0] - within) / 6, (between[1] - within) / 24, within]
    np.testing.assert_allclose([*(np.square(m.theta) * m.sigma**2), m.sigma**2], expected, rtol=1e-8)


@pytest.mark.parametrize(
    "formula",
    [
        "y ~ 1 + (1 | a) + (1 | b)",  # with a row less
        "y ~ z + (1 | a) + (1 | b)",
        "y ~ 1 + (x | a) + (1 | b)",
        "y ~ b + (1 | a) + (1 | b)",
        "y ~ 0 + x + (1 | a) + (1 | b)",
    ],
)
def test_other_designs_are_searched(formula: str) -> None:
    data = layout(1, (1.0, 0.5, 0.3))
    data["z"] = np.random.default_rng(1).normal(size=len(data))
    if formula == "y ~ 1 + (1 | a) + (1 | b)":
        data = data.iloc[1:]
    assert ranef.lmm(formula, data).optimum.evaluations > 1


def test_weights_that_do_not_differ_within_a_balanced_design() -> None:
    data = layout(2, (1.0, 0.5, 0.3))
    plain = ranef.lmm("y ~ x + (1 | a) + (1 | b)", data)
    weighted = ranef.lmm("y ~ x + (1 | a) + (1 | b)", data.assign(w=4.0), precision_weights="w")
    assert weighted.optimum.evaluations == 1
    np.testing.assert_allclose(weighted.theta, plain.theta / 2.0, rtol=1e-8)
    uneven = ranef.lmm("y ~ x + (1 | a) + (1 | b)", data.assign(w=1.0 + data.i), precision_weights="w")
    searched = ranef.lmm("y ~ x + (1 | a) + (1 | b)", data.assign(w=1.0 + data.i), precision_weights="w", start=[1.0, 1.0])
    np.testing.assert_allclose(uneven.theta, searched.theta, rtol=1e-6)


def test_the_smallest_mean_squares_are_pooled_with_their_parents() -> None:
    """By hand: c is below its parent b, and both together below the residuals."""
    b, c, other = frozenset({1}), frozenset({1, 2}), frozenset({0})
    tree = Tree.of({RESIDUAL: 10, other: 3, b: 4, c: 2, frozenset({0, 1}): 0}, 3)
    assert tree is not None
    assert tree.own == (other, b, c)
    pooled = tree.pooled({RESIDUAL: 50.0, other: 30.0, b: 24.0, c: 2.0})
    level = (50.0 + 24.0 + 2.0) / 16.0
    assert pooled == {RESIDUAL: level, b: level, c: level, other: 10.0}
    assert tree.pooled({RESIDUAL: 10.0, other: 0.0, b: 24.0, c: 2.0}) == {
        RESIDUAL: 10.0 / 13.0, other: 10.0 / 13.0, b: 26.0 / 6.0, c: 26.0 / 6.0,
    }  # fmt: skip


def test_strata_that_no_factor_owns_have_no_formula() -> None:
    a, b, both = frozenset({0}), frozenset({1}), frozenset({0, 1})
    assert Tree.of({RESIDUAL: 5, a: 2, b: 2, both: 1}, 2) is None
    assert Tree.of({RESIDUAL: 5, a: 2}, 2) is None
    assert Tree.of({a: 5, b: 2}, 2) is None
    assert Tree.of({RESIDUAL: 5, both: 2, b: 1}, 2) is not None
