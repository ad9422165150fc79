"""The adapter to marginaleffects, by its public extension point `ModelAbstract`. Importing this needs marginaleffects and polars.

The model matrix has one more column than the fit, whose coefficient is known to be one: offset and predicted random effects. So
every prediction is linear in the coefficients, and its derivatives are exact.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from marginaleffects.classes.model import ModelAbstract, ModelVault

from ranef.design import Array
from ranef.errors import ModelError
from ranef.fit.methods import DDF
from ranef.fit.rows import data_used
from ranef.formula.expression import Call, Expression
from ranef.schema.clusters import CLUSTER_FUNCTIONS
from ranef.schema.collect import columns_of, needed_by

if TYPE_CHECKING:
    from ranef.fit.fit import Fit

KNOWN = "(known part)"


class RanefModel(ModelAbstract):
    """A fit as marginaleffects sees it."""

    def __init__(self, fit: Fit, re: str, df: float | None) -> None:
        self.re = re
        if df is not None:
            self.df_resid = float(df)
        data = _polars(fit)
        response = fit.model.design.response
        predictors = [name for name in _predictors(fit, data.columns) if name != response]
        left = response if response in data.columns else data.columns[0]  # a transformed response is no column
        formula = f"{_quoted(left)} ~ {' + '.join(map(_quoted, predictors)) or '1'}"
        vault = ModelVault(
            coef=np.append(fit.params.to_numpy(), 1.0),
            coefnames=np.array([*fit.params.index, KNOWN], dtype=object),
            formula=formula,
            modeldata=data,
            package="ranef",
            variable_names=[left, *predictors],
        )
        super().__init__(fit, vault)

    def get_vcov(self, vcov: Any = True) -> Array | None:
        """Of the coefficients, zero for the known part. `vcov` may name a method of degrees of freedom."""
        if vcov is False or vcov is None:
            return None
        if isinstance(vcov, str) and vcov not in DDF:
            raise ModelError(f"vcov={vcov!r} is not known.", hint=f"Use True, False, a matrix or one of: {', '.join(DDF)}.")
        kept = list(self.model.criterion.gram.standard.kept)
        out = np.zeros((len(kept) + 1, len(kept) + 1))
        out[:-1, :-1] = self.model.denominator(vcov if isinstance(vcov, str) else None).vcov[np.ix_(kept, kept)]
        return out

    def get_exog(self, newdata: Any) -> Array:
        """(n, r + 1) the columns of the fit, and the part that is known."""
        fit: Fit = self.model
        new = fit.model.schema.apply(newdata, random=False, missing="raise")
        X = new.X[:, list(fit.criterion.gram.standard.kept)]
        known = np.asarray(fit.predict(newdata, re=self.re, new_levels="population")) - X @ fit.params.to_numpy()
        return np.column_stack([X, known])

    def get_predict(self, params: Array, newdata: Any) -> Any:
        exog = newdata if isinstance(newdata, np.ndarray) else self.get_exog(newdata)
        rows = pl.Series("rowid", range(len(exog)), dtype=pl.Int32)
        return pl.DataFrame({"rowid": rows, "estimate": exog @ np.asarray(params)})

    def get_autodiff_args(self) -> dict[str, Any]:
        return {"model_type": "linear", "family": None, "link": None}


def _polars(fit: Fit) -> Any:
    """The rows used; text as an Enum with the levels in the order of the fit."""
    columns = {}
    for name, values in data_used(fit).items():
        array = np.asarray(values)
        if array.dtype.kind in "biuf":
            columns[name] = pl.Series(name, array)
        elif all(isinstance(value, bool | int | float) for value in array):
            columns[name] = pl.Series(name, array.tolist())
        else:
            columns[name] = pl.Series(name, list(map(str, array)), dtype=pl.Enum(_levels(fit, name, array)))
    return pl.DataFrame(columns)


def _predictors(fit: Fit, known: list[str]) -> list[str]:
    """The columns but those that are only grouping factors: the levels of these are not compared."""
    needed = needed_by(fit.model.schema.formula)
    nodes = [*needed.variables().values(), *needed.offsets.values()]
    return columns_of([_centred(node) for node in nodes], known)


def _centred(node: Expression) -> Expression:
    """The covariate of `within(x, g)` and `between(x, g)`, without g."""
    return node.arguments[0] if isinstance(node, Call) and node.function in CLUSTER_FUNCTIONS else node


def _levels(fit: Fit, name: str, values: Any) -> list[str]:
    variable = fit.model.schema.variables.get(name)
    present = dict.fromkeys(map(str, values))
    known = [str(level) for level in variable.levels] if variable is not None and variable.kind == "factor" else sorted(present)
    return [*(level for level in known if level in present), *(level for level in present if level not in set(known))]


def _quoted(name: str) -> str:
    return name if name.isidentifier() else f"`{name}`"
