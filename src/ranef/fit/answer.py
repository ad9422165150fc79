"""What a fit has found: by a search, or by the formulas of balanced data, which leave the search until somebody asks for it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ranef.core.criterion import Criterion
from ranef.core.satterthwaite import VarianceParameters
from ranef.core.solution import Solution
from ranef.core.strata import Estimates, Strata
from ranef.covariance.base import Array
from ranef.optim import minimise
from ranef.optim.problem import Optimum

if TYPE_CHECKING:
    from ranef.fit.fit import Fit

AGREE = 1e-8  # relative difference of formulas and search that is rounding


class Answer(Protocol):
    @property
    def criterion(self) -> Criterion: ...

    @property
    def optimum(self) -> Optimum: ...

    @property
    def solution(self) -> Solution: ...

    @property
    def nobs(self) -> int: ...

    @property
    def kept(self) -> tuple[int, ...]:
        """Columns of X that are not aliased."""
        ...

    @property
    def beta(self) -> Array:
        """(r,) their coefficients."""
        ...

    @property
    def value(self) -> float:
        """The criterion at the optimum."""
        ...

    @property
    def sigma(self) -> float: ...

    @property
    def estimates(self) -> Estimates | None:
        """Where formulas gave them."""
        ...

    @property
    def strata(self) -> Strata | None:
        """The formulas for other responses of the same design."""
        ...


@dataclass(frozen=True, eq=False)
class Searched:
    criterion: Criterion
    optimum: Optimum
    solution: Solution
    estimates: None = None

    @property
    def nobs(self) -> int:
        return self.criterion.gram.nobs

    @property
    def kept(self) -> tuple[int, ...]:
        return self.criterion.gram.standard.kept

    @property
    def beta(self) -> Array:
        return self.solution.beta[self.criterion.gram.standard.places]

    @property
    def value(self) -> float:
        return self.optimum.value

    @property
    def sigma(self) -> float:
        return self.solution.sigma

    @cached_property
    def strata(self) -> Strata | None:
        """None, too, where what the formulas say of the response is not what the search has found."""
        by_default = self.optimum.state == "optimum" and self.optimum.optimizer == "newton"
        strata = Strata.of(self.criterion) if by_default else None
        found = None if strata is None else strata.at(self.criterion.gram.standard.design.y)
        return strata if found is not None and self._confirms(found) else None

    def _confirms(self, found: Estimates) -> bool:
        """Do formulas and search agree to rounding?"""
        solution, places = self.solution, self.criterion.gram.standard.places
        se = np.sqrt(solution.vcov.diagonal())[places]
        df = VarianceParameters.of(solution, solution.hessian).df(solution, np.eye(len(solution.beta))[places])
        return bool(
            np.all(np.abs(found.beta - self.beta) <= AGREE * se)
            and np.allclose(found.std_errors, se, rtol=AGREE, atol=0.0)
            and np.allclose(found.df, df, rtol=100.0 * AGREE, atol=0.0)
            and abs(found.deviance - self.value) <= AGREE * (1.0 + abs(self.value))
        )


@dataclass(frozen=True, eq=False)
class Calculated:
    """Balanced data: what the formulas leave open is searched for when it is asked."""

    estimates: Estimates
    y: Array

    @cached_property
    def criterion(self) -> Criterion:
        return self.estimates.strata.criterion.with_response(self.y)

    @cached_property
    def optimum(self) -> Optimum:
        return minimise(self.criterion)

    @cached_property
    def solution(self) -> Solution:
        return Solution.of(self.criterion, self.optimum)

    @property
    def nobs(self) -> int:
        return len(self.y)

    @property
    def kept(self) -> tuple[int, ...]:
        return self.estimates.strata.criterion.gram.standard.kept

    @property
    def beta(self) -> Array:
        return self.estimates.beta

    @property
    def value(self) -> float:
        return self.estimates.deviance

    @property
    def sigma(self) -> float:
        return self.estimates.sigma

    @property
    def strata(self) -> Strata:
        return self.estimates.strata


def changed(fit: Fit, **parts: Any) -> Fit:
    """The fit with another criterion, optimum or solution."""
    known = {"criterion": fit.criterion, "optimum": fit.optimum, "solution": fit.solution}
    return replace(fit, answer=Searched(**{**known, **parts}))
