"""One model and many responses, each at a theta of its own: the criterion with two derivatives, all responses at once.

Effects stand in levels that share factorisations (one grouping factor) or in one dense level (several factors). With the root R
of a level's Z'Z = R R', E = R^-1 Z'[X y], T = Lambda'R, K = I + T'T,

    log|V| = sum log|K|      W = W_0 + sum E'K^-1 E      M = Z'V^-1 Z = R K^-1 R'      [B_x B_y] = Z'V^-1 [X y] = R K^-1 E

so that responses differ in E_y, in the last row of W_0 and in theta. The formulas are those of `pieces`, `moments` and `single`.

docs/explanation/model-comparison.md, eq. 4.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ranef.core.layout import Layout
from ranef.core.pieces import direction_products
from ranef.covariance.base import Array

Index = NDArray[np.intp]
SMALLEST = 1e-300


@dataclass(frozen=True, eq=False)
class Responses:
    """b responses: E_y (b, G, c), the last row of W_0 (b, r) and (b,)."""

    Ey: Array
    rest_x: Array
    rest_y: Array

    def __len__(self) -> int:
        return len(self.rest_y)

    def take(self, rows: Index | slice) -> Responses:
        return Responses(self.Ey[rows], self.rest_x[rows], self.rest_y[rows])


@dataclass(frozen=True, eq=False)
class Values:
    value: Array  # (b,)
    gradient: Array  # (b, q)
    hessian: Array  # (b, q, q)


@dataclass(frozen=True, eq=False)
class Many:
    """U patterns, G levels; `basis` are dLambda/dtheta of each block, (q, k_f, j_f), constant."""

    root: Array  # (U, k, c) R
    count: Array  # (U,) levels that have the pattern
    pattern: Index  # (G,)
    Ex: Array  # (G, c, r)
    rest: Array  # (r, r) of W_0
    basis: tuple[Array, ...]
    layout: Layout
    levels: tuple[int, ...]  # how many levels of each block stand in one of ours
    live: Index  # the directions that the basis spans
    nu: float
    reml: bool
    scale: float | None = None  # sigma where it is known

    @property
    def size(self) -> int:
        return len(self.basis[0]) if self.basis else 0

    @property
    def effort(self) -> tuple[float, float]:
        """(numbers written, floating-point operations) of an evaluation for one response, to an order of magnitude."""
        (U, k, c), G, r, K = self.root.shape, len(self.pattern), self.Ex.shape[2] + 1, len(self.layout.directions[0])
        numbers = U * (6.0 * c * c + 8.0 * k * k) + G * (4.0 * (c + k) * r + 2.0 * k * k) + 12.0 * K * K
        width = sum(block.width for block in self.layout.blocks)
        flops = U * (4.0 * c**3 + 2.0 * k * c * (c + k) + 3.0 * (k * width) ** 2) + G * k * r * (4.0 * c + 2.0 * k)
        return numbers, flops

    def restricted(self, C: Array, basis: tuple[Array, ...]) -> Many:
        """A smaller model of the same responses: fixed columns X C, and Lambda spanned by another basis."""
        reach = [np.abs(part).sum(axis=0) for part in basis]
        spanned = [rows @ rows.T > 0.0 for rows in reach]
        live = [d for d, (f, a, b) in enumerate(zip(*self.layout.directions, strict=True)) if spanned[f][a, b]]
        return replace(self, Ex=self.Ex @ C, rest=C.T @ self.rest @ C, basis=basis, live=np.array(live, dtype=np.intp))

    def values(self, theta: Array, responses: Responses) -> Array:
        """(b,) the criterion without its constants, at one theta (q,) for all responses or at one (b, q) for each."""
        return self._solved(np.atleast_2d(theta), responses).value

    def evaluate(self, theta: Array, responses: Responses) -> Values:
        """Value, gradient and Hessian in theta (b, q)."""
        at = self._solved(theta, responses)
        slopes, curvature = self._by_direction(at)
        return Values(at.value, *self._in_theta(at.factors, slopes, curvature))

    def factors(self, theta: Array) -> list[Array]:
        """Lambda of each block, (b, k, j)."""
        return [np.tensordot(theta, basis, 1) for basis in self.basis]

    def half(self, factors: Sequence[Array]) -> Array:
        """(b, U, j, c) Lambda'R."""
        parts, at = [], 0
        U, _, c = self.root.shape
        for lam, m in zip(factors, self.levels, strict=True):
            k, j = lam.shape[1:]
            own = self.root[:, at : at + m * k].reshape(U, m, k, c)
            parts.append(np.einsum("bkj,umkc->bumjc", lam, own).reshape(len(lam), U, m * j, c))
            at += m * k
        return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=2)

    def _solved(self, theta: Array, responses: Responses) -> _Solved:
        factors = self.factors(theta)
        c = self.root.shape[2]
        T = self.half(factors) if factors else np.zeros((1, len(self.root), 0, c))
        K: Any = np.eye(c) + T.swapaxes(2, 3) @ T
        logdet = np.linalg.slogdet(K)[1] @ self.count
        inverse: Any = np.linalg.inv(K)
        own = inverse[:, self.pattern]  # (b, G, c, c)
        Kx, Ky = own @ self.Ex, (own @ responses.Ey[..., None])[..., 0]
        flat = Kx.reshape(len(Kx), -1, Kx.shape[3])
        Wxx = self.rest + self.Ex.reshape(-1, Kx.shape[3]).T @ flat
        Wxy = responses.rest_x + np.einsum("gcr,bgc->br", self.Ex, Ky)
        Wyy = responses.rest_y + np.einsum("bgc,bgc->b", responses.Ey, Ky)
        lower: Any = np.linalg.cholesky(Wxx)
        z = np.linalg.solve(lower, Wxy[..., None])[..., 0]
        s = np.maximum(Wyy - np.einsum("br,br->b", z, z), SMALLEST)
        value = logdet + (self.nu * np.log(s) if self.scale is None else s / self.scale**2)
        if self.reml:
            value = value + 2.0 * np.log(np.diagonal(lower, axis1=1, axis2=2)).sum(axis=1)
        return _Solved(value, s, factors, inverse, Kx, Ky, lower, z)

    def _by_direction(self, at: _Solved) -> tuple[Array, Array]:
        """(b, K) and (b, K, K) derivatives in the entries of Omega: `pieces.differentiate`."""
        R, r, s = self.root, self.Ex.shape[2], at.s[:, None]
        M = R @ at.inverse @ R.swapaxes(1, 2)  # (b, U, k, k)
        own = R[self.pattern]
        Bx = own @ (at.Kx @ np.linalg.inv(at.lower).swapaxes(1, 2)[:, None])  # (b, G, k, r)
        By = own @ at.Ky[..., None] - Bx @ at.z[:, None, :, None]  # (b, G, k, 1) Z'Py
        t, F = self._traces(M), self._forms(np.concatenate([Bx, By], axis=3))
        h, e, y = self._products(M, Bx @ Bx.swapaxes(2, 3), By @ By.swapaxes(2, 3))
        a, cross, fixed = F[:, :, r, r], F[:, :, :r, r], F[:, :, :r, :r]
        rate = self.nu / s if self.scale is None else np.full_like(s, 1.0 / self.scale**2)
        slopes = t - rate * a
        curvature = 2.0 * rate[..., None] * (y - cross @ cross.swapaxes(1, 2)) - h
        if self.scale is None:
            curvature = curvature - (rate / s)[..., None] * a[:, :, None] * a[:, None, :]
        if self.reml:
            flat = fixed.reshape(*fixed.shape[:2], r * r)
            slopes = slopes - np.trace(fixed, axis1=2, axis2=3)
            curvature = curvature + 2.0 * e - flat @ flat.swapaxes(1, 2)
        return slopes[:, self.live], curvature[:, self.live[:, None], self.live]

    @cached_property
    def _places(self) -> list[tuple[slice, int, int]]:
        """The effects of each block in a level of ours, how many levels of its own they are, and its width."""
        out, at = [], 0
        for block, m in zip(self.layout.blocks, self.levels, strict=True):
            out.append((slice(at, at + m * block.width), m, block.width))
            at += m * block.width
        return out

    def _traces(self, M: Array) -> Array:
        """(b, K) tr E_d sum of the diagonal tiles."""
        f, a, b = self.layout.directions
        tiles = (M[:, :, at, at].reshape(*M.shape[:2], m, k, m, k) for at, m, k in self._places)
        totals = [np.einsum("buiaic,u->bac", own, self.count) for own in tiles]
        return np.stack([totals[i][:, j, l] * (1.0 if j == l else 2.0) for i, j, l in zip(f, a, b, strict=True)], axis=1)

    def _forms(self, B: Array) -> Array:
        """(b, K, r+1, r+1) sum over levels of B'E_d B."""
        f, a, b = self.layout.directions
        n, c, tables = len(B), B.shape[3], []
        for at, _, k in self._places:
            wide = B[:, :, at].reshape(n, -1, k * c)
            tables.append((wide.swapaxes(1, 2) @ wide).reshape(n, k, c, k, c))
        out = [tables[i][:, j, :, l] for i, j, l in zip(f, a, b, strict=True)]
        return np.stack([x if j == l else x + x.swapaxes(1, 2) for x, j, l in zip(out, a, b, strict=True)], axis=1)

    def _products(self, M: Array, fixed: Array, rest: Array) -> tuple[Array, Array, Array]:
        """(b, K, K) each: sums over levels of tr E_d M E_e A for A = M, B_x B_x' and r r'."""
        others = (M * self.count[:, None, None], self._by_pattern(fixed), self._by_pattern(rest))
        tables = {}
        for f, first in enumerate(self._places):
            for g, second in enumerate(self._places[f:], f):
                left = _tiles(M, first, second)
                right = np.stack([_tiles(A, first, second) for A in others], axis=1)  # (b, 3, k_f k_g, pairs of levels)
                k, l = first[2], second[2]
                tables[f, g] = (right @ left[:, None].swapaxes(2, 3)).swapaxes(2, 3).reshape(len(M), 3, k, l, k, l)
        h, e, y = np.moveaxis(direction_products(self.layout, tables), 1, 0)
        return h, e, y

    def _by_pattern(self, values: Array) -> Array:
        """(b, U, k, k) sums of (b, G, k, k) over the levels of each pattern."""
        if len(self.pattern) == len(self.root) and np.array_equal(self.pattern, np.arange(len(self.root))):
            return values
        indicator = (self.pattern == np.arange(len(self.root))[:, None]).astype(float)
        return (indicator @ values.reshape(*values.shape[:2], -1)).reshape(len(values), -1, *values.shape[2:])

    def _in_theta(self, factors: Sequence[Array], slopes: Array, curvature: Array) -> tuple[Array, Array]:
        """The chain rule through Omega = Lambda Lambda'."""
        block, a, b = (part[self.live] for part in self.layout.directions)
        n = len(slopes)
        J, second = np.zeros((n, self.size, len(a))), np.zeros((n, self.size, self.size))
        for f, (basis, lam) in enumerate(zip(self.basis, factors, strict=True)):
            own = np.flatnonzero(block == f)
            moved = np.einsum("pij,bkj->bpik", basis, lam)
            rows, columns = a[own], b[own]
            J[:, :, own] = moved[:, :, rows, columns] + moved[:, :, columns, rows]
            weight = np.zeros((n, basis.shape[1], basis.shape[1]))
            weight[:, rows, columns] += 0.5 * slopes[:, own]
            weight[:, columns, rows] += 0.5 * slopes[:, own]
            second += 2.0 * np.einsum("pil,bij,tjl->bpt", basis, weight, basis, optimize=True)
        return np.einsum("bpd,bd->bp", J, slopes), J @ curvature @ J.swapaxes(1, 2) + second


def _tiles(A: Array, first: tuple[slice, int, int], second: tuple[slice, int, int]) -> Array:
    """(b, k_f k_g, U m_f m_g) the entries of the tiles of two blocks."""
    (rows, m, k), (columns, n, l) = first, second
    own = A[:, :, rows, columns].reshape(*A.shape[:2], m, k, n, l)
    return own.transpose(0, 3, 5, 1, 2, 4).reshape(len(A), k * l, -1)


@dataclass(frozen=True, eq=False)
class _Solved:
    value: Array
    s: Array
    factors: list[Array]
    inverse: Array  # (b, U, c, c) K^-1
    Kx: Array  # (b, G, c, r) K^-1 E_x
    Ky: Array  # (b, G, c)
    lower: Array  # (b, r, r) the root of X'V^-1X
    z: Array  # (b, r)
