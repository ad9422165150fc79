"""From a local optimum to the best one: other starts, where they are cheap and as many as the problem gives reason for.

Local optima of these criteria differ in the size of a term or of a column: a small variance with one set of fixed effects, a
large variance with another. So the starts are multiples of the identity first, then terms and columns made large or small one by
one, then random rotations with eigenvalues over four orders of magnitude. All of them are the same at each call.
A descent ends early where its model shows that it is about to reach an optimum that is known already. None but the first is made
where the coefficients hardly depend on the variances, and where the criterion of a single variance shows one valley.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from ranef.optim.newton import Descent, descend
from ranef.optim.problem import Array, Evaluation, Problem
from ranef.optim.trace import Trace

PROBES = (20.0, 0.1)  # multiples of the identity from where the way down leads past the optima that the first start may miss
CHEAP = 1e6  # floating-point operations of an evaluation, up to which other starts are tried without a reason
AFFORDABLE = 1e7  # the same for the rivals that a problem names
PATIENCE = 16  # starts without a new best optimum after which the search ends
GLANCE = 8  # the same as long as all starts lead to one optimum
SAME = 1e-6  # optima whose values differ by less are one
SLOPE = 4.0  # height above a known optimum, in deviance units, below which a descent may be seen to lead there
ALIKE = 0.25  # relative difference of two measures of a height, (a - b) / (a + b), that are still alike
LARGE, SMALL = 30.0, 0.03


@dataclass
class Pool:
    """The optima found so far, best first, and how often each start led to them."""

    problem: Problem
    optima: list[Descent] = field(default_factory=list)
    hits: list[int] = field(default_factory=list)
    failed: list[Descent] = field(default_factory=list)
    starts: int = 0
    _met: int = -1

    def add(self, found: Descent) -> bool:
        """File a descent; True when it is an optimum not seen before."""
        self.starts += 1
        if found.merged:
            self.hits[self._met] += 1
            return False
        if not found.converged:
            self.failed.append(found)
            return False
        for i, old in enumerate(self.optima):
            if abs(old.at.value - found.at.value) <= SAME * (1.0 + 1e-6 * abs(old.at.value)):
                self.hits[i] += 1
                return False
        found = replace(found, at=reflected(self.problem, found.at))
        place = sum(old.at.value < found.at.value for old in self.optima)
        self.optima.insert(place, found)
        self.hits.insert(place, 1)
        return True

    def known(self, at: Evaluation) -> bool:
        """Is `at` on the slope of an optimum of the pool?

        On the segment from the optimum to `at` the criterion is f(0), f'(0) = 0, f''(0) at one end and f(1), f'(1) at the other.
        When it is nearly quadratic, f(1) - f(0), f'(1) / 2 and f''(0) / 2 are nearly equal, and no other optimum lies between.
        """
        for i, old in enumerate(self.optima):
            rise = at.value - old.at.value
            if rise >= SLOPE:
                continue
            here = reflected(self.problem, at)
            assert here.gradient is not None and old.at.hessian is not None
            off = here.theta - old.at.theta
            halves = 0.5 * float(off @ old.at.hessian @ off), 0.5 * float(here.gradient @ off)
            if all(abs(rise - half) < ALIKE * (rise + half) + SAME for half in halves):
                self._met = i
                return True
        return False

    def explore(self, trace: Trace, theta: Array, note: str) -> bool:
        return self.add(descend(trace, theta, self.known, note))


def reflected(problem: Problem, at: Evaluation) -> Evaluation:
    """The evaluation at the representative of theta: derivatives change sign with a reflected column; a rotation is rare."""
    theta = problem.canonical(at.theta)
    if theta is at.theta:
        return at
    sign = np.where(theta * at.theta < 0.0, -1.0, 1.0)
    if at.gradient is None or at.hessian is None or np.abs(theta - sign * at.theta).max() > 1e-12 * np.abs(theta).max():
        return problem.evaluate(theta, 2)
    return replace(at, theta=theta, gradient=at.gradient * sign, hessian=at.hessian * sign * sign[:, None])


def search(trace: Trace, start: Array | None, further: bool = False) -> Pool:
    """The optima of the problem as far as it pays to look; from a given start the one below it, and `further` ones if asked."""
    problem = trace.problem
    pool = Pool(problem)
    first = problem.closed_form() if start is None else start
    pool.explore(trace, problem.start() if first is None else first, "start")
    alone = start is not None and not further
    if pool.optima and (alone or problem.unimodal or problem.effort > AFFORDABLE):
        return pool
    doubtful = not pool.optima
    for theta in _probes(trace, pool) if doubtful or problem.effort <= CHEAP else ():
        doubtful |= pool.explore(trace, theta, "probe")
    for theta in problem.rivals():
        doubtful |= pool.explore(trace, theta, "probe")
    if doubtful or (problem.rugged and problem.effort <= CHEAP):
        _look_everywhere(trace, pool, PATIENCE if doubtful else GLANCE)
    return pool


def _probes(trace: Trace, pool: Pool) -> list[Array]:
    """Starts that would show another optimum: a large and a small one, or the other valleys of all there is to see."""
    problem = trace.problem
    far = [multiple(problem, size) for size in PROBES]
    if not pool.optima:
        return far
    best = pool.optima[0].at
    profile = problem.profile(best)
    if profile is None:
        return [] if problem.settled(best, [trace.evaluate(theta, 0, "probe") for theta in far]) else far
    for at in profile:
        trace.write(at, "profile")
    values = np.array([np.inf, *(at.value for at in profile), np.inf])
    valleys = (values[1:-1] < values[:-2]) & (values[1:-1] < values[2:])
    return [at.theta for at, valley in zip(profile, valleys, strict=True) if valley and at is not best]


def _look_everywhere(trace: Trace, pool: Pool, patience: int) -> None:
    """Starts of all kinds until none has found a better optimum for a while."""
    waited = 0
    for theta in other_starts(trace.problem):
        best = pool.optima[0] if pool.optima else None
        if pool.explore(trace, theta, "search"):
            patience = PATIENCE
        waited = waited + 1 if pool.optima and pool.optima[0] is best else 0
        if waited >= patience or trace.evaluations > trace.most:
            return


def other_starts(problem: Problem) -> Iterator[Array]:
    """Deterministic starts over four orders of magnitude, the most promising first."""
    yield from problem.starts()
    patterns = itertools.chain(_term_patterns(len(problem.blocks)), _column_patterns(problem))
    for sizes in itertools.islice(patterns, 40):
        yield _of_roots(problem, [np.diag(np.broadcast_to(s, b.k)) for s, (_, b) in zip(sizes, problem.blocks, strict=True)])
    rng = np.random.default_rng(20150701)
    for _ in range(24):
        yield _of_roots(problem, [_random_root(rng, block.k) for _, block in problem.blocks])


def _term_patterns(terms: int) -> Iterator[tuple[float, ...]]:
    """Each term large or small: all patterns of up to four terms, else one term at a time."""
    if terms < 2:
        return
    if terms <= 4:
        yield from (p for p in itertools.product((LARGE, SMALL), repeat=terms) if len(set(p)) > 1)
        return
    for odd, rest in ((LARGE, SMALL), (SMALL, LARGE), (LARGE, 1.0), (SMALL, 1.0)):
        for i in range(terms):
            yield tuple(odd if j == i else rest for j in range(terms))


def _column_patterns(problem: Problem) -> Iterator[tuple[Array | float, ...]]:
    """Each column of each term large or small, the others ordinary."""
    widths = [block.k for _, block in problem.blocks]
    for i, width in enumerate(widths):
        for column, size in itertools.product(range(width), (LARGE, SMALL)):
            if width > 1:
                sizes = np.where(np.arange(width) == column, size, 1.0)
                yield tuple(sizes if j == i else 1.0 for j in range(len(widths)))


def _random_root(rng: np.random.Generator, k: int) -> Array:
    rotation = np.linalg.qr(rng.normal(size=(k, k)))[0]
    return rotation * 10.0 ** rng.uniform(-2.0, 2.0, size=k)


def multiple(problem: Problem, size: float) -> Array:
    """Every relative covariance size^2 times the identity."""
    return _of_roots(problem, [size * np.eye(block.k) for _, block in problem.blocks])


def _of_roots(problem: Problem, roots: list[Array]) -> Array:
    out = np.zeros(problem.size)
    for (where, block), root in zip(problem.blocks, roots, strict=True):
        out[where] = block.of_factor(root)
    return problem.completed(out)
