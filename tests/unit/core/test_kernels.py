"""Compiled kernels and their NumPy twins give the same numbers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ranef.core import panel as panel_module
from ranef.core.kernels import panels, twins
from ranef.core.panel import Panel

SEEDS = st.integers(0, 10_000)


def random_panel(seed: int, k: int, levels: int = 15, width: int = 24) -> Panel:
    """Each level has at least one entry; one has all."""
    rng = np.random.default_rng(seed)
    present = rng.random((levels, width)) < 0.15
    present[np.arange(levels), rng.integers(0, width, levels)] = True
    present[levels // 2] = True
    rows, columns = np.nonzero(present)
    order = rng.permutation(len(rows))
    return Panel.of_entries(levels, width, rows[order], columns[order], rng.normal(size=(len(rows), k)))


def symmetric(seed: int, size: int) -> np.ndarray:
    A = np.random.default_rng(seed).normal(size=(size, size))
    return A + A.T


@given(seed=SEEDS, k=st.integers(1, 3))
def test_products_of_panels(seed: int, k: int) -> None:
    panel, twin = random_panel(seed, k), twins.load("panels")
    assert twin is not None
    at, S = panel.pattern, symmetric(seed, 24)
    V = panel.dense()
    expected = -np.einsum("jaq,jap->qp", V, V)
    gathered = np.einsum("jaq,qp->jpa", V, S)[at.row, at.columns]
    for kernels in (panels, twin):
        out = np.zeros((24, 24))
        kernels.subtract_square(out, at.starts, at.columns, panel.values)
        np.testing.assert_allclose(np.tril(out), np.tril(expected), atol=1e-12)
        lower = np.tril(S) + np.triu(np.full_like(S, np.nan), 1)
        np.testing.assert_allclose(kernels.gather(np.where(np.isnan(lower), 99.0, lower), at.starts, at.columns, panel.values), gathered, atol=1e-12)


@pytest.mark.parametrize("k", [1, 2])
def test_busy_levels_go_to_blas_and_the_others_to_the_compiled_kernels(monkeypatch: pytest.MonkeyPatch, k: int) -> None:
    plain = random_panel(3, k)
    monkeypatch.setattr(twins, "WORTH", 0.0)
    monkeypatch.setattr(panel_module, "BUSY", 0.3)
    split = random_panel(3, k)
    assert [part.kernels.__name__.rsplit(".", 1)[1] for part in split.pattern.parts] == ["panels", "compiled_panels"]
    S = symmetric(1, 24)
    one, other = np.zeros((24, 24)), np.zeros((24, 24))
    plain.subtract_square(one)
    split.subtract_square(other)
    np.testing.assert_allclose(np.tril(one), np.tril(other), atol=1e-12)
    np.testing.assert_allclose(plain.gather(S), split.gather(S), atol=1e-12)


def test_small_work_does_not_load_a_compiler() -> None:
    assert twins.compiled("panels", 0.01) is None
    assert twins.compiled("panels", 1.0) is not None
    assert twins.load("nothing of the kind") is None


def test_products_do_not_change_from_call_to_call() -> None:
    panel, twin = random_panel(9, 2), twins.load("panels")
    assert twin is not None
    at, S = panel.pattern, symmetric(9, 24)
    first = twin.gather(S, at.starts, at.columns, panel.values)
    assert np.array_equal(first, twin.gather(S, at.starts, at.columns, panel.values))
