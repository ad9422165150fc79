"""Sums of squares within levels keep their digits when the levels are far apart."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.unit.core.designs import gram_of, random_design

from ranef.core.gram import Gram
from ranef.core.leftover import leftover
from ranef.core.within import regressions
from ranef.design import Design


def far_apart(size: float, *, weighted: bool = False) -> Design:
    design = random_design(2, "nested", (2,), n=150, weighted=weighted)
    term = design.terms[0]
    assert term.z is not None
    effects = np.random.default_rng(3).normal(size=(term.group.size, 2))[term.group.codes]
    return replace(design, y=design.y + size * (term.z * effects).sum(axis=1))


def within(design: Design) -> float:
    """The residual sum of squares of y on Z_j, level by level, by QR of the rows."""
    total, term = 0.0, design.terms[0]
    root = np.ones(design.nobs) if design.weights is None else np.sqrt(design.weights)
    for j in range(term.group.size):
        rows = term.group.codes == j
        Q, _ = np.linalg.qr(term.z[rows] * root[rows, None])
        y = design.y[rows] * root[rows]
        total += float(np.sum((y - Q @ (Q.T @ y)) ** 2))
    return total


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("size", [1.0, 1e4, 1e6])
def test_digits_are_kept(size: float, weighted: bool) -> None:
    design = far_apart(size, weighted=weighted)
    gram = gram_of(design)
    _, rest = regressions(gram, 0)
    assert rest[-1, -1] * gram.standard.unit**2 == pytest.approx(within(design), rel=1e-8)


def test_rows_are_not_asked_when_they_belong_to_another_response() -> None:
    gram = gram_of(far_apart(1e5))
    stale = Gram(**{**vars(gram), "ww": gram.ww * 2})
    rest = 1e-9 * gram.ww
    assert leftover(stale, 0, rest, lambda: np.zeros_like(gram.zw[0])) is rest
