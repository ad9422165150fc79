"""The answer at theta, on the user's scale: beta, sigma, the random effects, and how precisely they are known.

    beta = unit T gamma + shift            b_j = unit S^-1 Omega Z_j'P y                      Bates et al. (2015), eq. 29-31
    Var(beta) = sigma^2 T (X'V^-1X)^-1 T'  Var(b_j | y) = sigma^2 S^-1 Lambda A^-1 Lambda' S^-T

Prediction errors use the joint covariance of Henderson's equations: Cov(beta, b - b_hat) = -sigma^2 T L^-T B_x'Omega S^-T.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import blas

from ranef.core.criterion import Criterion, Engine
from ranef.core.information import omega_of
from ranef.core.layout import Layout
from ranef.core.moments import level_products
from ranef.core.pieces import Gls, Known, Pieces, direction_forms
from ranef.core.residual.engine import ResidualEngine
from ranef.covariance.base import Array
from ranef.optim.problem import Optimum
from ranef.schema.memory import refuse_beyond

SHORT = 3e-5  # a relative change of which the square (1e-9) may be left out
DEAR = 1e7  # floating-point operations of an evaluation that takes milliseconds
ROUNDING = 1e-10  # one that may be left out in derivatives, and of which the square is nothing


@dataclass(frozen=True, eq=False)
class Moved:
    """Least squares of the last evaluation of a search, moved to the optimum, and its forms F (K, r+1, r+1)."""

    gls: Gls
    forms: Array

    @classmethod
    def from_(cls, known: Known, layout: Layout, theta: Array, most: float) -> Moved | None:
        """None where theta is farther than `most`, a relative change of [X y]'V^-1[X y]."""
        if not known.pieces.gls.pwrss > 0.0:
            return None
        before, after = (omega_of(layout, layout.factors(at)) for at in (known.theta, theta))
        forms, gls = np.asarray(known.pieces.F), known.pieces.gls
        change = np.tensordot(after - before, forms, 1)
        unit = np.append(np.ones(len(change) - 1), gls.pwrss**-0.5)
        return cls(gls.moved(change), forms) if np.abs(change * unit * unit[:, None]).max() <= most else None


@dataclass(frozen=True, eq=False)
class Solution:
    criterion: Criterion
    theta: Array
    moved: Moved | None = None  # where an evaluation is dear, and the last one was near

    @classmethod
    def of(cls, criterion: Criterion, optimum: Optimum) -> Solution:
        """The solution at an optimum; what the last evaluation has found out is not computed again.

        From there to theta it is at most the last step of a search. Where an evaluation is dear, beta and y'Py are moved along it.
        """
        known = optimum.found
        if not isinstance(known, Known):
            return cls(criterion, optimum.theta)
        if not criterion.engine.exact:
            return cls(criterion, optimum.theta, Moved.from_(known, criterion.layout, optimum.theta, SHORT))
        out = cls(criterion, optimum.theta)
        if known.theta is optimum.theta or np.array_equal(np.abs(known.theta), np.abs(optimum.theta)):  # up to reflections
            out.__dict__.update(pieces=known.pieces, **({} if optimum.hessian is None else {"hessian": optimum.hessian}))
        elif criterion.effort > DEAR and known.pieces.F is not None and known.pieces.h is not None:
            moved = Moved.from_(known, criterion.layout, optimum.theta, ROUNDING)
            if moved is not None:
                out.__dict__.update(pieces=replace(known.pieces, gls=moved.gls))
        return out

    @cached_property
    def pieces(self) -> Pieces:
        """All derivative pieces that the engine has, at theta."""
        return self.criterion.pieces(self.theta, 1 if self.criterion.layout.differenced else 3)

    @cached_property
    def tables(self) -> Pieces:
        """The same with the tables of second derivatives, also where the fit did without them. Raises MemoryEstimateError."""
        layout = self.criterion.layout
        if not layout.differenced:
            return self.pieces
        refuse_beyond(layout.table, "the tables of second derivatives")
        return self.criterion.pieces(self.theta, 3)

    @cached_property
    def engine(self) -> Engine:
        """At theta."""
        return self.criterion.engine_at(self.theta)

    @cached_property
    def structured(self) -> ResidualEngine:
        """The engine of a model with a residual structure, at theta."""
        return self.criterion.structured_at(self.theta)

    @property
    def _dear(self) -> bool:
        """Are the derivative pieces much dearer than a solution of the equations, and not at hand?"""
        if self.criterion.residual is not None:
            return False
        return not self.criterion.engine.exact and "pieces" not in self.__dict__

    @cached_property
    def gls(self) -> Gls:
        if self.moved is not None:
            return self.moved.gls
        return self.criterion.pieces(self.theta, 0).gls if self._dear else self.pieces.gls

    @cached_property
    def forms(self) -> Array:
        """(K, r+1, r+1) F of the pieces."""
        if self.moved is not None:
            return self.moved.forms
        if self._dear:
            return direction_forms(self.criterion.layout, [level_products(block) for block in self.projections])
        assert self.pieces.F is not None
        return self.pieces.F

    @cached_property
    def hessian(self) -> Array:
        """(q, q) the exact Hessian of the profiled criterion, in the standardised theta."""
        return self.criterion.hessian(self.theta, self.pieces)

    @cached_property
    def factors(self) -> list[Array]:
        """Lambda of each block in standardised units."""
        return self.criterion.layout.factors(self.theta)

    @property
    def dof(self) -> int:
        """The divisor of sigma^2; ordinary regression always divides by n - p, as R does."""
        gram, criterion = self.criterion.gram, self.criterion
        return criterion.nu if gram.layout.blocks or criterion.residual is not None else gram.nobs - gram.rank

    @cached_property
    def sigma(self) -> float:
        if self.criterion.scale is not None:
            return self.criterion.gram.standard.unit * self.criterion.scale
        dof = self.dof
        return self.criterion.gram.standard.unit * float(np.sqrt(max(self.gls.pwrss, 0.0) / dof)) if dof > 0 else float("nan")

    @cached_property
    def to_user(self) -> Array:
        """(p, r) T."""
        return self.criterion.gram.standard.to_user

    @cached_property
    def white(self) -> Array:
        """(p, r) T L^-T: the covariance of beta is sigma^2 white white'."""
        lower = self.gls.lower
        if not len(lower):
            return self.to_user
        return np.asarray(blas.dtrsm(1.0, lower, self.to_user.T, lower=1), dtype=np.float64).T

    @cached_property
    def beta(self) -> Array:
        """(p,) with zeros for dropped columns."""
        standard = self.criterion.gram.standard
        return standard.unit * (self.to_user @ self.gls.gamma) + standard.shift

    @cached_property
    def vcov(self) -> Array:
        """(p, p) Var(beta-hat), zeros for dropped columns."""
        return self.sigma**2 * (self.white @ self.white.T)

    def root(self, f: int) -> Array:
        """(k, k) a root of the relative covariance of block f on the user's scale: S^-1 Lambda."""
        return np.asarray(np.linalg.solve(self.criterion.gram.z_map(f), self.factors[f]), dtype=np.float64)

    @cached_property
    def theta_user(self) -> Array:
        """theta of the user's columns, as lme4 reports it."""
        layout, out = self.criterion.layout, np.array(self.theta)
        maps = [np.asarray(np.linalg.inv(self.criterion.gram.z_map(f)), dtype=np.float64) for f in range(len(layout.blocks))]
        for f, part in layout.parts:
            out[part.theta] = part.covariance.transformed(self.theta[part.theta], maps[f][part.columns, part.columns])
        return out

    @cached_property
    def projections(self) -> list[Array]:
        """Per block (m, k, r+1): Z'V^-1 [X L^-T, P y] of every level."""
        return self.engine.projections(self.factors)

    @cached_property
    def effects(self) -> list[Array]:
        """Per block (m, k): the conditional means b on the user's scale."""
        unit = self.criterion.gram.standard.unit
        return [
            unit * (B[:, :, -1] @ lam) @ self.root(f).T
            for f, (B, lam) in enumerate(zip(self.projections, self.factors, strict=True))
        ]

    def conditional(self, f: int, g: int, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> Array:
        """(c, k_f, k_g) Cov(b_f, b_g | y, beta) / sigma^2 at pairs of levels."""
        left, right = (np.linalg.inv(self.criterion.gram.z_map(i)) for i in (f, g))
        return left @ self.engine.conditional(self.factors, f, g, rows, columns) @ right.T

    @cached_property
    def beta_share(self) -> list[Array]:
        """Per block (m, k, r): -Cov(b_hat - b, whitened beta) / sigma^2, so that the error of x'beta + z'b has the fixed part
        sigma^2 |white'x - sum_f beta_share_f[j]'z|^2."""
        return [
            self.root(f) @ (lam.T @ B[:, :, :-1]) for f, (B, lam) in enumerate(zip(self.projections, self.factors, strict=True))
        ]


def theta_from_user(criterion: Criterion, theta: Array) -> Array:
    """Standardised parameters of the user's (lme4's) theta; those of a residual structure are the same in both."""
    layout, out = criterion.layout, np.array(theta, dtype=float)
    for f, part in layout.parts:
        S = criterion.gram.z_map(f)[part.columns, part.columns]
        out[part.theta] = part.covariance.transformed(np.asarray(theta, float)[part.theta], S)
    return out
