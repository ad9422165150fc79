"""What marginal means ask of a model, and how a Fit answers. Anything that offers `Estimates` gets means, contrasts and trends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ranef.design import Array
from ranef.errors import DataError, ModelError
from ranef.fit.methods import DDF, check_ddf
from ranef.fit.rows import has_rows
from ranef.means.links import Link, response_link
from ranef.means.predictors import Predictor, base_terms, predictors

if TYPE_CHECKING:
    from ranef.fit.fit import Fit
    from ranef.inference.ddf.base import Denominator, FTest


class Estimates(Protocol):
    """Coefficients, how precisely they are known, and what predictors mean for them. Rows of L are (c, p), on the user's scale."""

    @property
    def names(self) -> tuple[str, ...]: ...
    @property
    def coef(self) -> Array:
        """(p,) coefficients, zero where a column was dropped."""

    @property
    def vcov(self) -> Array:
        """(p, p) their covariance matrix by the method `ddf`."""

    @property
    def ddf(self) -> str:
        """The method of the degrees of freedom, in words."""

    @property
    def link(self) -> Link | None: ...
    @property
    def sd(self) -> float:
        """Standard deviation of one observation about its marginal mean, on the scale of the model."""

    @property
    def response(self) -> str: ...
    @property
    def frame_kind(self) -> str: ...
    @property
    def predictors(self) -> Mapping[str, Predictor]:
        """The variables of the fixed part, in the rows used."""

    @property
    def terms(self) -> tuple[frozenset[str], ...]:
        """The fixed terms as sets of predictors."""

    def df(self, L: Array) -> Array: ...
    def test(self, L: Array) -> FTest:
        """The F test of L beta = 0."""

    def estimable(self, L: Array) -> NDArray[np.bool_]:
        """(c,) whether the data determine L beta."""

    def basis(self, data: Mapping[str, Any], size: int) -> tuple[Array, Array]:
        """(g, p) rows of X and (g,) offsets for new values of the predictors."""

    def slopes(self, data: Mapping[str, Any], size: int, variable: str) -> Array:
        """(g, p) derivatives of those rows in one predictor, or in an expression of it such as `log(x)`."""


@dataclass(frozen=True, eq=False)
class FitEstimates:
    """A Fit as Estimates. `data` replaces the data of the fit where it has none any more, as after `ranef.load`."""

    fit: Fit
    method: str
    data: Any = None

    @cached_property
    def denominator(self) -> Denominator:
        return self.fit.denominator(self.method)

    @property
    def ddf(self) -> str:
        return DDF[self.method]

    @property
    def names(self) -> tuple[str, ...]:
        return self.fit.model.design.names

    @property
    def coef(self) -> Array:
        return self.fit.solution.beta

    @cached_property
    def vcov(self) -> Array:
        return self.denominator.vcov

    @cached_property
    def link(self) -> Link | None:
        schema = self.fit.model.schema
        return response_link(schema.formula.response, schema.states)

    @cached_property
    def sd(self) -> float:
        from ranef.fit.points import design_points, population_variance
        from ranef.fit.residual_side import relative_noise

        model, solution = self.fit.model, self.fit.solution
        if not model.design.mixed:
            return solution.sigma
        points = design_points(model.design, self.fit.criterion.layout)
        random = solution.sigma**2 * np.mean(population_variance(solution, points))
        own = 1.0 if self.fit.criterion.residual is None else np.mean(relative_noise(self.fit))
        return float(np.sqrt(self.fit.sigma**2 * own + random))

    @property
    def response(self) -> str:
        return self.fit.model.design.response

    @property
    def frame_kind(self) -> str:
        return self.fit.model.rows.frame

    @cached_property
    def predictors(self) -> dict[str, Predictor]:
        model = self.fit.model
        if self.data is not None:
            return predictors(model.schema, self.data, None)
        if not has_rows(self.fit):
            raise ModelError(
                "Marginal means need the values of the predictors, and a saved model holds no data.", hint="Give them: data=..."
            )
        return predictors(model.schema, model.recipe["data"], model.rows.kept)

    @cached_property
    def terms(self) -> tuple[frozenset[str], ...]:
        return base_terms(self.fit.model.schema, self.predictors)

    def df(self, L: Array) -> Array:
        return self.denominator.df(L)

    def test(self, L: Array) -> FTest:
        return self.denominator.test(L, np.zeros(len(L)))

    def estimable(self, L: Array) -> NDArray[np.bool_]:
        return np.asarray(self.fit.criterion.gram.standard.estimable(L), dtype=bool)

    def basis(self, data: Mapping[str, Any], size: int) -> tuple[Array, Array]:
        schema = self.fit.model.schema
        given = np.full(size, self._mean_offset) if schema.offset is not None or schema.loose_offset else None
        found = schema.apply(_as_data(data, size), random=False, offset=given)
        return found.X, np.zeros(size) if found.offset is None else found.offset

    def slopes(self, data: Mapping[str, Any], size: int, variable: str) -> Array:
        from ranef.schema.derivative import design_slopes

        return design_slopes(self.fit.model.schema, _as_data(data, size), variable)

    @cached_property
    def _mean_offset(self) -> float:
        """The mean of an offset that was given as an argument; offsets of the formula are evaluated where the means are."""
        model = self.fit.model
        if not has_rows(self.fit) or model.design.offset is None:
            raise ModelError(
                "The model has an offset, and a saved model does not hold it.", hint="Write it as offset(...) in the formula."
            )
        total = float(np.mean(model.design.offset))
        if model.schema.formula.offsets:
            raise DataError("Marginal means take an offset from the formula or from the argument, not from both.")
        return total


def _as_data(data: Mapping[str, Any], size: int) -> dict[str, Any]:
    """Data with at least one column, so that a model of an intercept alone has rows."""
    return dict(data) or {"(rows)": np.zeros(size)}


def estimates_of(model: Any, ddf: str | None, data: Any = None) -> Estimates:
    """`model` as Estimates: itself if it offers them, else those of a Fit.

    Raises ModelError for anything else.
    """
    from ranef.fit.fit import Fit

    if isinstance(model, Fit):
        return FitEstimates(model, method_of(model, ddf), data)
    if all(hasattr(model, name) for name in ("coef", "vcov", "basis", "predictors", "estimable")):
        offered: Estimates = model
        return offered
    raise ModelError(
        f"Marginal means need a fitted model, not {type(model).__name__}.",
        hint='For example emmeans(lmm("y ~ a + (1 | g)", data), "a").',
    )


def method_of(fit: Fit, ddf: str | None) -> str:
    """The method of the denominator df: the fit's own unless given."""
    if not fit.model.design.mixed:
        return "asymptotic" if ddf == "asymptotic" else "residual"
    return fit.ddf if ddf is None else check_ddf(ddf)
