"""Where the variance comes from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ranef.inference.variance import variance_partition
from ranef.plot import labels
from ranef.plot.figures import Size, caption, level_ticks, one
from ranef.plot.picture import picture
from ranef.plot.style import GREEN, GREY, INK, ORANGE, SKY
from ranef.table import Table

if TYPE_CHECKING:
    from ranef.fit.fit import Fit

COLORS = {"Fixed effects": GREEN, "Residual": ORANGE}


@picture
def variance(source: Fit | Table, *, ax: Any = None, size: Size = None, **options: Any) -> Any:
    """The shares of the fixed part, of each grouping factor and of the residual in the variance of the response, with intervals.

    `source` is the table of `ranef.variance_partition`, or a fit, for which it is made with `options`.

    Examples
    --------
    >>> import ranef
    >>> m = ranef.lmm("Reaction ~ Days + (Days | Subject)", ranef.datasets.load("sleepstudy"))
    >>> ax = ranef.plot.variance(m)
    """
    table = source if isinstance(source, Table) else variance_partition(source, **options)
    ax = one(ax, size, (4.8, 1.0 + 0.38 * len(table)))
    share = np.asarray(table["share"], dtype=float)
    low, high = (np.asarray(table[name], dtype=float) for name in ("conf_low", "conf_high"))
    at = np.arange(len(table))
    ax.barh(at, share, height=0.62, color=[COLORS.get(name, SKY) for name in table["component"]], zorder=1)
    ax.hlines(at, low, high, color=INK, linewidth=1.1, zorder=2)
    ends = np.where(np.isfinite(high), np.maximum(share, high), share)
    for place, (end, value) in enumerate(zip(ends, share, strict=True)):
        ax.annotate(
            f"{100.0 * value:.3g} %", (end, place), (4, 0), textcoords="offset points", va="center", fontsize=8.0, color=INK
        )
    level_ticks(ax, [_name(row) for row in table], "y")
    ax.set(xlim=(0.0, 1.14 * max(1e-9, float(np.nanmax(ends)))), ylim=(len(table) - 0.5, -0.5), xlabel="Share of the variance")
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_color(GREY)
    ax.xaxis.set_major_formatter(lambda value, _: f"{100.0 * value:.3g} %")
    caption(
        ax, f"Lines: {labels.level(table.level or 0.95)} intervals.", *[note for note in table.notes if note.startswith("The part")]
    )
    return ax


def _name(row: dict[str, Any]) -> str:
    return f"{row['component']}: {row['term']}" if row.get("term") else str(row["component"])
