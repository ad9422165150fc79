"""Residuals over time: autocorrelation and semivariogram."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ranef.inference.views.serial import acf as correlations
from ranef.inference.views.serial import semivariogram as semivariances
from ranef.plot import labels
from ranef.plot.figures import Size, caption, one, zero_line
from ranef.plot.picture import picture
from ranef.plot.style import BLUE, PALE
from ranef.table import Table

if TYPE_CHECKING:
    from ranef.fit.fit import Fit


@picture
def acf(
    source: Fit | Table, group: str | None = None, time: str | None = None, *, ax: Any = None, size: Size = None, **options: Any
) -> Any:
    """Autocorrelations of the residuals within groups, lag by lag; without correlation they lie in the band.

    `source` is the table of `ranef.acf`, or a fit, for which it is made with `group`, `time` and `options`.

    Examples
    --------
    >>> import ranef
    >>> m = ranef.lmm("Reaction ~ Days + (Days | Subject)", ranef.datasets.load("sleepstudy"))
    >>> ax = ranef.plot.acf(m, time="Days")
    """
    table = source if isinstance(source, Table) else correlations(source, group, time, **options)
    ax = one(ax, size)
    lag, value, half = (np.asarray(table[name], dtype=float)[1:] for name in ("lag", "correlation", "conf_high"))
    edges = np.concatenate([[lag[0] - 0.5], lag + 0.5])
    ax.stairs(half, edges, baseline=-half, fill=True, color=PALE, alpha=0.55)
    zero_line(ax)
    ax.vlines(lag, 0.0, value, color=BLUE, linewidth=1.6)
    ax.plot(lag, value, "o", color=BLUE, markersize=4.4)
    most = max(0.25, 1.15 * float(np.nanmax(np.abs([*value, *half]))))
    ax.set(xlabel="Lag", ylabel="Autocorrelation", ylim=(-min(most, 1.05), min(most, 1.05)), xlim=(edges[0], edges[-1]))
    ax.xaxis.get_major_locator().set_params(integer=True)
    caption(ax, *table.notes[:1], f"Band: {labels.level(table.level or 0.95)} limits at each lag.")
    return ax


@picture
def semivariogram(
    source: Fit | Table, time: str | None = None, group: str | None = None, *, ax: Any = None, size: Size = None, **options: Any
) -> Any:
    """Half the mean squared difference of residuals against their distance in time; the area of a mark is its number of pairs.

    `source` is the table of `ranef.semivariogram`, or a fit with the numeric column `time`.

    Examples
    --------
    >>> import ranef
    >>> m = ranef.lmm("Reaction ~ Days + (Days | Subject)", ranef.datasets.load("sleepstudy"))
    >>> ax = ranef.plot.semivariogram(m, "Days")
    """
    from ranef.means.lines import axis_of

    name = time
    if isinstance(source, Table):
        table = source
    else:
        name = axis_of(source) if time is None else time
        table, name = semivariances(source, name, group, **options), labels.with_unit(source, name)
    ax = one(ax, size)
    distance, value, pairs = (np.asarray(table[column], dtype=float) for column in ("distance", "semivariance", "pairs"))
    ax.plot(distance, value, color=BLUE, linewidth=1.0, zorder=1)
    ax.scatter(distance, value, s=10.0 + 50.0 * pairs / pairs.max(), color=BLUE, linewidths=0, zorder=2)
    total = _total(table)
    if total is not None:
        zero_line(ax, total)
    ax.set(xlabel=f"Distance in {name}" if name else "Distance", ylabel="Semivariance", xlim=(0.0, None))
    ax.set_ylim(0.0, 1.08 * max(float(value.max()), total or 0.0))
    caption(ax, *table.notes, "Broken line: that variance. The area of a mark is its number of pairs.")
    return ax


def _total(table: Table) -> float | None:
    """The variance that the note of the table tells."""
    words = table.notes[0].rsplit("variance is ", 1) if table.notes else []
    return float(words[1].rstrip(".")) if len(words) == 2 else None
