"""The answers without each of many clusters, one after the other: what the tables of `influence` are made of."""

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


@dataclass(frozen=True, eq=False)
class Left:
    """What is left without some rows."""

    estimates: Array  # (P,) all parameters
    ratio: float  # sigma over that of the fit
    logdet: float  # log|X'V^-1X| less that of the fit
    theta: float  # Cook's distance of the variance parameters; NaN where theta is held


Leave = Callable[[Codes], Left | None]  # None where the rest does not determine the model


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

    def left(rows: Codes) -> Left | None:
        rest = held.without(rows)
        if rest is None:
            return None
        estimates = np.where(deviations, full * rest.ratio, full)
        estimates[:p] = to_user @ rest.gamma + shift
        return Left(estimates, rest.ratio, rest.logdet, np.nan)

    return left


def gram_left(fit: Fit, method: Method) -> Leave:
    """From the Gram blocks of the other rows."""
    deletion, before, theta = Deletion.of(fit), fit.solution, fit.optimum.theta

    def left(rows: Codes) -> Left | None:
        solution = deletion.without(rows, method)
        if solution is None:
            return None
        moved = np.nan
        if method != "fixed" and len(theta):
            off = solution.theta - theta
            moved = 0.5 * float(off @ fit.hessian @ off) / len(theta)
        logdet = solution.gls.logdet_x - before.gls.logdet_x
        return Left(of_solution(solution).estimates[0], solution.sigma / before.sigma, logdet, moved)

    return left


def watched(left: Leave, clusters: Sequence[Codes]) -> Iterator[Left | None]:
    """One after the other, with a sign of life; an interrupt ends the work and keeps what is done, unless that is nothing."""
    meter, done = Meter("influence", "deletions", len(clusters)), 0
    try:
        for rows in clusters:
            found = left(rows)
            done += 1
            meter.show(done)
            yield found
    except KeyboardInterrupt:
        if not done:
            raise
    finally:
        meter.close()
