"""Units do not matter: the columns that the numbers are computed with, and the way back to the user's units.

    y_s = (y - offset - X shift) / unit          X_s = (X - 1 c') D^-1 R^-1 = X T       b_s = S b for each block

Centring and scaling come first and are done on rows, so that no digits are lost in cross-products; then X_s and the random columns
are decorrelated (R, and the triangular part of S) on the small side. D holds powers of two, so that scaling rounds nothing. The
criterion changes by known constants only.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from types import ModuleType

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import lapack, solve_triangular

from ranef.core.kernels import columns
from ranef.core.layout import Layout
from ranef.covariance.base import Array
from ranef.covariance.scaled import Scaled
from ranef.design import Design, RandomTerm

Index = NDArray[np.intp]
ALIASED = 1e-7  # a column whose residual on the columns before it is shorter than this share of itself is dropped (as R does)
ESTIMABLE = 1e-6  # a combination of L and a null vector below this share of its terms is rounding
SHORT = 1 << 14  # numbers in all columns up to which they are copied side by side
COLLINEAR = 1e-2  # below this share the cross-products are not trusted, and X is orthogonalised row by row


@dataclass(frozen=True, eq=False)
class Standard:
    """The affine maps of a design; `kept` are the columns of X that are not aliased with columns before them."""

    design: Design
    layout: Layout
    kept: tuple[int, ...]
    center: Array  # (r,) of the kept columns
    scale: Array  # (r,)
    upper: Array  # (r, r) R
    null: Array  # (p, p - r) combinations of the user's columns that are zero in every row
    orthonormal: Array | None  # (n, r) X_s where the columns are so collinear that it had to be computed by rows
    shift: Array  # (p,) coefficients subtracted from y
    unit: float
    z_center: tuple[Array, ...]  # per term, (k,)
    z_scale: tuple[Array, ...]
    z_constant: tuple[int | None, ...]  # per term, the column of ones that centring moves to
    short: Array | None = None  # (n, r + columns of Z) all but y, column-major, where rows are few and the columns of X all kept

    @property
    def rank(self) -> int:
        return len(self.kept)

    @property
    def sigma(self) -> float | None:
        """The known sigma in units of the response, None where it is estimated."""
        return None if self.design.sigma is None else self.design.sigma / self.unit

    def response(self, y: Array, rows: slice = slice(None)) -> Array:
        return (y[rows] - (self.level if isinstance(self.level, float) else self.level[rows])) / self.unit

    @cached_property
    def level(self) -> Array | float:
        """offset + X shift, what is subtracted from y: (n,), or one number."""
        d = self.design
        constant = np.count_nonzero(self.shift) == 1 and d.intercept is not None
        fixed = float(self.shift[d.intercept]) if constant else d.X @ self.shift
        return fixed if d.offset is None else d.offset + fixed

    def fixed(self, rows: slice = slice(None)) -> Array:
        """(n, r) columns of X_s, except that R^-1 is still to be applied unless `orthonormal`."""
        if self.orthonormal is not None:
            return self.orthonormal[rows]
        if self.short is not None:
            return self.short[rows, : self.rank]
        X = self.design.X[rows]
        if self.rank < X.shape[1]:
            X = X[:, self.kept]
        return (X - self.center) / self.scale

    def empty(self, rows: int, columns: int) -> Array:
        """Room for columns, which lie side by side where `short` has them so."""
        return np.empty((rows, columns), order="C" if self.short is None else "F")

    def random(self, index: int, rows: slice = slice(None)) -> Array | None:
        z = self.design.terms[index].z
        return None if z is None else (z[rows] - self.z_center[index]) / self.z_scale[index]

    @cached_property
    def kernels(self) -> ModuleType | None:
        """The compiled twin of `kernels.columns` where the design is long enough."""
        return columns.kernels(*extent(self.design))

    def fill_fixed(self, out: Array, rows: slice) -> None:
        """The first r columns of out (n, r or more) become those of `fixed`."""
        if self.orthonormal is not None or self.short is not None:
            out[:, : self.rank] = self.fixed(rows)
        else:
            (self.kernels or columns).fill(out, 0, self.design.X, rows.start or 0, self.center, self.scale)

    def fill_random(self, out: Array, column: int, index: int, rows: slice) -> None:
        """The columns of `out` from `column` on become those of `random`."""
        z = self.design.terms[index].z
        if z is None:
            out[:, column] = 1.0
        elif self.short is not None:
            out[:, column : column + z.shape[1]] = self.short[rows, self._short_places[index]]
        else:
            (self.kernels or columns).fill(out, column, z, rows.start or 0, self.z_center[index], self.z_scale[index])

    @cached_property
    def _short_places(self) -> tuple[slice, ...]:
        """Where the columns of each term stand in `short`."""
        widths = [0 if term.z is None else term.width for term in self.design.terms]
        stops = [self.rank + stop for stop in itertools.accumulate(widths)]
        return tuple(slice(stop - width, stop) for stop, width in zip(stops, widths, strict=True))

    def chunks(self) -> Iterator[slice]:
        """Stretches of rows that fit in the cache; longer ones for NumPy, whose sums by level pass over all levels each time."""
        step = columns.CHUNK if self.kernels else max([columns.CHUNK, *(8 * block.levels for block in self.layout.blocks)])
        for start in range(0, self.design.nobs, step):
            yield slice(start, min(start + step, self.design.nobs))

    def with_response(self, y: Array) -> Standard:
        """The maps of a design that differs in the response only, in the same units; what was derived from them serves both."""
        out = object.__new__(Standard)
        out.__dict__.update(self.__dict__, design=self.design.with_response(y), to_user=self.to_user, places=self.places)
        return out

    def with_own_units(self) -> Standard:
        """With units of the response found anew."""
        shift, unit = _response_units(self.design, list(self.kept), columns)
        return replace(self, shift=shift, unit=unit)

    @cached_property
    def places(self) -> Index:
        """(r,) the kept columns of X."""
        return np.array(self.kept, dtype=np.intp)

    @cached_property
    def to_user(self) -> Array:
        """(p, r) T: beta = unit T gamma + shift; rows of dropped columns are zero."""
        out = np.zeros((len(self.shift), self.rank))
        if not self.rank:
            return out
        inverse = lapack.dtrtri(self.upper, lower=0)[0] / self.scale[:, None]
        out[self.places] = inverse
        if self.design.intercept is not None:
            out[self.design.intercept] -= self.center @ inverse
        return out

    def estimable(self, L: Array) -> NDArray[np.bool_]:
        """(c,) the rows of L (c, p) whose L beta does not depend on which aliased columns were dropped."""
        size = np.abs(L) @ np.abs(self.null)
        return np.all(np.abs(L @ self.null) <= ESTIMABLE * size, axis=1)

    def logdet_units(self) -> float:
        """log |X'V^-1 X| on the user's scale less that of X_s."""
        return 2.0 * float(np.log(np.abs(np.diag(self.upper))).sum() + np.log(self.scale).sum())

    def z_map(self, index: int) -> Array:
        """(k, k) S without its decorrelating part: z b = z_s (S b)."""
        out = np.diag(self.z_scale[index])
        center = self.z_center[index]
        if np.any(center):
            out[self.z_constant[index]] += center
        return out


def standardise(design: Design, layout: Layout) -> Standard:
    """Find the maps; X'X (2np^2 flops) is formed once to find the rank.

    Raises nothing: what is aliased is left out and told by `kept`.
    """
    rows, width = extent(design)
    if rows * width <= SHORT and design.intercept is not None and design.weights is None:
        from ranef.core.few_rows import standardise_at_once

        found = standardise_at_once(design, layout)
        if found is not None:
            return found
    tools = columns.kernels(rows, width) or columns
    center, unit = _extents(design, tools)
    gram = _gram(design, center, unit, tools)
    scale = binary(unit * _lengths(design, center, unit, gram, tools))
    kept, upper, null, orthonormal = _basis(design, center, scale, gram * (unit / scale) * (unit / scale)[:, None])
    null = _user_null(null, center, scale, design.intercept)
    at = list(kept)
    shift, y_unit = _response_units(design, at, tools)
    moments = [_random_moments(term, tools) for term in design.terms]
    centers, scales = tuple(center for center, _, _ in moments), tuple(scale for _, scale, _ in moments)
    constants = tuple(constant for _, _, constant in moments)
    return Standard(
        design, layout, kept, center[at], scale[at], upper, null, orthonormal, shift, y_unit,
        centers, scales, constants,
    )  # fmt: skip


def extent(design: Design) -> tuple[int, int]:
    """Rows and columns of all that has to be read."""
    return design.nobs, design.X.shape[1] + 1 + sum(term.width for term in design.terms)


def _extents(design: Design, tools: ModuleType) -> tuple[Array, Array]:
    """Means of the columns of X (zero without an intercept), and powers of two about the largest distances from them; zero where
    these are rounding.
    """
    p = design.X.shape[1]
    if not p:
        return np.zeros(0), np.zeros(0)
    center, low, high = tools.summary(design.X)
    if design.intercept is None:
        center = np.zeros(p)
    else:
        center[design.intercept] = 0.0
    top = reach(center, low, high)
    return center, np.where(top > 0.0, binary(top), 0.0)


def binary(size: Array) -> Array:
    """The largest powers of two that are not larger, which scale without rounding; one for zero."""
    return np.where(size > 0.0, np.ldexp(1.0, np.frexp(size)[1] - 1), 1.0)


def reach(center: Array, low: Array, high: Array) -> Array:
    """The largest distance from the centre, zero where it is rounding."""
    top = np.maximum(high - center, center - low)
    return np.where(top > 4e-15 * np.abs(center), top, 0.0)


def _gram(design: Design, center: Array, unit: Array, tools: ModuleType) -> Array:
    """(p, p) weighted cross-products of (X - center) / unit."""
    n, p = design.X.shape
    root = None if design.weights is None else np.sqrt(design.weights)
    divisor = np.where(unit == 0.0, 1.0, unit)
    gram = np.zeros((p, p))
    for start in range(0, n if p else 0, columns.CHUNK):
        part = np.empty((min(columns.CHUNK, n - start), p))
        tools.fill(part, 0, design.X, start, center, divisor)
        if root is not None:
            part *= root[start : start + len(part), None]
        gram += part.T @ part
    return gram


def _lengths(design: Design, center: Array, unit: Array, gram: Array, tools: ModuleType) -> Array:
    """(p,) root mean squares of (X - center) / unit."""
    if design.weights is None:
        return np.sqrt(gram.diagonal() / design.nobs)
    return np.sqrt(tools.mean_squares(design.X, center, np.where(unit == 0.0, 1.0, unit)))


def _basis(design: Design, center: Array, scale: Array, gram: Array) -> tuple[tuple[int, ...], Array, Array, Array | None]:
    """Columns kept, R, null vectors of the scaled columns, and the orthonormal X_s when cross-products would not do."""
    p = design.X.shape[1]
    if p == 0:
        return (), np.zeros((0, 0)), np.zeros((0, 0)), None
    upper = cholesky_share(gram, COLLINEAR)
    if upper is not None:
        return tuple(range(p)), upper, np.zeros((p, 0)), None
    root = None if design.weights is None else np.sqrt(design.weights)
    return _by_rows((design.X - center) / scale, root, _spanned_scale(design, center, scale))


def _user_null(null: Array, center: Array, scale: Array, intercept: int | None) -> Array:
    """Null vectors of the user's columns from those of the scaled ones; entries that are rounding become zero."""
    if not null.shape[1]:
        return null
    null = np.where(np.abs(null) < ALIASED * np.abs(null).max(axis=0, initial=1.0), 0.0, null) / scale[:, None]
    if intercept is not None:
        moved = np.vstack([null[intercept], -center[:, None] * null])
        total = moved.sum(axis=0)
        null[intercept] = np.where(np.abs(total) < ALIASED * np.abs(moved).max(axis=0), 0.0, total)
    return null


def _spanned_scale(design: Design, center: Array, scale: Array) -> Array:
    """Root mean square of each column as computed with, in units of `scale`: zero for a constant column that was centred away."""
    return np.array([np.sqrt(np.mean(((design.X[:, j] - center[j]) / scale[j]) ** 2)) for j in range(len(scale))])


def cholesky_share(gram: Array, share: float) -> Array | None:
    """Upper Cholesky factor R of gram, or None where a column adds less than `share` of its length to those before it."""
    upper, info = lapack.dpotrf(gram, lower=0)
    return upper if info == 0 and (upper.diagonal() > share * np.sqrt(gram.diagonal())).all() else None


def _by_rows(X: Array, root: Array | None, spans: Array) -> tuple[tuple[int, ...], Array, Array, Array]:
    """Gram-Schmidt with re-orthogonalisation, column by column in the order given, in the metric of the weights."""
    n, p = X.shape
    if root is not None:
        X = X * root[:, None]
    Q = np.empty((n, min(n, p)), order="F")
    upper = np.zeros((min(n, p), p))
    kept: list[int] = []
    for j in range(p):
        column, r = X[:, j].copy(), len(kept)
        length = np.linalg.norm(column)
        if spans[j] == 0.0:
            continue
        for _ in range(3):
            overlap = Q[:, :r].T @ column
            column -= Q[:, :r] @ overlap
            upper[:r, j] += overlap
        rest = np.linalg.norm(column)
        if r == n or rest <= ALIASED * length:
            continue
        Q[:, r], upper[r, j] = column / rest, rest
        kept.append(j)
    r = len(kept)
    Q = Q[:, :r]
    if root is not None:
        Q = Q / root[:, None]
    dropped = [j for j in range(p) if j not in set(kept)]
    null = np.zeros((p, len(dropped)))
    null[dropped, range(len(dropped))] = 1.0
    null[kept] = -solve_triangular(upper[:r, kept], upper[:r, dropped])
    return tuple(kept), upper[:r, kept], null, np.asfortranarray(Q)


def _response_units(design: Design, kept: list[int], tools: ModuleType) -> tuple[Array, float]:
    """(p,) a first fit to subtract from y, so that sums of squares lose no digits, and the scale of what remains."""
    shift = np.zeros(design.X.shape[1])
    y = design.y if design.offset is None else design.y - design.offset
    if design.intercept is None and kept:
        X = design.X if len(kept) == design.X.shape[1] else design.X[:, kept]
        lengths = np.sqrt(np.einsum("ij,ij->j", X, X))
        lengths[lengths == 0.0] = 1.0
        shift[kept] = np.linalg.lstsq(X / lengths, y, rcond=None)[0] / lengths
        y = y - design.X @ shift
    mean, low, high = tools.summary(y[:, None])
    if design.intercept is not None:
        shift[design.intercept] = mean[0]
    else:
        mean = np.zeros(1)
    top = np.maximum(high - mean, mean - low)
    return shift, float(top[0] * np.sqrt(tools.mean_squares(y[:, None], mean, top)[0])) if top[0] > 0 else 1.0


def _random_moments(term: RandomTerm, tools: ModuleType) -> tuple[Array, Array, int | None]:
    """Centre and scale of the columns, as far as the covariance structure is closed under them, and the column of ones."""
    center, scale = np.zeros(term.width), np.ones(term.width)
    if term.z is None:
        return center, scale, None
    mean, low, high = tools.summary(term.z)
    constant = constant_column(term, low, high)
    if constant is not None:
        center = mean
        center[constant] = 0.0
    top = reach(center, low, high)
    known = top > 0.0
    scale = np.where(known, top, 1.0) * np.sqrt(tools.mean_squares(term.z, center, np.where(known, top, 1.0)))
    scale[~known] = 1.0
    return center, term_scale(term, scale, constant), constant


def term_scale(term: RandomTerm, sizes: Array, constant: int | None) -> Array:
    """(k,) the scales of the columns of a term, as its structure allows them, from their root mean squares."""
    scale = sizes.copy()
    if constant is not None:
        scale[constant] = 1.0
    if term.covariance.closure == "none":
        return np.ones(len(scale))
    if term.covariance.closure == "scalar":
        scale[:] = np.sqrt(np.mean(scale**2))
    # a row has few of the columns: its own part of the variance is of the order of one
    if isinstance(term.covariance, Scaled) or term.levels is not None:
        scale *= np.sqrt(len(scale))
    return scale


def constant_column(term: RandomTerm, low: Array, high: Array) -> int | None:
    """The column of ones that centring the others may move to, where the structure allows it."""
    if term.covariance.closure != "linear":
        return None
    ones = (low == 1.0) & (high == 1.0)
    return int(ones.argmax()) if ones.any() else None
