"""Means and standard deviations around them: what a regression says about the rows, level by level.

The line is the mean that the fixed part gives, the band one standard deviation of the residuals about it on either side: of all
rows, or of the rows of each level of a factor (the square root of the mean squared residual).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ranef.design import Array
from ranef.inference.views.columns import column
from ranef.table import Table

if TYPE_CHECKING:
    from ranef.fit.fit import Fit


def mean_bands(fit: Fit, x: str | None = None, by: str | None = None) -> Table:
    """by x observed mean sd low high, a line for each row used, ordered by level and x.

    Without `x` the rows are numbered in the order of level and mean. Raises DataError for an unknown column, ModelError for a
    saved model.
    """
    design = fit.model.design
    mean = np.asarray(fit.predict(re="population"), dtype=float)
    residual = design.y - mean
    levels, codes = _levels(fit, by)
    sd = np.array([_deviation(residual[codes == code], design.X.shape[1] if by is None else 1) for code in range(len(levels))])
    place = np.zeros(fit.nobs) if x is None else _place(fit, x)
    order = np.lexsort((mean if x is None else place, codes))
    order = order[codes[order] >= 0]
    at = np.arange(1.0, len(order) + 1.0) if x is None else place[order]
    own = codes[order]
    columns = {
        "by": np.array([levels[code] for code in own], dtype=object), "x": at, "observed": design.y[order], "mean": mean[order],
        "sd": sd[own], "low": mean[order] - sd[own], "high": mean[order] + sd[own],
    }  # fmt: skip
    if by is None:
        del columns["by"]
    whose = "all rows" if by is None else f"the rows of each level of {by}"
    notes = (f"Mean of the fixed part, and one standard deviation of the residuals of {whose} on either side.",)
    return Table(columns, title="Means and standard deviations", notes=notes, frame_kind=fit.model.rows.frame)


def _levels(fit: Fit, by: str | None) -> tuple[list[Any], Any]:
    if by is None:
        return [None], np.zeros(fit.nobs, dtype=np.intp)
    found = column(fit, by).as_levels()
    assert found.levels is not None
    return list(found.levels), found.codes


def _place(fit: Fit, x: str) -> Array:
    found = column(fit, x)
    if found.numbers is not None:
        return found.numbers
    assert found.codes is not None
    return found.codes.astype(float)


def _deviation(residual: Array, estimated: int) -> float:
    return float(np.sqrt(np.sum(residual**2) / max(len(residual) - estimated, 1)))
