"""Problems on which optimizers of mixed models fail, made from a seed: `problems()` yields them.

Each class below is one way to be hard. The same seed gives the same data on every machine (PCG64), so that best.json stays valid.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

Rng = np.random.Generator
Made = tuple[pd.DataFrame, str]
SEED = 20240229
EACH = 14


@dataclass(frozen=True, eq=False)
class HardProblem:
    id: str
    kind: str
    formula: str
    reml: bool
    data: pd.DataFrame
    published: float | None = None  # the best criterion that others have found


def _groups(m: int, per: int) -> np.ndarray:
    return np.repeat(np.arange(m), per)


def _labels(codes: np.ndarray) -> list[str]:
    return [f"L{code:03d}" for code in codes]


def _covariates(rng: Rng, n: int, k: int) -> dict[str, np.ndarray]:
    return {f"x{i}": rng.normal(size=n) for i in range(1, k)}


def _block(rng: Rng, root: np.ndarray, *, groups: int, per: int, sigma: float = 1.0) -> Made:
    """y ~ 1 + x1 + ... + (1 + x1 + ... | g) with random effects root u."""
    k, codes = len(root), _groups(groups, per)
    x = _covariates(rng, len(codes), k)
    z = np.column_stack([np.ones(len(codes)), *x.values()])
    b = rng.normal(size=(groups, root.shape[1])) @ root.T
    y = z @ np.linspace(1.0, 0.3, k) + np.einsum("ij,ij->i", z, b[codes]) + sigma * rng.normal(size=len(codes))
    terms = " + ".join(["1", *x])
    return pd.DataFrame({"y": y, "g": _labels(codes), **x}), f"y ~ {terms} + ({terms} | g)"


def _orthogonal(rng: Rng, k: int) -> np.ndarray:
    return np.linalg.qr(rng.normal(size=(k, k)))[0]


def singular_block(rng: Rng, i: int) -> Made:
    """A k x k covariance of lower rank, k from 2 to 8."""
    k = 2 + i % 7
    rank = 1 + int(rng.integers(0, k - 1))
    return _block(rng, rng.normal(size=(k, rank)), groups=int(rng.integers(12, 30)), per=12)


def near_singular_block(rng: Rng, i: int) -> Made:
    """Eigenvalues that fall geometrically, down to 1e-6."""
    k = 2 + i % 7
    root = _orthogonal(rng, k) * np.logspace(0.5, -3.0, k)
    return _block(rng, root, groups=int(rng.integers(12, 30)), per=12)


def correlation_one(rng: Rng, i: int) -> Made:
    """Intercept and slope correlated at +1 or -1, of unequal sizes."""
    sign = 1.0 if i % 2 else -1.0
    root = np.array([[1.0], [sign]]) * 10.0 ** rng.uniform(-1.5, 1.5, size=(2, 1))
    return _block(rng, root, groups=int(rng.integers(6, 25)), per=int(rng.integers(4, 12)))


def no_variance(rng: Rng, i: int) -> Made:
    """All random effects are zero."""
    return _block(rng, np.zeros((1 + i % 4, 1)), groups=int(rng.integers(6, 20)), per=int(rng.integers(5, 12)))


def variance_near_zero(rng: Rng, i: int) -> Made:
    """Variances about as large as their sampling error."""
    k = 1 + i % 3
    return _block(rng, np.eye(k) * rng.uniform(0.05, 0.35, size=k), groups=int(rng.integers(8, 40)), per=6)


def tiny_variance(rng: Rng, i: int) -> Made:
    """Variances of 1e-8 to 1e-4 of the residual's, among ordinary ones."""
    k = 1 + i % 4
    sd = 10.0 ** rng.uniform(-4, -2, size=k)
    sd[0] = sd[0] if i % 2 else 1.0
    return _block(rng, np.diag(sd), groups=20, per=8)


def huge_variance(rng: Rng, i: int) -> Made:
    """Variances of 1e4 to 1e8 times the residual's."""
    k = 1 + i % 4
    sd = 10.0 ** rng.uniform(2, 4, size=k)
    return _block(rng, sd[:, None] * _orthogonal(rng, k), groups=int(rng.integers(10, 25)), per=10)


def mixed_variances(rng: Rng, i: int) -> Made:
    """In one block, variances from 1e-8 to 1e8 times the residual's."""
    k = 2 + i % 4
    sd = 10.0 ** rng.permutation(np.linspace(-4, 4, k))
    return _block(rng, np.diag(sd), groups=int(rng.integers(12, 30)), per=10)


def few_groups(rng: Rng, i: int) -> Made:
    """Three to five groups, one to three random effects."""
    k = 1 + i % 3
    return _block(rng, rng.normal(size=(k, k)) * 10.0 ** rng.uniform(-1, 1), groups=3 + i % 3, per=int(rng.integers(8, 20)))


def small_groups(rng: Rng, i: int) -> Made:
    """Most groups have fewer rows than random effects."""
    k = 3 + i % 3
    frame, formula = _block(rng, rng.normal(size=(k, 2)), groups=50, per=18)
    small, row = frame["g"] >= "L012", frame.groupby("g").cumcount()
    return frame[~small | (row < k - 1)].reset_index(drop=True), formula


def crossed_maximal(rng: Rng, i: int) -> Made:
    """Subjects by items with a 2 x 2 design and its full covariance on both sides."""
    subjects, items = int(rng.integers(8, 14)), int(rng.integers(6, 9))
    s, w = (a.ravel() for a in np.meshgrid(np.arange(subjects), np.arange(items), indexing="ij"))
    s, w = np.repeat(s, 4), np.repeat(w, 4)
    a, b = np.tile([-0.5, -0.5, 0.5, 0.5], len(s) // 4), np.tile([-0.5, 0.5, -0.5, 0.5], len(s) // 4)
    columns = [np.ones(len(s)), a, b, a * b][: 4 if i % 2 else 3]
    z = np.column_stack(columns)
    k = z.shape[1]
    rank = 1 + int(rng.integers(0, k))
    y = z @ rng.normal(size=k) + rng.normal(size=len(s))
    for codes, m in ((s, subjects), (w, items)):
        y = y + np.einsum("ij,ij->i", z, (rng.normal(size=(m, rank)) @ (0.7 * rng.normal(size=(rank, k))))[codes])
    rhs = "a * b" if k == 4 else "a + b"
    return pd.DataFrame({"y": y, "s": _labels(s), "w": _labels(w), "a": a, "b": b}), f"y ~ {rhs} + ({rhs} | s) + ({rhs} | w)"


def crossed_slopes(rng: Rng, i: int) -> Made:
    """Two crossed factors with correlated slopes, one of them singular; 1,200 rows for some."""
    subjects, items = (40, 30) if i % 7 == 0 else (20, 18)
    s, w = (a.ravel() for a in np.meshgrid(np.arange(subjects), np.arange(items), indexing="ij"))
    x = rng.normal(size=len(s))
    u = rng.normal(size=(subjects, 1)) @ np.array([[1.0, -0.5]])
    v = rng.normal(size=(items, 2)) * np.array([0.6, 0.02])
    y = 1 + x + u[s, 0] + u[s, 1] * x + v[w, 0] + v[w, 1] * x + rng.normal(size=len(s))
    return pd.DataFrame({"y": y, "s": _labels(s), "w": _labels(w), "x": x}), "y ~ x + (x | s) + (x | w)"


def nested_levels(rng: Rng, i: int) -> Made:
    """Three nested levels of which some have no variance."""
    a, b = _groups(6, 36), _groups(36, 6)
    sd = rng.permutation([0.0, 1.0]) if i % 2 else rng.permutation([0.05, 5.0])
    y = sd[0] * rng.normal(size=6)[a] + sd[1] * rng.normal(size=36)[b] + rng.normal(size=len(a))
    return pd.DataFrame({"y": y, "a": _labels(a), "b": _labels(b)}), "y ~ 1 + (1 | a) + (1 | b)"


def many_terms(rng: Rng, i: int) -> Made:
    """Five to eight crossed intercepts, half of them without variance."""
    q, n = 5 + i % 4, 300
    frame, y = {}, rng.normal(size=n)
    for j in range(q):
        codes = rng.integers(0, int(rng.integers(4, 12)), size=n)
        y = y + (j % 2) * 10.0 ** rng.uniform(-1, 1) * rng.normal(size=codes.max() + 1)[codes]
        frame[f"g{j}"] = _labels(codes)
    return pd.DataFrame({"y": y, **frame}), "y ~ 1 + " + " + ".join(f"(1 | g{j})" for j in range(q))


def interaction_of_factors(rng: Rng, i: int) -> Made:
    """A gauge study: part, operator and their interaction, few levels of each."""
    parts, operators = int(rng.integers(4, 10)), 3
    p, o = (a.ravel() for a in np.meshgrid(np.arange(parts), np.arange(operators), indexing="ij"))
    p, o = np.repeat(p, 2), np.repeat(o, 2)
    po = p * operators + o
    sd = rng.choice([0.0, 0.3, 3.0], size=3)
    y = sum(s * rng.normal(size=c.max() + 1)[c] for s, c in zip(sd, (p, o, po), strict=True)) + rng.normal(size=len(p))
    frame = pd.DataFrame({"y": y, "p": _labels(p), "o": _labels(o), "po": _labels(po)})
    return frame, "y ~ 1 + (1 | p) + (1 | o) + (1 | po)"


def raw_year(rng: Rng, i: int) -> Made:
    """Growth over calendar years that nobody centred."""
    m, first, years = int(rng.integers(6, 30)), int(rng.integers(1950, 2010)), int(rng.integers(5, 13))
    g, year = _groups(m, years), np.tile(np.arange(first, first + years), m).astype(float)
    slope = 10.0 ** rng.uniform(-2, 0) * rng.normal(size=m)
    y = 3 + 0.2 * (year - first) + rng.normal(size=m)[g] + slope[g] * (year - first) + rng.normal(size=len(g))
    return pd.DataFrame({"y": y, "g": _labels(g), "year": year}), "y ~ year + (year | g)"


def raw_year_squared(rng: Rng, i: int) -> Made:
    """The same with a random parabola in the raw year."""
    m, years = int(rng.integers(12, 30)), 12
    g, t = _groups(m, years), np.tile(np.arange(years), m).astype(float)
    b = rng.normal(size=(m, 3)) * np.array([1.0, 0.2, 0.02 * (i % 3)])
    y = 3 + b[g, 0] + b[g, 1] * t + b[g, 2] * t**2 + rng.normal(size=len(g))
    return pd.DataFrame({"y": y, "g": _labels(g), "year": t + 1990}), "y ~ year + I(year^2) + (year + I(year^2) | g)"


def large_units(rng: Rng, i: int) -> Made:
    """Covariates in units of 1e6 or 1e-6, some with an offset of a thousand spreads."""
    frame, formula = _block(rng, rng.normal(size=(3, 3)) * np.array([1.0, 0.5, 0.0]), groups=20, per=10)
    frame["x1"] = frame["x1"] * 1e6 + (1e9 if i % 2 else 0.0)
    frame["x2"] = frame["x2"] * 1e-6
    return frame, formula


def response_units(rng: Rng, i: int) -> Made:
    """A response of the order 1e9 or 1e-9."""
    k = 1 + i % 3
    frame, formula = _block(rng, rng.normal(size=(k, max(1, k - 1))), groups=int(rng.integers(8, 25)), per=8)
    frame["y"] = frame["y"] * (1e9 if i % 2 else 1e-9)
    return frame, formula


def independent_terms(rng: Rng, i: int) -> Made:
    """Uncorrelated slopes (||), some without variance."""
    k = 3 + i % 4
    frame, formula = _block(rng, np.diag(np.where(np.arange(k) % 2, 0.0, 10.0 ** rng.uniform(-1.5, 1, size=k))), groups=20, per=10)
    return frame, formula.replace(" | ", " || ")


def collinear_slopes(rng: Rng, i: int) -> Made:
    """Two random slopes on nearly the same covariate."""
    g = _groups(int(rng.integers(12, 30)), 12)
    x1 = rng.normal(size=len(g))
    x2 = x1 + 10.0 ** rng.uniform(-3, -1) * rng.normal(size=len(g))
    u = rng.normal(size=(g.max() + 1, 2))
    y = x1 + u[g, 0] + u[g, 1] * x1 + rng.normal(size=len(g))
    return pd.DataFrame({"y": y, "g": _labels(g), "x1": x1, "x2": x2}), "y ~ x1 + x2 + (x1 + x2 | g)"


def singletons_and_giants(rng: Rng, i: int) -> Made:
    """Most groups have one row, a few have nearly all."""
    g = np.concatenate([np.arange(60), _groups(3 + i % 3, 50) + 60])
    x = rng.normal(size=len(g))
    b = rng.normal(size=(g.max() + 1, 2)) * np.array([1.0, 0.3 * (i % 2)])
    y = x + b[g, 0] + b[g, 1] * x + rng.normal(size=len(g))
    return pd.DataFrame({"y": y, "g": _labels(g), "x": x}), "y ~ x + (x | g)" if i % 3 else "y ~ x + (1 | g)"


def _conflict(rng: Rng, g: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A covariate that varies between groups more than within, and a mean whose slope within groups contradicts that between."""
    center = rng.normal(size=g.max() + 1) * 10.0 ** rng.uniform(0.5, 1.2)
    x = center[g] + rng.normal(size=len(g))
    return x, 0.5 * x - rng.uniform(1.0, 2.0) * (x - center[g])


def within_against_between(rng: Rng, i: int) -> Made:
    """The slope within groups contradicts the slope between them: a small and a large variance both explain the data."""
    g = _groups(int(rng.integers(8, 30)), int(rng.integers(3, 8)))
    x, mean = _conflict(rng, g)
    frame = pd.DataFrame({"y": mean + rng.uniform(0.5, 1.5) * rng.normal(size=len(g)), "g": _labels(g), "x": x})
    return frame, "y ~ x + (x | g)" if i % 2 else "y ~ x + (1 | g)"


def two_conflicts(rng: Rng, i: int) -> Made:
    """The same with two crossed factors: up to four optima."""
    m, k = int(rng.integers(8, 20)), int(rng.integers(6, 15))
    g, h = (a.ravel() for a in np.meshgrid(np.arange(m), np.arange(k), indexing="ij"))
    (x, first), (w, second) = _conflict(rng, g), _conflict(rng, h)
    y = first + second + rng.uniform(0.5, 2.0) * rng.normal(size=len(g))
    frame = pd.DataFrame({"y": y, "g": _labels(g), "h": _labels(h), "x": x, "w": w})
    return frame, "y ~ x + w + (x | g) + (1 | h)" if i % 2 else "y ~ x + w + (1 | g) + (1 | h)"


def small_trials(rng: Rng, i: int) -> Made:
    """Like the concentration-response trials of lme4's issue 376: doses over two decades, effects that do not follow the dose."""
    m, visits = int(rng.integers(16, 40)), 10
    g, t = _groups(m, visits), np.tile(np.arange(visits), m)
    shape = np.exp(-0.5 * (np.arange(visits) - 3.0) ** 2 / 9.0)
    dose = np.where(rng.random(m) < 0.75, 10.0 ** rng.uniform(0, 2, size=m), 0.0)
    c = dose[g] * shape[t] * np.exp(0.2 * rng.normal(size=len(g)))
    amplitude = rng.normal(size=m) * rng.uniform(15, 60) / np.maximum(dose, 1.0) * (dose > 0)
    y = rng.normal(size=visits)[t] * 2 + 6 * rng.normal(size=m)[g] + amplitude[g] * shape[t] + 5 * rng.normal(size=len(g))
    frame = pd.DataFrame({"y": y, "id": _labels(g), "C": c, "TP": [f"T{v:02d}" for v in t]})
    return frame, "y ~ 0 + C + TP + (1 + C | id)"


def outlying_groups(rng: Rng, i: int) -> Made:
    """A few groups far out in intercept or slope, the others without variance."""
    k = 2 + i % 2
    frame, formula = _block(rng, np.eye(k) * 0.05, groups=int(rng.integers(8, 16)), per=6)
    out = frame["g"].isin(frame["g"].unique()[:2]).to_numpy()
    frame["y"] = frame["y"] + out * (8.0 + rng.uniform(-4, 4) * frame["x1"])
    return frame, formula


CLASSES: tuple[Callable[[Rng, int], Made], ...] = (
    singular_block, near_singular_block, correlation_one, no_variance, variance_near_zero, tiny_variance, huge_variance,
    mixed_variances, few_groups, small_groups, crossed_maximal, crossed_slopes, nested_levels, many_terms,
    interaction_of_factors, raw_year, raw_year_squared, large_units, response_units, independent_terms, collinear_slopes,
    singletons_and_giants, within_against_between, two_conflicts, small_trials, outlying_groups,
)  # fmt: skip


def problems(seed: int = SEED, each: int = EACH) -> Iterator[HardProblem]:
    """`each` problems of every class, REML and ML by turns."""
    for (position, make), i in itertools.product(enumerate(CLASSES), range(each)):
        data, formula = make(np.random.default_rng([seed, position, i]), i)
        kind = make.__name__.replace("_", "-")
        yield HardProblem(f"{kind}-{i:02d}", kind, formula, (i + position) % 2 == 0, data)


def real_problems() -> Iterator[HardProblem]:
    """Data sets from public issues and package tests (data/index.json names the source of each), by REML and by ML."""
    here = Path(__file__).parent / "data"
    for name, about in json.loads((here / "index.json").read_text()).items():
        data = pd.read_csv(here / f"{name}.csv")
        for method in ("REML", "ML"):
            yield HardProblem(f"{name}-{method}", "real-data", about["formula"], method == "REML", data, about["criterion"][method])


def everything() -> Iterator[HardProblem]:
    yield from problems()
    yield from real_problems()
