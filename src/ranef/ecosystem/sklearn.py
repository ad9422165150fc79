"""A mixed model as a scikit-learn estimator: fit, predict, clone, cross-validation by groups.

The formula says what the columns of X are: predictors and grouping factors alike. Groups that the fit has not seen are predicted
by the population part, so that `GroupKFold` measures how well new groups are predicted, and `KFold` new rows of known ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ranef.errors import DataError, FormulaError, ModelError

if TYPE_CHECKING:
    from sklearn.base import BaseEstimator, RegressorMixin

    from ranef.fit.fit import Fit
else:
    try:
        from sklearn.base import BaseEstimator, RegressorMixin
    except ImportError:

        class BaseEstimator:
            """In the place of scikit-learn's where that is not installed."""

            def __new__(cls, *_: Any, **__: Any) -> Any:
                raise ModelError(f"{cls.__name__} needs scikit-learn.", hint="Install it: pip install 'ranef[sklearn]'.")

        class RegressorMixin:
            """In the place of scikit-learn's."""


class MixedRegressor(RegressorMixin, BaseEstimator):
    """A linear mixed model of the columns of X.

    Parameters
    ----------
    formula
        ``"y ~ x + (1 | group)"`` or ``"~ x + (1 | group)"``, with the names of the columns of X (x0, x1, ... for an array); a
        response that is named must be a plain name. Without a formula all columns are fixed effects.
    reml
        Restricted (default) or full maximum likelihood.
    optimizer
        As for `ranef.lmm`.

    Attributes
    ----------
    fit_ : ranef.Fit
    coef_, intercept_ : the fixed effects
    n_features_in_, feature_names_in_ : the columns of X (names where X has them)

    Examples
    --------
    >>> import ranef
    >>> data = ranef.datasets.load("sleepstudy")
    >>> model = ranef.MixedRegressor("~ Days + (Days | Subject)").fit(data[["Days", "Subject"]], data["Reaction"])
    >>> model.coef_.round(2), round(model.score(data[["Days", "Subject"]], data["Reaction"]), 3)
    (array([10.47]), 0.826)
    """

    def __init__(self, formula: str | None = None, *, reml: bool = True, optimizer: str = "newton") -> None:
        self.formula = formula
        self.reml = reml
        self.optimizer = optimizer

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> MixedRegressor:
        """Fit to the columns of X and the response y; `sample_weight` are precision weights.

        Raises FormulaError, DataError and ModelError as `ranef.lmm` does; missing values are refused, not dropped.
        """
        from sklearn.utils.validation import check_array, column_or_1d

        from ranef.api import lmm

        if y is None:
            raise DataError("MixedRegressor requires y to be passed, but the target y is None.")
        columns = self._columns(X, fitting=True)
        response = check_array(column_or_1d(y, warn=True), ensure_2d=False, dtype=float, input_name="y")
        n = len(next(iter(columns.values())))
        if len(response) != n:
            raise DataError(f"y has {len(response)} values, and X has {n} rows.")
        name, formula = self._question(columns)
        data = {**columns, name: response}
        weights = None if sample_weight is None else np.asarray(sample_weight, dtype=float)
        options: dict[str, Any] = {"reml": self.reml, "optimizer": self.optimizer, "missing": "raise"}
        self.fit_: Fit = lmm(formula, data, precision_weights=weights, **options)
        params = self.fit_.params
        self.intercept_ = float(params.get("(Intercept)", 0.0))
        self.coef_ = params.drop("(Intercept)", errors="ignore").to_numpy()
        return self

    def predict(self, X: Any) -> Any:
        """(n,) expected responses: with the random effects of groups that the fit knows, of the population for others."""
        from sklearn.utils.validation import check_is_fitted

        check_is_fitted(self)
        columns = self._columns(X, fitting=False)
        return np.asarray(self.fit_.predict(columns, new_levels="population"))

    def _question(self, columns: dict[str, Any]) -> tuple[str, str]:
        """The name of the response, and the formula with it."""
        from ranef.formula import parse
        from ranef.formula.expression import Name

        free = "y"
        while free in columns:
            free += "_"
        if self.formula is None:
            return free, f"{free} ~ " + (" + ".join(f"`{name}`" for name in columns) or "1")
        parsed = parse(self.formula if "~" in self.formula else f"~ {self.formula}")
        if parsed.response is None:
            return free, f"{free} ~ {self.formula.split('~', 1)[-1]}"
        if not isinstance(parsed.response, Name):
            node = parsed.response
            raise FormulaError(
                "MixedRegressor needs a plain name as response.", text=parsed.text, start=node.start, stop=node.stop,
                hint="Transform y with sklearn.compose.TransformedTargetRegressor.",
            )  # fmt: skip
        return parsed.response.name, self.formula

    def _columns(self, X: Any, *, fitting: bool) -> dict[str, Any]:
        """The columns of X by name, checked against those of the fit; x0, x1, ... of an array."""
        from sklearn.utils.validation import validate_data

        if hasattr(X, "columns"):
            validate_data(self, X, reset=fitting, skip_check_array=True)
            names = getattr(X, "column_names", None) or list(X.columns)
            return {str(name): X[name] for name in names}
        values = validate_data(self, X, reset=fitting, dtype=float, ensure_min_samples=2 if fitting else 1)
        return {f"x{j}": values[:, j] for j in range(values.shape[1])}
