"""The variances between levels of a fit with known sampling variances: tau^2, its standard error and its interval.

standard error     of the expected information, 1/2 tr P V_k P V_l under REML, 1/2 tr V^-1 V_k V^-1 V_l under ML, or that of
                   the estimator that was used
Q-profile          one variance, and a level for each row (else Q need not fall to zero as tau^2 grows): tau^2 with
                   Q(tau^2) = y'P(tau^2) y at the quantiles of chi-squared on n - p df, which it has exactly: Viechtbauer (2007),
                   Statistics in Medicine 26, 37-52
profile            elsewhere: where the (restricted) criterion, minimised over all other variances, has risen by chi-squared(1)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from scipy.optimize import brentq
from scipy.special import chdtri

from ranef.core.criterion import Criterion
from ranef.core.information import natural_directions
from ranef.core.layout import Part
from ranef.core.scoring import expected_information
from ranef.covariance.base import Array
from ranef.inference.meta.estimators import NAMES, Studies, estimate
from ranef.optim.newton import descend
from ranef.optim.problem import Evaluation
from ranef.optim.trace import Trace

if TYPE_CHECKING:
    from ranef.fit.fit import Fit

FARTHEST = 1e6  # standard deviation, in those of a typical row, up to which a limit is sought


@dataclass(frozen=True)
class Component:
    """One variance: where it stands in theta, if theta holds its standard deviation alone."""

    group: str
    term: str
    variance: float
    std_error: float
    block: int
    place: int | None


def components(fit: Fit) -> list[Component]:
    """The variances of a fit, in the order of `varcorr`."""
    solution, covariance, out = fit.solution, information_inverse(fit), []
    for f, part in fit.criterion.layout.parts:
        term = fit.model.design.terms[part.term]
        root = solution.sigma * solution.root(f)[part.columns]
        for i, name in enumerate(term.names):
            gradient = _entry(fit, f, part, i)
            spread = float(np.sqrt(gradient @ covariance @ gradient)) if covariance is not None else np.nan
            alone = (part.covariance.size == 1 and part.covariance.k == 1) or part.covariance.word == "diag"
            place = part.theta.start + i if alone else None
            out.append(Component(term.group.name, name, float(root[i] @ root[i]), spread, f, place))
    method = fit.optimum.optimizer
    if method in NAMES and len(out) == 1:
        found = estimate(studies(fit), method)
        out = [Component(out[0].group, out[0].term, out[0].variance, found.std_error * fit.sigma**2, 0, out[0].place)]
    return out


def studies(fit: Fit) -> Studies:
    """Effects, variances and moderators, in units of a typical row."""
    design = fit.model.design
    assert design.weights is not None
    y = design.y if design.offset is None else design.y - design.offset
    return Studies(y / fit.sigma, 1.0 / design.weights, design.X[:, list(fit.criterion.gram.standard.kept)])


def information_inverse(fit: Fit) -> Array | None:
    """(K, K) covariance of the entries of the relative Omegas, by the expected information; None where it is too dear."""
    criterion, solution = fit.criterion, fit.solution
    products = expected_information(solution.pieces, criterion.nu, criterion.reml, criterion.scale)
    if products is None:
        return None
    G = natural_directions(criterion.layout, solution.theta)
    return np.asarray(2.0 * G @ np.linalg.pinv(G.T @ products @ G, hermitian=True) @ G.T)


def _entry(fit: Fit, f: int, part: Part, i: int) -> Array:
    """(K,) derivative of the i-th variance of a term in the entries of the relative Omegas."""
    blocks, rows, columns = fit.criterion.layout.directions
    s = np.linalg.inv(fit.criterion.gram.z_map(f))[part.columns.start + i]
    return np.where(blocks == f, s[rows] * s[columns] * np.where(rows == columns, 1.0, 2.0), 0.0) * fit.sigma**2


def interval(fit: Fit, component: Component, level: float) -> tuple[float, float, str]:
    """(low, high, method) of a variance; NaN where it is not a parameter of its own."""
    if component.place is None:
        return np.nan, np.nan, ""
    if fit.criterion.size == 1 and fit.criterion.layout.blocks[component.block].levels == fit.nobs:
        return *_q_profile(fit, component, level), "Q-profile"
    return *_profile(fit, component, level), "profile"


def generalised_q(criterion: Criterion, theta: Array | None = None) -> float:
    """y'P(theta) y on the scale of known variances; without theta at no random effects, Cochran's Q."""
    assert criterion.scale is not None
    none = [np.zeros((block.width, block.width)) for block in criterion.layout.blocks]
    factors = none if theta is None else criterion.layout.factors(theta)
    engine = criterion.engine_at(np.zeros(criterion.size))
    return max(engine.pieces(factors, 0).gls.pwrss, 0.0) / criterion.scale**2


def _q_profile(fit: Fit, component: Component, level: float) -> tuple[float, float]:
    criterion, tail = fit.criterion, (1.0 - level) / 2.0
    free = criterion.gram.nobs - criterion.gram.rank
    scale = _variance_per_theta(fit, component)

    def limit(height: float) -> float:
        def rise(theta: float) -> float:
            return generalised_q(criterion, np.array([theta])) - height

        if rise(0.0) <= 0.0:
            return 0.0
        high = 1.0
        while rise(high) > 0.0:
            high *= 2.0
            if high > FARTHEST:
                return np.inf
        return scale * float(brentq(rise, 0.0, high, xtol=1e-13 * high, rtol=1e-13)) ** 2

    return limit(float(chdtri(free, tail))), limit(float(chdtri(free, 1.0 - tail)))


def _variance_per_theta(fit: Fit, component: Component) -> float:
    """The variance over theta^2."""
    assert component.place is not None
    for f, part in fit.criterion.layout.parts:
        if part.theta.start <= component.place < part.theta.stop:
            s = np.linalg.inv(fit.criterion.gram.z_map(f))
            at = part.columns.start + component.place - part.theta.start
            return float((fit.sigma * s[at, at]) ** 2)
    raise AssertionError(component)


@dataclass(frozen=True, eq=False)
class Held:
    """The criterion with one standard deviation held: a problem for the optimizers."""

    blocks: ClassVar[tuple[()]] = ()  # theta is no stretch of factors

    criterion: Criterion
    place: int
    value: float

    def lift(self, theta: Array) -> Array:
        return np.insert(theta, self.place, self.value)

    def evaluate(self, theta: Array, order: int) -> Evaluation:
        at, free = self.criterion.evaluate(self.lift(theta), order), np.arange(self.criterion.size) != self.place
        gradient = None if at.gradient is None else at.gradient[free]
        hessian = None if at.hessian is None else at.hessian[np.ix_(free, free)]
        return Evaluation(theta, at.value, gradient, hessian, at.exact)


def _profile(fit: Fit, component: Component, level: float) -> tuple[float, float]:
    """Limits of the variance by the criterion of the fit, each point minimised from the last."""
    assert component.place is not None
    place, estimate_, scale = component.place, fit.optimum.theta, _variance_per_theta(fit, component)
    rise, at = float(chdtri(1.0, 1.0 - level)), np.delete(estimate_, component.place)

    def height(value: float) -> float:
        nonlocal at
        if not len(at):
            return fit.criterion.evaluate(np.array([value]), 0).value - fit.optimum.value - rise
        found = descend(Trace(Held(fit.criterion, place, value)), at, lambda _: False)  # type: ignore[arg-type]
        at = found.at.theta
        return found.at.value - fit.optimum.value - rise

    middle = float(estimate_[place])
    low = 0.0
    if middle > 0.0 and height(0.0) > 0.0:
        at = np.delete(estimate_, place)
        low = float(brentq(height, 0.0, middle, xtol=1e-10 * max(middle, 1e-6), rtol=1e-12))
    at, high = np.delete(estimate_, place), max(2.0 * middle, 0.1)
    while height(high) < 0.0:
        high *= 1.6
        if high > FARTHEST:
            return scale * low**2, np.inf
    return scale * low**2, scale * float(brentq(height, middle, high, xtol=1e-10 * high, rtol=1e-12)) ** 2
