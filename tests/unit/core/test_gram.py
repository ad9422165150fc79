"""The Gram blocks: the compiled pass gives the same as NumPy, parts add up, and units do not matter."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.unit.core.designs import gram_of, random_design

from ranef.core import gram as gram_module
from ranef.core import standard
from ranef.core.criterion import Criterion
from ranef.core.gram import Gram
from ranef.core.kernels import twins

SHAPES = [("crossed", (2, 1)), ("nested", (1, 1, 1)), ("nested", (2, 3)), ("mixed", (2, 1, 3, 2))]


def flattened(value: object) -> np.ndarray:
    return np.concatenate([np.ravel(part) for part in (value if isinstance(value, tuple) else (value,))])


def assert_same(one: Gram, other: Gram) -> None:
    np.testing.assert_allclose(one.ww, other.ww, atol=1e-11)
    for name in ("zz", "zw", "z_root"):
        for a, b in zip(getattr(one, name), getattr(other, name), strict=True):
            np.testing.assert_allclose(a, b, atol=1e-10 * max(1.0, np.abs(b).max()))
    for key, pair in other.pairs.items():
        mine = one.pairs[key]
        order, theirs = np.lexsort((mine.columns, mine.rows)), np.lexsort((pair.columns, pair.rows))
        np.testing.assert_array_equal(mine.rows[order], pair.rows[theirs])
        np.testing.assert_array_equal(mine.columns[order], pair.columns[theirs])
        np.testing.assert_allclose(mine.values[order], pair.values[theirs], atol=1e-9)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("shape", "widths"), SHAPES)
def test_the_compiled_pass_gives_the_same(
    monkeypatch: pytest.MonkeyPatch, shape: str, widths: tuple[int, ...], weighted: bool
) -> None:
    design = random_design(3, shape, widths, weighted=weighted)
    plain = gram_of(design)
    monkeypatch.setattr(twins, "WORTH", 0.0)
    compiled = gram_of(design)
    assert compiled.standard.kernels is not None
    assert plain.standard.kernels is None
    assert_same(compiled, plain)


@pytest.mark.parametrize(("shape", "widths"), SHAPES)
def test_the_order_of_rows_does_not_matter(shape: str, widths: tuple[int, ...]) -> None:
    design = random_design(5, shape, widths, weighted=True)
    order = np.random.default_rng(0).permutation(design.nobs)
    terms = tuple(
        replace(t, z=None if t.z is None else np.asfortranarray(t.z[order]), group=replace(t.group, codes=t.group.codes[order]))
        for t in design.terms
    )
    moved = replace(design, y=design.y[order], X=np.asfortranarray(design.X[order]), weights=design.weights[order], terms=terms)
    theta = np.random.default_rng(1).normal(size=Criterion.of(design, True).size)
    one, other = (Criterion.of(d, True).evaluate(theta, 1) for d in (design, moved))
    assert one.value == pytest.approx(other.value, abs=1e-9)
    np.testing.assert_allclose(one.gradient, other.gradient, atol=1e-8)


def test_units_change_the_criterion_by_a_known_constant() -> None:
    design = random_design(6, "crossed", (2, 1))
    scaled = replace(design, y=1e6 * design.y - 5e8, X=np.asfortranarray(design.X * [1.0, 1e-3, 1e4] + [0.0, 70.0, -1e5]))
    theta = np.random.default_rng(1).normal(size=4)
    one, other = (Criterion.of(d, False).evaluate(theta, 2) for d in (design, scaled))
    assert other.value - one.value == pytest.approx(2 * design.nobs * np.log(1e6), abs=1e-7)
    np.testing.assert_allclose(other.gradient, one.gradient, atol=1e-7)
    np.testing.assert_allclose(other.hessian, one.hessian, rtol=1e-7)


@pytest.mark.parametrize("weighted", [False, True])
def test_another_response_is_the_gram_of_that_response(weighted: bool) -> None:
    design = random_design(7, "mixed", (2, 1, 2), weighted=weighted)
    y = design.y[::-1] * 2.0 + 1.0
    gram = gram_of(design).with_response(y)
    fresh = gram_of(replace(design, y=y))
    ratio = gram.standard.unit / fresh.standard.unit
    r = gram.rank
    np.testing.assert_allclose(gram.zw[0][:, :, :r], fresh.zw[0][:, :, :r], atol=1e-10)
    left, right = (g.ww[r, r] - g.ww[:r, r] @ g.ww[:r, r] for g in (gram, fresh))
    assert left * ratio**2 == pytest.approx(right, rel=1e-9)


@pytest.mark.parametrize(("shape", "widths"), [("crossed", (2,)), ("crossed", (2, 1)), ("nested", (1, 1, 1))])
def test_the_same_question_about_another_response(shape: str, widths: tuple[int, ...]) -> None:
    design = random_design(8, shape, widths)
    y = design.y[::-1].copy()
    moved = Criterion.of(design, True).warmed().with_response(y)
    fresh = Criterion.of(replace(design, y=y), True)
    theta = np.random.default_rng(1).normal(size=fresh.size)
    one, other = moved.evaluate(theta, 2), fresh.evaluate(theta, 2)
    assert one.value == pytest.approx(other.value, rel=1e-11)
    np.testing.assert_allclose(one.gradient, other.gradient, atol=1e-7)


@pytest.mark.parametrize("offset", [False, True])
@pytest.mark.parametrize(("shape", "widths"), SHAPES)
def test_few_rows_are_standardised_at_once_as_many_are(
    monkeypatch: pytest.MonkeyPatch, shape: str, widths: tuple[int, ...], offset: bool
) -> None:
    design = random_design(4, shape, widths)
    if offset:
        design = replace(design, offset=np.random.default_rng(4).normal(3.0, 2.0, size=design.nobs))
    at_once = gram_of(design)
    monkeypatch.setattr(standard, "SHORT", 0)
    one_by_one = gram_of(design)
    assert at_once.standard.short is not None
    assert one_by_one.standard.short is None
    assert_same(at_once, one_by_one)
    for name in ("center", "scale", "upper", "shift", "unit", "z_center", "z_scale"):
        one, other = (flattened(getattr(gram.standard, name)) for gram in (at_once, one_by_one))
        np.testing.assert_allclose(one, other, rtol=1e-13, atol=1e-14)
    assert at_once.standard.z_constant == one_by_one.standard.z_constant


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("shape", "widths"), SHAPES)
def test_a_map_of_responses_gives_what_the_rows_give(
    monkeypatch: pytest.MonkeyPatch, shape: str, widths: tuple[int, ...], weighted: bool
) -> None:
    design = random_design(6, shape, widths, weighted=weighted)
    y = np.random.default_rng(6).normal(size=design.nobs)
    found = []
    for size in (1 << 30, 0):
        monkeypatch.setattr(gram_module, "MAP", size)
        found.append(gram_of(design).with_response(y))
    assert_same(*found)
