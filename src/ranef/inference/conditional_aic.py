"""Conditional AIC: how well a model predicts new rows of the same groups, from Gram blocks alone.

    -2 log f(y | beta_hat, b_hat) + 2 (rho + 1),        rho = sum_i d y_hat_i / d y_i

With y_hat = y - P y and theta_hat moving with y by d theta = -H^-1 d gradient, the effective number of parameters is

    rho = tr(I - P) + (2 nu / s) sum_kl (H^-1)_kl (v_k'v_l - a_l v_k'P y / s),        v_k = P V_k P y,  a_l = y'P V_l P y.

Where sigma is known, it costs no parameter, and 2 / sigma^2 v_k'v_l takes the place of the terms in s.

Without the second part (Vaida and Blanchard 2005) a random effect always seems worth its price. Greven and Kneib (2010), Biometrika
97, 773, theorem 3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ranef.core.criterion import Criterion
from ranef.core.information import omega_of
from ranef.core.solution import Solution
from ranef.covariance.base import Array
from ranef.fit.residual_side import refuse_structured

if TYPE_CHECKING:
    from ranef.fit.fit import Fit

FLAT = 1e-9


@dataclass(frozen=True)
class ConditionalAic:
    value: float
    parameters: float  # rho
    llf: float  # log f(y | beta_hat, b_hat)


def conditional_aic(fit: Fit) -> ConditionalAic:
    refuse_structured(fit, "The conditional AIC")
    solution, gram = fit.solution, fit.criterion.gram
    inner = _inner_products(solution)
    rss = float(inner[-1, -1])
    hat, extra = _hat(solution), _moving(fit, inner)
    sigma2 = (fit.sigma / gram.standard.unit) ** 2
    deviance = gram.nobs * float(np.log(2.0 * np.pi * fit.sigma**2)) - gram.log_weights + rss / sigma2
    spent = hat + extra + (0.0 if fit.model.design.known_variances else 1.0)
    return ConditionalAic(deviance + 2.0 * spent, hat + extra, -0.5 * deviance)


def _hat(solution: Solution) -> float:
    """tr(I - P) = n - (n - r - sum omega_d tr P V_d)."""
    criterion, pieces = solution.criterion, solution.pieces
    assert pieces.t is not None and pieces.F is not None
    traces = pieces.t - np.trace(pieces.F[:, :-1, :-1], axis1=1, axis2=2)
    return criterion.gram.rank + float(omega_of(criterion.layout, solution.factors) @ traces)


def _moving(fit: Fit, inner: Array) -> float:
    """What the estimation of theta adds."""
    criterion, pieces = fit.criterion, fit.solution.pieces
    if not criterion.size:
        return 0.0
    assert pieces.F is not None
    jacobian, s = criterion.layout.jacobian(fit.solution.theta), pieces.gls.pwrss
    products, along = jacobian @ inner[:-1, :-1] @ jacobian.T, jacobian @ inner[:-1, -1]
    a = jacobian @ pieces.F[:, -1, -1]
    values, vectors = np.linalg.eigh(fit.hessian)
    good = values > FLAT * max(values[-1], 0.0)
    inverse = (vectors[:, good] / values[good]) @ vectors[:, good].T
    if criterion.scale is not None:
        return float(2.0 / criterion.scale**2 * np.sum(inverse * products))
    return float(2.0 * criterion.nu / s * np.sum(inverse * (products - np.outer(along, a) / s)))


def _inner_products(solution: Solution) -> Array:
    """(K+1, K+1) of v_1 ... v_K and P y, each written as Z x + [X y] w."""
    criterion = solution.criterion
    r = criterion.gram.rank
    f, a, b = criterion.layout.directions
    K = len(f)
    omegas = [lam @ lam.T for lam in solution.factors]
    C = [np.zeros((*block.shape[:2], K)) for block in solution.projections]
    for d, (i, j, k) in enumerate(zip(f, a, b, strict=True)):
        u = solution.projections[i][:, :, -1]
        C[i][:, j, d] += u[:, k]
        if j != k:
            C[i][:, k, d] += u[:, j]
    spread = criterion.engine.apply(solution.factors, C) if K else C
    h = np.zeros((r, K))
    for part, block in zip(C, solution.projections, strict=True):
        h += np.tensordot(block[:, :, :-1], part, ((0, 1), (0, 1)))
    x = []
    for c, moved, block, omega in zip(C, spread, solution.projections, omegas, strict=True):
        inside = c - omega @ (moved - block[:, :, :-1] @ h)
        x.append(np.concatenate([inside, -(omega @ block[:, :, -1:])], axis=2))
    w = np.zeros((r + 1, K + 1))
    rotation = solution.pieces.gls.rotation()  # [X y] to [X L^-T, y - X gamma]
    w[:, :K] = -rotation[:, :-1] @ h
    w[:, K] = rotation[:, -1]
    return gram_products(criterion, x, w)


def gram_products(criterion: Criterion, x: list[Array], w: Array) -> Array:
    """(C, C) inner products of the columns of Z x + [X y] w."""
    gram = criterion.gram
    out = w.T @ gram.ww @ w
    for part, zz, zw in zip(x, gram.zz, gram.zw, strict=True):
        flat = part.reshape(-1, part.shape[2])
        cross = flat.T @ (zw @ w).reshape(len(flat), -1)
        out = out + flat.T @ (zz @ part).reshape(len(flat), -1) + cross + cross.T
    for (f, g), pair in gram.pairs.items():
        left = x[f][pair.rows]
        right = pair.values @ x[g][pair.columns]
        cross = left.reshape(-1, left.shape[2]).T @ right.reshape(-1, right.shape[2])
        out = out + cross + cross.T
    return np.asarray(out)
