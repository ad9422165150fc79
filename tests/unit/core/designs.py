"""Random designs for the tests of the core: crossed, nested and mixed factors."""

from __future__ import annotations

import numpy as np

from ranef.core.gram import Gram
from ranef.core.layout import Layout
from ranef.core.standard import standardise
from ranef.covariance import Unstructured
from ranef.design import Design, Grouping, RandomTerm


def grouping(name: str, codes: np.ndarray) -> Grouping:
    levels, codes = np.unique(codes, return_inverse=True)
    return Grouping(name, (name,), levels.astype(object), codes.astype(np.intp))


def codes_of(shape: str, n: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Factors of rows: `crossed`, `nested` (each in the next), or `mixed` (a chain with a crossed factor between)."""
    leaf = rng.integers(0, 40, n)
    if shape == "crossed":
        return [rng.integers(0, size, n) for size in (12, 7, 4)]
    if shape == "nested":
        return [leaf, leaf // 4, leaf // 20]
    return [leaf, rng.integers(0, 9, n), leaf // 5, leaf // 20]


def random_design(seed: int, shape: str, widths: tuple[int, ...], *, n: int = 200, p: int = 3, weighted: bool = False) -> Design:
    """A design with one term of each width on the factors of a shape, and effects of all terms in y."""
    rng = np.random.default_rng(seed)
    X = np.asfortranarray(np.column_stack([np.ones(n), rng.normal(3.0, 2.0, (n, p - 1))]))
    y, terms = 10.0 + rng.normal(size=n) + X[:, -1], []
    for name, codes, k in zip("abcd", codes_of(shape, n, rng), widths, strict=False):
        group = grouping(name, codes)
        z = None if k == 1 else np.asfortranarray(np.column_stack([np.ones(n), rng.normal(1.0, 1.0, (n, k - 1))]))
        terms.append(RandomTerm(f"({k} | {name})", group, tuple(f"z{i}" for i in range(k)), z, Unstructured(k)))
        effects = rng.normal(size=(group.size, k))[group.codes]
        y = y + (effects if z is None else z * effects).sum(axis=1)
    weights = rng.uniform(0.5, 2.0, n) if weighted else None
    return Design("y", y, X, tuple(f"x{j}" for j in range(p)), tuple(terms), None, weights, 0)


def gram_of(design: Design) -> Gram:
    return Gram.of(standardise(design, Layout.of(design.terms)))


def random_factors(gram: Gram, seed: int, kind: str = "ordinary") -> list[np.ndarray]:
    """A Lambda for each block: ordinary, tiny, large, singular, or zero for every other block."""
    rng = np.random.default_rng(seed)
    factors = [np.tril(rng.normal(size=(block.width, block.width))) for block in gram.layout.blocks]
    if kind == "singular":
        for lam in factors:
            lam[-1, -1] = 0.0
    if kind == "zero":
        return [lam * (f % 2) for f, lam in enumerate(factors)]
    return [{"tiny": 1e-5, "large": 30.0}.get(kind, 1.0) * lam for lam in factors]
