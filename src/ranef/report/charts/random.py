"""The random effects: in order with their intervals, and how far partial pooling moves the levels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ranef.errors import RanefError
from ranef.fit.effects import factors
from ranef.fit.rows import has_rows
from ranef.report.charts import Picture, thinned
from ranef.report.svg import BOTTOM, TOP, Panel, span
from ranef.table import Table

if TYPE_CHECKING:
    from ranef.fit.fit import Fit

MOST_NAMES = 40  # levels with a name beside their interval
MOST_LEVELS = 150  # beyond, the intervals are drawn as a band
MOST_ARROWS = 150
MOST_PICTURES = 8
Z = 1.959963984540054

Array = NDArray[np.float64]


def caterpillars(fit: Fit) -> list[Picture]:
    """For each random effect: conditional means in order, with 95 % intervals."""
    return [_caterpillar(*found) for found in _effects(fit) if np.any(found[3])][:MOST_PICTURES]


def shrinkage(fit: Fit) -> list[Picture]:
    """For each grouping factor with two or more random effects: its first two, level by level alone and in the model."""
    from ranef.inference.pooling import pooling

    out = []
    for factor in factors(fit) if has_rows(fit) else ():
        if len(factor.names) < 2:
            continue
        try:
            table = pooling(fit, factor.name)
        except RanefError:
            continue
        first, second = (_pooled(table, name) for name in factor.names[:2])
        if first[0] is not None and second[0] is not None:
            out.append(_arrows(factor.name, factor.names, first, second))
    return out


def _effects(fit: Fit) -> list[tuple[str, str, NDArray[np.object_], Array, Array]]:
    table = fit.ranef()
    group, term = np.asarray(table["group"], dtype=object), np.asarray(table["term"], dtype=object)
    columns = [np.asarray(table[name]) for name in ("level", "estimate", "std_error")]
    pairs = list(dict.fromkeys(zip(group, term, strict=True)))
    return [(g, t, *(column[(group == g) & (term == t)] for column in columns)) for g, t in pairs]


def _caterpillar(group: str, term: str, level: NDArray[np.object_], estimate: Array, error: Array) -> Picture:
    order = np.argsort(estimate, kind="stable")
    middle, half = estimate[order].astype(float), Z * error[order].astype(float)
    m, apart = len(order), int(np.count_nonzero(np.abs(middle) > half))
    named = m <= MOST_NAMES
    row = 13 if named else 4 if m <= MOST_LEVELS else 0
    side = "" if named else f"{group}, in order"
    panel = Panel(
        span([*(middle - half), *(middle + half), 0.0]), (-0.8, m - 0.2), f"{term} of {group}", side,
        f"Random effects of {group}: {term}",
        f"{m:,} levels in order, from {middle[0]:.3g} to {middle[-1]:.3g}; the intervals of {apart:,} exclude zero.",
        height=TOP + BOTTOM + (max(row * m, 60) if row else 230), y_names=[str(name) for name in level[order]] if named else (),
    )  # fmt: skip
    _marks(panel, middle, half)
    panel.line((0.0, 0.0), panel.y, "zero")
    share = f" The intervals of {apart:,} of {m:,} levels exclude zero." if m > 1 else ""
    return Picture(panel.render(), f"{group}: {term}, in order, with 95 % intervals given the estimated parameters.{share}")


def _marks(panel: Panel, middle: Array, half: Array) -> None:
    """A bar and a point for each level; for many levels a band, whose edges are means over neighbours."""
    m = len(middle)
    if m <= MOST_LEVELS:
        panel.intervals(middle - half, middle + half, range(m))
        panel.points(middle, range(m), 2.8 if m <= MOST_NAMES else 1.6)
        return
    parts = np.array_split(np.arange(m), MOST_LEVELS)
    places = [float(part.mean()) for part in parts]
    low, centre, high = ([float(values[part].mean()) for part in parts] for values in (middle - half, middle, middle + half))
    panel.area([*low, *high[::-1]], [*places, *places[::-1]])
    panel.line(centre, places, "firm")


def _pooled(table: Table, name: str) -> tuple[Array | None, Array, float]:
    """(alone, in the model, of all) for one coefficient; None where no level determines it."""
    here = np.asarray(table["term"], dtype=object) == name
    alone, model, complete = (
        np.asarray(table[column], dtype=float)[here] for column in ("no_pooling", "partial_pooling", "complete_pooling")
    )
    return (alone if np.isfinite(alone).any() else None), model, float(np.nanmean(complete))


def _arrows(
    group: str, names: tuple[str, ...], first: tuple[Array | None, Array, float], second: tuple[Array | None, Array, float]
) -> Picture:
    assert first[0] is not None
    assert second[0] is not None
    both = np.flatnonzero(np.isfinite(first[0]) & np.isfinite(second[0]))
    shown = thinned(both[np.argsort(first[1][both], kind="stable")], MOST_ARROWS)
    x0, x1, y0, y1 = first[0][shown], first[1][shown], second[0][shown], second[1][shown]
    panel = Panel(
        span(x0, x1), span(y0, y1), names[0], names[1], f"Shrinkage of {group}",
        f"{len(shown)} levels: coefficients from their own rows alone, and as the model predicts them.",
        legend=("in the model", "from its rows alone", "all levels alike"),
    )  # fmt: skip
    panel.lines([((a, b), (c, d)) for a, b, c, d in zip(x0, x1, y0, y1, strict=True)], "thin", 1)
    panel.points(x0, y0, 2.2, 1, "dot")
    panel.points(x1, y1, 2.6, 0, "dot")
    panel.points([first[2]], [second[2]], 4.5, 2, "key")
    few = f" {len(shown)} of {len(first[1]):,} levels are shown." if len(shown) < len(first[1]) else ""
    caption = (
        f"{group}: {names[0]} and {names[1]} of each level, from its own rows alone and in the model. The less a level tells, "
    )
    return Picture(panel.render(), f"{caption}the further it moves towards the others.{few}")
