"""Relationships from a pedigree against the tabular method, gene dropping by hand, and Henderson's identity."""

import numpy as np
import pytest

import ranef
from ranef.errors import DataError


def tabular(parents: np.ndarray) -> np.ndarray:
    """A by its definition: A_ij = (A_js + A_jd) / 2 for j before i, A_ii = 1 + A_sd / 2."""
    n = len(parents)
    A = np.zeros((n, n))
    for i, (s, d) in enumerate(parents):
        for j in range(i):
            A[i, j] = A[j, i] = 0.5 * sum(A[j, p] for p in (s, d) if p >= 0)
        A[i, i] = 1.0 + (0.5 * A[s, d] if min(s, d) >= 0 else 0.0)
    return A


def random_pedigree(n: int, seed: int):
    rng = np.random.default_rng(seed)
    who = [f"m{i}" for i in range(n)]
    choose = lambda i: who[rng.integers(i)] if i and rng.uniform() < 0.8 else None  # noqa: E731
    sire, dam = [choose(i) for i in range(n)], [choose(i) for i in range(n)]
    order = rng.permutation(n)
    return [[column[i] for i in order] for column in (who, sire, dam)]


@pytest.mark.parametrize("seed", range(5))
def test_relationships_are_those_of_the_tabular_method(seed: int) -> None:
    p = ranef.pedigree(*random_pedigree(60, seed))
    A = tabular(p.parents)
    np.testing.assert_allclose(p.inbreeding, A.diagonal() - 1.0, atol=1e-12)
    np.testing.assert_allclose(p.relationship().to_numpy(), A, atol=1e-12)
    np.testing.assert_allclose(p.precision.toarray() @ A, np.eye(60), atol=1e-10)


def test_offspring_of_selfing_and_of_half_sibs() -> None:
    p = ranef.pedigree(["x", "self", "s1", "s2", "h"], [0, "x", "x", "x", "s1"], [0, "x", "p", "q", "s2"])
    found = dict(zip(p.members, p.inbreeding, strict=True))
    assert (found["self"], found["h"], found["p"]) == (0.5, 0.125, 0.0)


def test_some_members_only() -> None:
    p = ranef.pedigree(*random_pedigree(30, 3))
    some = [p.members[i] for i in (20, 4, 11)]
    A = p.relationship(some)
    assert list(A.index) == some
    np.testing.assert_allclose(A, p.relationship().loc[some, some], atol=1e-12)


def test_refusals() -> None:
    with pytest.raises(DataError, match="ancestor of itself"):
        ranef.pedigree(["a", "b"], ["b", "a"], [None, None])
    with pytest.raises(DataError, match="twice"):
        ranef.pedigree(["a", "a"], [None, None], [None, None])
    with pytest.raises(DataError, match="not in the pedigree"):
        ranef.pedigree(["a"], [None], [None]).relationship(["z"])
