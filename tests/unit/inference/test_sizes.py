"""How often 5 % tests reject a true hypothesis, by simulation: 2,000 replicates a design (standard error 0.5 %)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest

import ranef
from ranef.inference.comparable import deviance_of
from ranef.inference.mixture import boundary_p
from ranef.inference.nested import Cone, cone_between

REPLICATES = 2_000
Response = Callable[[np.random.Generator], np.ndarray]


@dataclass(frozen=True)
class Plan:
    """A design with few groups, a model of it, and responses for which its fixed effects (all but the intercept) are zero."""

    formula: str
    data: pd.DataFrame
    draw: Response


def two_arms() -> Plan:
    """Ten groups of five, half of them treated."""
    g = np.repeat(np.arange(10), 5)
    return Plan("y ~ x + (1 | g)", frame(g, x=g % 2), lambda r: r.normal(size=10)[g] + r.normal(size=50))


def growth() -> Plan:
    """Six groups observed eight times, with random slopes."""
    g, x = np.repeat(np.arange(6), 8), np.tile(np.arange(8.0), 6)
    return Plan("y ~ x + (x | g)", frame(g, x=x), lambda r: r.normal(size=6)[g] + 0.4 * r.normal(size=6)[g] * x + r.normal(size=48))


def unequal_arms() -> Plan:
    """Ten groups of two to eight."""
    g = np.repeat(np.arange(10), np.random.default_rng(11).integers(2, 9, 10))
    return Plan("y ~ x + (1 | g)", frame(g, x=g % 2), lambda r: r.normal(size=10)[g] + r.normal(size=len(g)))


def three_arms() -> Plan:
    """Twelve groups of five in three arms: two numerator df."""
    g = np.repeat(np.arange(12), 5)
    return Plan("y ~ a + (1 | g)", frame(g, a=np.array(list("pqr"))[g % 3]), lambda r: r.normal(size=12)[g] + r.normal(size=60))


def incomplete_crossing() -> Plan:
    """Eight by six crossed groups, a fifth of the cells empty."""
    g, h = (v.ravel()[np.random.default_rng(4).random(48) < 0.8] for v in np.meshgrid(np.arange(8), np.arange(6)))
    data = frame(g, h=h.astype(str), x=g % 2)
    return Plan(
        "y ~ x + (1 | g) + (1 | h)", data, lambda r: r.normal(size=8)[g] + 0.8 * r.normal(size=6)[h] + r.normal(size=len(g))
    )


def split_plot() -> Plan:
    """Six blocks with three plots, two rows a plot."""
    b, a = np.repeat(np.arange(6), 6), np.tile(np.repeat(np.arange(3), 2), 6)
    data = frame(b, a=np.array(list("pqr"))[a])
    return Plan(
        "y ~ a + (1 | g) + (1 | g:a)", data, lambda r: r.normal(size=6)[b] + r.normal(size=18)[3 * b + a] + r.normal(size=36)
    )


def frame(g: np.ndarray, **columns: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame({"g": g.astype(str), **columns})


PLANS = (two_arms, growth, unequal_arms, three_arms, incomplete_crossing, split_plot)


@pytest.mark.slow
@pytest.mark.parametrize("plan", PLANS, ids=lambda plan: plan.__name__)
def test_kenward_roger_holds_its_size_with_few_groups(plan: Callable[[], Plan]) -> None:
    made, rng = plan(), np.random.default_rng(1)
    m = ranef.lmm(made.formula, made.data.assign(y=made.draw(rng)), ddf="kenward-roger")
    L = np.eye(len(m.params))[1:]
    p = [m.refit(made.draw(rng)).denominator().test(L, np.zeros(len(L))).p_value for _ in range(REPLICATES)]
    assert 0.04 <= np.mean(np.array(p) < 0.05) <= 0.06


@pytest.mark.slow
@pytest.mark.parametrize(("groups", "small"), [(20, "y ~ x"), (40, "y ~ x"), (20, "y ~ x + (1 | g)"), (40, "y ~ x + (1 | g)")])
def test_the_boundary_test_holds_its_size_where_the_naive_one_does_not(groups: int, small: str) -> None:
    """A variance, and a slope with its covariance, that are zero."""
    g, x, rng = np.repeat(np.arange(groups), 5), np.tile(np.arange(5.0), groups), np.random.default_rng(1)

    def draw() -> np.ndarray:
        return ("g" in small) * rng.normal(size=groups)[g] + rng.normal(size=len(g))

    data = frame(g, x=x, y=draw())
    m0, m1 = ranef.lmm(small, data), ranef.lmm("y ~ x + (x | g)" if "g" in small else "y ~ x + (1 | g)", data)
    cone = cone_between(m0, m1)
    assert isinstance(cone, Cone) and cone.orders == (1,)
    found = []
    for _ in range(REPLICATES):
        y = draw()
        ratio = deviance_of(m0.refit(y), True) - deviance_of(m1.refit(y), True)
        p = boundary_p(ratio, cone, draws=2, seed=1)
        found.append((p.p, p.naive))
    size, naive = (np.array(found) < 0.05).mean(axis=0)
    assert 0.04 <= size <= 0.06
    assert naive < 0.035
