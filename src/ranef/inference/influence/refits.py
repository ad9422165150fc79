"""Deletion where residuals have a structure: the model without the rows, fitted again.

The Gram blocks do not hold such a likelihood, so that rows cannot be subtracted from them; each deletion is a fit of its own, begun
at the estimate. Standardised units differ from fit to fit: parameters are compared in those of the whole fit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from ranef.core.pieces import LinAlgError
from ranef.core.solution import Solution, theta_from_user
from ranef.covariance.base import Array
from ranef.design import Codes
from ranef.errors import ModelError
from ranef.fit.residual_side import mean_variance, refuse_structured
from ranef.inference.bootstrap.sources import criterion_of_design, taken
from ranef.inference.parameters import of_solution
from ranef.optim import minimise

if TYPE_CHECKING:
    from ranef.fit.fit import Fit


@dataclass(frozen=True, eq=False)
class Without:
    """m deletions; NaN where the model without the rows is not determined."""

    estimates: Array  # (m, P)
    covratio: Array  # (m,)
    scale: Array  # (m,) the residual standard deviation, averaged over the rows, over that of the whole fit
    theta: Array  # (m,) Cook's distance of the covariance parameters


@dataclass(frozen=True, eq=False)
class Refits:
    fit: Fit

    @classmethod
    def of(cls, fit: Fit, method: str | None) -> Refits:
        """Raises ModelError for other methods than refits, and for residual variances that depend on the mean."""
        term = fit.model.design.residual
        if fit.model.design.known_variances:
            refuse_structured(fit, "influence()")
        if method not in (None, "exact"):
            raise ModelError(f"method={method!r} is not available for models with a residual structure.", hint='Use "exact".')
        if term is not None and term.of_mean:
            raise ModelError("influence() is not available where the residual variance depends on the fitted mean.")
        return cls(fit)

    def without(self, rows: Sequence[Codes], parameters: int) -> Without:
        m = len(rows)
        out = Without(np.full((m, parameters), np.nan), *np.full((3, m), np.nan))
        for i, gone in enumerate(rows):
            solution = self._solution(np.delete(np.arange(self.fit.nobs), gone))
            if solution is None:
                continue
            out.estimates[i] = of_solution(solution).estimates[0]
            out.covratio[i] = np.exp(self._logdet(solution) - self._logdet(self.fit.solution))
            out.scale[i] = np.sqrt(_variance(solution) / _variance(self.fit.solution))
            off = self._in_units_of_fit(solution) - self.fit.optimum.theta
            out.theta[i] = 0.5 * float(off @ self.fit.hessian @ off) / max(len(off), 1)
        return out

    def _solution(self, kept: Codes) -> Solution | None:
        design = taken(self.fit.model.design, kept, None)
        try:
            criterion = criterion_of_design(design, self.fit.criterion.reml)
            if criterion.gram.rank != self.fit.criterion.gram.rank or criterion.nu < 1:
                return None
            optimum = minimise(criterion, start=theta_from_user(criterion, self.fit.theta))
        except (LinAlgError, np.linalg.LinAlgError, FloatingPointError):
            return None
        return None if optimum.state == "not converged" else Solution(criterion, optimum.theta)

    @cached_property
    def _kept(self) -> list[int]:
        return list(self.fit.criterion.gram.standard.kept)

    def _logdet(self, solution: Solution) -> float:
        """log|Var(beta)|"""
        return 2.0 * float(np.linalg.slogdet(solution.sigma * solution.white[self._kept])[1])

    def _in_units_of_fit(self, solution: Solution) -> Array:
        criterion, out = self.fit.criterion, solution.theta_user.copy()
        assert criterion.residual is not None
        ratio = solution.sigma / self.fit.solution.sigma
        for f, part in criterion.layout.parts:
            S = criterion.gram.z_map(f)[part.columns, part.columns]
            out[part.theta] = part.covariance.transformed(out[part.theta], ratio * S)
        criterion.residual.rescale(out[criterion.layout.size :], ratio)
        return criterion.canonical(out)


def _variance(solution: Solution) -> float:
    covariance, criterion = solution.criterion.residual, solution.criterion
    assert covariance is not None
    rho = solution.theta[criterion.layout.size :]
    return mean_variance(covariance, rho, criterion.gram.nobs, criterion.gram.standard.unit)[0]
