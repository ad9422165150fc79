"""The block engine answers as the dense one does, for every crossing and nesting, at ordinary, extreme and singular Lambda."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.core.designs import gram_of, random_design, random_factors

from ranef.core import block as block_module
from ranef.core.block import Block
from ranef.core.criterion import Criterion
from ranef.core.dense import Dense
from ranef.core.elimination import nested, plan
from ranef.core.gram import Gram
from ranef.core.mivque import mivque_start
from ranef.core.pieces import Pieces
from ranef.core.remainder import Factored
from ranef.core.satterthwaite import VarianceParameters
from ranef.core.sketch import sketched_pieces
from ranef.core.solution import Solution
from ranef.core.starts import _sketched
from ranef.core.state import State
from ranef.core.structured import Structured
from ranef.core.system import System
from ranef.errors import MemoryEstimateError
from ranef.optim import minimise

MODELS = [
    ("crossed", (1, 1)), ("crossed", (2, 1)), ("crossed", (1, 2, 3)), ("nested", (1, 1)), ("nested", (1, 1, 1)),
    ("nested", (2, 3, 1)), ("mixed", (1, 1, 1, 1)), ("mixed", (2, 2, 1)), ("mixed", (2, 1, 3, 2)),
]  # fmt: skip
KINDS = ["ordinary", "tiny", "large", "singular", "zero"]


def both_ways(gram: Gram) -> list[Block]:
    """With one stage and everything exact, and with the longest chain and the selected inverse."""
    short = plan(gram, longest=1)
    return [
        Block(System.of(gram, short), Structured.of(gram, short.chain[0], short.dense)),
        Block(System.of(gram, plan(gram)), None),
    ]


def assert_same(found: Pieces, expected: Pieces, tolerance: float = 1e-9) -> None:
    assert found.logdet_u == pytest.approx(expected.logdet_u, rel=1e-11, abs=1e-11)
    assert found.gls.pwrss == pytest.approx(expected.gls.pwrss, rel=tolerance)
    np.testing.assert_allclose(found.gls.gamma, expected.gls.gamma, rtol=tolerance, atol=tolerance)
    for name in ("t", "F", "h", "e", "y"):
        one, other = getattr(found, name), getattr(expected, name)
        if one is not None:
            np.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance * np.abs(other).max(), err_msg=name)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("shape", "widths"), MODELS)
def test_pieces_are_those_of_the_dense_engine(shape: str, widths: tuple[int, ...], kind: str) -> None:
    gram = gram_of(random_design(1, shape, widths, weighted=True))
    factors = random_factors(gram, 3, kind)
    expected = Dense.of(gram).pieces(factors, 2)
    for engine in both_ways(gram):
        for order in (0, 1, 2):
            assert_same(engine.pieces(factors, order), expected, 1e-7 if kind == "large" else 1e-9)


@given(
    seed=st.integers(0, 10_000), kind=st.sampled_from(KINDS), n=st.integers(60, 250),
    widths=st.sampled_from([(1, 1), (1, 1, 1), (2, 1), (1, 3), (2, 3, 1), (1, 2, 2), (3, 1, 2)]), turned=st.booleans(),
)  # fmt: skip
def test_second_derivatives_of_nested_factors(seed: int, kind: str, n: int, widths: tuple[int, ...], turned: bool) -> None:
    """Exact by the tree, in any order of the terms."""
    design = random_design(seed, "nested", widths, n=n, weighted=True)
    design = replace(design, terms=design.terms[::-1]) if turned else design
    gram = gram_of(design)
    factors, chain = random_factors(gram, seed, kind), plan(gram)
    assert not chain.dense
    found, expected = Block(System.of(gram, chain), None).pieces(factors, 3), Dense.of(gram).pieces(factors, 2)
    assert found.h is not None
    assert found.e is not None
    assert_same(found, expected, 1e-7)


@given(seed=st.integers(0, 10_000), model=st.sampled_from(MODELS), n=st.integers(45, 150))
def test_pieces_of_any_unbalanced_design(seed: int, model: tuple[str, tuple[int, ...]], n: int) -> None:
    gram = gram_of(random_design(seed, *model, n=n))
    factors = random_factors(gram, seed)
    expected = Dense.of(gram).pieces(factors, 2)
    for engine in both_ways(gram):
        assert_same(engine.pieces(factors, 2), expected, 1e-7)


@pytest.mark.parametrize(("shape", "widths"), MODELS)
def test_solutions_and_posterior_covariances(shape: str, widths: tuple[int, ...]) -> None:
    gram = gram_of(random_design(2, shape, widths))
    factors, dense, rng = random_factors(gram, 5), Dense.of(gram), np.random.default_rng(0)
    blocks = gram.layout.blocks
    vectors = [rng.normal(size=(block.levels, block.width, 3)) for block in blocks]
    for engine in both_ways(gram):
        for found, expected in (
            (engine.projections(factors), dense.projections(factors)),
            (engine.apply(factors, vectors), dense.apply(factors, vectors)),
        ):
            for one, other in zip(found, expected, strict=True):
                np.testing.assert_allclose(one, other, atol=1e-9 * np.abs(other).max())
        for f, first in enumerate(blocks):
            for g, second in enumerate(blocks):
                rows, columns = rng.integers(0, first.levels, 30), rng.integers(0, second.levels, 30)
                np.testing.assert_allclose(
                    engine.conditional(factors, f, g, rows, columns), dense.conditional(factors, f, g, rows, columns), atol=1e-11
                )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("shape", "widths"), MODELS)
def test_levels_that_meet_need_no_solution(shape: str, widths: tuple[int, ...], kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their posterior covariances are all in the selected inverse, whatever Lambda is."""
    design = random_design(2, shape, widths)
    gram, codes = gram_of(design), [term.group.codes for term in design.terms]
    factors, dense = random_factors(gram, 5, kind), Dense.of(gram)
    monkeypatch.setattr("ranef.core.posterior.Posterior.between", None)
    for engine in both_ways(gram):
        for f, rows in enumerate(codes):
            for g, columns in enumerate(codes):
                found, expected = (each.conditional(factors, f, g, rows, columns) for each in (engine, dense))
                np.testing.assert_allclose(found, expected, atol=1e-10 * max(1.0, float(np.abs(expected).max())))


def test_the_chain_follows_the_data_and_not_the_formula() -> None:
    gram = gram_of(random_design(1, "mixed", (1, 1, 1, 1)))
    assert nested(gram, 0, 2)
    assert nested(gram, 2, 3)
    assert not nested(gram, 2, 0)
    assert plan(gram).chain == (0, 2, 3)
    assert plan(gram).dense == (1,)
    assert plan(gram, longest=1).chain == (0,)


def test_another_response_needs_no_new_plan() -> None:
    design = random_design(4, "mixed", (2, 1, 1))
    gram, y = gram_of(design), np.random.default_rng(1).normal(size=design.nobs)
    factors, other = random_factors(gram, 1), gram.with_response(y)
    for engine in both_ways(gram):
        assert_same(engine.with_gram(other).pieces(factors, 2), Dense.of(other).pieces(factors, 2))


def test_what_is_left_when_effects_are_free() -> None:
    gram = gram_of(random_design(6, "crossed", (1, 1)))
    found, expected = Block.of(gram).saturated(), Dense.of(gram).saturated()
    np.testing.assert_allclose(found, expected, atol=1e-6 * np.abs(expected).max())


def test_a_crossing_beyond_memory_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    gram = gram_of(random_design(1, "crossed", (1, 1)))
    monkeypatch.setattr(block_module, "LARGE", 0)
    monkeypatch.setattr(block_module, "MANY", 0)
    monkeypatch.setattr("ranef.schema.memory.available_bytes", lambda: 100.0)
    with pytest.raises(MemoryEstimateError, match=r"a \(12 levels\) with b \(7 levels\).*784 bytes"):
        Block.of(gram)


def test_stretches_of_levels_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    gram = gram_of(random_design(3, "nested", (2, 3, 1)))
    engine, factors = Block(System.of(gram, plan(gram)), None), random_factors(gram, 1)
    whole = engine.pieces(factors, 3)
    monkeypatch.setattr("ranef.core.nested.ENTRIES", 1)
    assert_same(engine.pieces(factors, 3), whole, 1e-12)


@pytest.mark.parametrize("widths", [(1, 1, 1), (2, 2, 1), (2, 3, 2)])
def test_tiles_and_strips_of_dense_matrices_add_up(widths: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    gram = gram_of(random_design(4, "crossed", widths, n=600))
    factors, expected = random_factors(gram, 1), Dense.of(gram).pieces(random_factors(gram, 1), 3)
    monkeypatch.setattr("ranef.core.crossed.TILE", 3)
    monkeypatch.setattr("ranef.core.crossed.STRIP", 4)
    monkeypatch.setattr("ranef.core.remainder.STRIP", 5)
    found = Block(System.of(gram, plan(gram, longest=1)), None).pieces(factors, 3)
    assert found.h is not None
    assert_same(found, expected)


@pytest.mark.parametrize(("shape", "widths"), [("nested", (1, 1, 1)), ("mixed", (2, 2, 1))])
def test_the_hessian_by_differences_is_the_exact_one(shape: str, widths: tuple[int, ...]) -> None:
    gram = gram_of(random_design(9, shape, widths))
    exact, selected = (Criterion(gram, engine, True) for engine in both_ways(gram))
    theta = np.random.default_rng(1).uniform(0.5, 1.5, exact.size)
    expected = exact.evaluate(theta, 2).hessian
    assert expected is not None
    assert not selected.evaluate(theta, 2).exact
    np.testing.assert_allclose(selected.hessian(theta), expected, atol=1e-6 * np.abs(expected).max())


def test_moments_start_near_the_optimum() -> None:
    criterion = Criterion.of_gram(gram_of(random_design(10, "crossed", (1, 1), n=3000)), True)
    best = minimise(criterion).value
    gaps = [criterion.evaluate(theta, 0).value - best for theta in (mivque_start(criterion.gram), 0.1 * criterion.layout.start())]
    assert 0.0 <= gaps[0] < 0.05 * gaps[1]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("widths", [(1, 1), (1, 2), (2, 1), (2, 2), (3, 1, 2), (1, 1, 1)])
def test_the_exact_hessian_is_finished_from_what_the_average_information_left(seed: int, widths: tuple[int, ...]) -> None:
    gram = gram_of(random_design(seed, "crossed", widths))
    factors = random_factors(gram, seed)
    engine = both_ways(gram)[1]
    first = engine.pieces(factors, 2)
    assert first.unfinished
    assert first.h is None
    finished, at_once = engine.pieces(factors, 3), both_ways(gram)[1].pieces(factors, 3)
    assert not finished.unfinished
    assert_same(finished, at_once, 1e-14)
    assert_same(finished, Dense.of(gram).pieces(factors, 2))
    assert_same(engine.pieces(factors, 3), at_once, 1e-14)  # nothing is left: all over again


@pytest.mark.parametrize("weighted", [False, True])
def test_sketched_traces_are_the_exact_ones_on_average(monkeypatch: pytest.MonkeyPatch, weighted: bool) -> None:
    """Factor b has few levels, and its trace in full."""
    gram = gram_of(random_design(12, "crossed", (1, 1, 1), n=600, weighted=weighted))
    factors = random_factors(gram, 2)
    state, expected = State.of(System.of(gram, plan(gram, longest=1)), factors), Dense.of(gram).pieces(factors, 2)
    drawn = []
    for seed in range(300):
        monkeypatch.setattr("ranef.core.sketch.SEED", seed)
        pieces = sketched_pieces(state)
        drawn.append(pieces.t)
    np.testing.assert_allclose(pieces.F, expected.F, rtol=1e-9, atol=1e-9 * np.abs(expected.F).max())
    np.testing.assert_allclose(pieces.y, expected.y, rtol=1e-9, atol=1e-9 * np.abs(expected.y).max())
    error = np.std(drawn, axis=0) / np.sqrt(len(drawn))
    assert np.all(np.abs(np.mean(drawn, axis=0) - expected.t) <= 4.0 * error + 1e-9 * expected.t)
    assert error[0] > 0.0
    assert np.all(error[1:] < 1e-12 * expected.t[1:])


@pytest.mark.parametrize("weighted", [False, True])
def test_a_sketch_is_the_same_in_single_precision(monkeypatch: pytest.MonkeyPatch, weighted: bool) -> None:
    gram = gram_of(random_design(12, "crossed", (1, 1, 1), n=600, weighted=weighted))
    factors, system = random_factors(gram, 2), System.of(gram, plan(gram, longest=1))
    monkeypatch.setattr(block_module, "BROAD", 0)
    rough, exact = Block(system, None).sketch(factors), sketched_pieces(State.of(system, factors))
    assert rough is not None
    for one, other in ((rough.t, exact.t), (rough.F, exact.F), (rough.y, exact.y)):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5 * np.abs(other).max())


@pytest.mark.filterwarnings("error")
def test_where_single_precision_does_not_do_the_moments_stay_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    gram = gram_of(random_design(12, "crossed", (1, 1, 1), n=600))
    criterion = Criterion(gram, Block(System.of(gram, plan(gram, longest=1)), None), True)
    monkeypatch.setattr(block_module, "BROAD", 0)
    for size in (1e18, 1e25, 1e100):
        theta = np.full(3, size)
        np.testing.assert_array_equal(_sketched(criterion, theta), theta)


@pytest.mark.parametrize("widths", [(1, 1, 1), (2, 2, 2), (1, 2, 3)])
@pytest.mark.parametrize("keep", [False, True])
def test_the_total_of_the_last_block_comes_from_the_last_tile(widths: tuple[int, ...], keep: bool) -> None:
    """Whatever lies above the diagonal, which nothing else reads."""
    gram = gram_of(random_design(7, "crossed", widths))
    system = System.of(gram, plan(gram, longest=1))
    factors, remainder = random_factors(gram, 5), system.remainder
    dense = [factors[f] for f in system.plan.dense]
    N = remainder.constant()
    N[np.triu_indices(len(N), 1)] = np.nan if remainder.scalar else 0.0
    solved = Factored.of(remainder, N, dense, keep)
    last = solved.last_total()
    assert last is not None
    np.testing.assert_allclose(last, solved.inverse().totals()[-1], rtol=1e-9)


def test_a_sketched_start_is_nearer_than_the_moments(monkeypatch: pytest.MonkeyPatch) -> None:
    gram = gram_of(random_design(10, "crossed", (1, 1), n=3000))
    engine = both_ways(gram)[1]
    before = Criterion(gram, engine, True)
    best, start = minimise(before), before.start()
    monkeypatch.setattr(block_module, "BROAD", 0)
    after = Criterion(gram, engine, True).start()
    values = [before.evaluate(theta, 0).value - best.value for theta in (start, after)]
    assert 0.0 <= values[1] < 0.2 * values[0]


@pytest.mark.parametrize("seed", range(4))
def test_least_squares_move_along_the_last_step(seed: int) -> None:
    gram = gram_of(random_design(20 + seed, "crossed", (1, 1), n=3000))
    criterion = Criterion(gram, both_ways(gram)[1], True)
    optimum = minimise(criterion)
    moved, plain = Solution.of(criterion, optimum), Solution(criterion, optimum.theta)
    assert moved.moved is not None
    np.testing.assert_allclose(moved.beta, plain.beta, rtol=1e-8)
    np.testing.assert_allclose(moved.vcov, plain.vcov, rtol=1e-8)
    assert moved.sigma == pytest.approx(plain.sigma, rel=1e-9)
    L = np.eye(len(moved.beta))
    df = [VarianceParameters.of(s, h).df(s, L) for s, h in ((moved, optimum.hessian), (plain, plain.hessian))]
    np.testing.assert_allclose(*df, rtol=1e-4)
