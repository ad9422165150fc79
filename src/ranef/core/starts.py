"""Where the search for the optimum begins, from where it begins anew, and which other optima are looked for.

The criterion is asked through its evaluations; what is found is kept by the criterion (`Criterion.ranked`).

docs/explanation/optimization.md; likelihood.md, section 5.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, cast

import numpy as np

from ranef.core.kernels.threads import one_thread
from ranef.core.mivque import mivque_start
from ranef.core.pieces import Gls, Known, LinAlgError
from ranef.core.residual.start import residual_starts
from ranef.core.scoring import scoring_start
from ranef.core.single import Single
from ranef.covariance.base import Array
from ranef.covariance.scaled import Scaled
from ranef.optim import minimise
from ranef.optim.newton import propose
from ranef.optim.problem import Evaluation

if TYPE_CHECKING:
    from ranef.core.block import Block
    from ranef.core.criterion import Criterion

DEAR = 1e8  # floating-point operations of an evaluation, beyond which few starts are compared
FEW_STARTS = 8  # candidates for residual parameters from which a search begins anew
RIVALS = 5  # the same, where the first start and its multiples agree
RANGES, SIGNS = 0.95, 0.2  # differences of logarithms of ranges, and of Fisher's z, between such candidates
SIZES = np.append(0.0, np.geomspace(1e-3, 1e3, 19))  # standard deviations at which the criterion of a single one is looked at
SETTLED = 1.0  # standard errors by which coefficients may differ where one optimum is looked for
SHORT = 0.5  # a step with estimated traces that is longer than this share of theta is not taken
FAR, LONG = 25.0, 0.1  # a decrement, and a step relative to theta, after which the next one is not small enough for one exact step


def start(criterion: Criterion) -> Array:
    """One scoring step from the identity (which costs one evaluation), or moments where an evaluation is dear."""
    if criterion.residual is not None and criterion.residual.size:
        return criterion.ranked[0]
    if criterion.layout.differenced:
        return min(_far_and_near(criterion), key=lambda theta: criterion.evaluate(theta, 0).value)
    if not criterion.engine.exact:
        return _sketched(criterion, mivque_start(criterion.gram))
    theta = criterion.layout.start()
    try:
        return scoring_start(criterion.pieces(theta, 2), criterion.layout, theta, criterion.nu, criterion.reml, criterion.scale)
    except LinAlgError:
        return theta


def _sketched(criterion: Criterion, theta: Array) -> Array:
    """theta after one or two steps with estimated traces, where those are cheap, and as far as they are short."""
    for _ in range(2):
        try:
            with one_thread():
                pieces = cast("Block", criterion.engine).sketch(criterion.layout.factors(theta))
        except LinAlgError:
            return theta
        if pieces is None:
            return theta
        model = propose(criterion.evaluation(theta, pieces))
        if model.saddle or not np.abs(model.step).max() <= SHORT * np.abs(theta).max():  # NaN where single precision did not do
            return theta
        near = model.decrement < FAR and (np.abs(model.step) < LONG * np.abs(theta)).all()
        theta = theta + model.step
        if near:
            return theta
    return theta


def _far_and_near(criterion: Criterion) -> Iterator[Array]:
    """Starts of several sizes, whose correlations reach far or not."""
    for size, shift in itertools.product((0.1, 0.3, 1.0, 3.0), (-1.5, 0.0, 1.5)):
        theta = criterion.layout.multiple(size)
        for _, part in criterion.layout.parts:
            if isinstance(part.covariance, Scaled):
                theta[part.theta.start + part.covariance.scales : part.theta.stop] += shift
        yield theta


def ranked(criterion: Criterion) -> list[Array]:
    """The candidates, best first; without random effects each with the scale that is best for it."""
    found: list[tuple[float, int, Array]] = []
    for theta in _candidates(criterion):
        scalable = not criterion.layout.blocks and criterion.residual is not None and criterion.residual.term.known is None
        value, theta = _rescaled(criterion, theta) if scalable else (criterion.evaluate(theta, 0).value, theta)
        found.append((value, len(found), theta))
    return [theta for _, _, theta in sorted(found, key=lambda entry: entry[:2])]


def _rescaled(criterion: Criterion, theta: Array) -> tuple[float, Array]:
    """The criterion at the best multiple c^2 V of V(theta), c^2 = s / nu, and the parameters there."""
    assert criterion.residual is not None
    try:
        pieces = criterion.pieces(theta, 0)
    except LinAlgError:
        return np.inf, theta
    s, out = pieces.gls.pwrss, theta.copy()
    criterion.residual.rescale(out, float(np.sqrt(s / criterion.nu)))
    return criterion.value(pieces) - s + criterion.nu * (1.0 + float(np.log(s / criterion.nu))), out


def _candidates(criterion: Criterion) -> Iterator[Array]:
    if not criterion.layout.blocks:
        return residual_starts(criterion, np.zeros(0), 1.0)
    plain = type(criterion).of_gram(criterion.gram, criterion.reml)
    theta = minimise(plain).theta
    found = residual_starts(criterion, theta, float(np.sqrt(plain.pieces(theta, 0).gls.pwrss / plain.nu)))
    return itertools.islice(found, 3) if criterion.effort > DEAR else found


def starts(criterion: Criterion) -> Iterator[Array]:
    """The start of each structure at sizes over four orders of magnitude."""
    if criterion.residual is not None and criterion.residual.size:
        yield from criterion.ranked[1:FEW_STARTS]
        return
    for size in (1.0, 0.1, 10.0, 0.01, 100.0):
        yield criterion.layout.multiple(size)


def profile(criterion: Criterion, at: Evaluation) -> list[Evaluation] | None:
    """The criterion of a single random intercept or slope at standard deviations over six orders of magnitude, all at once."""
    engine, widths = criterion.engine, [block.width for block in criterion.layout.blocks]
    if criterion.residual is not None or not isinstance(engine, Single) or (criterion.size, widths) != (1, [1]):
        return None
    sizes = np.sort(np.append(SIZES, np.abs(at.theta)))
    try:
        values = criterion.values(*engine.single_effects(sizes))
    except LinAlgError:
        return None
    return [at if size == abs(at.theta[0]) else Evaluation(np.array([size]), value) for size, value in zip(sizes, values.tolist())]


def settled(criterion: Criterion, at: Evaluation, others: Sequence[Evaluation]) -> bool:
    """Do large and small variances leave the coefficients within a standard error of those `at` an optimum?

    Optima that differ in their variances then have nothing to differ about, as long as each random column is a combination of
    fixed ones, and covariances do not come from few levels.
    """
    if criterion.residual is not None or criterion.rugged or not criterion.gram.hierarchical:
        return False
    if not all(isinstance(e.found, Known) for e in (at, *others)):
        return False
    own, *rest = (cast("Known", e.found).pieces.gls for e in (at, *others))
    return all(_distance(criterion, own, gls) < SETTLED > _distance(criterion, gls, own) for gls in rest)


def _distance(criterion: Criterion, gls: Gls, other: Gls) -> float:
    """Between coefficients, in the standard errors of `gls`."""
    sigma = criterion.scale or np.sqrt(gls.pwrss / criterion.nu)
    return float(np.linalg.norm(gls.lower.T @ (other.gamma - gls.gamma))) / sigma


def rivals(criterion: Criterion) -> Iterator[Array]:
    """Effects of a factor that are alike; other correlations of the residuals, for each of which the likelihood may have an
    optimum beside random effects.

    The best candidates that are unlike each other; those of neighbouring ranges lead to one optimum.
    """
    yield from _alike(criterion)
    if criterion.residual is None or not criterion.residual.size or not criterion.layout.blocks:
        return
    own, apart = criterion.layout.size, RANGES if criterion.residual.term.visit is None else SIGNS
    taken = [criterion.ranked[0]]
    for theta in criterion.ranked:
        if all(np.abs(theta[own:] - other[own:]).max(initial=0.0) > apart for other in taken):
            taken.append(theta)
            yield theta
        if len(taken) > RIVALS:
            return


def _alike(criterion: Criterion) -> Iterator[Array]:
    """theta where the effects of each `(0 + f | g)` are nearly one large intercept of g, which multiples of the identity are
    not: Omega = 3 (11') + I / 10 on the user's scale.
    """
    theta, found = criterion.layout.multiple(1.0), False
    for f, part in criterion.layout.parts:
        term, k = criterion.gram.standard.design.terms[part.term], part.covariance.k
        if part.covariance.word == "un" and k > 1 and term.z is not None and (term.z.sum(axis=1) == 1.0).all():
            root = criterion.gram.z_map(f)[part.columns, part.columns] @ np.linalg.cholesky(np.full((k, k), 3.0) + 0.1 * np.eye(k))
            theta[part.theta], found = part.covariance.of_factor(root), True
    if found:
        yield criterion.completed(theta)
