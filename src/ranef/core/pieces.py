"""What every engine answers at Lambda, and what the criterion makes of it.

With V = I + Z Omega Z' and, for each free entry d of Omega, V_d = dV/d omega_d = Z (I kron E_d) Z':

    logdet_u  log |V|
    gls       generalised least squares from W = [X y]'V^-1[X y]
    t_d       tr V^-1 V_d
    F_d       B'E_d B summed over levels, B = Z'V^-1[X L^-T, y - X gamma]: whitened, so that X'V^-1X becomes I
    h_de      tr V^-1 V_d V^-1 V_e
    e_de      sum over the whitened columns c of X of   c'V^-1 V_d V^-1 V_e V^-1 c
    y_de      r'V_d V^-1 V_e r with r = P y

so that, with P = V^-1 - V^-1 X (X'V^-1X)^-1 X'V^-1, tr P V_d = t - tr F^xx, tr P V_d P V_e = h - 2e + tr F_d^xx F_e^xx,
y'P V_d P y = F_d^yy and y'P V_d P V_e P y = y_de - F_d^yx F_e^xy. Satterthwaite and Kenward-Roger need nothing else.

docs/explanation/likelihood.md, eq. 5-13.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.linalg import LinAlgError, blas, lapack

from ranef.core.layout import Layout
from ranef.covariance.base import Array

NOISE = 1e-6  # root of the share of a sum that is rounding


@dataclass(frozen=True, eq=False)
class Gls:
    """Generalised least squares from W = [X y]'V^-1[X y]; `lower` L has L L' = X'V^-1 X."""

    lower: Array  # (r, r)
    gamma: Array  # (r,)
    pwrss: float  # y'Py
    logdet_x: float

    @classmethod
    def of(cls, W: Array) -> Gls:
        """Raises LinAlgError when X'V^-1X is not positive definite to working precision."""
        r = len(W) - 1
        if r == 0:
            return cls(np.zeros((0, 0)), np.zeros(0), float(W[0, 0]), 0.0)
        lower, info = lapack.dpotrf(W[:r, :r], lower=1)
        if info:
            raise LinAlgError("X'V^-1X is not positive definite")
        white = blas.dtrsv(lower, W[:r, r], lower=1)  # not LAPACK's dtrtrs, which wakes threads at any size
        gamma = blas.dtrsv(lower, white, lower=1, trans=1)
        pwrss = float(W[r, r] - white @ white)
        return cls(lower, gamma, pwrss, 2.0 * sum(map(math.log, lower.diagonal().tolist())))

    def rotation(self) -> Array:
        """(r+1, r+1) right factor that turns Z'V^-1[X y] into B."""
        r = len(self.gamma)
        out = np.zeros((r + 1, r + 1))
        if r:
            out[:r, :r] = lapack.dtrtri(self.lower, lower=1)[0].T
        out[:r, r] = -self.gamma
        out[r, r] = 1.0
        return out

    def moved(self, change: Array) -> Gls:
        """The same after a step in Omega so short that its square is rounding: `change` (r+1, r+1) is sum_d step_d F_d, what
        [X L^-T, y - X gamma]'V^-1[X L^-T, y - X gamma] loses."""
        r = len(self.gamma)
        shorter = np.eye(r + 1) - change
        shorter[r, r] += self.pwrss - 1.0
        own = Gls.of(shorter)
        lower = self.lower @ own.lower
        gamma = self.gamma + blas.dtrsv(self.lower, own.gamma, lower=1, trans=1) if r else self.gamma
        return Gls(lower, gamma, own.pwrss, 2.0 * float(np.log(lower.diagonal()).sum()))


@dataclass(frozen=True, eq=False)
class Bend:
    """What the second derivatives V_kl in R parameters in which V is not linear add: tr V^-1 V_kl, tr B_x'V_kl B_x, r'V_kl r."""

    t: Array  # (R, R)
    x: Array
    y: Array

    @classmethod
    def zeros(cls, size: int) -> Bend:
        return cls(*np.zeros((3, size, size)))

    def __add__(self, other: Bend) -> Bend:
        return Bend(self.t + other.t, self.x + other.x, self.y + other.y)


@dataclass(frozen=True, eq=False)
class Pieces:
    """See the module; t, F come with order 1, the rest with order 2, where h (and e) may be missing because they are dear.

    `bend` belongs to the last directions, where these are parameters of a residual structure.
    """

    logdet_u: float
    gls: Gls
    t: Array | None = None  # (K,)
    F: Array | None = None  # (K, r+1, r+1)
    h: Array | None = None  # (K, K)
    e: Array | None = None  # (K, K)
    y: Array | None = None  # (K, K)
    bend: Bend | None = None
    unfinished: bool = False  # h is missing, and the engine still holds what would make it cheap


@dataclass(frozen=True, eq=False)
class Known:
    """What an evaluation leaves for the solution."""

    theta: Array
    pieces: Pieces


def rounding(pieces: Pieces) -> Array:
    """(K,) roots of what rounding leaves of tr P V_k P V_k = h - 2e + |F|^2 where it is zero.

    It is for the variance of a visit whose rows are all fitted exactly, for example.
    """
    assert pieces.F is not None
    if pieces.h is None or pieces.e is None:
        return np.zeros(len(pieces.F))
    return NOISE * np.sqrt(np.abs(pieces.h.diagonal()) + 2.0 * np.abs(pieces.e.diagonal()))


@dataclass(frozen=True, eq=False)
class Traces:
    """The criterion's derivatives with respect to the directions, at profiled beta and sigma."""

    gradient: Array  # (K,)
    hessian: Array | None  # (K, K)
    exact: bool
    bend: Array | None = None  # (R, R) sum of the gradients in V_kl, to be added for the last R parameters


def differentiate(pieces: Pieces, nu: int, reml: bool, scale: float | None = None) -> Traces:
    """Gradient and Hessian in the directions: DESIGN's g_k and H_kl without the terms in V_kl, which the chain rule adds.

    `scale` is a known sigma; where it is None sigma is profiled, sigma^2 = s / nu, which adds the term in a_d a_e.
    Where h and e are missing the Hessian is the average information, nu (y'P V_d P V_e P y / s - a_d a_e / s^2).
    """
    assert pieces.t is not None and pieces.F is not None
    s, r, F = pieces.gls.pwrss, len(pieces.gls.gamma), pieces.F.reshape(len(pieces.F), pieces.F.shape[1] ** 2)
    if scale is None and not s > 0.0:
        raise LinAlgError("nothing is left of the response")
    precision = nu / s if scale is None else scale**-2
    once, twice = np.zeros((2, r + 1, r + 1))  # coefficients of F^xx, F^xy and F^yy in (12), and of their squares in (13)
    if reml:
        once.ravel()[:: r + 2], twice[:] = 1.0, 1.0
    once[r, r] = twice[r] = twice[:, r] = precision
    twice[r, r] = nu / s**2 if scale is None else 0.0
    gradient = pieces.t - F @ once.ravel()
    if pieces.y is None:
        return Traces(gradient, None, False)
    if pieces.h is None:
        a, with_y = F[:, -1], pieces.F[:, :r, r]
        average = precision * (pieces.y - with_y @ with_y.T) - (a * twice[r, r]) * a[:, None]
        return Traces(gradient, average, False, _bent(pieces.bend, precision, reml))
    hessian = (2.0 * precision) * pieces.y - pieces.h
    hessian -= (F * twice.ravel()) @ F.T
    if reml:
        assert pieces.e is not None
        hessian += 2.0 * pieces.e
    return Traces(gradient, hessian, True, _bent(pieces.bend, precision, reml))


def _bent(bend: Bend | None, precision: float, reml: bool) -> Array | None:
    """tr P V_kl - y'P V_kl P y / sigma^2 (V^-1 in place of the first P under ML)."""
    return None if bend is None else bend.t - precision * bend.y - (bend.x if reml else 0.0)


def direction_forms(layout: Layout, sums: list[Array]) -> Array:
    """(K, ...) sum_j x_j'E_d x_j from sums[f][a, b] = sum over levels of x_j[a] (x) x_j[b]."""
    f, a, b = layout.directions
    if len(sums) == 1:
        out = sums[0][a, b]
    elif sums:
        out = np.stack([sums[i][j, k] for i, j, k in zip(f, a, b, strict=True)])
    else:
        return np.zeros((0, 0, 0))
    return (out + out.swapaxes(-1, -2)) * layout.shares


def direction_products(layout: Layout, product: dict[tuple[int, int], Array]) -> Array:
    """(..., K, K) tr E_d A_fg E_e B_gf from product[f, g][..., b, c, a, d] = sum over pairs of levels of A_fg[b, c] B_fg[a, d].

    A and B are symmetric over all blocks, so that B_gf[d, a] = B_fg[a, d]; pairs with f > g are not needed.
    """
    out = None
    for pair, table in product.items():
        rows, columns, index, half = layout.product_places[pair]
        flat = table.reshape(*table.shape[:-4], -1)
        value = flat[..., index].sum(axis=-3) * half
        if len(layout.blocks) == 1:
            return value
        if out is None:
            K = len(layout.diagonal)
            out = np.empty((*table.shape[:-4], K, K))
        out[..., rows[:, None], columns] = value
        out[..., columns[:, None], rows] = value.swapaxes(-1, -2)
    assert out is not None
    return out


__all__ = ["Bend", "Gls", "LinAlgError", "Pieces", "Traces", "differentiate", "direction_forms", "direction_products"]
