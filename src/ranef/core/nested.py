"""Exact second derivatives for a chain of nested factors, with any number of columns: h without a solution for each direction.

h_de = sum of tr E_d M_jl E_e M_lj needs the sums of M_jl (x) M_jl over *all* pairs of levels, also of those far apart in the tree.
They follow stage by stage. After stage i, V_i = I + the factors up to i is block diagonal in its levels a, and with
A_j = Z_j'V_i^-1 Z_later for the levels j of the factors f <= i under a,

    G_f  = sum_j  A_j (x) A_j              R_fg = sum_jl  M_jl (x) A_j (x) A_l              S_fg = sum_jl  M_jl (x) M_jl

The next stage, with P its part of A, J = [-Psi P_later; I] and T, C, Psi of its levels, makes M_jl - A_j Psi A_l' of M_jl (which is
zero where j and l have different holders), A_j J of A_j, and adds its own M_ja = A_j T', M_aa = T C, A_a = T P_later. So each sum
is updated by sums: the work is one pass over the levels of each stage.

docs/explanation/likelihood.md, eq. 27a-27c.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from ranef.core.chain import Chain
from ranef.core.gram import Index
from ranef.core.stage import Eliminated, tile_product
from ranef.covariance.base import Array

ENTRIES = 1 << 22  # numbers of the products of levels that are formed at a time
WIDE = 1 << 16  # numbers for a level, beyond which differences of the gradient are cheaper

Sums = dict[tuple[int, int], Array]  # R_fg of pairs of stages f <= g
Tables = dict[tuple[int, int], Array]  # S_fg[b, c, x, y] = sum of M_jl[b, c] M_jl[x, y]


def affordable(chain: Chain) -> bool:
    """Is a level's part of R small enough?"""
    widths = [done.C.shape[1] for done in chain.stages]
    return all(k**4 * sum(widths[i + 1 :]) ** 2 <= WIDE for i, k in enumerate(widths))


def product_tables(chain: Chain) -> Tables:
    """S of all pairs of stages f <= g, of the whole V."""
    G: dict[int, Array] = {}
    R: Sums = {}
    S: Tables = {}
    for i, done in enumerate(chain.stages):
        Psi, M = tile_product(done.R, done.R.swapaxes(1, 2)), tile_product(done.T, done.C)
        k = M.shape[1]
        for (f, g), own in R.items():
            crossed = np.einsum("nbcxpyq,npq->bcxy", own[:, :, :, :, :k, :, :k], Psi, optimize=True)
            S[f, g] = (
                S[f, g] - crossed - crossed.transpose(2, 3, 0, 1) + _between(G[f][:, :, :k, :, :k], Psi, G[g][:, :, :k, :, :k])
            )
        for f, own in G.items():
            S[f, i] = np.einsum("nbpxu,ncp,nyu->bcxy", own[:, :, :k, :, :k], done.T, done.T, optimize=True)
        S[i, i] = np.einsum("nbc,nxy->bcxy", M, M, optimize=True)
        if done.crosses:
            G, R = _next(done, i, Psi, M, G, R)
    return S


def _between(first: Array, Psi: Array, second: Array) -> Array:
    """Sums over pairs of levels under one holder of (A_j Psi A_l') (x) (A_j Psi A_l')."""
    half = np.einsum("nbpxu,npq,nuv->nbqxv", first, Psi, Psi, optimize=True)
    return np.asarray(np.einsum("nbqxv,ncqyv->bcxy", half, second, optimize=True))


def _next(done: Eliminated, i: int, Psi: Array, M: Array, G: Mapping[int, Array], R: Sums) -> tuple[dict[int, Array], Sums]:
    """G and R after this stage, summed over the levels that each level of the next stage holds; in stretches of levels."""
    m, k, _ = M.shape
    P = np.concatenate(done.crosses, axis=2)
    A, L = tile_product(done.T, P), P.shape[2]
    J = np.concatenate([-(Psi @ P), np.broadcast_to(np.eye(L), (m, L, L))], axis=1)
    holder = done.stage.holders[0]
    size = max([k**4 * L**2, *(own[0].size for own in R.values())])
    parents, step = holder.sums.shape[0], max(1, ENTRIES // size)
    newG: dict[int, Array] = {}
    newR: Sums = {}
    for start in range(0, m, step):
        part = slice(start, start + step)
        where = _sums(holder.level[part], parents)
        a, x, t, psi, j = A[part], M[part], done.T[part], Psi[part], J[part]
        H = {f: np.einsum("nbpxu,nus->nbpxs", own[part, :, :k], j, optimize=True) for f, own in G.items()}
        for f, own in G.items():
            _add(newG, f, where, np.einsum("nbpxu,nps,nut->nbsxt", own[part], j, j, optimize=True))
            _add(newR, (f, i), where, np.einsum("nbpxs,ncp,nyt->nbcxsyt", H[f], t, a, optimize=True))
        for (f, g), own in R.items():
            moved = np.einsum("nbcxpyq,nps,nqt->nbcxsyt", own[part], j, j, optimize=True)
            _add(newR, (f, g), where, moved - np.einsum("nbpxs,npq,ncqyt->nbcxsyt", H[f], psi, H[g], optimize=True))
        twice = a[:, :, :, None, None] * a[:, None, None]
        _add(newG, i, where, twice)
        _add(newR, (i, i), where, x[:, :, :, None, None, None, None] * twice[:, None, None])
    return newG, newR


def _sums(level: Index, parents: int) -> csr_array:
    """(parents, c) adds up the levels of a stretch by holder."""
    return csr_array((np.ones(len(level)), (level, np.arange(len(level)))), shape=(parents, len(level)))


def _add(sums: dict[Any, Array], key: object, where: csr_array, values: Array) -> None:
    found = (where @ values.reshape(len(values), -1)).reshape(-1, *values.shape[1:])
    sums[key] = sums[key] + found if key in sums else found
