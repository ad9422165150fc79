"""Where the search for residual parameters begins.

Without random effects the residuals of least squares give a moment estimate of the covariance of each pair of visits, of which the
nearest member of the structure is taken. With random effects the fit with independent residuals gives their sizes. In both cases
correlations that moments do not tell are tried over a grid of values; the lowest criterion wins.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from ranef.core.residual.marginal import Rows
from ranef.core.residual.rows import RowCovariance
from ranef.covariance.base import Array

if TYPE_CHECKING:
    from ranef.core.criterion import Criterion

FEWEST = 3  # pairs of rows that a moment is trusted from
SMALLEST = 0.05  # share of the average variance that the eigenvalues of a moment matrix keep
CORRELATIONS = (0.3, 0.6, 0.0, 0.9, -0.4)  # the most likely ones first
GRID = np.arange(-2.5, 4.01, 0.1)  # added to the start of the parameter of a correlation by distance
COARSE = np.arange(-2.0, 3.01, 1.0)  # the same where there are two
SHARES = (1.0, 0.5)  # of the variance of random effects that the residuals may have taken over


def residual_starts(criterion: Criterion, random: Array, sigma: float) -> Iterator[Array]:
    """Candidates (q,): `random` are parameters of the random effects relative to `sigma`, the residual standard deviation found
    with them, in standardised units."""
    covariance = criterion.residual
    assert covariance is not None
    rho = list(_of_moments(criterion, covariance) if not len(random) else _of_size(covariance, sigma))
    for share in SHARES if len(random) else (1.0,):
        theta = _absolute(criterion, random, sigma * np.sqrt(share))
        yield from (np.concatenate([theta, start]) for start in rho)


def _absolute(criterion: Criterion, theta: Array, sigma: float) -> Array:
    out = np.empty_like(theta)
    for _, part in criterion.layout.parts:
        out[part.theta] = part.covariance.of_factor(sigma * part.covariance.factor(theta[part.theta]))
    return out


def _of_moments(criterion: Criterion, covariance: RowCovariance) -> Iterator[Array]:
    rows = Rows.of(criterion.gram, covariance)
    rest = rows.w[:, -1] - rows.w[:, :-1] @ (rows.w[:, :-1].T @ rows.w[:, -1])
    rest = rest * np.sqrt(len(rest) / max(criterion.gram.nobs - criterion.gram.rank, 1))
    sd = float(np.sqrt(np.mean(rest**2)))
    if covariance.term.visit is not None and covariance.structure.k > 1:
        yield _completed(covariance, covariance.structure.of_factor(_root(_moments(covariance, rest, sd))))
    yield from _of_size(covariance, sd)


def _moments(covariance: RowCovariance, rest: Array, sd: float) -> Array:
    """(T, T) average products of residuals at pairs of visits, made positive definite."""
    term, T = covariance.term, covariance.structure.k
    assert term.visit is not None
    codes, visit = term.subject.codes, term.visit
    table, there = np.zeros((term.subject.size, T)), np.zeros((term.subject.size, T))
    table[codes, visit], there[codes, visit] = rest, 1.0
    count = there.T @ there
    average = np.divide(table.T @ table, count, out=np.zeros((T, T)), where=count >= FEWEST)
    at = np.arange(T)
    average[at, at] = np.where(count[at, at] >= FEWEST, average[at, at], sd**2)
    average *= covariance.structure.support() | np.eye(T, dtype=bool)
    scale = np.sqrt(np.maximum(average[at, at], 1e-8 * sd**2))
    values, vectors = np.linalg.eigh(average / np.outer(scale, scale))
    return (vectors * np.maximum(values, SMALLEST)) @ vectors.T * np.outer(scale, scale)


def _of_size(covariance: RowCovariance, sd: float) -> Iterator[Array]:
    """Members of the structure with that standard deviation and correlations of several sizes."""
    structure = covariance.structure
    if covariance.term.visit is not None:
        lag = np.abs(np.subtract.outer(np.arange(structure.k), np.arange(structure.k)))
        for rho in CORRELATIONS if structure.k > 1 else CORRELATIONS[:1]:
            yield _completed(covariance, structure.of_factor(sd * _root(rho**lag if rho else np.eye(structure.k))))
        return
    start = structure.start()
    start[0] = sd
    many = len(start) > 2
    grids = [(COARSE if many else GRID) if j < 2 else (0.0,) for j in range(len(start) - 1)]
    for moved in itertools.product(*grids):
        yield _completed(covariance, start + np.concatenate([[0.0], moved]))


def _root(matrix: Array) -> Array:
    return np.asarray(np.linalg.cholesky(matrix), dtype=np.float64)


def _completed(covariance: RowCovariance, own: Array) -> Array:
    """rho: the structure, then a nugget of a third of its size, then constant variances."""
    scale = float(np.sqrt(np.mean(np.diag(covariance.structure.matrix(own))))) if covariance.nugget else 0.0
    parts = [own, np.full(covariance.nugget, scale / 3.0), *(function.start() for function, _ in covariance.functions)]
    return np.concatenate(parts)
