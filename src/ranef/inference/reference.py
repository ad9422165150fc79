"""The distribution to which a likelihood ratio is referred: exact where known, simulated where that is quick, else asymptotic.

both models ordinary regressions       the ratio grows with F, whose distribution is exact
one variance against none, same mean   exact, by its spectral representation (`rlrt`)
anything else                          both models refitted to data simulated under the smaller one (`null_ratio`)
too many effects for that              the asymptotic mixture of chi-squares (`mixture`)

Which one depends on the size of the models alone, and the seed is fixed, so that a call gives the same answer whenever it is made.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from scipy.special import chdtrc, fdtrc

from ranef.core.dense import Dense
from ranef.core.plain import Plain
from ranef.core.single import Single
from ranef.errors import ModelError
from ranef.inference.mixture import boundary_p
from ranef.inference.nested import Cone
from ranef.inference.null_ratio import NullRatio, linear, null_ratio
from ranef.inference.rlrt import eigenvalues, null_draws
from ranef.inference.tail import TailP, tail_p

if TYPE_CHECKING:
    from ranef.fit.fit import Fit

Kind = Literal["auto", "simulated", "asymptotic"]
KINDS = ("auto", "simulated", "asymptotic")
DIRECTIONS = 10_000  # directions of a mixture, and draws of an exact distribution
REFITS = 1_000
LEAST = 400  # data sets, below which the simulation is not worth having
BUDGET = 2.0  # seconds for it
EFFECTS = 500  # up to which eigenvalues are computed
PATTERNS = 3000  # of levels that differ, which no budget allows
LONG = 'simulation would take long; reference="simulated" does it'
MANY = 200  # effects of crossed factors that may stand in one dense matrix, where simulation is asked for


@dataclass(frozen=True)
class Reference:
    """What the caller asks: `draws` (of the default numbers if None) and their seed."""

    kind: Kind = "auto"
    draws: int | None = None
    seed: int = 1

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ModelError(f"reference={self.kind!r} is not known.", hint=f"Use one of: {', '.join(KINDS)}.")
        if self.draws is not None and (not isinstance(self.draws, int | np.integer) or self.draws < 100):
            raise ModelError(f"draws={self.draws!r} must be a number of at least 100.")

    @property
    def directions(self) -> int:
        return DIRECTIONS if self.draws is None else self.draws

    def refits(self, ratio: NullRatio) -> int:
        """How many data sets the budget allows; all that are asked for if simulation is."""
        asked = REFITS if self.draws is None else self.draws
        return asked if self.kind == "simulated" else min(asked, int(BUDGET / ratio.cost))


@dataclass(frozen=True)
class RatioP:
    """p values of one likelihood ratio: `mixture` is asymptotic, `naive` takes no account of the boundary either."""

    value: float
    mixture: float
    naive: float
    words: str


def no_test(words: str) -> RatioP:
    return RatioP(np.nan, np.nan, np.nan, words)


def ratio_p(ratio: float, cone: Cone, small: Fit, large: Fit, *, reml: bool, reference: Reference) -> RatioP:
    """P(T >= ratio) under the smaller model, from the best of the distributions that are at hand."""
    t = max(ratio, 0.0)
    limit = boundary_p(t, cone, draws=reference.directions, seed=reference.seed)
    approximate = "; approximate, since variances of the smaller model are zero too" if small.is_singular and cone.orders else ""
    if reference.kind == "asymptotic":
        return RatioP(limit.p, limit.p, limit.naive, limit.words + approximate)
    structured = any(fit.criterion.residual is not None for fit in (small, large))
    found = (
        "residual structures are not simulated"
        if structured
        else (
            _by_f(t, cone, small, large)
            or _exact(t, cone, small, large, reml, reference)
            or _simulated(t, cone, small, large, reml, reference)
        )
    )
    if isinstance(found, str):
        return RatioP(limit.p, limit.p, limit.naive, f"{limit.words}, asymptotic: {found}{approximate}")
    p, words = found
    return RatioP(p, limit.p, limit.naive, f"{words}{approximate}; asymptotically {limit.words}")


def _by_f(t: float, cone: Cone, small: Fit, large: Fit) -> tuple[float, str] | None:
    """n log(RSS_0 / RSS_1) of ordinary regressions is a function of F."""
    if not (isinstance(small.criterion.engine, Plain) and isinstance(large.criterion.engine, Plain)):
        return None
    if large.criterion.scale is not None:
        return float(chdtrc(cone.free, t)), "exact p, as sigma is known"
    free = large.nobs - large.criterion.gram.rank
    F = float(np.expm1(t / large.nobs)) * free / cone.free
    return float(fdtrc(cone.free, free, F)), f"exact p by F on {cone.free} and {free} df"


def _exact(t: float, cone: Cone, small: Fit, large: Fit, reml: bool, reference: Reference) -> tuple[float, str] | None:
    """One variance against none."""
    gram, blocks = large.criterion.gram, large.criterion.layout.blocks
    alone = len(blocks) == 1 and large.criterion.size == cone.size == 1 and isinstance(small.criterion.engine, Plain)
    if not alone or blocks[0].size > EFFECTS or large.criterion.scale is not None or not linear(large):
        return None
    mu, xi = eigenvalues(gram)
    dof, n = large.nobs - gram.rank, reference.directions
    draws = null_draws(mu, mu if reml else xi, dof, dof if reml else large.nobs, n, np.random.default_rng(reference.seed))
    found = tail_p(draws, t, 1)
    return found.value, f"p {_told(found, f'{n:,} draws of the exact distribution', reference)}"


def _simulated(t: float, cone: Cone, small: Fit, large: Fit, reml: bool, reference: Reference) -> tuple[float, str] | str:
    """By refits, or why not."""
    engine, effects = large.criterion.engine, sum(block.size for block in large.criterion.layout.blocks)
    if not isinstance(engine, (Single, Dense)) and effects > MANY:
        return "too many random effects to simulate; see bootstrap()"
    asked = reference.kind == "simulated"
    if isinstance(engine, Single) and len(engine.lower) > PATTERNS and not asked:
        return LONG
    ratio = null_ratio(small, large, reml)
    if ratio is None:
        return "these structures are not simulated; see bootstrap()"
    n = reference.refits(ratio)
    if n < LEAST and not asked:
        return LONG
    draws = ratio.draws(n, reference.seed)
    if len(draws) < 0.9 * n:
        return f"{n - len(draws)} of {n:,} refits failed"
    found = tail_p(draws, t, cone.size)
    return found.value, f"p {_told(found, f'{len(draws):,} simulated data sets', reference)}"


def _told(found: TailP, what: str, reference: Reference) -> str:
    if found.beyond:
        return f"from the fitted tail of {what} (seed {reference.seed})"
    return f"from {what} (seed {reference.seed}, Monte Carlo error {found.error:.1g})"
