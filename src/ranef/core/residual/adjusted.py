"""Kenward and Roger's adjustment where the residuals have a structure: V is not linear in its parameters.

In the whitened basis, with psi the parameters that SAS uses (variances, covariances, correlations), T = d rho / d psi,

    Phi_A = Phi + 2 Phi^(1/2) sum_ij W_ij [ Q_ij - F_i F_j - R_ij / 4 ] Phi^(1/2),      R_ij = X'V^-1 V_ij V^-1 X

Beside variance functions the variances are those where log g has its average over the rows, so that the unit and origin of a
covariate do not matter. The linear variant leaves R out; it does not depend on the parameters, and for `un` both agree. Second
derivatives in psi follow from those in rho:

    d2 rho_k / d psi_i d psi_j = - sum_m T_km sum_ab (d2 psi_m / d rho_a d rho_b) T_ai T_bj

Kenward and Roger (1997), eq. 2-4; (2009), Comput. Stat. Data Anal. 53, 2583. docs/explanation/residual-structures.md, eq. 15-18.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.linalg import block_diag

from ranef.core.information import expected_traces, natural_directions
from ranef.core.pieces import rounding
from ranef.core.residual.rows import RowCovariance
from ranef.core.solution import Solution
from ranef.covariance.base import Array

Inverse = Callable[[Array, Array], Array]


@dataclass(frozen=True, eq=False)
class Adjusted:
    """(l, l) W, (l, r, r) F in the parameters psi, and (r, r) the sum of W_ij (Q_ij - R_ij / 4)."""

    W: Array
    F: Array
    spread: Array

    @classmethod
    def of(cls, solution: Solution, inverse: Inverse, *, observed: bool, linear: bool) -> Adjusted:
        criterion, pieces = solution.criterion, solution.pieces
        assert criterion.residual is not None and pieces.F is not None and pieces.y is not None and criterion.scale is not None
        matrix = expected_traces(criterion, solution.factors, pieces)
        if observed:
            cross = pieces.F[:, :-1, -1]
            matrix = 2.0 * (pieces.y - cross @ cross.T) / criterion.scale**2 - matrix
        q, K = criterion.layout.size, len(criterion.layout.diagonal)
        slopes, curves = _parameters(criterion.residual, solution.theta[q:])
        T = np.linalg.pinv(slopes)
        T[criterion.residual.zeros(solution.theta[q:])] = 0.0  # d tau / d tau^2 has no limit there, and the criterion still falls
        H = block_diag(natural_directions(criterion.layout, solution.theta), T)
        if observed and pieces.bend is not None:
            matrix[K:, K:] += pieces.bend.t - pieces.bend.x - pieces.bend.y / criterion.scale**2
        W = 2.0 * inverse(H.T @ matrix @ H, (np.abs(H.T) @ rounding(pieces)) ** 2)
        in_directions = H @ W @ H.T
        quadratic, curved = solution.structured.contracted(solution.factors, in_directions)
        F = pieces.F[:, :-1, :-1]
        if not linear:
            turn = -T @ np.einsum("mab,ab->m", curves, in_directions[K:, K:])
            quadratic = quadratic - 0.25 * (curved + np.tensordot(turn, F[K:], 1))
        return cls(W, np.tensordot(H.T, F, 1), quadratic)


def _parameters(covariance: RowCovariance, rho: Array) -> tuple[Array, Array]:
    """(l, q) first and (l, q, q) second derivatives of psi in rho: of the structure, the variance of the nugget, the exponents."""
    structure, nugget, *_ = covariance.spans
    jet = covariance.structure.kr_parameters(rho[structure])
    size = covariance.size
    first, second = np.zeros((size, size)), np.zeros((size, size, size))
    first[structure, structure], second[structure, structure, structure] = jet.first.T, np.moveaxis(jet.second, 2, 0)
    at = np.arange(nugget.start, nugget.stop)
    tau = np.abs(rho[nugget])
    first[at, at], second[at, at, at] = 2.0 * tau, 2.0
    rest = np.arange(nugget.stop, size)
    first[rest, rest] = 1.0
    if len(rest):
        values = np.concatenate([jet.value * _variances(covariance, rho[structure], jet.value), tau**2])
        _at_average_scale(covariance, rho, values, first, second)
    return first, second


def _variances(covariance: RowCovariance, own: Array, values: Array) -> Array:
    """(l,) one for parameters that are variances or covariances: those that a factor of two for all deviations makes fourfold."""
    doubled = covariance.structure.kr_parameters(covariance.structure.transformed(own, 2.0 * np.eye(covariance.structure.k))).value
    return np.asarray(np.abs(doubled - 4.0 * values) <= 1e-8 * np.abs(doubled)).astype(float) * (values != 0.0)


def _at_average_scale(covariance: RowCovariance, rho: Array, values: Array, first: Array, second: Array) -> None:
    """Let variances be those where log g has its average over the rows, in place: psi exp(2 m(delta) - 2 m(delta_hat)).

    At v = 1 or v = 0 instead, (15) would depend on the unit or the origin of a covariate.
    """
    slopes, curves = np.zeros(len(rho)), np.zeros((len(rho), len(rho)))
    for (function, v), span in zip(covariance.functions, covariance.spans[2:], strict=True):
        slopes[span] = function.slopes(v, rho[span]).mean(axis=-1)
        curves[span, span] = function.curvature(v, rho[span]).mean(axis=-1)
    for k, value in enumerate(values):
        if value:
            cross = 2.0 * np.outer(first[k], slopes)
            second[k] += cross + cross.T + value * (4.0 * np.outer(slopes, slopes) + 2.0 * curves)
            first[k] += 2.0 * value * slopes
