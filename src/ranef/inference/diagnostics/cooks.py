"""Cook's distances of clusters: all of them where that is cheap, else those of the clusters that pull most."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ranef.covariance.base import Array
from ranef.design import Codes
from ranef.fit.points import chunks, design_points, marginal_mean, random_part, whitened
from ranef.fit.rows import row_labels
from ranef.inference.clusters import groupings, is_nested, members, stacks
from ranef.inference.diagnostics.replicates import has_structure
from ranef.inference.influence import influence
from ranef.inference.influence.answer import OVERHEAD
from ranef.inference.influence.held import Held

if TYPE_CHECKING:
    from ranef.fit.fit import Fit

AFFORDABLE = 3e8  # floating-point operations up to which clusters are deleted one by one
FEW = 5  # clusters that are deleted where that is dear


@dataclass(frozen=True, eq=False)
class Distances:
    """Of some levels of a grouping factor, or of rows."""

    name: str
    levels: NDArray[Any]  # (c,)
    cooks: Array  # (c,)
    total: int  # levels that there are


def cooks_distances(fit: Fit) -> list[Distances]:
    """By each grouping factor, the one with fewest levels first; of rows where there is none.

    Nothing without fixed effects, or with a residual structure.
    """
    if not len(fit.params) or has_structure(fit):
        return []
    if not fit.model.design.terms:
        name, labels = next(iter(row_labels(fit).items()))
        return [Distances(name, labels, influence(fit).cooks, fit.nobs)]
    groups = sorted(groupings(fit).values(), key=lambda group: group.size)
    return [_of_groups(fit, group.name, group.levels, group.codes) for group in groups]


def _of_groups(fit: Fit, name: str, levels: NDArray[Any], codes: Codes) -> Distances:
    m = len(levels)
    if m * (3 * fit.criterion.effort + OVERHEAD) <= AFFORDABLE:
        return Distances(name, levels, influence(fit, name).cooks, m)
    if all(is_nested(group.codes, codes) for group in groupings(fit).values()):
        return Distances(name, levels, apart(fit, codes), m)
    pull, rows = pulls(fit, codes), members(codes, m)
    most = np.sort(np.argsort(-pull, kind="stable")[:FEW])
    return Distances(name, levels[most], _deleted(fit, codes, [rows[j] for j in most]), m)


def _deleted(fit: Fit, codes: Codes, clusters: list[Codes]) -> Array:
    """(c,) Cook's distances with theta held; NaN where the rest does not determine the model."""
    held = Held.of(fit, codes)
    change = (held.gls.gamma - held.without(clusters).gamma) @ held.gls.lower * (fit.criterion.gram.standard.unit / fit.sigma)
    return np.asarray(np.einsum("cr,cr->c", change, change) / fit.criterion.gram.rank)


def pulls(fit: Fit, codes: Codes) -> Array:
    """(m,) |X_j'(Py)_j|^2 in the metric of beta: how strongly the residuals of each cluster pull on the coefficients."""
    X, residual, _ = _pieces(fit)
    scores = np.stack([np.bincount(codes, column * residual) for column in X.T], axis=1)
    return np.einsum("mr,mr->m", scores, scores)


def apart(fit: Fit, codes: Codes) -> Array:
    """(m,) Cook's distance of clusters that share no random effect, with the variances held, all at once:

    beta - beta_(j) = (A - A_j)^-1 s_j,   A = X'V^-1X,   A_j = X_j'(V^-1X)_j,   s_j = X_j'(V^-1(y - X beta))_j

    Christensen, Pearson and Johnson (1992), Technometrics 34, 38-45. NaN where the rest does not determine beta.
    """
    X, residual, inverse = _pieces(fit)
    m, r = int(codes.max()) + 1, X.shape[1]
    out = np.zeros(m)
    for which, rows in stacks(codes, lambda n: max(n, min(n, r)) * r):
        change = _changes(X[rows], inverse[rows], residual[rows])
        out[which] = np.einsum("cr,cr->c", change, change)
    return out / (max(r, 1) * fit.sigma**2)


def _changes(X: Array, inverse: Array, residual: Array) -> Array:
    """(c, r) (I - X'U)^-1 X'e of X and U (c, n, r) and e (c, n), by X'(I - U X')^-1 e where rows are fewer than columns."""
    across = np.swapaxes(X, 1, 2)
    short = X.shape[1] < X.shape[2]
    rest = np.eye(min(X.shape[1:])) - (inverse @ across if short else across @ inverse)
    right = residual[:, :, None] if short else across @ residual[:, :, None]
    determined = np.linalg.cond(rest) < 1e10
    rest[~determined] = np.eye(rest.shape[1])
    change = np.linalg.solve(rest, right)
    out = (across @ change if short else change)[:, :, 0]
    out[~determined] = np.nan
    return np.asarray(out)


def _pieces(fit: Fit) -> tuple[Array, Array, Array]:
    """(n, r) X in the columns in which X'V^-1X = I, (n,) V^-1 (y - X beta) = Py, and (n, r) V^-1 X."""
    solution, points = fit.solution, design_points(fit.model.design, fit.criterion.layout)
    residual = fit.model.design.y - marginal_mean(solution, points) - random_part(solution, points)
    X = points.X @ solution.white
    inverse = np.empty_like(X)
    for part in chunks(len(X)):
        inverse[part] = whitened(solution, points, part)[1] / points.noise[part, None]
    return X, residual / points.noise, inverse
