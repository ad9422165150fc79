"""p values of likelihood ratios whose tested parameters lie on the boundary: mixtures of chi-squared distributions.

Near the smaller model the likelihood ratio is the squared length, in the metric of the information, of the projection of a Gaussian
vector on the cone of the tested parameters (`nested`). For f free parameters and one variance it is chi2(f) or chi2(f+1), each with
probability one half; for two separate variances the weights follow from one angle. In general, with the vector's length R and its
direction U independent,

    P(T > t) = E_U P(chi2(D) > t / s(U)),      s(U) = |projection of U|^2 in [0, 1],

so that only directions are simulated, and small p values keep their relative precision. Shapiro (1988), Int. Stat. Rev. 56, 49-62.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import chdtrc

from ranef.covariance.base import Array
from ranef.inference.nested import Cone

SETTLED, ROUNDS = 1e-7, 3000


@dataclass(frozen=True)
class BoundaryP:
    """`naive` takes no account of the boundary; `error` is the Monte Carlo standard error of `p` (zero if exact)."""

    p: float
    naive: float
    words: str
    error: float = 0.0


def boundary_p(ratio: float, cone: Cone, *, draws: int, seed: int) -> BoundaryP:
    """P(T >= ratio) for the cone's mixture."""
    t, f = max(ratio, 0.0), cone.free
    naive = tail(t, cone.size)
    if not cone.orders:
        return BoundaryP(naive, naive, f"chi2({f})")
    if cone.orders == (1,):
        return BoundaryP(0.5 * tail(t, f) + 0.5 * tail(t, f + 1), naive, f"1/2 chi2({f}) + 1/2 chi2({f + 1})")
    assert cone.metric is not None
    if cone.orders == (1, 1):
        w = 0.25 + np.arcsin(_correlation(cone.metric)) / (2.0 * np.pi)
        p = (0.5 - w) * tail(t, f) + 0.5 * tail(t, f + 1) + w * tail(t, f + 2)
        return BoundaryP(float(p), naive, f"{0.5 - w:.3f} chi2({f}) + 0.5 chi2({f + 1}) + {w:.3f} chi2({f + 2})")
    shares = projection_shares(cone, draws, seed)
    with np.errstate(divide="ignore"):
        ps = np.where(shares > 0, chdtrc(cone.size, t / shares), 0.0) if t > 0 else np.ones(draws)
    error = float(ps.std(ddof=1) / np.sqrt(draws))
    words = f"chi-bar-squared, {draws:,} simulated directions (seed {seed}), Monte Carlo error {error:.1g}"
    return BoundaryP(float(ps.mean()), naive, words, error)


def tail(t: float, df: int) -> float:
    """P(chi2(df) >= t), with a point mass at zero for no degrees of freedom."""
    return float(t <= 1e-12) if df == 0 else float(chdtrc(df, t))


def _correlation(metric: Array) -> float:
    """Of the two estimates whose information is given."""
    return float(np.clip(-metric[0, 1] / np.sqrt(metric[0, 0] * metric[1, 1]), -1.0, 1.0))


def projection_shares(cone: Cone, draws: int, seed: int) -> Array:
    """(draws,) s(U) for uniform directions U."""
    assert cone.metric is not None
    M = _frobenius(cone.metric, cone.orders)
    rng = np.random.default_rng(seed)
    u = rng.standard_normal((draws, cone.free + len(M)))
    inside, on_cone = u[:, : cone.free], u[:, cone.free :]
    lower = np.linalg.cholesky(M)
    z = np.linalg.solve(lower.T, on_cone.T).T
    left = (project(z, M, cone.orders) - z) @ lower
    total = np.einsum("ij,ij->i", u, u)
    squared = np.einsum("ij,ij->i", inside, inside) + np.einsum("ij,ij->i", on_cone, on_cone) - np.einsum("ij,ij->i", left, left)
    return np.clip(squared / total, 0.0, 1.0)


def project(z: Array, M: Array, orders: tuple[int, ...]) -> Array:
    """(draws, c) the points of the cone nearest to z in the metric M: accelerated projected gradient, all draws at once."""
    step = 1.0 / float(np.linalg.eigvalsh(M)[-1])
    x = _clip(z, orders)
    y, momentum = x, 1.0
    for _ in range(ROUNDS):
        new = _clip(y - step * (y - z) @ M, orders)
        faster = 0.5 * (1.0 + np.sqrt(1.0 + 4.0 * momentum**2))
        y = new + (momentum - 1.0) / faster * (new - x)
        change = float(np.abs(new - x).max())
        x, momentum = new, faster
        if change < SETTLED:
            break
    return x


def _clip(x: Array, orders: tuple[int, ...]) -> Array:
    """The nearest positive semi-definite matrices in the Frobenius norm."""
    out, at = np.empty_like(x), 0
    for d in orders:
        rows, columns = np.tril_indices(d)
        own = slice(at, at + len(rows))
        at += len(rows)
        if d == 1:
            out[:, own] = np.maximum(x[:, own], 0.0)
            continue
        weight = np.where(rows == columns, 1.0, np.sqrt(0.5))
        full = np.zeros((len(x), d, d))
        full[:, rows, columns] = full[:, columns, rows] = x[:, own] * weight
        values, vectors = np.linalg.eigh(full)
        full = (vectors * np.maximum(values, 0.0)[:, None, :]) @ vectors.swapaxes(1, 2)
        out[:, own] = full[:, rows, columns] / weight
    return out


def _frobenius(metric: Array, orders: tuple[int, ...]) -> Array:
    """The metric in units in which each matrix is about isotropic and the Euclidean norm is Frobenius's; the cone stays."""
    scale, at = np.empty(len(metric)), 0
    for d in orders:
        rows, columns = np.tril_indices(d)
        own = slice(at, at + len(rows))
        size = np.diag(metric)[own][rows == columns] ** 0.25
        scale[own] = size[rows] * size[columns] * np.where(rows == columns, 1.0, np.sqrt(2.0))
        at += len(rows)
    return metric / np.outer(scale, scale)
