"""The residual structure of a fit on the user's scale: its parameters, its matrices, and what it says of each row."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ranef.core.residual.engine import Index, RowMoments
from ranef.core.residual.marginal import Marginal
from ranef.core.residual.rows import RowCovariance
from ranef.covariance.base import Array
from ranef.covariance.held import Held
from ranef.covariance.identity import Identity
from ranef.covariance.natural import FREE, POSITIVE, Parameter, limits_of
from ranef.design import Grouping, ResidualTerm
from ranef.errors import ModelError
from ranef.fit.structures import HELD, RULES
from ranef.table import Table

if TYPE_CHECKING:
    from ranef.fit.fit import Fit


def refuse_structured(fit: Fit, what: str, instead: str | None = None) -> None:
    """Raises ModelError for a fit with a residual structure, for which `what` is not defined or not there."""
    if fit.criterion.residual is not None:
        which = "correlated sampling errors" if fit.model.design.known_variances else "a residual structure"
        raise ModelError(f"{what} is not available for models with {which}.", hint=instead)


def unit_of(fit: Fit) -> float:
    """The user's units of one standardised unit."""
    return fit.criterion.gram.standard.unit


def rho_of(fit: Fit) -> Array:
    """The residual parameters, in standardised units."""
    return fit.solution.theta[fit.criterion.layout.size :]


def reference_sd(fit: Fit) -> float:
    """The residual standard deviation at the first position of the structure, of a row with weight one and g = 1."""
    covariance = fit.criterion.residual
    assert covariance is not None
    return unit_of(fit) * float(np.sqrt(_reference_variance(covariance, rho_of(fit))))


def _reference_variance(covariance: RowCovariance, rho: Array) -> float:
    own = rho[covariance.spans[0]]
    first = float(covariance.structure.matrix(own)[0, 0]) if covariance.term.coordinates is None else float(own[0] ** 2)
    return first + float(np.sum(rho[covariance.spans[1]] ** 2))


def relative_noise(fit: Fit) -> Array:
    """(n,) the residual variance of each row over that of the reference."""
    covariance = fit.criterion.residual
    assert covariance is not None
    rows = np.arange(fit.nobs)[:, None]
    own = covariance.at(rho_of(fit)).matrix(rows)[:, 0, 0] / _reference_variance(covariance, rho_of(fit))
    weights = fit.model.design.weights
    return own if weights is None else own / weights


def average_variance(fit: Fit) -> tuple[float, Array]:
    """The mean residual variance of the rows, were their weights one, and (q,) its slopes in rho."""
    covariance = fit.criterion.residual
    assert covariance is not None
    return mean_variance(covariance, rho_of(fit), fit.nobs, unit_of(fit))


def mean_variance(covariance: RowCovariance, rho: Array, n: int, unit: float) -> tuple[float, Array]:
    """The same at any rho."""
    residuals, rows = covariance.at(rho), np.arange(n)[:, None]
    return unit**2 * float(residuals.matrix(rows).mean()), unit**2 * residuals.first(rows).mean(axis=(1, 2, 3))


def homogeneous(fit: Fit) -> bool:
    """Is the residual variance the same wherever the weights are?"""
    covariance = fit.criterion.residual
    if covariance is None:
        return True
    if covariance.functions:
        return False
    if covariance.term.coordinates is not None:
        return True
    variances = np.diag(covariance.structure.matrix(rho_of(fit)[covariance.spans[0]]))
    return bool(np.ptp(variances) <= 1e-12 * variances.max())


def independent_engine(fit: Fit) -> Marginal:
    """The engine of clusters for a fit with independent residuals, in which V is relative to sigma^2."""
    rows = np.arange(fit.nobs)
    subject = Grouping("row", (), rows.astype(object), rows)
    term = ResidualTerm("id", subject, Identity(1), np.zeros(fit.nobs, dtype=np.intp), None, ("",))
    return Marginal.of(fit.criterion.gram, RowCovariance(term)).at(np.ones(1))


def row_moments(fit: Fit) -> RowMoments:
    return fit.solution.structured.row_moments(fit.solution.factors)


def normalized(fit: Fit, values: Array, marginal: bool) -> Array:
    """(n,) values (n,) on the user's scale times the inverse of the Cholesky factor of their covariance, subject by subject."""
    weights = fit.model.design.weights
    scaled = values / unit_of(fit) if weights is None else values * np.sqrt(weights) / unit_of(fit)
    engine = fit.solution.structured
    if marginal and not isinstance(engine, Marginal):
        raise ModelError(
            "Normalized marginal residuals need the whole covariance matrix, which factors that join so many rows make too large.",
            hint='residuals("normalized") without level="marginal" needs no such matrix.',
        )
    return engine.normalized(fit.solution.factors, scaled, marginal)


def residual_parameters(fit: Fit, level: float = 0.95) -> Table:
    """The parameters of the residual structure with standard errors and intervals: term estimate std_error conf_low conf_high.

    Standard errors come from the observed information; intervals are symmetric for the logarithm of standard deviations and
    ranges and for Fisher's z of correlations.
    """
    parameters, values, slopes = natural_parameters(fit)
    q = fit.criterion.layout.size
    spread = fit.variance_parameters.covariance[q:, q:]
    errors = np.sqrt(np.clip(np.einsum("la,ab,lb->l", slopes, spread, slopes), 0.0, None))
    errors[(slopes[:, spread.diagonal() == 0.0] != 0.0).any(axis=1)] = np.nan  # of which the data say nothing
    low, high = limits_of(parameters, values, errors, level)
    fixed = ~np.any(slopes, axis=1)  # held, and without an error
    at_zero = fit.criterion.residual is not None and fit.criterion.residual.zeros(rho_of(fit))
    fixed |= (slopes[:, at_zero] != 0.0).any(axis=1)  # a deviation of zero has no normal error
    errors, low, high = (np.where(fixed, np.nan, x) for x in (errors, low, high))
    columns = {
        "term": [parameter.name for parameter in parameters],
        "estimate": values,
        "std_error": errors,
        "conf_low": low,
        "conf_high": high,
    }
    assert fit.model.design.residual is not None
    title = f"Residual covariance: {fit.model.design.residual.label}"
    notes = (HELD,) if isinstance(fit.model.design.residual.structure, Held) else ()
    return Table(columns, title=title, frame_kind=fit.model.rows.frame, rules=RULES, notes=notes)


def natural_parameters(fit: Fit) -> tuple[list[Parameter], Array, Array]:
    """What people read of the residual structure: names, values (l,) on the user's scale, slopes (l, q) in rho."""
    covariance, term = fit.criterion.residual, fit.model.design.residual
    if covariance is None or term is None:
        raise ModelError("The model has no residual structure.", hint='Give one: residual="ar1(visit | subject)".')
    return natural_of(covariance, rho_of(fit), unit_of(fit))


def natural_of(covariance: RowCovariance, rho: Array, unit: float) -> tuple[list[Parameter], Array, Array]:
    """The same at any rho, for a standardised unit of that size."""
    term = covariance.term
    natural = covariance.structure.natural(rho[covariance.spans[0]], term.visits)
    parameters, values = list(natural.parameters), [natural.values]
    slopes = [_placed(natural.jacobian, covariance.spans[0], covariance.size)]
    if covariance.nugget:
        parameters.append(Parameter("sd", "nugget", POSITIVE))
        values.append(np.abs(rho[covariance.spans[1]]))
        slopes.append(_placed(np.ones((1, 1)), covariance.spans[1], covariance.size))
    for (function, _), span in zip(covariance.functions, covariance.spans[2:], strict=True):
        own, step = rho[span], 1e-6
        bounds = POSITIVE if function.positive else FREE
        parameters += [Parameter(name, bounds=bounds) for name in function.names]
        values.append(function.natural(own))
        moved = [(function.natural(own + d) - function.natural(own - d)) / (2 * step) for d in step * np.eye(len(own))]
        slopes.append(_placed(np.array(moved).T, span, covariance.size))
    scale = np.array([unit if parameter.kind == "sd" else 1.0 for parameter in parameters])
    return parameters, np.concatenate(values) * scale, np.vstack(slopes) * scale[:, None]


def _placed(slopes: Array, span: slice, size: int) -> Array:
    out = np.zeros((len(slopes), size))
    out[:, span] = slopes
    return out


def residual_covariance(fit: Fit, *, correlation: bool = False, subject: object = None, marginal: bool = False) -> Table:
    """The estimated covariance (or correlation) matrix of the residuals, over the visits or for the rows of one subject.

    With `marginal` the random effects are added: the covariance of the responses of that subject's cluster, whose rows are shown.
    Raises ModelError for a model without structure, for a structure by distance without a subject, and for an unknown subject.
    """
    covariance, term = fit.criterion.residual, fit.model.design.residual
    if covariance is None or term is None:
        raise ModelError("The model has no residual structure.", hint='Give one: residual="ar1(visit | subject)".')
    if subject is None and not marginal and term.coordinates is None and not covariance.functions:
        matrix, labels = covariance.structure.matrix(rho_of(fit)[covariance.spans[0]]), term.visits
        matrix = matrix + np.eye(len(matrix)) * float(np.sum(rho_of(fit)[covariance.spans[1]] ** 2))
    else:
        rows = _rows_of(fit, subject)
        matrix = covariance.at(rho_of(fit)).matrix(rows[None])[0]
        labels = tuple(str(i) for i in rows) if term.visit is None else tuple(term.visits[v] for v in term.visit[rows])
        if marginal:
            matrix = matrix + _random_covariance(fit, rows)
        weights = fit.model.design.weights
        if weights is not None:
            matrix = matrix / np.sqrt(np.outer(weights[rows], weights[rows]))
    matrix = matrix * unit_of(fit) ** 2
    if correlation:
        sd = np.sqrt(np.diag(matrix))
        matrix = matrix / np.outer(sd, sd)
    what = "correlation" if correlation else "covariance"
    title = f"Estimated {what} matrix of the {'responses' if marginal else 'residuals'}"
    columns = {"row": list(labels), **{str(label): matrix[:, j] for j, label in enumerate(labels)}}
    return Table(columns, title=title, frame_kind=fit.model.rows.frame)


def _rows_of(fit: Fit, subject: object) -> Index:
    term = fit.model.design.residual
    assert term is not None
    levels = [str(level) for level in term.subject.levels]
    counts = np.bincount(term.subject.codes)
    if subject is None:
        place = int(counts.argmax())
    elif str(subject) in levels:
        place = levels.index(str(subject))
    else:
        shown = ", ".join(levels[:10])
        raise ModelError(
            f"{term.subject.name} has no level {subject!r}.", hint=f"Levels: {shown}{', …' if len(levels) > 10 else ''}."
        )
    rows = np.flatnonzero(term.subject.codes == place)
    return rows if term.visit is None else rows[np.argsort(term.visit[rows], kind="stable")]


def _random_covariance(fit: Fit, rows: Index) -> Array:
    """(n, n) Z Omega Z' of some rows, in standardised units."""
    from ranef.fit.points import design_points

    points = design_points(fit.model.design, fit.criterion.layout)
    out = np.zeros((len(rows), len(rows)))
    for f, (codes, z) in enumerate(zip(points.codes, points.z, strict=True)):
        scores = z[rows] @ fit.solution.root(f)
        out += (scores @ scores.T) * (codes[rows][:, None] == codes[rows])
    return out
