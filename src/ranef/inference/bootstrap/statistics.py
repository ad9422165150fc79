"""The sufficient statistics of a Gaussian model in coordinates in which noise is white, and new ones drawn from a fitted model.

With Z_j'Z_j = L_C L_C' and E = L_C^-1 Z_j'[X y] (one grouping factor) or Z'Z = R R', E = R^-1 Z'[X y] (several, few effects), the
likelihood knows the response only through E_y and through W_0 = what Z leaves of [X y]'[X y]. For y = X gamma + Z b + e,

    E_y = E_x gamma + L_C' b + sigma z                                          z standard normal, where L_C has columns
    (W_0)_xy = A gamma + sigma A^(1/2) v            A = (W_0)_xx                v standard normal
    (W_0)_yy = gamma'A gamma + 2 sigma gamma'A^(1/2) v + sigma^2 (v'v + w)      w chi-square, df = n - rank [Z X]

so a draw costs as many random numbers as there are effects, and no pass over the rows. Levels with the same Z_j'Z_j can be rotated
among each other: beyond the few whose E_x is not zero after a rotation, they are white noise, of which only the Wishart sum of
squares counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ranef.core.dense import Dense
from ranef.core.gram import Gram
from ranef.core.single import Single
from ranef.core.solution import Solution
from ranef.covariance.base import Array

Index = NDArray[np.intp]
NULL = 1e-11  # an eigenvalue of A below this share of the columns' own length is rounding
SPARE = 4  # a pattern is rotated when it has this many times more levels than its E_x has dimensions


@dataclass(frozen=True, eq=False)
class Levels:
    """One grouping factor: (pseudo-)levels with their E, and per pattern the levels that are noise only."""

    base: Single
    E: Array  # (G, k, r+1) with the observed response, or none that matters
    pattern: Index  # (G,)
    noise: Index  # (U,) levels beyond the pseudo-levels; k of the G pseudo-levels stand for them
    rest: Array  # (r+1, r+1)

    @classmethod
    def of(cls, engine: Single, *, collapse: bool) -> Levels:
        """With `collapse` the levels of large patterns are rotated; then E is not that of the observed response any more."""
        E = engine.inverse @ engine.gram.zw[0]
        patterns = len(engine.lower)
        if not collapse:
            return cls(engine, E, engine.levels, np.zeros(patterns, dtype=int), engine.rest)
        return cls(engine, *_rotated(E, engine.levels, patterns), engine.rest)

    def engine(self, Ey: Array, rest_y: Array) -> Single:
        """The engine of another response."""
        E, rest = self.E.copy(), self.rest.copy()
        E[:, :, -1], rest[-1], rest[:, -1] = Ey, rest_y, rest_y
        return replace(self.base, E=E, pattern=self.pattern, rest=rest)

    def of_response(self, gram: Gram) -> tuple[Array, Array]:
        """E_y and the last row of W_0 of a response; the levels must not have been rotated."""
        Ey = (self.base.inverse @ gram.zw[0][:, :, -1:])[:, :, 0]
        rest = gram.ww[-1].copy()
        rest[:-1] -= np.einsum("gkr,gk->r", self.E[:, :, :-1], Ey)
        rest[-1] -= float(np.sum(Ey * Ey))
        return Ey, rest


@dataclass(frozen=True, eq=False)
class Sampler:
    """Draws E_y and the last row of W_0 for a model at its estimates, in standardised units."""

    mean: Array  # (G, k) or (c,) E_x gamma
    spread: Array  # (U, k, k) sigma K^(1/2), or (q, c) sigma Lambda'R blockwise
    live: Array  # (G, k) or (c,) one where there is a column of Z
    pattern: Index | None
    noise: Index  # (U,)
    gamma: Array
    A: Array
    root: Array  # (r, rank A)
    sigma: float
    df: int

    @classmethod
    def of_levels(cls, levels: Levels, solution: Solution) -> Sampler:
        return cls.levels_at(levels, solution.factors[0], solution.pieces.gls.gamma, _sigma(solution))

    @classmethod
    def levels_at(cls, levels: Levels, lam: Array, gamma: Array, sigma: float) -> Sampler:
        """One grouping factor, at any root lam (k, any) of the covariance."""
        lower, gram = levels.base.lower, levels.base.gram
        half = lam.T @ lower
        spread: Any = sigma * np.linalg.cholesky(np.eye(half.shape[2]) + half.swapaxes(1, 2) @ half)
        columns = (np.abs(lower).max(axis=1, initial=0.0) > 0).astype(float)  # (U, k)
        rank = int(columns.sum(axis=1) @ levels.base.count)
        A, root = _root(levels.rest, gram)
        df = gram.nobs - rank - root.shape[1]
        return cls(
            levels.E[:, :, :-1] @ gamma, spread, columns[levels.pattern], levels.pattern, levels.noise, gamma, A, root, sigma, df
        )

    @classmethod
    def of_dense(cls, engine: Dense, solution: Solution) -> Sampler:
        return cls.dense_at(engine, solution.factors, solution.pieces.gls.gamma, _sigma(solution))

    @classmethod
    def dense_at(cls, engine: Dense, factors: Sequence[Array], gamma: Array, sigma: float) -> Sampler:
        """Several grouping factors, at any roots (k, k) of their covariances."""
        q = engine.offsets[-1]
        spread = np.empty((q, len(engine.right)))
        for span, block, lam in zip(engine.spans, engine.gram.layout.blocks, factors, strict=True):
            R = engine.right.T[span].reshape(block.levels, block.width, -1)
            spread[span] = sigma * (lam.T @ R).reshape(block.size, -1)
        A, root = _root(engine.rest, engine.gram)
        df = engine.gram.nobs - len(engine.right) - root.shape[1]
        none = np.zeros(0, dtype=int)
        return cls(engine.right[:, q:-1] @ gamma, spread, np.ones(len(engine.right)), None, none, gamma, A, root, sigma, df)

    @classmethod
    def of_plain(cls, gram: Gram, solution: Solution) -> Sampler:
        """Without random effects."""
        A, root = _root(gram.ww, gram)
        nothing, none = np.zeros(0), np.zeros(0, dtype=int)
        df = gram.nobs - root.shape[1]
        return cls(nothing, np.zeros((0, 0)), nothing, None, none, solution.pieces.gls.gamma, A, root, _sigma(solution), df)

    def draw(self, rng: np.random.Generator) -> tuple[Array, Array]:
        """(E_y, (r+1,) last row of W_0)."""
        if self.pattern is None:
            white = rng.standard_normal(len(self.mean) + len(self.spread))
            Ey = self.mean + self.sigma * white[: len(self.mean)] + white[len(self.mean) :] @ self.spread
        else:
            white = rng.standard_normal(self.mean.shape)
            self._replace_noise(rng, white)
            Ey = self.mean + self.live * (self.spread[self.pattern] @ white[:, :, None])[:, :, 0]
        z: Any = self.sigma * rng.standard_normal(self.root.shape[1])
        v, rest = self.root @ z, self.A @ self.gamma
        w = self.sigma**2 * rng.chisquare(self.df) if self.df > 0 else 0.0
        return Ey, np.append(rest + v, self.gamma @ rest + 2.0 * self.gamma @ v + z @ z + w)

    def draws(self, rng: np.random.Generator, b: int) -> tuple[Array, Array]:
        """b draws at once, of other random numbers: (b, ...) E_y and (b, r+1) last rows of W_0."""
        if self.pattern is None:
            noise, effects = rng.standard_normal((b, len(self.mean))), rng.standard_normal((b, len(self.spread)))
            Ey = self.mean + self.sigma * noise + effects @ self.spread
        else:
            white = rng.standard_normal((b, *self.mean.shape))
            self._replace_noise(rng, white)
            Ey = self.mean + self.live * (self.spread[self.pattern] @ white[..., None])[..., 0]
        z: Any = self.sigma * rng.standard_normal((b, self.root.shape[1]))
        v, rest = z @ self.root.T, self.A @ self.gamma
        w = self.sigma**2 * rng.chisquare(self.df, b) if self.df > 0 else np.zeros(b)
        last = self.gamma @ rest + 2.0 * v @ self.gamma + np.einsum("bi,bi->b", z, z) + w
        return Ey, np.column_stack([rest + v, last])

    def _replace_noise(self, rng: np.random.Generator, white: Array) -> None:
        """The last k pseudo-levels of a rotated pattern are the rows of a root of a Wishart sum of squares (Bartlett)."""
        k = white.shape[-1]
        below = np.tri(k, k=-1)
        for u in np.flatnonzero(self.noise):
            last = np.flatnonzero(self.pattern == u)[-k:]
            shape = (*white.shape[:-2], k)
            root = below * rng.standard_normal((*shape, k))
            root[..., np.arange(k), np.arange(k)] = np.sqrt(rng.chisquare(self.noise[u] - np.arange(k), shape))
            white[..., last, :] = root.swapaxes(-1, -2)


def _sigma(solution: Solution) -> float:
    return solution.sigma / solution.criterion.gram.standard.unit


def _root(rest: Array, gram: Gram) -> tuple[Array, Array]:
    """A and a root of it; columns of X that Z spans have none."""
    A = rest[:-1, :-1]
    if not len(A):
        return A, np.zeros((0, 0))
    scale = np.sqrt(np.maximum(gram.ww.diagonal()[:-1], 1e-300))
    values, vectors = np.linalg.eigh(A / np.outer(scale, scale))
    good = values > NULL
    root = scale[:, None] * vectors[:, good] * np.sqrt(values[good])
    return root @ root.T, root


def _rotated(E: Array, pattern: Index, patterns: int) -> tuple[Array, Index, Index]:
    """Pseudo-levels, their patterns, and how many levels of each pattern are represented by its last k."""
    _, k, c = E.shape
    parts, owners, noise = [], [], np.zeros(patterns, dtype=int)
    for u in range(patterns):
        own = E[pattern == u]
        dims = k * (c - 1)
        if len(own) > SPARE * (dims + k):
            upper = np.asarray(np.linalg.qr(own[:, :, :-1].reshape(len(own), -1), mode="r"))
            noise[u] = len(own) - len(upper)
            own = np.zeros((len(upper) + k, k, c))
            own[: len(upper), :, :-1] = upper.reshape(len(upper), k, c - 1)
        parts.append(own)
        owners.append(np.full(len(own), u, dtype=np.intp))
    return np.concatenate(parts), np.concatenate(owners), noise
