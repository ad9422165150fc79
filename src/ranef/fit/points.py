"""Rows at which a model is asked, its own or new ones, and the moments of x'beta + z'b there.

With A = Lambda'Z'Z Lambda + I, C = Lambda A^-1 Lambda' = Var(b | y, beta) / sigma^2 and D = C Z'X (X'V^-1 X)^-1/2, the error of the
prediction x'beta_hat + z'b_hat of x'beta + z'b has the variance

    sigma^2 ( |white'x - D'z|^2 + z'C z ),        white white' = (X'V^-1 X)^-1,

which counts the uncertainty of beta_hat and b_hat jointly: it is the inverse of Henderson's equations applied to (x, z), Henderson
(1975), Biometrics 31, 423-447. Where nothing is known of b, its variance sigma^2 z'Omega z takes the place of both terms in z.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ranef.core.solution import Solution
from ranef.design import Array, Codes, Design

if TYPE_CHECKING:
    from ranef.core.layout import Layout

CHUNK = 16384
Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Points:
    """n rows. By block of the layout: the level of each row (-1: not known) and the columns of all its terms side by side."""

    X: Array  # (n, p)
    offset: Array | None  # (n,)
    weights: Array | None  # (n,)
    codes: tuple[Codes, ...]  # (n,) each
    z: tuple[Array, ...]  # (n, k) each

    def __len__(self) -> int:
        return len(self.X)

    @property
    def noise(self) -> Array:
        """(n,) residual variance over sigma^2."""
        return np.ones(len(self)) if self.weights is None else 1.0 / self.weights

    def split(self, used: tuple[Mask, ...]) -> tuple[Points, Points]:
        """The points with only the random columns whose effects are known and used, and with only the others; the rest are zero.

        `used` holds a mask (k,) for each block.
        """
        known = tuple(
            np.where((codes >= 0)[:, None] & mask, z, 0.0) for codes, z, mask in zip(self.codes, self.z, used, strict=True)
        )
        unknown = tuple(
            np.where((codes < 0)[:, None] | ~mask, z, 0.0) for codes, z, mask in zip(self.codes, self.z, used, strict=True)
        )
        codes = tuple(np.maximum(codes, 0) for codes in self.codes)
        return tuple(Points(self.X, self.offset, self.weights, codes, z) for z in (known, unknown))  # type: ignore[return-value]


def design_points(design: Design, layout: Layout) -> Points:
    """The rows that the model was fitted to."""
    codes = tuple(design.terms[block.parts[0].term].group.codes for block in layout.blocks)
    z = [np.ones((design.nobs, block.width)) for block in layout.blocks]
    for f, part in layout.parts:
        columns = design.terms[part.term].z
        if columns is not None:
            z[f][:, part.columns] = columns
    return Points(design.X, design.offset, design.weights, codes, tuple(z))


def marginal_mean(solution: Solution, points: Points) -> Array:
    """(n,) offset + x'beta."""
    fixed = points.X @ solution.beta
    return fixed if points.offset is None else fixed + points.offset


def random_part(solution: Solution, points: Points) -> Array:
    """(n,) z'b, from the conditional means of b."""
    out = np.zeros(len(points))
    for rows in chunks(len(points)):
        for codes, z, effects in zip(points.codes, points.z, solution.effects, strict=True):
            out[rows] += np.einsum("nk,nk->n", z[rows], effects[codes[rows]])
    return out


def error_variance(solution: Solution, points: Points) -> Array:
    """(n,) variance over sigma^2 of the error of x'beta_hat + z'b_hat; no level is unknown."""
    out = np.empty(len(points))
    for rows in chunks(len(points)):
        _, error = whitened(solution, points, rows)
        out[rows] = np.einsum("nr,nr->n", error, error)
    for f in range(len(points.z)):
        for g in range(f, len(points.z)):
            _add_tiles(out, solution, points, f, g)
    return out


def population_variance(solution: Solution, points: Points) -> Array:
    """(n,) z'Omega z: the variance over sigma^2 of the random part of a level that nothing is known of."""
    out = np.zeros(len(points))
    for f, z in enumerate(points.z):
        scores = z @ solution.root(f)
        out += np.einsum("nk,nk->n", scores, scores)
    return out


def whitened(solution: Solution, points: Points, rows: slice) -> tuple[Array, Array]:
    """(n, r) white'x, and white'x - D'z, of which the square is the part of beta_hat in the variance of the error."""
    fixed = points.X[rows] @ solution.white
    error = fixed.copy()
    for codes, z, share in zip(points.codes, points.z, solution.beta_share, strict=True):
        error -= np.einsum("nk,nkr->nr", z[rows], share[codes[rows]])
    return fixed, error


def _add_tiles(out: Array, solution: Solution, points: Points, f: int, g: int) -> None:
    """Add z_f'C_fg z_g (twice for f < g); each pair of levels is asked for once, however many rows it has."""
    left, right = points.z[f], points.z[g]
    active = np.flatnonzero(np.any(left != 0, axis=1) & np.any(right != 0, axis=1))
    if not len(active):
        return
    levels = solution.criterion.layout.blocks[g].levels
    pair = points.codes[f][active] * levels + points.codes[g][active]
    unique, place = np.unique(pair, return_inverse=True)
    tiles = solution.conditional(f, g, unique // levels, unique % levels)
    times = 1.0 if f == g else 2.0
    for rows in chunks(len(active)):
        at = active[rows]
        out[at] += times * np.einsum("na,nab,nb->n", left[at], tiles[place[rows]], right[at])


def chunks(n: int) -> Iterator[slice]:
    """Stretches of rows that keep intermediate arrays small."""
    for start in range(0, n, CHUNK):
        yield slice(start, min(start + CHUNK, n))
