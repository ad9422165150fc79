"""Power curves."""

from __future__ import annotations

from typing import Any

import numpy as np

from ranef.errors import ModelError
from ranef.inference.views.power import power_curves
from ranef.plot import labels
from ranef.plot.figures import Size, caption, legend, one, zero_line
from ranef.plot.picture import picture
from ranef.plot.style import series
from ranef.table import Table

WORDS = {
    "clusters": "Number of clusters",
    "cluster_size": "Rows in each cluster",
    "effect_size": "Effect",
    "icc": "Intraclass correlation",
}


@picture
def power(source: Table | None = None, *, target: float | None = 0.8, ax: Any = None, figsize: Size = None, **design: Any) -> Any:
    """The power of two-level designs over whatever has most values; other columns that vary give a curve each.

    `source` is the table of `ranef.power_curves`; without one it is made from `design`, where `size` is the rows of a cluster (the
    size of the figure is `figsize`):
    ``power(effect=0.5, clusters=range(4, 61, 4), size=[5, 20], icc=0.1)``. `target` is the power that one wants.

    Examples
    --------
    >>> import ranef
    >>> ax = ranef.plot.power(effect=0.5, clusters=range(4, 61, 4), size=[5, 20], icc=0.1)
    """
    table = power_curves(**design) if source is None else source
    varying = {name: np.unique(np.asarray(table[name], dtype=float)) for name in WORDS if name in table}
    varying = {name: values for name, values in varying.items() if len(values) > 1}
    if not varying or "power" not in table:
        raise ModelError("The table holds no power curve.", hint="Make one with ranef.power_curves(...).")
    x = max(varying, key=lambda name: len(varying[name]))
    others = [name for name in varying if name != x]
    ax = one(ax, figsize)
    for k, (name, rows) in enumerate(_curves(table, others).items()):
        at = np.asarray(table[x], dtype=float)[rows]
        order = np.argsort(at)
        mark = {**series(k), "marker": series(k)["marker"] if len(rows) <= 15 else None}
        ax.plot(at[order], np.asarray(table["power"], dtype=float)[rows][order], **mark, label=name or None)
    if target is not None:
        zero_line(ax, target)
    ax.set(xlabel=WORDS[x], ylabel="Power", ylim=(0.0, 1.02))
    legend(ax, ", ".join(WORDS[name] for name in others) or None)
    goal = f"Broken line: {labels.level(target)}." if target is not None else ""
    caption(ax, *table.notes, goal)
    return ax


def _curves(table: Table, others: list[str]) -> dict[str, list[int]]:
    out: dict[str, list[int]] = {}
    for i in range(len(table)):
        out.setdefault(", ".join(f"{float(table[name][i]):g}" for name in others), []).append(i)
    return out
