"""Size of 5 % tests and coverage of 95 % intervals on designs with few groups; `python -m tests.slow.simulation` prints the tables.

Each design is simulated from its own model with the tested effect (or variance) at zero. One fit is made; the replicates refit it.
The tables take the default number of draws of each test (an hour), the tests fewer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

import ranef
from ranef.inference.bootstrap import bootstrap
from ranef.inference.comparable import by_ml
from ranef.inference.compare import ratio_test
from ranef.inference.reference import REFITS, Reference

REPLICATES = 2000
DRAWS, FULL = 300, REFITS  # of the likelihood ratio for each data set, in the tests and in the tables
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
    """What `larger` adds to `smaller` is zero in the simulated data. `alone`: one variance against none, whose exact test is known."""

    name: str
    smaller: str
    larger: str
    data: pd.DataFrame
    draw: Callable[[np.random.Generator], np.ndarray]

    @property
    def alone(self) -> bool:
        return "|" not in self.smaller and self.larger.endswith("(1 | g)")


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
    """One variance against none; beside others; with a correlation; two at once; with a fixed effect."""
    rng, out = np.random.default_rng(8), []

    def add(name: str, smaller: str, larger: str, data: pd.DataFrame, *parts: Callable[[np.random.Generator], np.ndarray]) -> None:
        out.append(VarianceDesign(name, smaller, larger, data, _sum(len(data), *parts)))

    for m, per in ((5, 8), (8, 6), (12, 10)):
        g = np.repeat(np.arange(m), per)
        add(f"{m} groups of {per}, intercept", "y ~ 1", "y ~ 1 + (1 | g)", pd.DataFrame({"g": _labels(g)}))
    g = np.repeat(np.arange(10), rng.integers(3, 12, 10))
    d = pd.DataFrame({"g": _labels(g), "x": rng.normal(size=len(g)) + rng.normal(size=10)[g]})
    add("10 uneven groups, intercept, covariate", "y ~ x", "y ~ x + (1 | g)", d)
    s, i = (a.ravel() for a in np.meshgrid(np.arange(12), np.arange(8), indexing="ij"))
    d = pd.DataFrame({"s": _labels(s), "i": _labels(i)})
    add("12 subjects x 8 items, item", "y ~ 1 + (1 | s)", "y ~ 1 + (1 | s) + (1 | i)", d, _intercepts(s, 1.0))
    for m, per in ((12, 10), (6, 8)):
        g, x = np.repeat(np.arange(m), per), np.tile(np.arange(per) - (per - 1) / 2, m)
        d = pd.DataFrame({"g": _labels(g), "x": x})
        add(f"{m} groups of {per}, slope and correlation", "y ~ x + (1 | g)", "y ~ x + (x | g)", d, _intercepts(g, 1.0))
    g = np.repeat(np.arange(8), rng.integers(4, 11, 8))
    d = pd.DataFrame({"g": _labels(g), "x": rng.normal(size=len(g))})
    add("8 uneven groups, slope and correlation", "y ~ x + (1 | g)", "y ~ x + (x | g)", d, _intercepts(g, 0.7))
    add("8 uneven groups, intercept, slope and correlation", "y ~ x", "y ~ x + (x | g)", d)
    school, room = np.repeat(np.arange(6), 12), np.repeat(np.arange(18), 4)
    d = pd.DataFrame({"school": _labels(school), "room": _labels(room)})
    both = "y ~ 1 + (1 | school) + (1 | room)"
    add("6 schools of 3 classes, school", "y ~ 1 + (1 | room)", both, d, _intercepts(room, 0.8))
    g, x = np.repeat(np.arange(8), 6), np.tile(np.arange(6) - 2.5, 8)
    d = pd.DataFrame({"g": _labels(g), "x": x})
    add("8 groups of 6, slope, correlation and mean slope (ML)", "y ~ 1 + (1 | g)", "y ~ x + (x | g)", d, _intercepts(g, 1.0))
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


def variance_size(design: VarianceDesign, replicates: int = REPLICATES, draws: int = DRAWS) -> dict[str, float]:
    """Rejection rates at 5 % of `compare(smaller, larger)`: its default p, the asymptotic mixture, the naive chi-square.

    Where the exact distribution is known it is the same for all data sets.
    """
    rng = np.random.default_rng(SEED)
    data = design.data.assign(y=design.draw(rng))
    smaller, larger = (
        ranef.lmm(formula, data) if "|" in formula else ranef.lm(formula, data) for formula in (design.smaller, design.larger)
    )
    reml = list(smaller.params.index) == list(larger.params.index)
    rejected = np.zeros(3)
    for i in range(replicates):
        y = design.draw(rng)
        fits = [smaller.refit(y), larger.refit(y)]
        small, large = fits if reml else map(by_ml, fits)
        _, _, p = ratio_test(small, large, reml, Reference("simulated", 5 * draws if design.alone else draws, seed=1 + i))
        rejected += np.array([p.value, p.mixture, p.naive]) < 0.05
    return dict(zip(("default", "mixture", "naive"), (rejected / replicates).tolist(), strict=True))


def bootstrap_size(design: VarianceDesign, replicates: int = REPLICATES, refits: int = 199) -> float:
    """Rejection rate at 5 % of `bootstrap(smaller, larger)`, which simulates rows and refits each model by itself."""
    rng = np.random.default_rng(SEED)
    data = design.data.assign(y=design.draw(rng))
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
    print("\n| design | default | mixture | naive |\n| --- | --- | --- | --- |")
    for case in variance_designs():
        rates = variance_size(case, draws=FULL)
        print(f"| {case.name} | " + " | ".join(f"{100 * r:.1f} %" for r in rates.values()) + " |", flush=True)


if __name__ == "__main__":
    main()
