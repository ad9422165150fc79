"""Bootstrap distributions of the parameters, with the estimate and the interval."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ranef.errors import ModelError
from ranef.plot import crowd, labels
from ranef.plot.figures import Size, caption_all, several
from ranef.plot.picture import picture
from ranef.plot.pictures.profile import _name
from ranef.plot.style import INK, VERMILLION

if TYPE_CHECKING:
    from ranef.inference.bootstrap import Bootstrap


@picture
def bootstrap(source: Bootstrap, which: str | list[str] | None = None, *, ax: Any = None, size: Size = None) -> Any:
    """A histogram of the refits for each parameter; the line is the estimate, the bar its interval.

    `source` is the answer of `ranef.bootstrap(m, n)`. `which` names parameters as its table does, or "fixed" or "ran_pars". A
    spike at zero are refits whose variance is on the boundary.

    Examples
    --------
    >>> import ranef
    >>> m = ranef.lmm("Reaction ~ Days + (Days | Subject)", ranef.datasets.load("sleepstudy"))
    >>> axes = ranef.plot.bootstrap(ranef.bootstrap(m, 200, seed=1))
    """
    table = source.intervals
    wanted = None if which is None else {which} if isinstance(which, str) else set(which)
    shown = [i for i, row in enumerate(table) if wanted is None or row["term"] in wanted or row["effect"] in wanted]
    if not shown:
        raise ModelError(f"No parameter is called {which!r}.", hint=f"There are: {', '.join(map(str, table['term']))}.")
    axes = several(ax, len(shown), size, panel=(2.4, 2.1))
    for axis, i in zip(axes, shown, strict=True):
        row = {name: table[name][i] for name in table.columns}
        _panel(axis, source.draws[:, i], row)
        axis.set(xlabel=_name(row), yticks=[])
        axis.locator_params(axis="x", nbins=4)
        axis.spines["left"].set_visible(False)
    caption_all(axes, f"{source.kind.capitalize()} bootstrap, {labels.many(len(source.draws), 'refits')}. Line: estimate; bar: "
                f"{labels.level(source.level)} interval ({source.method}).")  # fmt: skip
    return axes if len(axes) > 1 else axes[0]


def _panel(ax: Any, draws: Any, row: dict[str, Any]) -> None:
    known = draws[np.isfinite(draws)]
    if not len(known):
        ax.text(0.5, 0.5, "not defined", transform=ax.transAxes, ha="center")
        return
    counts = crowd.histogram(ax, known)
    top = float(counts.max())
    ax.axvline(row["estimate"], color=INK, linewidth=1.2)
    ax.plot([row["conf_low"], row["conf_high"]], [-0.06 * top] * 2, color=VERMILLION, linewidth=3.0, solid_capstyle="butt")
    ax.set_ylim(-0.11 * top, 1.05 * top)
