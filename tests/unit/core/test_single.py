"""One grouping factor: the engine against the dense one, its compiled twin, and the replacement of levels by patterns."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.core.designs import gram_of, grouping, random_design, random_factors
from tests.unit.core.test_block import KINDS, assert_same

from ranef.core.criterion import Criterion
from ranef.core.dense import Dense
from ranef.core.gram import Gram
from ranef.core.pieces import Known
from ranef.core.single import Single
from ranef.core.solution import Solution
from ranef.core.within import tile_roots
from ranef.covariance import Unstructured
from ranef.design import Design, RandomTerm
from ranef.optim import minimise


def twins(gram: Gram) -> list[Single]:
    plain = Single.of(gram)
    assert plain.kernels is None
    return [plain, plain.compiled()]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("k", [1, 2, 3, 5])
def test_pieces_are_those_of_the_dense_engine(k: int, kind: str) -> None:
    gram = gram_of(random_design(k, "crossed", (k,), n=150, weighted=True))
    factors = random_factors(gram, 3, kind)
    expected = Dense.of(gram).pieces(factors, 2)
    for engine in twins(gram):
        for order in (0, 1, 2):
            assert_same(engine.pieces(factors, order), expected)


@given(seed=st.integers(0, 10_000), k=st.integers(1, 4), n=st.integers(20, 150), p=st.integers(1, 5))
def test_twins_agree(seed: int, k: int, n: int, p: int) -> None:
    gram = gram_of(random_design(seed, "nested", (k,), n=n, p=p))
    factors = random_factors(gram, seed)
    one, other = (engine.pieces(factors, 2) for engine in twins(gram))
    assert_same(one, other, 1e-8)


def growth(levels: int, visits: int, irregular: bool) -> Design:
    """A slope in time for each level; the same times for all, or times of their own; some levels have one row only."""
    rng = np.random.default_rng(levels)
    codes = np.repeat(np.arange(levels), visits)
    t = rng.uniform(0, 9, len(codes)) if irregular else np.tile(np.arange(float(visits)), levels)
    keep = np.ones(len(codes), dtype=bool)
    if irregular:
        keep = (rng.random(len(codes)) < 0.7) | (np.arange(len(codes)) % visits == 0)
    codes, t = codes[keep], t[keep]
    X = np.asfortranarray(np.column_stack([np.ones(len(t)), t]))
    y = 2.0 + 0.5 * t + rng.normal(size=levels)[codes] + 0.3 * rng.normal(size=levels)[codes] * t + rng.normal(size=len(t))
    term = RandomTerm("(t | id)", grouping("id", codes), ("(Intercept)", "t"), X.copy(order="F"), Unstructured(2))
    return Design("y", y, X, ("(Intercept)", "t"), (term,), None, None, 0)


@pytest.mark.parametrize("irregular", [False, True])
def test_many_levels(irregular: bool) -> None:
    gram = gram_of(growth(800, 6, irregular))
    engine, factors = Single.of(gram), random_factors(gram, 1)
    assert len(engine.lower) == (800 if irregular else 1)
    assert_same(engine.pieces(factors, 2), engine.compiled().pieces(factors, 2))
    C, D, (lam,) = gram.zz[0], gram.zw[0], factors
    A = np.eye(2) + lam.T @ C @ lam
    W = gram.ww - np.einsum("jac,jab,jbd->cd", D, lam @ np.linalg.solve(A, np.broadcast_to(lam.T, A.shape)), D)
    found = engine.pieces(factors, 0)
    assert found.logdet_u == pytest.approx(np.linalg.slogdet(A)[1].sum())
    np.testing.assert_allclose(found.gls.lower @ found.gls.lower.T, W[:-1, :-1], rtol=1e-10)


@pytest.mark.parametrize("count", [1, 5, 400])
def test_roots_of_tiles_of_any_rank(count: int) -> None:
    rng = np.random.default_rng(0)
    half = rng.normal(size=(count, 3, 3))
    half[::3, :, 1:] = 0.0
    half[1::3, :, 2] = half[1::3, :, 1]
    half[0] = 0.0
    C = half @ half.swapaxes(1, 2)
    lower, inverse = tile_roots(C)
    np.testing.assert_allclose(lower @ lower.swapaxes(1, 2), C, atol=1e-12)
    np.testing.assert_allclose(lower @ inverse @ C, C, atol=1e-10)


@pytest.mark.parametrize("irregular", [False, True])
def test_another_response(irregular: bool) -> None:
    gram = gram_of(growth(300, 4, irregular))
    y = gram.standard.design.y[::-1] ** 2
    other, factors = gram.with_response(y), random_factors(gram, 2)
    assert_same(Single.of(gram).with_gram(other).pieces(factors, 2), Single.of(other).pieces(factors, 2))


@pytest.mark.parametrize("seed", range(4))
def test_a_dear_evaluation_is_not_repeated_for_a_last_step_that_is_rounding(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Least squares are moved along the step; all else stays as it was before it."""
    criterion = Criterion(gram := gram_of(random_design(seed, "nested", (2,), n=400)), Single.of(gram), True)
    optimum = minimise(criterion)
    monkeypatch.setattr("ranef.core.solution.DEAR", 0.0)
    monkeypatch.setattr("ranef.core.solution.ROUNDING", 1e-4)
    kept, fresh = Solution.of(criterion, optimum), Solution(criterion, optimum.theta)
    assert isinstance(optimum.found, Known)
    assert not np.array_equal(optimum.found.theta, optimum.theta)
    assert "pieces" in kept.__dict__
    np.testing.assert_allclose(kept.beta, fresh.beta, rtol=1e-9)
    np.testing.assert_allclose(kept.vcov, fresh.vcov, rtol=1e-8)
    np.testing.assert_allclose(kept.hessian, fresh.hessian, rtol=1e-3)
    monkeypatch.setattr("ranef.core.solution.ROUNDING", 0.0)
    assert "pieces" not in Solution.of(criterion, optimum).__dict__


@pytest.mark.parametrize("size", [1e-3, 1.0, 1e6])
def test_log_determinants_of_any_size(size: float) -> None:
    """A logarithm serves the pivots of several levels, whose product must stay a number: here it would be 1e500."""
    plain, compiled = twins(gram_of(random_design(3, "nested", (2,), n=300)))
    factors = [size * np.eye(2)]
    one, other = plain.pieces(factors, 0), compiled.pieces(factors, 0)
    assert np.isfinite(one.logdet_u)
    assert one.logdet_u == pytest.approx(other.logdet_u, rel=1e-13)
