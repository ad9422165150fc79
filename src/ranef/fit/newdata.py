"""New rows as a fit needs them: which columns to ask of the data, and what to do with levels that the fit has not seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ranef.core.layout import Block
from ranef.design import Array
from ranef.errors import DataError, RanefError, SavedModelError
from ranef.fit.points import Mask, Points
from ranef.fit.rows import has_rows

if TYPE_CHECKING:
    from ranef.fit.fit import Fit
    from ranef.schema import NewDesign

SHOWN = 5


@dataclass(frozen=True, eq=False)
class Asked:
    """New rows; `missing` says which have no answer: a predictor or a level is missing, or the combination is not estimable."""

    points: Points
    missing: Mask  # (n,) of bool
    index: Any
    frame: str


def ask(fit: Fit, newdata: Any, used: tuple[Mask, ...], new_levels: str, *, offset: Any = None, observation: bool = False) -> Asked:
    """The rows of newdata. `used` masks the columns of each block.

    The columns of other terms are asked for only for an `observation`, whose variance they change; their grouping factors never.
    The weight of a row is one where newdata have no column of the weights.

    Raises DataError for absent columns, for unknown levels unless `new_levels` allows them, and for weights that are not positive.
    """
    layout = fit.criterion.layout
    levels = [part.term for f, part in layout.parts if np.any(used[f][part.columns])]
    columns = [part.term for _, part in layout.parts] if observation else levels
    weights = fit.model.schema.weights if observation else None
    if weights is not None and weights not in _names(newdata):
        weights = None
    found = _apply(fit, newdata, random=columns, levels=levels, weights=weights, offset=offset)
    missing = ~(np.isfinite(found.X).all(axis=1) & fit.criterion.gram.standard.estimable(found.X))
    codes, z = [], []
    for f, block in enumerate(layout.blocks):
        asked = [part.term for part in block.parts if part.term in levels]
        place = found.terms[asked[0]].codes if asked else np.full(found.nobs, -1, dtype=np.intp)
        if asked:
            missing |= _unknown(fit, found, asked[0], new_levels)
        codes.append(place)
        z.append(_columns(found, block, columns))
        missing |= ~np.isfinite(z[f][:, used[f]]).all(axis=1)
    noise = _checked_weights(found)
    return Asked(Points(found.X, found.offset, noise, tuple(codes), tuple(z)), missing, found.index, found.frame)


def _apply(fit: Fit, newdata: Any, **options: Any) -> NewDesign:
    """The columns of the fit; what a damaged or forged schema of a saved model makes fail is told as such."""
    try:
        return fit.model.schema.apply(newdata, **options)
    except RanefError:
        raise
    except Exception as problem:
        if has_rows(fit):
            raise
        raise SavedModelError(f"The schema of the saved model is damaged: {type(problem).__name__}: {problem}") from problem


def _names(newdata: Any) -> tuple[str, ...]:
    from ranef.schema.frames import open_frame

    return open_frame(newdata).names


def _columns(found: NewDesign, block: Block, columns: list[int]) -> Array:
    """(n, k) columns of a block; zero for terms that were not asked for."""
    z = np.zeros((found.nobs, block.width))
    for part in block.parts:
        if part.term in columns:
            values = found.terms[part.term].z
            z[:, part.columns] = 1.0 if values is None else values
    return z


def _unknown(fit: Fit, found: NewDesign, term: int, new_levels: str) -> Mask:
    """(n,) rows without an answer because of their level: a missing one, or a new one under `new_levels="missing"`.

    Raises DataError for new levels under `new_levels="error"`.
    """
    new = found.terms[term]
    outside = new.codes < 0
    if not outside.any():
        return outside
    absent = outside & np.array([label is None for label in new.labels])
    strange = outside & ~absent
    if strange.any() and new_levels == "error":
        labels = list(dict.fromkeys(str(label) for label in new.labels[strange]))
        shown = ", ".join(map(repr, labels[:SHOWN])) + (f" and {len(labels) - SHOWN} more" if len(labels) > SHOWN else "")
        rows = ", ".join(map(str, np.flatnonzero(strange)[:SHOWN]))
        name = fit.model.design.terms[term].group.name
        raise DataError(
            f"{name!r} has the level {shown} (row {rows}), which was not in the fit.",
            hint='new_levels="population" predicts such levels without their random effects, new_levels="missing" gives NaN.',
        )
    return outside if new_levels == "missing" else absent


def _checked_weights(found: NewDesign) -> Array | None:
    """Raises DataError for a weight that is zero, negative or infinite; a missing one stays missing."""
    if found.weights is None:
        return None
    bad = (found.weights <= 0) | np.isinf(found.weights)
    if bad.any():
        raise DataError(
            f"The weights of new data must be positive; row {int(np.flatnonzero(bad)[0])} has {found.weights[bad][0]:g}."
        )
    return found.weights
