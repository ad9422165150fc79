"""How values lie in each level of a factor: quartiles and whiskers as in Tukey's box plot, and the mean and standard deviation."""

from __future__ import annotations

from typing import Any

import numpy as np

from ranef.design import Array, Codes
from ranef.table import Table

WHISKER = 1.5  # interquartile ranges: the whiskers end at the outermost value within


def spread(values: Array, codes: Codes, levels: Any) -> Table:
    """level rows mean std_dev minimum quarter median three_quarters maximum; minimum and maximum are the ends of the whiskers.

    Rows without a level (code -1) or value are left out, and levels without rows.
    """
    good = (codes >= 0) & np.isfinite(values)
    order = np.lexsort((values[good], codes[good]))
    ordered, own = values[good][order], codes[good][order]
    edges = np.flatnonzero(np.diff(own, prepend=-1, append=len(levels)))
    rows = [_summary(part) for part in np.split(ordered, edges[1:-1])] if len(own) else []
    names = ("rows", "mean", "std_dev", "minimum", "quarter", "median", "three_quarters", "maximum")
    columns = dict(zip(names, np.array(rows).reshape(-1, len(names)).T, strict=True))
    return Table({"level": [levels[code] for code in own[edges[:-1]]], **columns}, title="Spread by level")


def _summary(part: Array) -> tuple[float, ...]:
    """Of one level, whose values are in order."""
    first, median, third = np.quantile(part, (0.25, 0.5, 0.75))
    reach = WHISKER * (third - first)
    low, high = part[np.searchsorted(part, first - reach)], part[np.searchsorted(part, third + reach, side="right") - 1]
    deviation = part.std(ddof=1) if len(part) > 1 else np.nan
    return len(part), part.mean(), deviation, low, first, median, third, high
