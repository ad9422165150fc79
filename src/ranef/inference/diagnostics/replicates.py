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


@dataclass(frozen=True, eq=False)
class Replicator:
    """The linear maps from a response to its residuals and predicted effects, at theta."""

    fit: Fit

    @cached_property
    def _rows(self) -> Deletion:
        return Deletion.of(self.fit)

    @cached_property
    def _z(self) -> list[list[Any]]:
        """Per block and column the sparse transposed (m, n) of Z."""
        from scipy.sparse import csr_matrix

        out, rows = [], np.arange(self.fit.nobs)
        for z, codes, block in zip(self._rows.z, self._rows.codes, self.fit.criterion.layout.blocks, strict=True):
            shape = (block.levels, self.fit.nobs)
            out.append([csr_matrix((column, (codes, rows)), shape=shape) for column in z.T])
        return out

    def draw(self, rng: np.random.Generator, c: int) -> Array:
        """(n, c) responses."""
        y = rng.standard_normal((c, self.fit.nobs)).T
        for block, lam, z in zip(self.fit.criterion.layout.blocks, self.fit.solution.factors, self._z, strict=True):
            b = rng.standard_normal((c, block.levels, block.width)) @ lam.T
            for k, column in enumerate(z):
                y = y + column.T @ b[:, :, k].T
        return y

    def analyse(self, y: Array) -> Analysis:
        """Of responses (n, c)."""
        solution, gram = self.fit.solution, self.fit.criterion.gram
        X, lower, omegas = self._rows.w[:, :-1], solution.gls.lower, [lam @ lam.T for lam in solution.factors]
        q = [np.stack([column @ y for column in z], axis=1) for z in self._z]
        moved = (
            self.fit.criterion.engine.apply(solution.factors, [o @ part for o, part in zip(omegas, q, strict=True)]) if q else []
        )
        t = [part - other for part, other in zip(q, moved, strict=True)]
        right = X.T @ y
        for zw, omega, part in zip(gram.zw, omegas, t, strict=True):
            right -= np.einsum("mkr,mkc->rc", zw[:, :, :-1], omega @ part)
        g = solve_triangular(lower, right, lower=True) if len(lower) else right
        residuals = y - (X @ solve_triangular(lower, g, lower=True, trans="T") if len(lower) else 0.0)
        effects, standard = [], []
        for f, (omega, part, z) in enumerate(zip(omegas, t, self._z, strict=True)):
            b = omega @ (part - np.einsum("mkr,rc->mkc", solution.projections[f][:, :, :-1], g))
            residuals = residuals - sum(column.T @ b[:, k] for k, column in enumerate(z))
            standard.append(b)
            effects.append(np.linalg.solve(gram.z_map(f), b))
        sigma = np.sqrt(np.maximum(np.einsum("nc,nc->c", y, residuals), 0.0) / solution.dof)
        if self.fit.criterion.scale is not None:  # known, and one in the units of y*
            sigma = np.ones_like(sigma)
        return Analysis(residuals, effects, sigma, standard)

    def random_part(self, analysis: Analysis) -> Array:
        """(n, c) Z b_hat*."""
        out = np.zeros_like(analysis.residuals)
        for z, b in zip(self._z, analysis.standard, strict=True):
            for k, column in enumerate(z):
                out += column.T @ b[:, k]
        return out

    def replicates(self, n: int, seed: int) -> Iterator[Analysis]:
        """n replicates, some at a time."""
        rng = np.random.default_rng([seed, STREAM])
        size = max(1, CHUNK // self.fit.nobs)
        for start in range(0, n, size):
            yield self.analyse(self.draw(rng, min(size, n - start)))
