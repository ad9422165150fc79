"""Cluster means as functions of a formula: `between(x, g)` is the mean of x in the cluster of the row, `within(x, g)` x less that
mean.

Several grouping columns, `within(x, school, class)`, mean their combinations. The means are those of the data of the fit (of all
rows with a value of x, also where other variables are missing), and are kept for new data. A cluster that the fit has not seen is
centred at its own mean in the new data: that is what centring within clusters means, but one row alone then counts as average for
its cluster.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ranef.design import Array
from ranef.formula import expression_text
from ranef.formula.expression import Call
from ranef.schema.grouping import GroupLevels, make_grouping, row_labels
from ranef.schema.values import Factor, Numeric

if TYPE_CHECKING:
    from ranef.schema.evaluate import Evaluator


def _between(where: Evaluator, node: Call) -> Numeric:
    return Numeric(_read(where, node)[1])


def _within(where: Evaluator, node: Call) -> Numeric:
    values, means = _read(where, node)
    return Numeric(values - means)


def _read(where: Evaluator, node: Call) -> tuple[Array, Array]:
    """(n,) x and (n,) the mean of x in the cluster of each row; NaN where x or the cluster is missing."""
    if len(node.arguments) < 2 or node.keywords:
        raise where.error(node, f"{node.function}() takes a numeric column and one or more grouping columns")
    values = where.number(node.arguments[0])
    if not isinstance(values, np.ndarray):
        raise where.error(node.arguments[0], f"{node.function}() needs a column")
    factors = [where.group(argument) for argument in node.arguments[1:]]
    text = expression_text(node)
    if where.fitting and text not in where.states:
        where.states[text] = fit_means(values, factors, [expression_text(argument) for argument in node.arguments[1:]])
    means = cluster_means(values, factors, where.states[text])
    return values, np.where(np.isnan(values), np.nan, means)


def fit_means(values: Array, factors: list[Factor], names: list[str]) -> dict[str, Any]:
    """The state: the clusters, and the mean of x in each, over the rows where neither is missing."""
    present = ~np.isnan(values)
    for factor in factors:
        present &= factor.codes >= 0
    group, levels = make_grouping(names, [factor.take(present).used() for factor in factors])
    counts = np.bincount(group.codes, minlength=group.size)
    means = np.bincount(group.codes, weights=values[present], minlength=group.size) / counts
    return {"clusters": levels.to_json(), "means": means.tolist()}


def cluster_means(values: Array, factors: list[Factor], state: Mapping[str, Any]) -> Array:
    """(n,) the kept means of known clusters, their own means of others, NaN where a cluster is missing."""
    codes = GroupLevels.from_json(state["clusters"]).codes_of(factors)
    out = np.append(np.asarray(state["means"], dtype=np.float64), np.nan)[codes]
    unknown = codes < 0
    for factor in factors:
        unknown &= factor.codes >= 0
    if unknown.any():
        own = pd.Series(values[unknown]).groupby(row_labels([factor.take(unknown) for factor in factors]), sort=False)
        out[unknown] = own.transform("mean").to_numpy()
    return out


CLUSTER_FUNCTIONS: Mapping[str, Callable[[Evaluator, Call], Numeric]] = {"within": _within, "between": _between}
