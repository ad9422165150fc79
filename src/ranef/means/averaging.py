"""From the cells of a grid to marginal means: which cells are averaged, and with which weights.

equal          every level counts the same; levels of a nested factor the same within what they are nested in
proportional   by how often combinations of the levels that are averaged over occur, whatever the levels of the mean
outer          by the product of how often each of these levels occurs
cells          by how often each cell occurs: the mean of the fitted values, if the data were balanced otherwise
flat           every cell that occurs counts the same
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ranef.design import Array
from ranef.errors import ModelError
from ranef.means.grid import Grid
from ranef.schema.frames import nearest
from ranef.table import Table

WEIGHTS = ("equal", "proportional", "outer", "cells", "flat")
SPELLINGS = {"prop": "proportional", "frequency": "cells", "show.levels": "show"}


@dataclass(frozen=True, eq=False)
class Averages:
    """Rows of L, one a mean, with the levels that name it."""

    L: Array  # (t, p)
    offset: Array  # (t,)
    labels: dict[str, list[Any]]
    over: tuple[str, ...]  # what was averaged over
    counts: Array  # (t,) rows of the data behind each mean


def check_weights(weights: str) -> str:
    """Raises ModelError for weights that are not known."""
    name = SPELLINGS.get(weights, weights) if isinstance(weights, str) else None
    if name is None or name not in (*WEIGHTS, "show"):
        raise ModelError(
            f"weights={weights!r} is not known.", hint=f"Use one of: {', '.join(WEIGHTS)}; show lists what is averaged over."
        )
    return name


def targets(grid: Grid, specs: Sequence[str], by: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The factors of the means and those of the families; what a factor is nested in comes along.

    Raises ModelError for names that the fixed part does not have.
    """
    for name in (*specs, *by):
        if name not in grid.levels:
            raise ModelError(f"The fixed part has no predictor {name!r}.", hint=nearest(name, grid.names, "Predictors"))
    families = tuple(dict.fromkeys(by))
    means = [name for name in dict.fromkeys(specs) if name not in families]
    for name in (*means, *families):
        means += [outer for outer in grid.nesting.get(name, ()) if outer not in means and outer not in families]
    return tuple(means), families


def average(grid: Grid, names: Sequence[str], weights: str) -> Averages:
    """The means for each combination of `names`, the first varying fastest; combinations that cannot occur are left out."""
    over = tuple(name for name in grid.factors if name not in names)
    shape = tuple(len(grid.levels[name]) for name in names)
    target = _ravel([grid.codes[name] for name in names], shape, grid.size)
    weight = np.where(grid.possible, _weights(grid, over, weights), 0.0)
    size = int(np.prod(shape, dtype=np.int64))
    there = np.bincount(target, weights=grid.possible, minlength=size) > 0
    total = np.bincount(target, weights=weight, minlength=size)
    with np.errstate(invalid="ignore", divide="ignore"):
        share = weight / total[target]
    share[(weight == 0) & (total[target] > 0)] = 0.0
    L, offset = np.zeros((size, grid.L.shape[1])), np.zeros(size)
    np.add.at(L, target, share[:, None] * grid.L)
    np.add.at(offset, target, share * grid.offset)
    kept = np.flatnonzero(there)
    places = np.unravel_index(kept, shape, order="F") if names else ()
    labels = {name: [grid.levels[name][i] for i in place] for name, place in zip(names, places, strict=True)}
    return Averages(
        L[kept], offset[kept], labels, over, np.bincount(target, weights=grid.counts, minlength=size)[kept].astype(float)
    )


def _weights(grid: Grid, over: tuple[str, ...], weights: str) -> Array:
    """(g,) weights of the cells before they are made to sum to one."""
    if weights == "cells":
        return grid.counts
    if weights == "flat":
        return (grid.counts > 0).astype(float)
    if weights == "proportional":
        return _frequency(grid, over)
    if weights == "outer":
        return np.prod([_frequency(grid, (name,)) for name in over], axis=0) if over else np.ones(grid.size)
    return _equal(grid, over)


def _frequency(grid: Grid, names: tuple[str, ...]) -> Array:
    """(g,) how often the combination of the levels of `names` occurs."""
    shape = tuple(len(grid.levels[name]) for name in names)
    place = _ravel([grid.codes[name] for name in names], shape, grid.size)
    return np.bincount(place, weights=grid.counts, minlength=int(np.prod(shape, dtype=np.int64)))[place].astype(float)


def _equal(grid: Grid, over: tuple[str, ...]) -> Array:
    """(g,) one over the number of levels of each factor that are possible, given those of the factors that it is nested in."""
    out = np.ones(grid.size)
    for name in over:
        outers = tuple(grid.nesting.get(name, ()))
        shape = tuple(len(grid.levels[outer]) for outer in outers)
        place = _ravel([grid.codes[outer] for outer in outers], shape, grid.size)
        pairs = np.unique(np.column_stack([place, grid.codes[name]])[grid.possible], axis=0)
        levels = np.bincount(pairs[:, 0], minlength=int(np.prod(shape, dtype=np.int64)))[place]
        out = out / np.maximum(levels, 1)
    return out


def _ravel(codes: Sequence[NDArray[np.intp]], shape: tuple[int, ...], size: int) -> NDArray[np.intp]:
    if not shape:
        return np.zeros(size, dtype=np.intp)
    return np.asarray(np.ravel_multi_index(tuple(codes), shape, order="F"), dtype=np.intp)


def weight_table(grid: Grid, names: Sequence[str]) -> Table:
    """What is averaged over, how often each combination occurs, and its weight under each rule: the answer to weights="show"."""
    over = tuple(name for name in grid.factors if name not in names)
    shape = tuple(len(grid.levels[name]) for name in over)
    place = _ravel([grid.codes[name] for name in over], shape, grid.size)
    first = np.array([np.flatnonzero(place == k)[0] for k in range(int(np.prod(shape, dtype=np.int64)))], dtype=np.intp)
    columns: dict[str, Any] = {name: [grid.levels[name][i] for i in grid.codes[name][first]] for name in over}
    columns["count"] = np.bincount(place, weights=np.where(grid.possible, grid.counts, 0.0))
    for rule in ("equal", "proportional", "outer"):
        weight = _weights(grid, over, rule)[first]
        columns[rule] = weight / weight.sum()
    headings = {**{name: name for name in over}, **{rule: rule for rule in ("equal", "proportional", "outer")}}
    return Table(columns, title="Weights of what is averaged over", frame_kind=grid.estimates.frame_kind, headings=headings)
