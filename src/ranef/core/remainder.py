"""The factors that stay: N = Z_2'V_1^-1 Z_2 as one dense matrix, S = I + Lambda'N Lambda = L L', and what follows from L.

Only lower triangles are kept. Levels are ordered by frequency, so that the busiest corner of N is small.

docs/explanation/likelihood.md, eq. 21-22, 24 and 25.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.linalg import lapack, solve_triangular
from scipy.linalg.blas import dsymm
from scipy.sparse import coo_array, csr_array

from ranef.core.elimination import oriented
from ranef.core.gram import Gram, Index
from ranef.core.kernels.threads import many_threads
from ranef.core.outer import Outer
from ranef.core.panel import Panel
from ranef.core.pieces import LinAlgError
from ranef.covariance.base import Array

COMFORTABLE = 1e-4  # I - S^-1 keeps twelve digits where the effects explain more than this share
CONDITION = 1e-6
STRIP = 256  # rows that are multiplied from the right at a time


@dataclass(frozen=True, eq=False)
class Remainder:
    """The dense factors: constants. `place[i]` are the positions of the levels of blocks[i] in its stretch `spans[i]`."""

    blocks: tuple[int, ...]
    shapes: tuple[tuple[int, int], ...]  # (levels, width) of each
    spans: tuple[slice, ...]
    place: tuple[Index, ...]
    cross: csr_array  # (q2, q2) Z_2'Z_2, both triangles
    rows_per_level: tuple[float, ...]

    @classmethod
    def of(cls, gram: Gram, blocks: tuple[int, ...]) -> Remainder:
        shapes = tuple((gram.layout.blocks[f].levels, gram.layout.blocks[f].width) for f in blocks)
        edges = np.concatenate([[0], np.cumsum([m * k for m, k in shapes])]).astype(np.intp)
        spans = tuple(slice(int(a), int(b)) for a, b in itertools.pairwise(edges))
        place = tuple(_by_frequency(gram.zz[f]) for f in blocks)
        cross = _cross(gram, blocks, shapes, spans, place)
        return cls(blocks, shapes, spans, place, cross, tuple(gram.nobs / m for m, _ in shapes))

    @property
    def size(self) -> int:
        return self.spans[-1].stop if self.spans else 0

    @cached_property
    def scalar(self) -> bool:
        """Has each level one effect?"""
        return all(k == 1 for _, k in self.shapes)

    def scale(self, factors: Sequence[Array]) -> Array:
        """(q2,) Lambda where each level has one effect."""
        return np.concatenate([np.full(m, lam[0, 0]) for (m, _), lam in zip(self.shapes, factors, strict=True)])

    def scaled(self, lower: Array, scales: Sequence[float], out: Array) -> Array:
        """The lower triangle of A times the number of the block of its row, and that of its column, in `out`."""
        for i, rows in enumerate(self.spans):
            for j, columns in enumerate(self.spans[: i + 1]):
                np.multiply(lower[rows, columns], scales[i] * scales[j], out=out[rows, columns])
        return out

    def columns(self, i: int, levels: Index) -> Index:
        """(c,) the first column of each level of the i-th block."""
        return self.spans[i].start + self.place[i][levels] * self.shapes[i][1]

    def stack(self, parts: Sequence[Array]) -> Array:
        """(q2, c) from (m, k, c) of each block in the order of its levels."""
        out = np.empty((self.size, parts[0].shape[2]))
        for part, span, place in zip(parts, self.spans, self.place, strict=True):
            moved = np.empty_like(part)
            moved[place] = part
            out[span] = moved.reshape(-1, part.shape[2])
        return out

    def unstack(self, stacked: Array) -> list[Array]:
        """(m, k, c) of each block in the order of its levels."""
        return [
            stacked[span].reshape(m, k, -1)[place] for (m, k), span, place in zip(self.shapes, self.spans, self.place, strict=True)
        ]

    @cached_property
    def _lower(self) -> tuple[Index, Array]:
        """Flat places and values of the lower triangle of Z_2'Z_2."""
        entries = self.cross.tocoo()
        row, column = (x.astype(np.intp) for x in entries.coords)
        keep = row >= column
        return row[keep] * self.size + column[keep], entries.data[keep]

    def constant(self) -> Array:
        """(q2, q2) lower triangle of Z_2'Z_2."""
        return self.plus_constant(np.zeros((self.size, self.size)))

    def plus_constant(self, out: Array) -> Array:
        """The lower triangle of out + Z_2'Z_2, in place."""
        at, values = self._lower
        out.reshape(-1)[at] += values
        return out

    def times(self, x: Array, factors: Sequence[Array]) -> Array:
        """(q2, ...) blocks of rows, each level's k rows multiplied by the k x k matrix of its block."""
        out = np.empty_like(x)
        for (m, k), span, factor in zip(self.shapes, self.spans, factors, strict=True):
            if k == 1:
                np.multiply(x[span], factor[0, 0], out=out[span])
            else:
                out[span] = (factor @ x[span].reshape(m, k, -1)).reshape(x[span].shape)
        return out

    def sandwich(self, N: Array, factors: Sequence[Array], keep: bool) -> Array:
        """Lambda'N Lambda + I on the lower triangle, in place unless N is to be kept."""
        if self.scalar:
            out = self.scaled(N, [float(lam[0, 0]) for lam in factors], np.empty_like(N) if keep else N)
        else:
            mirror_tiles(N, self)
            out = self.times(N, [lam.T for lam in factors])
            for start in range(0, len(out), STRIP):
                rows = out[start : start + STRIP]
                for (_, k), span, lam in zip(self.shapes, self.spans, factors, strict=True):
                    part = rows[:, span]
                    part[:] = (np.ascontiguousarray(part).reshape(-1, k) @ lam).reshape(part.shape)
        at = np.arange(self.size)
        out[at, at] += 1.0
        return out

    def comfortable(self, factors: Sequence[Array]) -> list[bool]:
        """Where Lambda may be divided by: neither singular nor so small that I - S^-1 would cancel."""
        out = []
        for lam, rows in zip(factors, self.rows_per_level, strict=True):
            sizes = np.linalg.svd(lam, compute_uv=False)
            out.append(bool(sizes[-1] ** 2 * rows > COMFORTABLE and sizes[-1] > CONDITION * sizes[0]))
        return out


@dataclass(frozen=True, eq=False)
class Factored:
    """S = L L' at Lambda; `N` is there only where something was not comfortable or was asked for in full."""

    remainder: Remainder
    factors: Sequence[Array]
    lower: Array  # (q2, q2) C-ordered, L on the lower triangle; of single precision for rough answers
    N: Array | None
    logdet: float

    @classmethod
    def of(cls, remainder: Remainder, N: Array, factors: Sequence[Array], keep: bool, rough: bool = False) -> Factored:
        """N may be overwritten unless it is kept. Raises LinAlgError when S is not positive definite to working precision."""
        S = remainder.sandwich(N, factors, keep)
        if rough:
            with np.errstate(over="ignore"):  # infinity is not positive definite
                S = S.astype(np.float32)
        with many_threads(len(S)):
            _, info = (lapack.spotrf if rough else lapack.dpotrf)(S.T, lower=0, clean=0, overwrite_a=1)
        logdet = np.nan if info else 2.0 * float(np.log(np.diag(S)).sum())
        if not np.isfinite(logdet):
            raise LinAlgError("I + Lambda'N Lambda is not positive definite")
        return cls(remainder, factors, S, N if keep else None, logdet)

    def half(self, right: Array) -> Array:
        """L^-1 Lambda' right"""
        scaled = self.remainder.times(right, [lam.T for lam in self.factors]).astype(self.lower.dtype, copy=False)
        return solve_triangular(self.lower.T, scaled, trans="T", lower=False, overwrite_b=True, check_finite=False)

    def solve_half(self, half: Array) -> Array:
        """S^-1 Lambda' right from `half(right)`: the effects on the scale of u."""
        return solve_triangular(self.lower.T, half, lower=False, check_finite=False)

    def effects(self, u: Array) -> Array:
        return self.remainder.times(u, self.factors)

    def scores(self, right: Array, u: Array) -> Array:
        """Z_2'V^-1 w = Lambda^-T u where Lambda may be divided by, else right - N Lambda u."""
        remainder = self.remainder
        out = np.empty_like(right)
        if self.N is not None:
            out[:] = right - symmetric_times(self.N, self.effects(u))
        comfortable = remainder.comfortable(self.factors)
        for (m, k), span, lam, good in zip(remainder.shapes, remainder.spans, self.factors, comfortable, strict=True):
            if good:
                out[span] = np.linalg.solve(lam.T, u[span].reshape(m, k, -1)).reshape(m * k, -1)
        return out

    def last_total(self) -> Array | None:
        """(k, k) the sum of the diagonal tiles of Z_2'V^-1 Z_2 of the last block; None where Lambda may not be divided by.

        Its part of S^-1 is the inverse of the last tile of L times that tile's transpose.
        """
        if not self.remainder.comfortable(self.factors)[-1]:
            return None
        (m, k), span, lam = self.remainder.shapes[-1], self.remainder.spans[-1], self.factors[-1]
        inverse = np.triu(lapack.dtrtri(self.lower[span, span].T, lower=0)[0])  # of the transpose, whose upper triangle is L'
        left = np.linalg.inv(lam)
        by_level = inverse.reshape(m, k, -1)
        return left.T @ (m * np.eye(k) - np.einsum("jaq,jbq->ab", by_level, by_level)) @ left

    def inverse(self) -> Inverse:
        """S^-1; takes the place of L."""
        totals = self._uncomfortable_totals()
        with many_threads(len(self.lower)):
            lapack.dpotri(self.lower.T, lower=0, overwrite_c=1)
        return Inverse(self.remainder, self.factors, self.lower, tuple(totals))

    def _uncomfortable_totals(self) -> list[Array | None]:
        """Sums of diagonal tiles where Lambda may not be divided by: N_jj - Y_j'Y_j with Y = L^-1 Lambda'N."""
        remainder = self.remainder
        out: list[Array | None] = []
        for (m, k), span, good in zip(remainder.shapes, remainder.spans, remainder.comfortable(self.factors), strict=True):
            if good:
                out.append(None)
                continue
            assert self.N is not None
            own = self.N[span, span].copy()
            columns = np.vstack([self.N[span, : span.start].T, np.tril(own) + np.tril(own, -1).T, self.N[span.stop :, span]])
            Y = self.half(columns).reshape(-1, m, k)
            tiles = np.einsum("jajb->ab", columns[span].reshape(m, k, m, k))
            out.append(tiles - np.einsum("qja,qjb->ab", Y, Y, optimize=True))
        return out


@dataclass(frozen=True, eq=False)
class Inverse:
    """S^-1, the covariance of u_2 given y, on the lower triangle; `known` are totals that it would give with too few digits."""

    remainder: Remainder
    factors: Sequence[Array]
    lower: Array  # (q2, q2)
    known: tuple[Array | None, ...]

    def totals(self) -> list[Array]:
        """Per block the sum of the diagonal tiles of Z_2'V^-1 Z_2 = Lambda^-T (I - S^-1) Lambda^-1."""
        return [self._total(i) if known is None else known for i, known in enumerate(self.known)]

    def _total(self, i: int) -> Array:
        (m, k), lam = self.remainder.shapes[i], self.factors[i]
        first = self.remainder.spans[i].start + k * np.arange(m)
        total = np.zeros((k, k))
        for a in range(k):
            for b in range(a + 1):
                total[a, b] = total[b, a] = (m if a == b else 0.0) - self.lower[first + a, first + b].sum()
        left = np.linalg.inv(lam)
        return left.T @ total @ left

    def pairs(self, i: int, j: int, rows: Index, columns: Index) -> Array:
        """(c, k_i, k_j) Lambda_i S^-1 Lambda_j' at pairs of levels of the i-th and the j-th block."""
        k, l = self.remainder.shapes[i][1], self.remainder.shapes[j][1]
        first, second = self.remainder.columns(i, rows), self.remainder.columns(j, columns)
        out = np.empty((len(rows), k, l))
        for a in range(k):
            for b in range(l):
                row, column = first + a, second + b
                out[:, a, b] = self.lower[np.maximum(row, column), np.minimum(row, column)]
        return self.factors[i] @ out @ self.factors[j].T

    def forms(self, outer: Outer) -> Array:
        """(m,) p_j'Lambda S^-1 Lambda'p_j, where each level has one effect."""
        scales = [float(lam[0, 0]) for lam in self.factors]
        if len(scales) == 1:
            return scales[0] ** 2 * outer.forms(self.lower)
        return outer.forms(self.remainder.scaled(self.lower, scales, np.empty_like(self.lower)))

    def scaled(self, panel: Panel) -> Panel:
        """P Lambda for a panel P = Z_i'Z_2."""
        remainder = self.remainder
        if remainder.scalar:
            return panel.with_values(panel.values * remainder.scale(self.factors)[panel.pattern.columns, None])
        values = np.empty_like(panel.values)
        for (_, k), span, lam in zip(remainder.shapes, remainder.spans, self.factors, strict=True):
            at = np.flatnonzero((panel.pattern.columns >= span.start) & (panel.pattern.columns < span.stop)).reshape(-1, k)
            values[at] = lam.T @ panel.values[at]
        return panel.with_values(values)


def symmetric_times(lower: Array, x: Array) -> Array:
    """A x for a symmetric A with its lower triangle in C order."""
    return np.ascontiguousarray(dsymm(1.0, lower.T, np.asfortranarray(x), lower=0))


def mirror_tiles(N: Array, remainder: Remainder) -> None:
    """Fill the upper halves of the diagonal tiles."""
    for (m, k), span in zip(remainder.shapes, remainder.spans, strict=True):
        first = span.start + k * np.arange(m)
        for a in range(k):
            for b in range(a):
                N[first + b, first + a] = N[first + a, first + b]


def _by_frequency(zz: Array) -> Index:
    """(m,) the position of each level when those with the largest Z_j'Z_j come first."""
    place = np.empty(len(zz), dtype=np.intp)
    place[np.argsort(-np.einsum("jaa->j", zz), kind="stable")] = np.arange(len(zz))
    return place


def _cross(
    gram: Gram, blocks: tuple[int, ...], shapes: Sequence[tuple[int, int]], spans: Sequence[slice], place: Sequence[Index]
) -> csr_array:
    """(q2, q2) Z_2'Z_2 of the dense blocks."""
    rows, columns, values = [], [], []

    def add(i: int, j: int, first: Index, second: Index, tiles: Array) -> None:
        shape = tiles.shape
        at = spans[i].start + place[i][first] * shapes[i][1]
        to = spans[j].start + place[j][second] * shapes[j][1]
        rows.append(np.broadcast_to((at[:, None] + np.arange(shape[1]))[:, :, None], shape).ravel())
        columns.append(np.broadcast_to((to[:, None] + np.arange(shape[2]))[:, None, :], shape).ravel())
        values.append(tiles.ravel())

    for i, f in enumerate(blocks):
        own = np.arange(shapes[i][0])
        add(i, i, own, own, gram.zz[f])
        for j in range(i):
            pair = oriented(gram, f, blocks[j])
            add(i, j, pair.rows, pair.columns, pair.values)
            add(j, i, pair.columns, pair.rows, pair.values.swapaxes(1, 2))
    size = spans[-1].stop if spans else 0
    if not rows:
        return csr_array((size, size))
    return coo_array((np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))), shape=(size, size)).tocsr()
