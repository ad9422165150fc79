"""The dense engine against the definition, and what it answers beside the pieces."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.unit.core.designs import gram_of, random_design, random_factors

from ranef.core.criterion import Criterion, choose_engine
from ranef.core.dense import Dense
from ranef.core.moments import Full, scalar_pieces
from ranef.core.oracle import oracle_problem
from ranef.core.pieces import Gls
from ranef.covariance import Diagonal, Identity, Unstructured
from ranef.design import Design

SHAPES = [("crossed", (1, 1)), ("crossed", (2, 1)), ("nested", (1, 1, 1)), ("mixed", (2, 1, 2, 1))]


def differences(design: Design, theta: np.ndarray, reml: bool) -> None:
    """Derivatives against central differences of the value, and the gradient."""
    problem, step = Criterion.of(design, reml), 1e-5
    at = problem.evaluate(theta, 2)
    for i in range(problem.size):
        move = step * np.eye(problem.size)[i]
        up, down = problem.evaluate(theta + move, 1), problem.evaluate(theta - move, 1)
        assert at.gradient[i] == pytest.approx((up.value - down.value) / (2 * step), rel=1e-5, abs=1e-5)
        if at.exact:
            np.testing.assert_allclose(at.hessian[i], (up.gradient - down.gradient) / (2 * step), rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize(("shape", "widths"), SHAPES)
def test_derivatives_are_those_of_the_value(shape: str, widths: tuple[int, ...], reml: bool) -> None:
    design = random_design(11, shape, widths, n=120, weighted=True)
    theta = np.random.default_rng(2).normal(size=Criterion.of(design, reml).size)
    differences(design, theta, reml)


@pytest.mark.parametrize("reml", [True, False])
def test_differences_of_the_criterion_are_those_of_the_definition(reml: bool) -> None:
    design = random_design(12, "crossed", (1, 1), n=80)
    ours, theirs = Criterion.of(design, reml), oracle_problem(design, reml)
    one, other = np.array([0.7, 1.3]), np.array([0.2, 0.4])
    expected = theirs.evaluate(one, 0).value - theirs.evaluate(other, 0).value
    assert ours.evaluate(one, 0).value - ours.evaluate(other, 0).value == pytest.approx(expected, rel=1e-9)


def test_solutions_by_the_definition() -> None:
    gram = gram_of(random_design(13, "crossed", (2, 1), n=90))
    engine, factors = Dense.of(gram), random_factors(gram, 4)
    vectors = [np.random.default_rng(f).normal(size=(b.levels, b.width, 2)) for f, b in enumerate(gram.layout.blocks)]
    twice = engine.apply(factors, engine.apply(factors, vectors))
    flat = np.concatenate([v.reshape(-1, 2) for v in vectors])
    M = np.concatenate([np.concatenate([x.reshape(-1, len(flat)) for x in engine.apply(factors, unit(gram, flat))])])
    np.testing.assert_allclose(
        np.concatenate([x.reshape(-1, 2) for x in twice]), M @ M @ flat, atol=1e-8 * np.abs(M @ M @ flat).max()
    )


def unit(gram, flat: np.ndarray) -> list[np.ndarray]:
    """The unit vectors of all effects, block by block."""
    eye, out, at = np.eye(len(flat)), [], 0
    for block in gram.layout.blocks:
        out.append(eye[at : at + block.size].reshape(block.levels, block.width, -1))
        at += block.size
    return out


@pytest.mark.parametrize("structures", [(Diagonal, Identity), (Identity, Diagonal), (Unstructured, Diagonal)])
def test_structures_share_the_engines(structures: tuple[type, type]) -> None:
    design = random_design(14, "crossed", (3, 2), n=160)
    terms = tuple(replace(t, covariance=kind(t.width)) for t, kind in zip(design.terms, structures, strict=True))
    design = replace(design, terms=terms)
    theta = np.random.default_rng(3).normal(size=Criterion.of(design, True).size)
    differences(design, theta, True)


@pytest.mark.parametrize("order", [1, 2])
def test_sums_by_tile_of_scalar_effects_are_those_of_the_general_formula(order: int) -> None:
    gram, rng = gram_of(random_design(16, "nested", (1, 1, 1), n=120)), np.random.default_rng(5)
    engine, gls = Dense.of(gram), Gls.of(gram.ww)
    root, B = rng.normal(size=(engine.order, engine.order)), rng.normal(size=(engine.order, gram.rank + 1))
    M = root @ root.T
    short = scalar_pieces(engine.offsets[:-1], M, B, 0.0, gls, order)
    full = Full(gram.layout, engine.spans, M, B).pieces(0.0, gls, order)
    for name in ("t", "F", "h", "e", "y"):
        ours, theirs = getattr(short, name), getattr(full, name)
        assert (ours is None) == (theirs is None) == (order == 1 and name in "hey")
        if ours is not None:
            np.testing.assert_allclose(ours, theirs, rtol=1e-11, atol=1e-11 * np.abs(theirs).max())


def test_the_engine_follows_the_size() -> None:
    small, large = gram_of(random_design(15, "crossed", (1, 1))), gram_of(random_design(15, "mixed", (3, 2, 2, 1), n=400))
    assert type(choose_engine(small)).__name__ == "Dense"
    assert type(choose_engine(large)).__name__ == "Block"
    assert type(choose_engine(gram_of(random_design(15, "crossed", (2,))))).__name__ == "Single"
