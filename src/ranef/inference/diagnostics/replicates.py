"""Data from the fitted model, analysed as the data were: what the residuals and predicted effects look like when all is well.

With theta at its estimate and beta zero, which changes neither residuals nor effects,

    y* = Z b* + e*,   b* ~ N(0, Omega),   e* ~ N(0, 1)
    t = Z'V^-1 y* = Z'y* - Z'V^-1 Z Omega Z'y*             (from V^-1 = I - Z Omega Z'V^-1)
    Z'P y* = t - Z'V^-1 X L^-T g,   g = L^-1 (X'y* - X'Z Omega t),   X'V^-1 X = L L'
    b_hat* = Omega Z'P y*,   r* = y* - X L^-T g - Z b_hat* = P y*,   sigma*^2 = y*'r* / nu

so that a replicate costs one product with the sparse Z, and no n x n matrix. Rows are multiplied by the roots of their weights.
The variance parameters are not estimated again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.linalg import solve_triangular

from ranef.covariance.base import Array
from ranef.inference.influence.deletion import Deletion

if TYPE_CHECKING:
    from ranef.fit.fit import Fit

CHUNK = 2_000_000  # numbers held at a time
ALL_TOGETHER = 4_000_000  # numbers drawn in total,
FEWEST = 60  # but not less replicates than this
STREAM = 20_260  # replicates of simulated data must not repeat the numbers that the data were made of with the same seed


def how_many(nobs: int, asked: int) -> int:
    """Replicates of a model: as many as asked for, less where there are many rows, which determine bands by themselves."""
    return min(asked, max(FEWEST, ALL_TOGETHER // nobs))


def structure_of(fit: Fit) -> Any:
    """The covariance structure of the residuals, None where they are independent."""
    return getattr(fit.model.design, "residual", None)


def has_structure(fit: Fit) -> bool:
    return structure_of(fit) is not None


@dataclass(frozen=True, eq=False)
class Analysis:
    """c replicates: residuals P y* (n, c), effects per block (m, k, c) of the user's columns, sigma* (c,)."""

    residuals: Array
    effects: list[Array]
    sigma: Array
    standard: list[Array]  # the effects of the standardised columns

    def first(self, c: int) -> Analysis:
        """At most c of the replicates."""
        effects, standard = ([part[..., :c] for part in parts] for parts in (self.effects, self.standard))
        return Analysis(self.residuals[:, :c], effects, self.sigma[:c], standard)


@dataclass(frozen=True, eq=False)
class Replicator:
    """The linear maps from a response to its residuals and predicted effects, at theta."""

    fit: Fit

    @cached_property
    def _rows(self) -> Deletion:
        return Deletion.of(self.fit)

    @cached_property
    def _z(self) -> list[list[Array | None]]:
        """Per block its columns of Z (n,); None stands for ones."""
        return [[None if np.all(column == 1.0) else np.ascontiguousarray(column) for column in z.T] for z in self._rows.z]

    def draw(self, rng: np.random.Generator, c: int) -> Array:
        """(n, c) responses, one after the other in memory."""
        y = rng.standard_normal((c, self.fit.nobs)).T
        for f, (block, lam) in enumerate(zip(self.fit.criterion.layout.blocks, self.fit.solution.factors, strict=True)):
            self._add(y, f, rng.standard_normal((c, block.levels, block.width)).transpose(1, 2, 0), lam)
        return y

    def analyse(self, y: Array) -> Analysis:
        """Of responses (n, c)."""
        solution, gram = self.fit.solution, self.fit.criterion.gram
        X, lower, omegas = self._rows.w[:, :-1], solution.gls.lower, [lam @ lam.T for lam in solution.factors]
        q = [self._by_level(f, y) for f in range(len(omegas))]
        moved = (
            self.fit.criterion.engine.apply(solution.factors, [o @ part for o, part in zip(omegas, q, strict=True)]) if q else []
        )
        t = [part - other for part, other in zip(q, moved, strict=True)]
        right = X.T @ y
        for zw, omega, part in zip(gram.zw, omegas, t, strict=True):
            right -= np.einsum("mkr,mkc->rc", zw[:, :, :-1], omega @ part)
        g = solve_triangular(lower, right, lower=True) if len(lower) else right
        residuals = np.array(y, order="F")
        if len(lower):
            residuals -= (solve_triangular(lower, g, lower=True, trans="T").T @ X.T).T
        effects, standard = [], []
        for f, (omega, part) in enumerate(zip(omegas, t, strict=True)):
            b = omega @ (part - np.einsum("mkr,rc->mkc", solution.projections[f][:, :, :-1], g))
            self._add(residuals, f, -b)
            standard.append(b)
            effects.append(np.linalg.inv(gram.z_map(f)) @ b)
        sigma = np.sqrt(np.maximum(np.einsum("nc,nc->c", y, residuals), 0.0) / solution.dof)
        if self.fit.criterion.scale is not None:  # known, and one in the units of y*
            sigma = np.ones_like(sigma)
        return Analysis(residuals, effects, sigma, standard)

    def random_part(self, analysis: Analysis) -> Array:
        """(n, c) Z b_hat*."""
        out = np.zeros_like(analysis.residuals)
        for f, b in enumerate(analysis.standard):
            self._add(out, f, b)
        return out

    def _by_level(self, f: int, y: Array) -> Array:
        """(m, k, c) Z'y of block f."""
        codes, columns, m = self._rows.codes[f], self._z[f], self.fit.criterion.layout.blocks[f].levels
        out = np.empty((m, len(columns), y.shape[1]))
        for c, own in enumerate(y.T):
            for a, column in enumerate(columns):
                out[:, a, c] = np.bincount(codes, weights=own if column is None else own * column, minlength=m)
        return out

    def _add(self, out: Array, f: int, b: Array, root: Array | None = None) -> None:
        """Add Z b to out (n, c), in place; effects b (m, k, c) of block f, times `root` (k, k) where it is given."""
        effects = np.ascontiguousarray((b if root is None else root @ b).transpose(2, 1, 0))
        for own, part in zip(out.T, effects, strict=True):
            for column, values in zip(self._z[f], part, strict=True):
                spread = values.take(self._rows.codes[f])
                own += spread if column is None else column * spread

    def replicates(self, n: int, seed: int) -> Iterator[Analysis]:
        """n replicates, some at a time."""
        rng = np.random.default_rng([seed, STREAM])
        size = max(1, CHUNK // self.fit.nobs)
        for start in range(0, n, size):
            yield self.analyse(self.draw(rng, min(size, n - start)))
