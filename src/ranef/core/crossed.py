"""Exact second derivatives for crossed factors: one eliminated factor 1, the others dense, with any number of columns.

With V_j = Lambda_2'N_21,j (q2, k_1; a panel), G_d = sum_j V_j E_d V_j', U = S^-1, X_d = G_d U, D_j = T_j C_j and, for a direction e
of a dense factor g, E^_e = lambda_g^-1 E_e lambda_g^-T,

    M_11 = diag(D_j) - V'U V      M_12 = V'U Lambda_2^-1      M_22 = Lambda_2^-T (I - U) Lambda_2^-1

so that h needs one product of q2 x q2 matrices for each direction d of factor 1, and no other:

    h_de  = sum_j tr E_d D_j E_e (D_j - 2 V_j'U V_j) + sum X_d o X_e'              d, e of factor 1
    h_de  = tr E^_e sum of the diagonal tiles of (U X_d)_gg                        d of factor 1, e of g
    h_ee' = sum over pairs of levels of tr E^_e (I - U)_ll' E^_e' (I - U)_l'l      e of g, e' of g'

docs/explanation/likelihood.md, eq. 27a-27b.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace

import numpy as np

from ranef.core.gram import Index
from ranef.core.layout import Layout
from ranef.core.moments import direction_traces, level_products
from ranef.core.panel import Panel
from ranef.core.pieces import Pieces, direction_forms
from ranef.core.remainder import Inverse
from ranef.core.stage import Eliminated, tile_product
from ranef.core.state import State
from ranef.covariance.base import Array

STRIP, TILE = 512, 128  # rows that are multiplied, and that are mirrored, at a time
ROOM = 1 << 30  # bytes of the X_d beyond which the Hessian comes from differences of the gradient


def crossed(state: State) -> bool:
    """Can `Crossed` answer: one eliminated factor, no variance of the others too near zero to divide by, and some room."""
    if state.solved is None or len(state.chain.stages) != 1:
        return False
    width = state.system.gram.layout.blocks[state.system.plan.chain[0]].width
    room = width == 1 or (width * (width + 1) // 2 + 1) * 8 * state.system.remainder.size**2 <= ROOM
    return room and all(state.system.remainder.comfortable(state.solved.factors))


@dataclass(frozen=True, eq=False)
class Crossed:
    """S^-1 in the place of L: what the gradient needs is at hand, and `complete` makes h from it."""

    state: State
    inverse: Inverse
    own: Array  # (m, k, k) D of factor 1
    through: Array  # (m, k, k) V_j'U V_j
    gradient: Pieces

    @classmethod
    def of(cls, state: State) -> Crossed:
        """Nothing can be solved with the state afterwards."""
        system, (done,), solved = state.system, state.chain.stages, state.solved
        assert solved is not None and done.panel is not None
        layout, B = system.gram.layout, state.projections
        F = direction_forms(layout, [level_products(part) for part in B])
        e, y = _solved_twice(state, B)
        inverse = solved.inverse()
        own, through = tile_product(done.T, done.C), _through(done, inverse)
        totals = {system.plan.chain[0]: (own - through).sum(axis=0)}
        totals.update(zip(system.plan.dense, inverse.totals(), strict=True))
        t = direction_traces(layout, totals)
        gradient = Pieces(state.logdet, state.gls, t, F, None, e, y, unfinished=True)
        return cls(state, inverse, own, through, gradient)

    def complete(self) -> Pieces:
        """All pieces; uses S^-1 up."""
        system, solved = self.state.system, self.state.solved
        assert solved is not None
        first, remainder, layout = system.plan.chain[0], system.remainder, system.gram.layout
        at = {f: np.flatnonzero(layout.directions[0] == f) for f in (first, *system.plan.dense)}
        E = {f: _symmetric(layout, at[f]) for f in at}
        for f, lam in zip(system.plan.dense, solved.factors, strict=True):
            left = np.linalg.inv(lam)
            E[f] = left @ E[f] @ left.T
        squares = _squares(self.state.chain.stages[0], self.inverse, E[first])
        U = mirror(self.inverse.lower)
        X = [times_in_place(mirror(G), U) for G in squares]
        h = np.empty((len(layout.directions[0]),) * 2)
        h[np.ix_(at[first], at[first])] = self._of_eliminated(E[first], X)
        shapes = dict(zip(system.plan.dense, zip(remainder.shapes, remainder.spans, strict=True), strict=True))
        for f, ((_, k), span) in shapes.items():
            tiles = np.array([_diagonal_tiles(U, x, span, k) for x in X])
            h[np.ix_(at[first], at[f])] = np.einsum("eba,dab->de", E[f], tiles)
            h[np.ix_(at[f], at[first])] = h[np.ix_(at[first], at[f])].T
        U[np.arange(len(U)), np.arange(len(U))] -= 1.0
        for f, g in itertools.combinations_with_replacement(shapes, 2):
            ((_, k), span), ((_, l), other) = shapes[f], shapes[g]
            own = np.einsum("dxa,eby,abxy->de", E[f], E[g], _tile_products(U, span, k, other, l))
            h[np.ix_(at[f], at[g])], h[np.ix_(at[g], at[f])] = own, own.T
        return replace(self.gradient, h=(h + h.T) / 2, unfinished=False)

    def _of_eliminated(self, E: Array, X: list[Array]) -> Array:
        """(K_1, K_1)"""
        m, k, _ = self.own.shape
        table = self.own.reshape(m, -1).T @ (self.own - 2.0 * self.through).reshape(m, -1)
        h = np.einsum("dab,ecx,bcxa->de", E, E, table.reshape(k, k, k, k))
        between = np.zeros_like(h)
        for d, e in itertools.combinations_with_replacement(range(len(X)), 2):
            between[d, e] = between[e, d] = trace_of_product(X[d], X[e])
        return h + between


def _symmetric(layout: Layout, directions: Index) -> Array:
    """(K_f, k, k) the E_d of one block."""
    f, a, b = (part[directions] for part in layout.directions)
    width = layout.blocks[f[0]].width
    E, at = np.zeros((len(directions), width, width)), np.arange(len(directions))
    E[at, a, b] = E[at, b, a] = 1.0
    return E


def _panel(done: Eliminated, inverse: Inverse) -> Panel:
    """V'"""
    assert done.panel is not None
    return inverse.scaled(done.panel).rotated(done.T.swapaxes(1, 2))


def _through(done: Eliminated, inverse: Inverse) -> Array:
    """(m, k, k) V_j'U V_j"""
    outer = done.stage.outer
    if outer is None:
        panel = _panel(done, inverse)
        return panel.outer(panel.gather(inverse.lower))
    return done.T**2 * inverse.forms(outer)[:, None, None]


def _squares(done: Eliminated, inverse: Inverse, E: Array) -> list[Array]:
    """G_d on lower triangles; v w' + w v' is (v + w)(v + w)' - v v' - w w'."""
    size, outer = inverse.remainder.size, done.stage.outer
    if outer is not None:
        G, scales = outer.minus_sum(done.T[:, 0, 0] ** 2), [float(lam[0, 0]) for lam in inverse.factors]
        inverse.remainder.scaled(G, scales, G)
        return [np.negative(G, out=G)]
    panel = _panel(done, inverse)

    def square(values: Array) -> Array:
        out = np.zeros((size, size))
        panel.with_values(np.ascontiguousarray(values[:, None])).subtract_square(out)
        return np.negative(out, out=out)

    places = [tuple(np.argwhere(np.tril(e))[0].tolist()) for e in E]
    found = {(a, a): square(panel.values[:, a]) for a in sorted({a for place in places for a in place})}
    for a, b in places:
        if a != b:
            found[a, b] = square(panel.values[:, a] + panel.values[:, b])
            found[a, b] -= found[a, a]
            found[a, b] -= found[b, b]
    return [found[place] for place in places]


def _diagonal_tiles(U: Array, X: Array, span: slice, k: int) -> Array:
    """(k, k) the sum of the diagonal tiles of U X within a stretch, for a symmetric U; all that is read are views, row by row."""
    out = np.empty((k, k))
    for a, b in itertools.product(range(k), repeat=2):
        out[a, b] = np.einsum("rl,rl->", U[:, span.start + a : span.stop : k], X[:, span.start + b : span.stop : k])
    return out


def _tile_products(U: Array, span: slice, k: int, other: slice, l: int) -> Array:
    """(k, l, k, l) sums over the tiles of two stretches of U[a, b] U[c, d]."""
    parts = [U[span.start + a : span.stop : k, other.start + b : other.stop : l] for a, b in itertools.product(range(k), range(l))]
    out = np.empty((k * l, k * l))
    for p, q in itertools.combinations_with_replacement(range(k * l), 2):
        out[p, q] = out[q, p] = np.einsum("ij,ij->", parts[p], parts[q])
    return out.reshape(k, l, k, l)


def times_in_place(A: Array, B: Array) -> Array:
    """A B in the place of A: one matrix less at the moment when most memory is in use."""
    for start in range(0, len(A), STRIP):
        A[start : start + STRIP] = A[start : start + STRIP] @ B
    return A


def trace_of_product(A: Array, B: Array) -> float:
    """tr AB, by tiles that stay in the cache."""
    total = 0.0
    for start, other in itertools.product(range(0, len(A), TILE), repeat=2):
        rows, columns = slice(start, start + TILE), slice(other, other + TILE)
        total += float(np.einsum("lm,ml->", A[rows, columns], B[columns, rows]))
    return total


def mirror(lower: Array) -> Array:
    """The symmetric matrix of a lower triangle, in place."""
    for start in range(0, len(lower), TILE):
        rows = slice(start, start + TILE)
        own = lower[rows, rows]
        lower[rows, rows] = np.tril(own) + np.tril(own, -1).T
        lower[rows, start + TILE :] = lower[start + TILE :, rows].T
    return lower


def _solved_twice(state: State, B: list[Array]) -> tuple[Array, Array]:
    """(K, K) e and y: b'(I kron E_d) Z'V^-1 Z (I kron E_e) b for b = Z'V^-1 X in the whitened basis, summed over its columns, and
    for b = Z'P y."""
    f, a, b = state.system.gram.layout.directions
    K, c = len(f), B[0].shape[2]
    spread = [np.zeros((*part.shape[:2], K * c)) for part in B]
    for d, (g, i, j) in enumerate(zip(f, a, b, strict=True)):
        own = slice(d * c, (d + 1) * c)
        spread[g][:, i, own] = B[g][:, j]
        spread[g][:, j, own] = B[g][:, i]
    moved = state.apply(spread)
    e, y = np.empty((K, K)), np.empty((K, K))
    for d in range(K):
        mine = spread[f[d]][:, :, d * c : (d + 1) * c]
        for g in range(K):
            products = np.einsum("jac,jac->c", mine, moved[f[d]][:, :, g * c : (g + 1) * c])
            e[d, g], y[d, g] = products[:-1].sum(), products[-1]
    return (e + e.T) / 2, (y + y.T) / 2
