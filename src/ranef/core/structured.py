"""One factor eliminated level by level, the others as one dense matrix, and M = Z'V^-1 Z in full: exact second derivatives.

For crossed factors with some hundreds of effects (subjects and items). With N = Z'V_1^-1[Z w] after the elimination of factor 1,
L L' = I + Lambda_2'N_22 Lambda_2 and Y = L^-1 Lambda_2'N_2,

    Z'V^-1[Z w] = N - Y'Y      log|V| = log|V_1| + 2 sum log L_ii

Effects are arranged block by block and, within a block, effect after effect, so that Lambda acts on long rows.

docs/explanation/likelihood.md, eq. 27.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.linalg import lapack
from scipy.linalg.blas import dtrsm

from ranef.core.elimination import oriented
from ranef.core.gram import Gram
from ranef.core.moments import Full
from ranef.core.pieces import Gls, LinAlgError, Pieces
from ranef.core.stage import tile_factors
from ranef.core.within import regressions
from ranef.covariance.base import Array


@dataclass(frozen=True, eq=False)
class Structured:
    """All that does not depend on Lambda."""

    gram: Gram
    first: int
    dense: tuple[int, ...]
    spans: tuple[slice, ...]  # of the dense blocks among the q2 dense effects
    C: Array  # (m, k, k) Z_1'Z_1
    P: Array  # (m, k, q2) Z_1'Z_2
    N: Array  # (q2, q2) Z_2'Z_2
    D: tuple[Array, Array]  # (m, k, r+1) and (q2, r+1) Z'[X y]
    slopes: Array  # (m, k, r+1) the regressions within the levels of factor 1
    rest: Array  # (r+1, r+1) what they leave of [X y]'[X y]

    @classmethod
    def of(cls, gram: Gram, first: int, dense: tuple[int, ...]) -> Structured:
        blocks = gram.layout.blocks
        edges = np.cumsum([0, *(blocks[f].size for f in dense)])
        spans = tuple(slice(int(a), int(b)) for a, b in itertools.pairwise(edges))
        P = np.concatenate(
            [_tiles(gram, first, g).transpose(0, 1, 3, 2).reshape(*gram.zw[first].shape[:2], -1) for g in dense], axis=2
        )
        N = np.block([[_tiles(gram, f, g).transpose(1, 0, 3, 2).reshape(blocks[f].size, -1) for g in dense] for f in dense])
        return cls(gram, first, dense, spans, gram.zz[first], P, N, *_responses(gram, first, dense))

    def with_gram(self, gram: Gram) -> Structured:
        """The same design with another response."""
        D, slopes, rest = _responses(gram, self.first, self.dense)
        return replace(self, gram=gram, D=D, slopes=slopes, rest=rest)

    def pieces(self, factors: Sequence[Array], order: int) -> Pieces:
        (m, k, q2), (D, D2) = self.P.shape, self.D
        R, T, logdet = tile_factors(self.C, factors[self.first])
        back, TD = R.swapaxes(1, 2), T @ D
        H, own = (back @ self.P).reshape(m * k, q2), (back @ D).reshape(m * k, -1)
        N22, D2 = self.N - H.T @ H, D2 - H.T @ own
        L = self._factor(factors, N22)
        half = _solve(L, self._times(factors, D2))
        W = self.rest + _inner(self.slopes, TD) - half.T @ half
        gls = Gls.of((W + W.T) / 2)
        logdet += 2.0 * float(np.log(L.diagonal()).sum())
        if order == 0:
            return Pieces(logdet, gls)
        N12 = (T @ self.P).swapaxes(0, 1).reshape(m * k, q2)
        N = np.block([[_diagonal(T @ self.C), N12], [N12.T, N22]])
        Y = _solve(L, self._times(factors, N[m * k :]))
        B = np.concatenate([TD.swapaxes(0, 1).reshape(m * k, -1), D2]) - Y.T @ half
        full = Full(self.gram.layout, self._all_spans(), N - Y.T @ Y, B @ gls.rotation(), by_effect=True)
        return full.pieces(logdet, gls, order)

    def _factor(self, factors: Sequence[Array], N: Array) -> Array:
        """Lower L with L L' = I + Lambda_2'N Lambda_2. Raises LinAlgError where that is not positive definite."""
        S = self._times(factors, self._times(factors, N).T)
        S[np.arange(len(S)), np.arange(len(S))] += 1.0
        L, info = lapack.dpotrf(S.T, lower=1, clean=0, overwrite_a=1)
        if info:
            raise LinAlgError("I + Lambda'N Lambda is not positive definite")
        return L

    def _times(self, factors: Sequence[Array], x: Array) -> Array:
        """Lambda_2'x for x (q2, c)."""
        out = np.empty_like(x)
        for f, span in zip(self.dense, self.spans, strict=True):
            k = self.gram.layout.blocks[f].width
            out[span] = (factors[f].T @ x[span].reshape(k, -1)).reshape(-1, x.shape[1])
        return out

    def _all_spans(self) -> list[slice]:
        """The rows of each block of the layout in M."""
        start = self.C.shape[0] * self.C.shape[1]
        found = {self.first: slice(0, start)}
        found |= {f: slice(start + span.start, start + span.stop) for f, span in zip(self.dense, self.spans, strict=True)}
        return [found[f] for f in range(len(found))]


def _responses(gram: Gram, first: int, dense: Sequence[int]) -> tuple[tuple[Array, Array], Array, Array]:
    """Z'[X y] of the eliminated factor and of the others, and the regressions within levels."""
    others = [gram.zw[f].swapaxes(0, 1).reshape(-1, gram.zw[f].shape[2]) for f in dense]
    return (gram.zw[first], np.concatenate(others)), *regressions(gram, first)


def _tiles(gram: Gram, f: int, g: int) -> Array:
    """(m_f, k_f, m_g, k_g) Z_f'Z_g in full."""
    first, second = gram.layout.blocks[f], gram.layout.blocks[g]
    out = np.zeros((first.levels, first.width, second.levels, second.width))
    if f == g:
        every = np.arange(first.levels)
        out[every, :, every, :] = gram.zz[f]
    else:
        pair = oriented(gram, f, g)
        out[pair.rows, :, pair.columns, :] = pair.values
    return out


def _diagonal(tiles: Array) -> Array:
    """(km, km) block-diagonal in levels, arranged effect after effect."""
    m, k, _ = tiles.shape
    out = np.zeros((k, m, k, m))
    every = np.arange(m)
    out[:, every, :, every] = tiles
    return out.reshape(k * m, k * m)


def _solve(L: Array, right: Array) -> Array:
    """L^-1 right, for right in C order, which is overwritten."""
    return dtrsm(1.0, L, right.T, side=1, lower=1, trans_a=1, overwrite_b=1).T


def _inner(A: Array, B: Array) -> Array:
    """(c, d) sums over levels and effects of A[:, :, c] B[:, :, d]."""
    return A.reshape(-1, A.shape[2]).T @ B.reshape(-1, B.shape[2])
