"""A first guess of theta: one step of Fisher scoring on the entries of Omega from the identity.

In standardised units the identity is never absurd, and the criterion is so nearly quadratic in Omega under the expected information
tr P V_d P V_e - tr(P V_d) tr(P V_e) / nu (sigma profiled) that one step lands close to the optimum: Jennrich and Sampson (1976).
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import lapack

from ranef.core.layout import Layout
from ranef.core.pieces import Pieces, differentiate
from ranef.covariance.base import Array

SMALLEST = 0.01  # eigenvalue of Omega that the guess keeps from the boundary, where Newton's method would see a saddle


def scoring_start(pieces: Pieces, layout: Layout, theta: Array, nu: int, reml: bool, scale: float | None = None) -> Array:
    """theta after one scoring step from `theta`, whose pieces of order 2 are given."""
    traces = differentiate(pieces, nu, reml, scale)
    information = expected_information(pieces, nu, reml, scale)
    if information is None:
        information = traces.hessian
    assert information is not None
    ridge = 1e-10 * information.diagonal().max(initial=0.0)
    step = -np.linalg.solve(information + ridge * np.eye(len(information)), traces.gradient)
    out = np.empty_like(theta)
    for part, span, rows, columns in layout.spans:
        lam = part.covariance.factor(theta[part.theta])
        omega = lam @ lam.T
        omega[rows, columns] += step[span]  # in the lower triangle, which is all that is read of it
        values, vectors, _ = lapack.dsyevd(omega, lower=1)
        out[part.theta] = part.covariance.of_factor(vectors * np.sqrt(np.maximum(values, SMALLEST)))
    return out


def expected_information(pieces: Pieces, nu: int, reml: bool, scale: float | None = None) -> Array | None:
    """(K, K) twice the expected information of Omega, sigma profiled or known; None where the traces were too dear."""
    if pieces.h is None:
        return None
    assert pieces.t is not None and pieces.F is not None and pieces.e is not None
    trace, products = pieces.t, pieces.h
    if reml:
        fixed = pieces.F[:, :-1, :-1]
        flat = fixed.reshape(len(trace), fixed.shape[1] ** 2)
        trace = trace - flat[:, :: fixed.shape[1] + 1].sum(axis=1)
        products = products - 2.0 * pieces.e + flat @ flat.T
    return products - trace[:, None] * (trace / nu) if scale is None else products
