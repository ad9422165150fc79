"""One step of the EM algorithm of Laird and Ware (1982), for teaching and comparison.

With Omega relative to sigma^2, r_j = Z_j'P y, R = sum r_j r_j' and M = sum of the tiles of Z_j'V^-1 Z_j (Z_j'P Z_j under REML),

    E:  b_j = Omega r_j,    Var(b_j | y) = sigma^2 (Omega - Omega M_j Omega)
    M:  Psi = (1/m) sum (b_j b_j' + Var(b_j | y)),    sigma^2 = (|e|^2 + sigma^2 tr H) / n,    Omega = Psi / sigma^2

where |e|^2 = y'Py - tr Omega R, and tr H = tr Omega M (+ rank X - the same of the whitened X under REML) is the effective number of
parameters. sigma^2 is profiled before each step (ECME), so that the criterion cannot rise.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ranef.core.layout import Layout
from ranef.core.pieces import Pieces
from ranef.covariance.base import Array


def em_step(pieces: Pieces, layout: Layout, theta: Array, n: int, nu: int, reml: bool, scale: float | None = None) -> Array:
    """theta after one E and one M step, from the pieces of order 1 at theta; `scale` is a known sigma."""
    assert pieces.t is not None and pieces.F is not None
    sigma2 = pieces.gls.pwrss / nu if scale is None else scale**2
    spread, rest = _spread(pieces, reml), pieces.F[:, -1, -1]
    parts, hat, explained = [], float(len(pieces.gls.gamma)) if reml else 0.0, 0.0
    at = 0
    for f, part in layout.parts:
        k = part.covariance.k
        rows, columns = np.nonzero(np.tril(part.covariance.support()))
        span = slice(at, at + len(rows))
        at += len(rows)
        M, R = (_symmetric(values[span], rows, columns, k) for values in (spread, rest))
        lam = part.covariance.factor(theta[part.theta])
        omega = lam @ lam.T
        hat += float(np.sum(omega * M))
        explained += float(np.sum(omega * R))
        parts.append((part, omega + omega @ (R / sigma2 - M) @ omega / layout.blocks[f].levels))
    ratio = sigma2 * n / (pieces.gls.pwrss - explained + sigma2 * hat) if scale is None else 1.0
    out = np.empty_like(theta)
    for part, psi in parts:
        values, vectors = np.linalg.eigh(psi * ratio)
        out[part.theta] = part.covariance.of_factor(vectors * np.sqrt(np.clip(values, 0.0, None)))
    return out


def _spread(pieces: Pieces, reml: bool) -> Array:
    """(K,) tr V^-1 V_d, or tr P V_d."""
    assert pieces.t is not None and pieces.F is not None
    return pieces.t - np.trace(pieces.F[:, :-1, :-1], axis1=1, axis2=2) if reml else pieces.t


def _symmetric(values: Array, rows: NDArray[np.intp], columns: NDArray[np.intp], k: int) -> Array:
    """(k, k) S with tr(E_d S) = values_d."""
    out = np.zeros((k, k))
    out[rows, columns] = np.where(rows == columns, values, values / 2.0)
    return np.where(np.eye(k, dtype=bool), out, out + out.T)
