"""Further columns of X by their sums alone against the larger design read as any other."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.unit.core.designs import gram_of, random_design

from ranef.core.criterion import Criterion
from ranef.core.gram import response_and_fixed
from ranef.core.solution import Solution
from ranef.core.widened import Widened
from ranef.covariance.base import Array
from ranef.design import Design

NAMES = ("first", "second")


def standard_columns(design: Design) -> Array:
    """[X_s y_s]."""
    standard = gram_of(design).standard
    out = response_and_fixed(standard, slice(None))
    if standard.orthonormal is None:
        out[:, :-1] = np.linalg.solve(standard.upper.T, out[:, :-1].T).T
    return out


def larger(design: Design, columns: Array) -> Design:
    return replace(design, X=np.asfortranarray(np.hstack([design.X, columns])), names=design.names + NAMES)


@pytest.mark.parametrize("collinear", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("shape", "widths"), [("crossed", (2, 1)), ("nested", (1, 1, 1)), ("mixed", (2, 1, 3, 2))])
def test_each_set_gives_the_larger_model(shape: str, widths: tuple[int, ...], weighted: bool, collinear: bool) -> None:
    design, rng = random_design(3, shape, widths, weighted=weighted), np.random.default_rng(1)
    if collinear:
        near = design.X[:, -1:] + 1e-4 * rng.normal(size=(design.nobs, 1))
        design = replace(design, X=np.asfortranarray(np.hstack([design.X, near])), names=(*design.names, "near"))
    A = rng.normal(size=(design.nobs, 6)) * [1.0, 1e3, 1.0, 1e-3, 1.0, 1.0] + 5.0
    A[:, 3] += 0.99 * A[:, 2]
    wider = Widened.of(gram_of(design), standard_columns(design), A, 2)
    for i, gram in enumerate(wider.grams(NAMES)):
        ours, theirs = Criterion.of_gram(gram, True), Criterion.of(larger(design, A[:, 2 * i : 2 * i + 2]), True)
        theta = np.random.default_rng(2).normal(size=ours.size)
        mine, other = ours.evaluate(theta, 1), theirs.evaluate(theta, 1)
        assert mine.value == pytest.approx(other.value, rel=1e-9)
        np.testing.assert_allclose(mine.gradient, other.gradient, rtol=1e-6, atol=1e-7)
        one, two = Solution(ours, theta), Solution(theirs, theta)
        np.testing.assert_allclose(one.beta, two.beta, rtol=1e-6)
        np.testing.assert_allclose(one.vcov, two.vcov, rtol=1e-5, atol=1e-7 * np.abs(two.vcov).max())


def test_columns_that_say_nothing_new_are_not_kept() -> None:
    design, rng = random_design(3, "crossed", (2, 1)), np.random.default_rng(1)
    fresh = rng.normal(size=design.nobs)
    A = np.column_stack(
        [fresh, 2.0 * fresh - 1.0, design.X @ rng.normal(size=design.X.shape[1]), fresh, np.full(len(fresh), 3.0), fresh**2]
    )
    p = len(design.names)
    kept = [gram.standard.kept[p:] for gram in Widened.of(gram_of(design), standard_columns(design), A, 2).grams(NAMES)]
    assert kept == [(p,), (p + 1,), (p + 1,)]
