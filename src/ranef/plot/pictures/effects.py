"""Coefficients and contrasts as a forest: estimates with intervals, of one model or of several side by side."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ranef.errors import ModelError
from ranef.plot import labels
from ranef.plot.figures import Size, caption, legend, level_ticks, one, zero_line
from ranef.plot.picture import picture
from ranef.plot.style import BLUE, series
from ranef.table import Table

if TYPE_CHECKING:
    from ranef.fit.fit import Fit


@picture
def effects(
    fits: Fit | Table | Mapping[str, Fit | Table], *, intercept: bool = False, standardised: bool = False, level: float = 0.95,
    ax: Any = None, size: Size = None,
) -> Any:  # fmt: skip
    """The fixed effects with their intervals, one a line.

    Parameters
    ----------
    fits
        A fit; a dict of fits, by name, to compare; or a table with estimate, conf_low and conf_high, such as the contrasts of
        `emmeans(...).contrast().confint()`.
    intercept
        Whether the intercept is drawn, whose size says little beside the others.
    standardised
        Effects in standard deviations, so that covariates in different units can be compared.

    Examples
    --------
    >>> import ranef
    >>> m = ranef.lmm("yield ~ nitro * Variety + (1 | Block / Variety)", ranef.datasets.load("Oats"))
    >>> ax = ranef.plot.effects(m)
    """
    named = fits if isinstance(fits, Mapping) else {"": fits}
    tables = {name: _table(one_, standardised, level) for name, one_ in named.items()}
    names = list(dict.fromkeys(label for table in tables.values() for label in _labels(table)))
    names = [name for name in names if intercept or name != "(Intercept)"]
    if not names:
        raise ModelError("The model has no coefficient beside its intercept.", hint="effects(m, intercept=True) draws that.")
    ax = one(ax, size, (4.8, 0.9 + 0.30 * len(names) * max(1.0, 0.6 * len(tables))))
    for k, (name, table) in enumerate(tables.items()):
        _intervals(ax, table, names, 0.0 if len(tables) == 1 else 0.5 * (k / (len(tables) - 1) - 0.5), k, name)
    zero_line(ax, vertical=True)
    level_ticks(ax, names, "y")
    ax.set(ylim=(len(names) - 0.4, -0.6), xlabel=_axis(fits, standardised))
    ax.tick_params(axis="y", length=0)
    legend(ax)
    caption(ax, f"{labels.level(next(iter(tables.values())).level or level)} intervals.", _about(fits))
    return ax


def _table(one_: Any, standardised: bool, level: float) -> Table:
    if isinstance(one_, Table):
        if not {"estimate", "conf_low", "conf_high"} <= set(one_.columns):
            raise ModelError("The table has no intervals.", hint="Contrasts get them by .confint().")
        return one_
    if standardised:
        from ranef.inference.effect_size import standardised as scaled

        return scaled(one_, level=level)
    found: Table = one_.conf_int(level=level)
    return Table(dict(found.columns), notes=found.notes, level=level)


def _labels(table: Table) -> list[str]:
    """The words of each row: all columns in front of the estimate."""
    columns = list(table.columns)
    front = [name for name in columns[: columns.index("estimate")] if name not in ("effect", "group")]
    return [", ".join(labels.text(table[name][i]) for name in front) for i in range(len(table))]


def _intervals(ax: Any, table: Table, names: list[str], shift: float, place: int, label: str) -> None:
    at = {name: float(k) for k, name in enumerate(names)}
    rows = [(at[name] + shift, i) for i, name in enumerate(_labels(table)) if name in at]
    y, index = np.array([a for a, _ in rows]), [i for _, i in rows]
    low, high, middle = (np.asarray(table[name], dtype=float)[index] for name in ("conf_low", "conf_high", "estimate"))
    mark = {**series(place), "linestyle": "none"} if label else {"color": BLUE, "marker": "o", "linestyle": "none"}
    ax.hlines(y, low, high, color=mark["color"], linewidth=1.4)
    ax.plot(middle, y, **mark, markersize=4.6, label=label or None, zorder=3)


def _axis(fits: Any, standardised: bool) -> str:
    if isinstance(fits, Table):
        return fits.headings.get("estimate", "Estimate")
    first = next(iter(fits.values())) if isinstance(fits, Mapping) else fits
    if isinstance(first, Table):
        return "Estimate"
    return "Standardised coefficient" if standardised else f"Effect on {labels.response(first)}"


def _about(fits: Any) -> str:
    if isinstance(fits, Table):
        return fits.adjustment or ""
    from ranef.fit.methods import DDF

    first = next(iter(fits.values())) if isinstance(fits, Mapping) else fits
    return "" if isinstance(first, Table) else f"{DDF[first.ddf]}."
