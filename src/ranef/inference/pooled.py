"""A fit with one grouping factor treated otherwise: without its effects (complete pooling), or with them free (no pooling).

Both are the model at another relative covariance Omega of that factor, all else as estimated: zero, and without bound. What is
asked of the latter is extrapolated from two large Omegas, since its distance from the limit goes with the inverse of Omega
(Richardson). With one grouping factor these are least squares without it and with its dummies.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from ranef.core.solution import Solution
from ranef.design import Array
from ranef.errors import ModelError
from ranef.fit.effects import Factor, factor_named, factors
from ranef.fit.points import Points, design_points, error_variance, marginal_mean, random_part
from ranef.fit.residual_side import refuse_structured
from ranef.fit.rows import needs_rows

if TYPE_CHECKING:
    from ranef.fit.fit import Fit

FREE = 200.0  # relative standard deviation of effects that hardly anything holds back
SPANNED = 1e-7  # a column whose rest beside the random columns is below this share of its length is their combination
Pooling = Literal["complete", "none", "partial"]


@dataclass(frozen=True, eq=False)
class Pooled:
    """A grouping factor of a fit, ready to be pooled in three ways."""

    fit: Fit
    factor: Factor

    @classmethod
    def of(cls, fit: Fit, group: str | None) -> Pooled:
        """`group` may be left out where there is one. Raises ModelError for an unknown one, and without random effects or rows."""
        needs_rows(fit, "pooling()")
        refuse_structured(fit, "pooling()")
        known = factors(fit)
        if not known:
            raise ModelError("The model has no random effects, so nothing is pooled.")
        if group is None and len(known) > 1:
            names = ", ".join(repr(factor.name) for factor in known)
            raise ModelError("The model has several grouping factors.", hint=f"Say which: group= one of {names}.")
        return cls(fit, known[0] if group is None else factor_named(fit, group))

    def ask(self, pooling: Pooling, question: Callable[[Solution], Array]) -> Array:
        """The answer of a solution."""
        if pooling == "partial":
            return question(self.fit.solution)
        if pooling == "complete":
            return question(self._at(0.0))
        near, far = (question(self._at(size)) for size in (FREE, 2.0 * FREE))
        return far + (far - near) / 3.0

    def _at(self, size: float) -> Solution:
        """The solution where the effects have `size` times the identity as their relative covariance factor."""
        theta = self.fit.solution.theta.copy()
        for part in self.fit.criterion.layout.blocks[self.factor.block].parts:
            theta[part.theta] = part.covariance.of_factor(size * np.eye(part.covariance.k))
        return replace(self.fit.solution, theta=theta)

    def sigma(self, pooling: Pooling) -> float:
        """Residual standard deviation, with the rows less the coefficients that are fitted freely as its degrees of freedom."""
        if pooling == "partial" or self.fit.model.design.known_variances:
            return self.fit.sigma
        free = int(np.sum(self._ranks)) + self._rest_rank if pooling == "none" else self.fit.criterion.gram.rank
        dof = self.fit.nobs - free
        unit = self.fit.criterion.gram.standard.unit
        left = float(self.ask(pooling, lambda at: np.array(at.criterion.pieces(at.theta, 0).gls.pwrss)))
        return unit * float(np.sqrt(left / dof)) if dof > 0 else float("nan")

    @cached_property
    def _points(self) -> Points:
        return design_points(self.fit.model.design, self.fit.criterion.layout)

    @cached_property
    def _basis(self) -> tuple[Array, NDArray[np.intp]]:
        """(m, k, k) inverse (or pseudo-inverse) of Z_j'Z_j on columns of length about one, and (m,) their ranks."""
        z, codes = self._points.z[self.factor.block] @ self._unit, self._points.codes[self.factor.block]
        products = np.zeros((len(self.factor.levels), z.shape[1], z.shape[1]))
        np.add.at(products, codes, z[:, :, None] * z[:, None, :])
        ranks = np.asarray(np.linalg.matrix_rank(products, hermitian=True), dtype=np.intp)
        return np.asarray(np.linalg.pinv(products, rcond=1e-10, hermitian=True)), ranks

    @cached_property
    def _unit(self) -> Array:
        """(k, k) the random columns in the units that the criterion is computed in."""
        return np.asarray(np.linalg.inv(self.fit.criterion.gram.z_map(self.factor.block)))

    @property
    def _ranks(self) -> NDArray[np.intp]:
        return self._basis[1]

    @property
    def determined(self) -> NDArray[np.bool_]:
        """(m,) whether the rows of a level alone determine its effects."""
        return self._ranks == len(self.factor.names)

    @cached_property
    def combinations(self) -> Array:
        """(m, k, p) within each level, the columns of X as combinations of the random columns, as far as they are."""
        f = self.factor.block
        z, codes = self._points.z[f] @ self._unit, self._points.codes[f]
        products = np.zeros((len(self.factor.levels), z.shape[1], self._points.X.shape[1]))
        for a in range(z.shape[1]):
            np.add.at(products[:, a], codes, z[:, [a]] * self._points.X)
        return self._unit @ (self._basis[0] @ products)

    @cached_property
    def rest(self) -> Array:
        """(n, p) what the random columns of its level leave of each column of X."""
        f = self.factor.block
        fitted = np.einsum("nk,nkp->np", self._points.z[f], self.combinations[self._points.codes[f]])
        return self._points.X - fitted

    @cached_property
    def spanned(self) -> NDArray[np.bool_]:
        """(p,) columns of X that are combinations of the random columns in every level."""
        return np.linalg.norm(self.rest, axis=0) <= SPANNED * np.linalg.norm(self._points.X, axis=0)

    @cached_property
    def _rest_rank(self) -> int:
        rest = self.rest[:, ~self.spanned]
        lengths = np.linalg.norm(rest, axis=0)
        return int(np.linalg.matrix_rank(rest / np.where(lengths > 0.0, lengths, 1.0)))

    def estimates(self, pooling: Pooling) -> tuple[Array, Array]:
        """(k * m,) the coefficients of each level, term by term, and their standard errors.

        A coefficient is what multiplies a random column in the level: fixed effects and covariates of the level included,
        covariates that vary otherwise at zero.
        """
        m, k = len(self.factor.levels), len(self.factor.names)
        X = np.where(self.spanned, self.combinations, 0.0).transpose(1, 0, 2).reshape(k * m, -1)
        codes, z = [], []
        for f, block in enumerate(self.fit.criterion.layout.blocks):
            own = f == self.factor.block
            codes.append(np.tile(np.arange(m), k) if own else np.zeros(k * m, dtype=np.intp))
            z.append(np.repeat(np.eye(k), m, axis=0) if own else np.zeros((k * m, block.width)))
        points = Points(X, None, None, tuple(codes), tuple(z))
        value = self.ask(pooling, lambda solution: marginal_mean(solution, points) + random_part(solution, points))
        variance = self.ask(pooling, lambda solution: error_variance(solution, points))
        std_error = self.sigma(pooling) * np.sqrt(np.maximum(variance, 0.0))
        if pooling == "none":
            unknown = np.tile(~self.determined, k)
            value[unknown] = std_error[unknown] = np.nan
        return value, std_error
