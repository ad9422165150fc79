"""Size of 5 % tests and coverage of 95 % intervals on designs with few groups; `python -m tests.slow.simulation` prints the tables.

Each design is simulated from its own model with the tested effect (or variance) at zero. One fit is made; the replicates refit it, so
that they cost the same few milliseconds as any refit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import chi2

import ranef
from ranef.inference.rlrt import eigenvalues, null_draws

REPLICATES = 2000
SEED = 20250101
METHODS = ("kenward-roger", "satterthwaite", "asymptotic")


@dataclass(frozen=True, eq=False)
class FixedDesign:
    """The effects of `term` are zero in the simulated data; `draw` adds random effects and errors."""

    name: str
    formula: str
    term: str
    data: pd.DataFrame
    draw: Callable[[np.random.Generator], np.ndarray]


@dataclass(frozen=True, eq=False)
class VarianceDesign:
    """The variance that `larger` adds to `smaller` is zero in the simulated data. `df` are the naive test's."""

    name: str
    smaller: str | None  # None: ordinary regression
    larger: str
    df: int
    data: pd.DataFrame
    draw: Callable[[np.random.Generator], np.ndarray]


def _labels(codes: np.ndarray) -> np.ndarray:
    return codes.astype(str)


def _intercepts(codes: np.ndarray, sd: float) -> Callable[[np.random.Generator], np.ndarray]:
    return lambda rng: sd * rng.normal(size=codes.max() + 1)[codes]


def _slopes(codes: np.ndarray, x: np.ndarray, sd: tuple[float, float]) -> Callable[[np.random.Generator], np.ndarray]:
    def draw(rng: np.random.Generator) -> np.ndarray:
        b = rng.normal(size=(codes.max() + 1, 2)) * sd
        return b[codes, 0] + b[codes, 1] * x

    return draw


def _sum(n: int, *parts: Callable[[np.random.Generator], np.ndarray]) -> Callable[[np.random.Generator], np.ndarray]:
    return lambda rng: sum(part(rng) for part in parts) + rng.normal(size=n)


def fixed_designs() -> list[FixedDesign]:
    """Six and more designs of 5 to 12 groups."""
    rng = np.random.default_rng(7)
    out = []
    g = np.repeat(np.arange(6), 5)
    d = pd.DataFrame({"g": _labels(g), "arm": np.where(g < 3, "a", "b")})
    out.append(FixedDesign("6 groups of 5, treatment of groups", "y ~ arm + (1 | g)", "arm", d, _sum(30, _intercepts(g, 1.0))))
    g = np.repeat(np.arange(8), [2, 3, 4, 5, 6, 8, 10, 12])
    d = pd.DataFrame({"g": _labels(g), "z": rng.normal(size=8)[g]})
    out.append(FixedDesign("8 groups of 2 to 12, covariate of groups", "y ~ z + (1 | g)", "z", d, _sum(50, _intercepts(g, 1.0))))
    g = np.repeat(np.arange(10), 8)
    x = np.tile(np.arange(8) - 3.5, 10)
    d = pd.DataFrame({"g": _labels(g), "x": x})
    out.append(FixedDesign("10 groups of 8, random slope", "y ~ x + (x | g)", "x", d, _sum(80, _slopes(g, x, (1.0, 0.3)))))
    block, variety, nitro = (a.ravel() for a in np.meshgrid(np.arange(6), np.arange(3), np.arange(4), indexing="ij"))
    d = pd.DataFrame({"block": _labels(block), "variety": _labels(variety), "nitro": _labels(nitro)})
    plots = _sum(72, _intercepts(block, 1.0), _intercepts(block * 3 + variety, 0.8))
    out.append(
        FixedDesign("split plot, 6 blocks, whole-plot factor", "y ~ variety + nitro + (1 | block / variety)", "variety", d, plots)
    )
    s, i = (a.ravel() for a in np.meshgrid(np.arange(12), np.arange(8), indexing="ij"))
    d = pd.DataFrame({"s": _labels(s), "i": _labels(i), "kind": np.where(i < 4, "old", "new")})
    both = _sum(96, _intercepts(s, 1.0), _intercepts(i, 0.7))
    out.append(FixedDesign("12 subjects x 8 items, treatment of items", "y ~ kind + (1 | s) + (1 | i)", "kind", d, both))
    school = np.repeat(np.arange(5), 12)
    room = np.repeat(np.arange(15), 4)
    d = pd.DataFrame({"school": _labels(school), "room": _labels(room), "arm": _labels((room % 3 > 0).astype(int))})
    rooms = _sum(60, _intercepts(school, 0.8), _intercepts(room, 0.8))
    out.append(FixedDesign("5 schools of 3 classes, treatment of classes", "y ~ arm + (1 | school / room)", "arm", d, rooms))
    g = np.repeat(np.arange(12), rng.integers(3, 9, 12))
    x = rng.normal(size=len(g))
    d = pd.DataFrame({"g": _labels(g), "x": x, "z": rng.normal(size=12)[g]})
    uneven = _sum(len(g), _slopes(g, x, (1.0, 0.7)))
    out.append(FixedDesign("12 uneven groups, random slope, covariate of groups", "y ~ x + z + (x | g)", "z", d, uneven))
    return out


def variance_designs() -> list[VarianceDesign]:
    """One variance against none, and a slope's variance and covariance against an intercept's."""
    rng = np.random.default_rng(8)
    out = []
    for m, per in ((5, 8), (8, 6), (12, 10)):
        g = np.repeat(np.arange(m), per)
        d = pd.DataFrame({"g": _labels(g)})
        out.append(VarianceDesign(f"{m} groups of {per}, intercept", None, "y ~ 1 + (1 | g)", 1, d, _sum(len(g))))
    g = np.repeat(np.arange(10), rng.integers(3, 12, 10))
    d = pd.DataFrame({"g": _labels(g), "x": rng.normal(size=len(g)) + rng.normal(size=10)[g]})
    out.append(VarianceDesign("10 uneven groups, intercept, covariate", None, "y ~ x + (1 | g)", 1, d, _sum(len(g))))
    s, i = (a.ravel() for a in np.meshgrid(np.arange(12), np.arange(8), indexing="ij"))
    d = pd.DataFrame({"s": _labels(s), "i": _labels(i)})
    crossed = _sum(96, _intercepts(s, 1.0))
    out.append(VarianceDesign("12 subjects x 8 items, item", "y ~ 1 + (1 | s)", "y ~ 1 + (1 | s) + (1 | i)", 1, d, crossed))
    g = np.repeat(np.arange(12), 10)
    x = np.tile(np.arange(10) - 4.5, 12)
    d = pd.DataFrame({"g": _labels(g), "x": x})
    sloped = _sum(120, _intercepts(g, 1.0))
    out.append(VarianceDesign("12 groups of 10, slope", "y ~ x + (1 | g)", "y ~ x + (x | g)", 2, d, sloped))
    return out


def fixed_size(design: FixedDesign, replicates: int = REPLICATES) -> dict[str, float]:
    """Rejection rates of the F test of the term at 5 %, by method, and coverage of the 95 % interval of its first coefficient."""
    rng = np.random.default_rng(SEED)
    start = ranef.lmm(design.formula, design.data.assign(y=design.draw(rng)))
    names = list(start.params.index)
    L = np.eye(len(names))[[j for j, name in enumerate(names) if name.split("[")[0] == design.term]]
    zero, counts = np.zeros(len(L)), dict.fromkeys((*METHODS, "coverage"), 0)
    for _ in range(replicates):
        m = start.refit(design.draw(rng))
        for method in METHODS:
            counts[method] += m.denominator(method).test(L, zero).p_value < 0.05
        counts["coverage"] += m.denominator("kenward-roger").test(L[:1], zero[:1]).p_value >= 0.05
    return {name: count / replicates for name, count in counts.items()}


def variance_size(design: VarianceDesign, replicates: int = REPLICATES) -> dict[str, float]:
    """Rejection rates at 5 %: naive chi-square, mixture, and the exact test where there is one component."""
    rng = np.random.default_rng(SEED)
    data = design.data.assign(y=design.draw(rng))
    larger = ranef.lmm(design.larger, data)
    smaller = None if design.smaller is None else ranef.lmm(design.smaller, data)
    critical = np.inf
    if smaller is None:
        mu, _ = eigenvalues(larger.criterion.gram)
        dof = larger.nobs - larger.criterion.gram.rank
        critical = float(np.quantile(null_draws(mu, mu, dof, dof, 200_000, np.random.default_rng(1)), 0.95))
    counts = dict.fromkeys(("naive", "mixture", "exact"), 0)
    for _ in range(replicates):
        y = design.draw(rng)
        big = larger.refit(y)
        none = big.criterion.evaluate(np.zeros(big.criterion.size), 0).value if smaller is None else smaller.refit(y).deviance
        ratio = max(none - big.deviance, 0.0)
        below = chi2.sf(ratio, design.df - 1) if design.df > 1 else float(ratio <= 0.0)
        counts["naive"] += chi2.sf(ratio, design.df) < 0.05
        counts["mixture"] += 0.5 * (below + chi2.sf(ratio, design.df)) < 0.05
        counts["exact"] += ratio > critical
    out = {name: count / replicates for name, count in counts.items()}
    return out if smaller is None else {**out, "exact": float("nan")}


def bootstrap_size(design: VarianceDesign, replicates: int = REPLICATES, refits: int = 199) -> float:
    """Rejection rate at 5 % of `bootstrap(smaller, larger)`."""
    from ranef.inference.bootstrap import bootstrap

    rng = np.random.default_rng(SEED)
    data = design.data.assign(y=design.draw(rng))
    assert design.smaller is not None
    smaller, larger = ranef.lmm(design.smaller, data), ranef.lmm(design.larger, data)
    rejected = 0
    for i in range(replicates):
        y = design.draw(rng)
        rejected += bootstrap(smaller.refit(y), larger.refit(y), n=refits, seed=i, progress=False).p_value <= 0.05
    return rejected / replicates


def main() -> None:
    print(
        "| design | Kenward-Roger | Satterthwaite | z | coverage of the 95 % interval (Kenward-Roger) |\n| --- | --- | --- | --- | --- |"
    )
    for design in fixed_designs():
        rates = fixed_size(design)
        print(
            f"| {design.name} | " + " | ".join(f"{100 * rates[name]:.1f} %" for name in (*METHODS, "coverage")) + " |", flush=True
        )
    print("\n| design | naive | mixture | exact |\n| --- | --- | --- | --- |")
    for case in variance_designs():
        rates = variance_size(case)
        print(
            f"| {case.name} | " + " | ".join("" if np.isnan(r) else f"{100 * r:.1f} %" for r in rates.values()) + " |", flush=True
        )


if __name__ == "__main__":
    main()
