"""Refits of a model with one grouping factor to many responses: Newton's method around the compiled pieces, without Python.

Lambda = sum_p theta_p basis_p is linear in theta. A point at which the Hessian is not positive definite is reported as not
converged, and left to the general optimizer.
"""

from __future__ import annotations

import numpy as np

from ranef.core.kernels.compiled_single import pieces
from ranef.core.kernels.jit import jit
from ranef.core.kernels.sums import Array, Index

LIMIT = 60
DECREMENT = 1e-10
ROUNDING = 1e-6
REACH = 4.0
SIZE = 0.25
SMALLEST = 1e-300


@jit
def in_theta(
    lam: Array, basis: Array, a: Index, b: Index, slopes: Array, curvature: Array, gradient: Array, hessian: Array
) -> None:
    """The chain rule through Omega = Lambda Lambda', from derivatives by direction: `Layout.jacobian` and `Layout.curvature`."""
    q, k, K = len(basis), lam.shape[0], len(a)
    J, weight = np.zeros((q, K)), np.zeros((k, k))
    for d in range(K):
        weight[a[d], b[d]] += 0.5 * slopes[d]
        weight[b[d], a[d]] += 0.5 * slopes[d]
        for p in range(q):
            for l in range(k):
                J[p, d] += basis[p, a[d], l] * lam[b[d], l] + lam[a[d], l] * basis[p, b[d], l]
    for p in range(q):
        total = 0.0
        for d in range(K):
            total += J[p, d] * slopes[d]
        gradient[p] = total
        for t in range(p + 1):
            total = 0.0
            for d in range(K):
                for e in range(K):
                    total += J[p, d] * curvature[d, e] * J[t, e]
            for i in range(k):
                for j in range(k):
                    for l in range(k):
                        total += 2.0 * weight[i, j] * basis[p, i, l] * basis[t, j, l]
            hessian[p, t], hessian[t, p] = total, total


@jit
def by_direction(t: Array, F: Array, second: Array, s: float, nu: float, reml: bool, slopes: Array, curvature: Array) -> None:
    """Gradient and Hessian in the entries of Omega: `pieces.differentiate`."""
    K, r = len(t), F.shape[1] - 1
    for d in range(K):
        slopes[d] = t[d] - nu * F[d, r, r] / s
        for i in range(r if reml else 0):
            slopes[d] -= F[d, i, i]
        for e in range(d + 1):
            middle, fixed = second[2, d, e], 0.0
            for i in range(r):
                middle -= F[d, i, r] * F[e, i, r]
                for l in range(r if reml else 0):
                    fixed += F[d, i, l] * F[e, i, l]
            total = 2.0 * nu * middle / s - nu * F[d, r, r] * F[e, r, r] / s / s - second[0, d, e]
            if reml:
                total += 2.0 * second[1, d, e] - fixed
            curvature[d, e], curvature[e, d] = total, total


@jit
def newton_step(gradient: Array, hessian: Array, step: Array) -> tuple[bool, float]:
    """The Newton step, with a ridge where the Hessian is not positive definite; (without a ridge, decrement)."""
    q = len(gradient)
    unit, factor, ridge, good = np.empty(q), np.empty((q, q)), 0.0, False
    for p in range(q):
        unit[p] = 1.0 / np.sqrt(max(abs(hessian[p, p]), 1e-12))
    while not good:
        good = True
        for p in range(q):
            for t in range(p + 1):
                total = hessian[p, t] * unit[p] * unit[t] + (ridge if p == t else 0.0)
                for l in range(t):
                    total -= factor[p, l] * factor[t, l]
                if p == t:
                    good = good and total > 1e-12
                    factor[p, p] = np.sqrt(max(total, 1e-12))
                else:
                    factor[p, t] = total / factor[t, t]
        if not good:
            ridge = max(4.0 * ridge, 0.01)
    decrement = 0.0
    for p in range(q):
        total = -gradient[p] * unit[p]
        for l in range(p):
            total -= factor[p, l] * step[l]
        step[p] = total / factor[p, p]
        decrement += 0.5 * step[p] * step[p]
    for p in range(q - 1, -1, -1):
        total = step[p]
        for l in range(p + 1, q):
            total -= factor[l, p] * step[l]
        step[p] = total / factor[p, p]
    step *= unit
    return ridge == 0.0, decrement


@jit
def descend(
    start: Array, E: Array, pattern: Index, lower: Array, count: Array, rest: Array, basis: Array, a: Index, b: Index,
    nu: float, reml: bool,
) -> tuple[bool, Array, float, Array, Array, float]:  # fmt: skip
    """Newton's method; (converged, theta, log|V| (+ log|X'V^-1X|) + nu log s, L, gamma, s)."""
    q, K, k, r = len(start), len(a), E.shape[1], E.shape[2] - 1
    gradient, hessian, step = np.zeros(q), np.zeros((q, q)), np.zeros(q)
    slopes, curvature, lam = np.empty(K), np.empty((K, K)), np.empty((k, k))
    theta, trial, value, s, slope, length = start.copy(), start.copy(), np.inf, 0.0, 0.0, 1.0
    L, gamma = np.eye(r), np.zeros(r)
    convex, decrement, shortened, steps = True, np.inf, 0, 0
    while steps < LIMIT and shortened < 30:
        lam[:] = 0.0
        for p in range(q):
            lam += trial[p] * basis[p]
        failed, logdet, L_new, gamma_new, s_new, logdet_x, t, F, second = pieces(lower, count, E, pattern, rest, lam, a, b, 2)
        s_new = max(s_new, SMALLEST)
        new = np.inf if failed else logdet + nu * np.log(s_new) + (logdet_x if reml else 0.0)
        if value == np.inf and failed:
            return False, theta, value, L, gamma, s
        if value < np.inf and not value - new >= -1e-4 * length * slope - 1e-15 * abs(value):
            length *= 0.35
            shortened += 1
        else:
            theta[:], value, s, L, gamma = trial, new, s_new, L_new, gamma_new
            by_direction(t, F, second, s, nu, reml, slopes, curvature)
            in_theta(lam, basis, a, b, slopes, curvature, gradient, hessian)
            convex, decrement = newton_step(gradient, hessian, step)
            if decrement <= DECREMENT:
                return convex, theta, value, L, gamma, s
            slope, longest, largest = 0.0, 0.0, 0.0
            for p in range(q):
                slope += gradient[p] * step[p]
                longest, largest = max(longest, abs(step[p])), max(largest, abs(theta[p]))
            length, shortened, steps = min(1.0, REACH * (SIZE + largest) / longest), 0, steps + 1
        trial[:] = theta + length * step
    return convex and decrement < ROUNDING, theta, value, L, gamma, s


@jit
def refit(
    E: Array, pattern: Index, lower: Array, count: Array, rest: Array, basis: Array, a: Index, b: Index, starts: Array,
    nu: float, reml: bool, Ey: Array, rest_y: Array, theta: Array, gamma: Array, factor: Array, s: Array, value: Array, done: Array,
) -> None:  # fmt: skip
    """Fits each response i, given by Ey[i] (G, k) and rest_y[i] (r+1,), from each start, and keeps the best.

    Writes theta (n, q), gamma (n, r), factor (n, r, r) = L, s = y'Py (n,), value (n,) and done (n,).
    """
    r = E.shape[2] - 1
    own, own_rest = E.copy(), rest.copy()
    for i in range(len(Ey)):
        own[:, :, r] = Ey[i]
        own_rest[r, :] = rest_y[i]
        own_rest[:, r] = rest_y[i]
        value[i], done[i] = np.inf, False
        for start in range(len(starts)):
            good, at, reached, L, coefficients, rss = descend(
                starts[start], own, pattern, lower, count, own_rest, basis, a, b, nu, reml
            )
            if (good and not done[i]) or (good == done[i] and reached < value[i]):
                theta[i], gamma[i], factor[i], s[i], value[i], done[i] = at, coefficients, L, rss, reached, good
