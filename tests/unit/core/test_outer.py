"""Sums of weighted outer products, and quadratic forms, against dense matrices."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ranef.core import outer as outer_module
from ranef.core.outer import Outer
from ranef.core.panel import Panel


def random_panel(seed: int, levels: int, width: int, share: float, k: int = 1) -> Panel:
    """Each level has at least one entry; one has all."""
    rng = np.random.default_rng(seed)
    present = rng.random((levels, width)) < share
    present[np.arange(levels), rng.integers(0, width, levels)] = True
    present[levels // 2] = True
    rows, columns = np.nonzero(present)
    return Panel.of_entries(levels, width, rows, columns, rng.normal(size=(len(rows), k)))


@pytest.mark.parametrize(
    ("small", "busy", "dense_levels"), [(0, 0.5, "some"), (0, 1.0, "none"), (1 << 16, 0.5, "all"), (0, 0.0, "all")]
)
@given(seed=st.integers(0, 10_000))
def test_sums_and_forms(small: int, busy: float, dense_levels: str, seed: int) -> None:
    panel = random_panel(seed, 17, 23, 0.2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(outer_module, "SMALL", small)
        patch.setattr(outer_module, "BUSY", busy)
        outer = Outer.of(panel)
    assert outer is not None
    assert dense_levels == {0: "none", 17: "all"}.get(len(outer.busy), "some")
    rng, P = np.random.default_rng(seed), panel.dense()[:, 0]
    weights = rng.exponential(size=17)
    A = rng.normal(size=(23, 23))
    A += A.T
    np.testing.assert_allclose(np.tril(outer.minus_sum(weights)), np.tril(-np.einsum("j,jp,jq->pq", weights, P, P)), atol=1e-12)
    lower = np.tril(A) + np.triu(np.full_like(A, 99.0), 1)
    np.testing.assert_allclose(outer.forms(lower), np.einsum("jp,pq,jq->j", P, A, P), atol=1e-11)


def test_products_that_would_not_fit_are_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    panel = random_panel(1, 17, 23, 0.2)
    monkeypatch.setattr(outer_module, "ROOM", 17)
    assert Outer.of(panel) is None


def test_vectors_have_no_such_products() -> None:
    assert Outer.of(random_panel(1, 17, 23, 0.2, k=2)) is None
