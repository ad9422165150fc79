"""A column of the user's data in the rows of a fit, as numbers or as levels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ranef.design import Array, Codes, Grouping
from ranef.errors import DataError, ModelError
from ranef.fit.rows import needs_rows
from ranef.inference.clusters import groupings, top_grouping
from ranef.schema.frames import nearest, open_frame

if TYPE_CHECKING:
    from ranef.fit.fit import Fit


@dataclass(frozen=True, eq=False)
class Values:
    """One column: `numbers` where it is numeric, else `levels` and `codes` (-1 where missing)."""

    name: str
    numbers: Array | None = None
    levels: NDArray[Any] | None = None
    codes: Codes | None = None

    @property
    def is_numeric(self) -> bool:
        return self.numbers is not None

    def as_levels(self) -> Values:
        """Numbers as levels, in order."""
        if self.numbers is None:
            return self
        known = np.isfinite(self.numbers)
        levels, places = np.unique(self.numbers[known], return_inverse=True)
        codes = np.full(len(self.numbers), -1, dtype=np.intp)
        codes[known] = places
        whole = bool(np.all(levels == np.round(levels)))
        return Values(self.name, levels=(levels.astype(int) if whole else levels).astype(object), codes=codes)


def outermost(fit: Fit, group: str | None) -> Grouping:
    """The grouping factor called `group`, the one that contains all others, or that of a residual structure.

    Raises ModelError where that is not clear."""
    groups = groupings(fit)
    if group is None and groups:
        try:
            return top_grouping(fit)
        except ModelError:
            known = ", ".join(map(repr, groups))
            raise ModelError(
                "No grouping factor of the model contains all others.", hint=f"Say which: group= one of {known}."
            ) from None
    if not groups and fit.model.design.residual is not None:
        return fit.model.design.residual.subject
    if not groups:
        raise ModelError("The model has no random effects, and so no grouping factor.")
    return top_grouping(fit, group)


def column(fit: Fit, name: str) -> Values:
    """A grouping factor of the model, or a column of the data that it was fitted to (in the formula or not), in the rows used.

    Raises DataError for a name that is neither, ModelError for a saved model.
    """
    needs_rows(fit, "This")
    if not isinstance(name, str):
        raise ModelError(f"{name!r} must be the name of a column.")
    groups = groupings(fit)
    if name in groups:
        return Values(name, levels=groups[name].levels, codes=groups[name].codes)
    frame = open_frame(fit.model.recipe["data"])
    if name not in frame.names:
        raise DataError(f"The data have no column {name!r}.", hint=nearest(name, [*frame.names, *groups]))
    return taken(name, frame.select([name]).column(name), fit.model.rows.kept)


def frame_column(data: Any, name: str) -> Values:
    """The column of a data frame. Raises DataError for an unknown name."""
    return taken(name, open_frame(data).select([name]).column(name), None)


def taken(name: str, found: Any, kept: NDArray[np.bool_] | None) -> Values:
    """Numbers as numbers (NaN where missing), all else, text and times too, as levels."""
    if found.factor is None and found.kind in ("integer", "float", "logical"):
        values = found.predictor.values
        return Values(name, numbers=values if kept is None else values[kept])
    factor = found.levels
    codes = np.asarray(factor.codes, dtype=np.intp)
    return _used(name, np.asarray(factor.levels, dtype=object), codes if kept is None else codes[kept])


def _used(name: str, levels: NDArray[Any], codes: Codes) -> Values:
    """Without the levels that no row has."""
    rows = np.bincount(codes[codes >= 0], minlength=len(levels))
    place = np.append(np.cumsum(rows > 0) - 1, -1)
    return Values(name, levels=levels[rows > 0], codes=place[np.where(codes < 0, len(levels), codes)])


def crossed(columns: Sequence[Values]) -> tuple[list[tuple[Any, ...]], Codes]:
    """The combinations of levels that occur, in the order of the levels, and which one each row has (-1: something is missing)."""
    factors = [one.as_levels() for one in columns]
    if not factors:
        return [()], np.zeros(0, dtype=np.intp)
    codes = np.stack([factor.codes for factor in factors if factor.codes is not None], axis=1)
    known = (codes >= 0).all(axis=1)
    cells, places = np.unique(codes[known], axis=0, return_inverse=True)
    out = np.full(len(codes), -1, dtype=np.intp)
    out[known] = places.ravel()
    return [tuple(f.levels[c] for f, c in zip(factors, cell, strict=True) if f.levels is not None) for cell in cells], out
