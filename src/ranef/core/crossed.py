"""Exact second derivatives for crossed random intercepts: one eliminated factor 1, the others dense, all of one column.

With v_j = Lambda_2'N_12,j (a panel), G = sum_j v_j v_j', U = S^-1 and X = G U,

    M_11 = diag(M_1j) - N_12 Lambda_2 U Lambda_2'N_12'   M_12 = N_12 Lambda_2 U Lambda_2^-1   M_22 = Lambda_2^-1 (I - U) Lambda_2^-1

so that the squared norms of these blocks, which are h, need one product of q2 x q2 matrices and no other:

    h_11 = sum M_1j^2 - 2 sum M_1j v_j'U v_j + sum X o X'      h_1g = sum over g of diag(U X) / lambda_g^2
    h_gg' = sum over g, g' of (I - U)^2 / (lambda_g lambda_g')^2
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ranef.core.moments import level_products
from ranef.core.panel import Panel
from ranef.core.pieces import Pieces, direction_forms
from ranef.core.remainder import Inverse
from ranef.core.state import State, inner
from ranef.covariance.base import Array

STRIP = 128  # rows that are mirrored or multiplied at a time


def crossed(state: State) -> bool:
    """Can `Crossed` answer: scalar effects, one eliminated factor, no variance of the others too near zero to divide by."""
    if state.solved is None or len(state.chain.stages) != 1:
        return False
    scalar = all(block.width == 1 for block in state.system.gram.layout.blocks)
    return scalar and all(state.system.remainder.comfortable(state.solved.factors))


@dataclass(frozen=True, eq=False)
class Crossed:
    """S^-1 in the place of L: what the gradient needs is at hand, and `complete` makes h from it."""

    state: State
    inverse: Inverse
    panel: Panel  # P Lambda_2
    own: Array  # (m,) T C of factor 1
    through: Array  # (m,) v_j'U v_j
    gradient: Pieces

    @classmethod
    def of(cls, state: State) -> Crossed:
        """Nothing can be solved with the state afterwards."""
        system, (done,), solved = state.system, state.chain.stages, state.solved
        assert solved is not None and done.panel is not None
        B = state.projections
        F = direction_forms(system.gram.layout, [level_products(part) for part in B])
        e, y = _solved_twice(state, B)
        inverse = solved.inverse()
        panel = inverse.scaled(done.panel).rotated(done.T)
        own = (done.T * done.C)[:, 0, 0]
        through = panel.outer(panel.gather(inverse.lower))[:, 0, 0]
        t = np.empty(len(B))
        t[system.plan.chain[0]] = own.sum() - through.sum()
        t[list(system.plan.dense)] = [float(total[0, 0]) for total in inverse.totals()]
        order = system.gram.layout.directions[0]
        at = np.ix_(order, order)
        gradient = Pieces(state.logdet, state.gls, t[order], F, None, e[at], y[at], unfinished=True)
        return cls(state, inverse, panel, own, through, gradient)

    def complete(self) -> Pieces:
        """All pieces; uses S^-1 up."""
        system, solved = self.state.system, self.state.solved
        assert solved is not None
        first, rest = system.plan.chain[0], system.plan.dense
        G = np.zeros((system.remainder.size, system.remainder.size))
        self.panel.subtract_square(G)
        U = mirror(self.inverse.lower)
        X = times_in_place(mirror(G), U)
        np.negative(X, out=X)
        scale = {f: float(lam[0, 0]) ** -2 for f, lam in zip(rest, solved.factors, strict=True)}
        spans = dict(zip(rest, system.remainder.spans, strict=True))
        h = np.empty((1 + len(rest), 1 + len(rest)))
        h[first, first] = self.own @ self.own - 2.0 * self.own @ self.through + np.einsum("lm,ml->", X, X)
        crossing = np.einsum("lm,ml->l", U, X)
        U[np.arange(len(U)), np.arange(len(U))] -= 1.0
        for f, span in spans.items():
            h[first, f] = h[f, first] = scale[f] * crossing[span].sum()
            for g, other in spans.items():
                h[f, g] = scale[f] * scale[g] * float(np.sum(U[span, other] ** 2))
        order = system.gram.layout.directions[0]
        return replace(self.gradient, h=h[np.ix_(order, order)], unfinished=False)


def times_in_place(A: Array, B: Array) -> Array:
    """A B in the place of A: one matrix less at the moment when most memory is in use."""
    for start in range(0, len(A), STRIP):
        A[start : start + STRIP] = A[start : start + STRIP] @ B
    return A


def mirror(lower: Array) -> Array:
    """The symmetric matrix of a lower triangle, in place."""
    for start in range(0, len(lower), STRIP):
        rows = slice(start, start + STRIP)
        own = lower[rows, rows]
        lower[rows, rows] = np.tril(own) + np.tril(own, -1).T
        lower[rows, start + STRIP :] = lower[start + STRIP :, rows].T
    return lower


def _solved_twice(state: State, B: list[Array]) -> tuple[Array, Array]:
    """(K, K) e and y: b_d'(Z'V^-1 Z)_de b_e for b = Z'V^-1 X in the whitened basis, summed over its columns, and for b = Z'P y."""
    K, c = len(B), B[0].shape[2]
    spread = []
    for f in range(K):
        spread.append(np.zeros((*B[f].shape[:2], K * c)))
        spread[f][:, :, f * c : (f + 1) * c] = B[f]
    moved = state.apply(spread)
    e, y = np.empty((K, K)), np.empty((K, K))
    for d in range(K):
        for f in range(K):
            products = inner(B[d], moved[d][:, :, f * c : (f + 1) * c]).diagonal()
            e[d, f], y[d, f] = products[:-1].sum(), products[-1]
    return (e + e.T) / 2, (y + y.T) / 2
