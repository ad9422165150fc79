"""Regression as a picture: rows, the mean that the model gives them, and one standard deviation around it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ranef.inference.views.bands import mean_bands
from ranef.plot import crowd, labels
from ranef.plot.figures import Size, caption, legend, one
from ranef.plot.picture import picture
from ranef.plot.style import BLUE, series
from ranef.table import Table

if TYPE_CHECKING:
    from ranef.fit.fit import Fit


@picture
def bands(
    fit: Fit, x: str | None = None, by: str | None = None, *, residuals: bool = False, ax: Any = None, size: Size = None
) -> Any:
    """The observations, a line for the mean, and a grey band of one standard deviation on either side.

    Parameters
    ----------
    x
        A numeric column; without it the rows stand side by side, in the order of `by`.
    by
        A factor: each level has its own line and its own band.
    residuals
        Draw the residuals, too, as thin lines from each observation to its mean.

    Examples
    --------
    >>> import ranef
    >>> m = ranef.lm("distance ~ age * Sex", ranef.datasets.load("Orthodont"))
    >>> ax = ranef.plot.bands(m, "age", by="Sex")
    """
    ax, table = one(ax, size), mean_bands(fit, x, by)
    groups = np.asarray(table["by"], dtype=object) if by is not None else np.full(len(table), None, dtype=object)
    for k, level in enumerate(dict.fromkeys(groups)):
        rows = np.flatnonzero(np.array([value == level for value in groups]))
        _series(ax, table, rows, k if by is not None else None, level, residuals)
    ax.set(xlabel=labels.with_unit(fit, x) if x else "Row", ylabel=labels.response(fit))
    if x is None:
        ax.xaxis.get_major_locator().set_params(integer=True)
    legend(ax, by)
    caption(ax, "Line: mean of the model. Band: one standard deviation of the residuals on either side.")
    return ax


def _series(ax: Any, table: Table, rows: Any, place: int | None, level: Any, residuals: bool) -> None:
    mark = {"color": BLUE, "marker": "o", "linestyle": "-"} if place is None else series(place)
    at, y, mean, low, high = (np.asarray(table[name], dtype=float)[rows] for name in ("x", "observed", "mean", "low", "high"))
    ax.fill_between(at, low, high, color="#9aa0a6" if place is None else mark["color"], alpha=0.2, linewidth=0, zorder=0.5)
    if residuals:
        ax.vlines(at, y, mean, color=mark["color"], linewidth=0.5, alpha=0.6, zorder=1)
    crowd.points(ax, at, y, color=mark["color"], marker=mark["marker"])
    name = None if place is None else labels.text(level)
    ax.plot(at, mean, color=mark["color"], linestyle=mark["linestyle"], linewidth=2.0, zorder=3, label=name)
