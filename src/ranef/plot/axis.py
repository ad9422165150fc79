"""Where values of a predictor lie on an axis: numbers as they are, levels at 0, 1, 2, ..."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ranef.design import Array
from ranef.inference.views.columns import column
from ranef.table import Table

if TYPE_CHECKING:
    from ranef.fit.fit import Fit


def places_of(fit: Fit, x: str) -> Array:
    """(n,) of the rows used."""
    found = column(fit, x)
    if found.numbers is not None:
        return found.numbers
    assert found.codes is not None
    return found.codes.astype(float)


def line_places(fit: Fit, table: Table, x: str) -> Any:
    """Of the column `x` of a table."""
    found = column(fit, x)
    if found.numbers is not None:
        return np.asarray(table[x], dtype=float)
    assert found.levels is not None
    place = {str(level): float(at) for at, level in enumerate(found.levels)}
    return np.array([place[str(level)] for level in table[x]])
