"""Maxima of correlated t: quadrature, lattices and known distributions must agree within the stated error."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from scipy import stats

from ranef.means.mvt import Family, common_part, pivoted_root
from ranef.means.studentized import range_tail

CHAIN = np.array([[1, -0.5, 0], [-0.5, 1, -0.5], [0, -0.5, 1]])


def differences(k: int) -> np.ndarray:
    C = np.zeros((k * (k - 1) // 2, k))
    for row, (i, j) in enumerate(combinations(range(k), 2)):
        C[row, i], C[row, j] = 1, -1
    return C @ C.T / 2


@pytest.mark.parametrize("k", [3, 5])
def test_all_differences_have_the_distribution_of_the_range(k: int) -> None:
    """Singular correlations: of rank two by midpoints, of higher rank by lattices."""
    family = Family(differences(k))
    c, df = np.array([1.0, 2.0, 3.0]), np.array([20.0, 20.0, 60.0])
    assert family.loading is None
    np.testing.assert_allclose(family.tail(c, df), range_tail(np.sqrt(2) * c, k, df), atol=family.error)
    assert family.error < (1e-5 if k == 3 else 1e-4)


def test_product_rule_and_lattices_agree() -> None:
    family = Family(CHAIN)
    w = np.linspace(0.2, 4.0, 9)
    fine, error = family._product(w)
    lattice, bound = family._lattices(w)
    assert error < 1e-7
    np.testing.assert_allclose(fine, lattice, atol=2 * bound)


def test_chain_of_differences_against_mvtnorm() -> None:
    """mvtnorm, GenzBretz with abseps 2e-6, df = 45."""
    c = np.array([4.396094523418786, 3.4567580867908427, 2.0665401605814817])
    expected = [0.00019530123824096357, 0.003459619963912419, 0.11516818340555135]
    np.testing.assert_allclose(Family(CHAIN).tail(c, np.full(3, 45.0)), expected, atol=3e-6)


def test_one_common_part_is_found() -> None:
    loading = np.array([0.9, -0.3, 0.5, 0.2])
    correlation = np.outer(loading, loading)
    np.fill_diagonal(correlation, 1.0)
    found = common_part(correlation)
    assert found is not None
    np.testing.assert_allclose(np.outer(found, found), np.outer(loading, loading), atol=1e-12)
    assert common_part(CHAIN) is None
    assert common_part(np.eye(3)).tolist() == [0, 0, 0]


@pytest.mark.parametrize("two_sided", [True, False])
def test_equicorrelated_family_by_both_roads(two_sided: bool) -> None:
    correlation = np.full((4, 4), 0.5) + 0.5 * np.eye(4)
    easy, hard = Family(correlation, two_sided), Family(correlation, two_sided)
    hard.__dict__["loading"] = None
    c, df = np.array([0.5, 1.5, 2.5, 4.0]), np.array([5.0, 45.0, np.inf, 12.0])
    np.testing.assert_allclose(hard.tail(c, df), easy.tail(c, df), atol=max(hard.error, 1e-6))
    assert hard.error < 3e-5


def test_one_sided_against_simulation() -> None:
    rng = np.random.default_rng(5)
    correlation = np.array([[1, 0.7, -0.2], [0.7, 1, 0.1], [-0.2, 0.1, 1]])
    draws = rng.multivariate_normal(np.zeros(3), correlation, 400_000) / np.sqrt(rng.chisquare(8, 400_000) / 8)[:, None]
    c = np.array([-0.5, 1.0, 2.5])
    seen = [(draws.max(axis=1) > bound).mean() for bound in c]
    np.testing.assert_allclose(Family(correlation, two_sided=False).tail(c, np.full(3, 8.0)), seen, atol=4e-3)


def test_repeated_contrasts_count_once() -> None:
    same = Family(np.ones((3, 3)))
    np.testing.assert_allclose(same.tail(np.array([2.0]), np.array([9.0])), 2 * stats.t.sf(2.0, 9), atol=1e-6)


def test_root_gives_the_matrix_back() -> None:
    correlation = differences(4)
    root = pivoted_root(correlation)
    assert root.shape == (6, 3)
    np.testing.assert_allclose(root @ root.T, correlation, atol=1e-12)


def test_the_same_call_gives_the_same_bits() -> None:
    first, second = (Family(differences(4)).tail(np.array([2.2]), np.array([30.0])) for _ in range(2))
    assert first[0] == second[0]
