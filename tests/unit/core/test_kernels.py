"""Compiled kernels and their NumPy twins give the same numbers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from threadpoolctl import threadpool_info

from ranef.core import panel as panel_module
from ranef.core.kernels import columns, jit, panels, sums, twins
from ranef.core.kernels.threads import many_threads, one_thread
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
    factors = np.random.default_rng(seed).normal(size=(at.levels, k, k))
    rotated = np.einsum("jab,jaq->jqb", factors, V)[at.row, at.columns]
    for kernels in (panels, twin):
        np.testing.assert_allclose(kernels.rotate(panel.values, at.row, factors), rotated, atol=1e-13)
        out = np.zeros((24, 24))
        kernels.subtract_square(out, at.starts, at.columns, panel.values)
        np.testing.assert_allclose(np.tril(out), np.tril(expected), atol=1e-12)
        lower = np.tril(S) + np.triu(np.full_like(S, np.nan), 1)
        np.testing.assert_allclose(
            kernels.gather(np.where(np.isnan(lower), 99.0, lower), at.starts, at.columns, panel.values), gathered, atol=1e-12
        )


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


@given(seed=SEEDS, p=st.integers(1, 4), n=st.integers(1, 9000))
def test_columns(seed: int, p: int, n: int) -> None:
    rng, twin = np.random.default_rng(seed), twins.load("columns")
    assert twin is not None
    A = np.asfortranarray(rng.normal(5.0, 2.0, (n, p)))
    for one, other in zip(twin.summary(A), columns.summary(A), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-13)
    center, unit, start = A.mean(axis=0), A.std(axis=0) + 1.0, n // 3
    np.testing.assert_allclose(twin.mean_squares(A, center, unit), columns.mean_squares(A, center, unit), rtol=1e-12, atol=1e-15)
    one, other = np.full((n - start, p + 2), 7.0), np.full((n - start, p + 2), 7.0)
    twin.fill(one, 1, A, start, center, unit)
    columns.fill(other, 1, A, start, center, unit)
    np.testing.assert_array_equal(one, other)


def by_definition(
    f: np.ndarray, g: np.ndarray, z_f: np.ndarray | None, z_g: np.ndarray | None
) -> dict[tuple[int, int], np.ndarray]:
    out: dict[tuple[int, int], np.ndarray] = {}
    for i in range(len(f)):
        a = np.ones(1) if z_f is None else z_f[i]
        b = np.ones(1) if z_g is None else z_g[i]
        out[f[i], g[i]] = out.get((f[i], g[i]), 0.0) + np.outer(a, b)
    return out


@pytest.mark.parametrize("short", [0, sums.SHORT])
@given(seed=SEEDS, k=st.integers(0, 3), other=st.integers(0, 3))
def test_sums_by_level_and_by_pair(short: int, seed: int, k: int, other: int) -> None:
    rng = np.random.default_rng(seed)
    n, sizes, twin = 120, (9, 7), twins.load("sums")
    assert twin is not None
    f, g = (rng.permutation(np.concatenate([np.arange(m), rng.integers(0, m, n - m)])) for m in sizes)
    z_f, z_g = (rng.normal(size=(n, width)) if width else None for width in (k, other))
    w = rng.normal(size=(n, 3))
    expected, z = by_definition(f, g, z_f, z_g), np.ones((n, 1)) if z_f is None else z_f
    for kernels in (sums, twin):
        zz, zw = np.zeros((9, max(k, 1), max(k, 1))), np.zeros((9, max(k, 1), 3))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sums, "SHORT", short)
            kernels.add_cross_products(zz, zw, f, z_f, w)
            rows, columns_, values = kernels.pair_sums(f, g, *sizes, z_f, z_g)
        kernels.mirror(zz)
        for j in range(9):
            np.testing.assert_allclose(zz[j], z[f == j].T @ z[f == j], atol=1e-12)
            np.testing.assert_allclose(zw[j], z[f == j].T @ w[f == j], atol=1e-12)
        found = dict(zip(zip(rows.tolist(), columns_.tolist(), strict=True), values, strict=True))
        assert found.keys() == expected.keys()
        for key, value in expected.items():
            np.testing.assert_allclose(found[key], value, atol=1e-12)


def test_nesting_is_seen_in_the_rows() -> None:
    f = np.array([0, 1, 2, 3, 0, 1, 2, 3])
    np.testing.assert_array_equal(sums.holder(f, f // 2, 4), [0, 0, 1, 1])
    assert sums.holder(f, np.array([0, 0, 1, 1, 1, 0, 1, 1]), 4) is None


def test_small_work_holds_the_blas_to_one_thread() -> None:
    def threads() -> set[int]:
        return {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}

    before = threads()
    with one_thread():
        assert threads() == {1}
        with one_thread():
            assert threads() == {1}
        assert threads() == {1}
        with many_threads(100):
            assert threads() == {1}
        with many_threads(100_000):
            assert threads() == before
        assert threads() == {1}
    assert threads() == before


def test_kernels_are_compiled_in_memory_where_no_place_is_writable(monkeypatch: pytest.MonkeyPatch) -> None:
    real = jit.numba.njit

    def unwritable(kernel, **options):
        if options.pop("cache", False):
            raise RuntimeError("cannot cache function: no locator available")
        return real(kernel, **options)

    monkeypatch.setattr(jit.numba, "njit", unwritable)
    assert jit.jit(lambda x: x + 1.0)(1.0) == 2.0


def test_without_numba_numpy_computes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(twins, "load", lambda name: None)
    monkeypatch.setattr(twins, "WORTH", 0.0)
    assert twins.compiled("panels", 1.0) is None
    panel = random_panel(1, 2)
    assert [part.kernels for part in panel.pattern.parts] == [panels]
