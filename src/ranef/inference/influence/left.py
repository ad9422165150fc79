"""The answers without each of many clusters, some at a time: what the tables of `influence` are made of."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ranef.covariance.base import Array
from ranef.design import Codes
from ranef.inference.influence.deletion import Deletion, Method
from ranef.inference.influence.held import Held
from ranef.inference.parameters import Names, of_solution
from ranef.progress import Meter

if TYPE_CHECKING:
    from ranef.fit.fit import Fit

TOGETHER = 20_000  # rows at a time where clusters are left out together


@dataclass(frozen=True, eq=False)
class Left:
    """What is left without each of c clusters; NaN where the rest does not determine the model."""

    estimates: Array  # (c, P) all parameters
    ratio: Array  # (c,) sigma over that of the fit
    logdet: Array  # (c,) log|X'V^-1X| less that of the fit
    theta: Array  # (c,) Cook's distance of the variance parameters; NaN where theta is held

    @classmethod
    def nothing(cls, c: int, parameters: int) -> Left:
        return cls(np.full((c, parameters), np.nan), *np.full((3, c), np.nan))

    def fill(self, start: int, found: Left) -> None:
        """Put what was found of some clusters in its place, in place."""
        at = slice(start, start + len(found.ratio))
        for own, new in zip(vars(self).values(), vars(found).values(), strict=True):
            own[at] = new


@dataclass(frozen=True)
class Leave:
    """How clusters are left out, and how many rows and clusters at a time."""

    out: Callable[[Sequence[Codes]], Left]
    rows: int
    clusters: int


def held_left(fit: Fit, codes: Codes) -> Leave:
    """With theta held. The correlations stay, the standard deviations go with sigma."""
    if fit.criterion.layout.wide or not fit.model.design.terms:
        return gram_left(fit, "fixed")
    held, names, full = Held.of(fit, codes), Names.of(fit), of_solution(fit.solution).estimates[0]
    standard, p = fit.criterion.gram.standard, names.fixed
    kept = list(standard.kept)
    to_user, shift = standard.unit * standard.to_user[kept], standard.shift[kept]
    deviations = np.array([term.startswith("sd__") for term in names.term])
    deviations[:p] = False

    def left(clusters: Sequence[Codes]) -> Left:
        rest = held.without(clusters)
        estimates = np.where(deviations, full * rest.ratio[:, None], full)
        estimates[:, :p] = rest.gamma @ to_user.T + shift
        estimates[np.isnan(rest.ratio)] = np.nan
        return Left(estimates, rest.ratio, rest.logdet, np.full(len(clusters), np.nan))

    return Leave(left, TOGETHER, TOGETHER // 10)


def gram_left(fit: Fit, method: Method) -> Leave:
    """From the Gram blocks of the other rows, one cluster after the other."""
    deletion, before, theta, names = Deletion.of(fit), fit.solution, fit.optimum.theta, Names.of(fit)

    def left(clusters: Sequence[Codes]) -> Left:
        out = Left.nothing(len(clusters), len(names.term))
        for i, rows in enumerate(clusters):
            solution = deletion.without(rows, method)
            if solution is None:
                continue
            if method != "fixed" and len(theta):
                off = solution.theta - theta
                out.theta[i] = 0.5 * float(off @ fit.hessian @ off) / len(theta)
            out.estimates[i], out.ratio[i] = of_solution(solution).estimates[0], solution.sigma / before.sigma
            out.logdet[i] = solution.gls.logdet_x - before.gls.logdet_x
        return out

    return Leave(left, 1, 1)


def watched(leave: Leave, clusters: Sequence[Codes]) -> Iterator[Left]:
    """Some after the others, with a sign of life; an interrupt ends the work and keeps what is done, unless that is nothing."""
    meter, done = Meter("influence", "deletions", len(clusters)), 0
    try:
        for some in _portions(leave, clusters):
            found = leave.out(some)
            done += len(some)
            meter.show(done)
            yield found
    except KeyboardInterrupt:
        if not done:
            raise
    finally:
        meter.close()


def _portions(leave: Leave, clusters: Sequence[Codes]) -> Iterator[Sequence[Codes]]:
    """The clusters in their order, as many at a time as allowed, and at least one."""
    start, rows = 0, 0
    for i, cluster in enumerate(clusters):
        if i > start and (rows + len(cluster) > leave.rows or i - start >= leave.clusters):
            yield clusters[start:i]
            start, rows = i, 0
        rows += len(cluster)
    yield clusters[start:]
