"""Lines over a predictor: the mean of the population, and those of the levels of a grouping factor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ranef.errors import ModelError
from ranef.fit.newdata import ask
from ranef.fit.points import marginal_mean, random_part
from ranef.fit.rows import data_used, needs_rows
from ranef.fit.scope import used_effects
from ranef.formula import bar_text
from ranef.inference.clusters import groupings
from ranef.inference.pooled import Pooled, Pooling
from ranef.inference.views.columns import Values, column, crossed
from ranef.means.emmeans import emmeans
from ranef.means.estimates import estimates_of
from ranef.table import Table

if TYPE_CHECKING:
    from ranef.fit.fit import Fit

POINTS = 41
SEVERAL = "mm("  # a multi-membership factor


def axis_of(fit: Fit) -> str:
    """The predictor to draw against: the numeric one with a random slope, else the first numeric one, else the first factor.

    Raises ModelError for a model without predictors.
    """
    found = estimates_of(fit, None).predictors
    slopes = {name for term in fit.model.design.terms for name in term.names}
    numeric = [name for name, one in found.items() if not one.is_factor and len(one.distinct) > 2]
    chosen = [name for name in numeric if name in slopes] or numeric or list(found)
    if not chosen:
        raise ModelError("The model has no predictor to draw against.", hint="Its fixed part is an intercept.")
    return chosen[0]


def places(fit: Fit, x: str) -> list[Any]:
    """Where a line over `x` is evaluated: the levels of a factor, or evenly spaced numbers."""
    predictor = estimates_of(fit, None).predictors.get(x)
    if predictor is None:
        raise ModelError(
            f"The fixed part has no predictor {x!r}.", hint=f"It has: {', '.join(estimates_of(fit, None).predictors)}."
        )
    if predictor.levels is not None:
        return list(predictor.levels)
    assert predictor.values is not None
    return np.linspace(np.nanmin(predictor.values), np.nanmax(predictor.values), POINTS).tolist()


def population_lines(fit: Fit, x: str, by: Sequence[str] = (), *, level: float = 0.95) -> Table:
    """Marginal means over `x`, with intervals: [by] x estimate std_error df conf_low conf_high; see `emmeans`."""
    found: Table = emmeans(fit, [x], by=list(by) or None, at={x: places(fit, x)}, level=level)
    return found


def level_lines(fit: Fit, x: str, group: str, by: Sequence[str] = (), *, only: Sequence[int] | None = None) -> Table:
    """Predicted lines of the levels of a grouping factor over `x`: level [by] x estimate.

    A line spans the values of `x` that its level has. Other predictors are held at their mean (most frequent level) in the rows of
    the level, other grouping factors at zero. `only` are places of levels. Raises ModelError for an unknown group or a saved model.
    """
    new, columns = _line_data(fit, x, group, by, only)
    estimate = np.asarray(fit.predict(new, re=_effects_of(fit, group), new_levels="population"), dtype=float)
    return Table({**columns, x: new[x], "estimate": estimate}, title=f"Lines of {group}", frame_kind=fit.model.rows.frame)


def pooled_lines(fit: Fit, x: str | None, group: str, *, only: Sequence[int] | None = None) -> Table:
    """The lines of `level_lines` with no, partial and complete pooling: level x no_pooling partial_pooling complete_pooling.

    Without `x` there is one place for each level. NaN where the rows of a level alone do not determine its line.
    """
    pooled = Pooled.of(fit, group)
    new, columns = _line_data(fit, x, group, (), only)
    used = used_effects(fit, _effects_of(fit, group))
    known, _ = ask(fit, new, used, "population").points.split(used)
    ways: dict[str, Pooling] = {"no_pooling": "none", "partial_pooling": "partial", "complete_pooling": "complete"}
    lines = {name: pooled.ask(way, lambda s: marginal_mean(s, known) + random_part(s, known)) for name, way in ways.items()}
    alone = {level for level, enough in zip(pooled.factor.levels, pooled.determined, strict=True) if not enough}
    lines["no_pooling"] = np.where([level in alone for level in columns["level"]], np.nan, lines["no_pooling"])
    place = {} if x is None else {x: new[x]}
    return Table({**columns, **place, **lines}, title=f"Lines of {group}, pooled in three ways", frame_kind=fit.model.rows.frame)


def _line_data(
    fit: Fit, x: str | None, group: str, by: Sequence[str], only: Sequence[int] | None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """New data along the line of each level, and the columns that name the lines."""
    needs_rows(fit, "Lines of levels")
    if group.startswith(SEVERAL):
        raise ModelError(f"The levels of {group} have no lines of their own: a row belongs to several of them.")
    grouping = groupings(fit)[group]
    factors = [Values(group, levels=grouping.levels, codes=grouping.codes), *(column(fit, name) for name in by)]
    cells, codes = crossed(factors)
    wanted = None if only is None else {grouping.levels[place] for place in only}
    rows = [np.flatnonzero(codes == c) for c, cell in enumerate(cells) if wanted is None or cell[0] in wanted]
    cells = [cell for cell in cells if wanted is None or cell[0] in wanted]
    own, data = None if x is None else column(fit, x), data_used(fit)
    grids = [np.zeros(1) if own is None else _grid(own, members) for members in rows]
    size = [len(grid) for grid in grids]
    new = {name: np.repeat([_typical(values[members]) for members in rows], size) for name, values in data.items()}
    if x is not None:
        new[x] = np.concatenate(grids)
    named = {"level": 0, **{name: k + 1 for k, name in enumerate(by)}}
    columns = {name: np.repeat(np.array([cell[k] for cell in cells], dtype=object), size) for name, k in named.items()}
    return new, columns


def _grid(own: Values, rows: NDArray[np.intp]) -> NDArray[Any]:
    if own.numbers is not None:
        values = own.numbers[rows]
        return np.linspace(values.min(), values.max(), POINTS) if len(np.unique(values)) > 1 else np.unique(values)
    assert own.levels is not None and own.codes is not None
    return own.levels[np.unique(own.codes[rows])]


def _typical(values: NDArray[Any]) -> Any:
    """The mean of numbers, or the most frequent level."""
    if values.dtype.kind in "fiu":
        return values.mean()
    found, count = np.unique(values.astype(str), return_counts=True)
    most = found[np.argmax(count)]
    return next(value for value in values if str(value) == most)


def _effects_of(fit: Fit, group: str) -> str:
    """The bars of a grouping factor, as `predict(re=...)` takes them."""
    terms = fit.model.design.terms
    bars = [bar for bar, term in zip(fit.model.formula.bars, terms, strict=True) if term.group.name == group]
    return "~ " + " + ".join(bar_text(replace(bar, structure="un")) for bar in bars)
