"""Normal quantiles of the residuals or of random effects, with a band."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ranef.design import Array
from ranef.errors import ModelError
from ranef.fit.effects import factor_named
from ranef.inference.views.normal import quantile_band
from ranef.plot import labels
from ranef.plot.figures import Size, caption, one
from ranef.plot.picture import picture
from ranef.plot.style import BLUE, GREY, PALE, VERMILLION
from ranef.table import Table

if TYPE_CHECKING:
    from ranef.fit.fit import Fit


@picture
def qq(
    fit: Fit, group: str | None = None, term: str | None = None, *, kind: str = "standardised", level: str = "conditional",
    ax: Any = None, size: Size = None,
) -> Any:  # fmt: skip
    """Normal quantiles of the residuals, or of the predicted random effects of a grouping factor.

    A normal sample stays inside the band as a whole with probability 95 %; marks outside are drawn in another colour and shape.
    `group` names a grouping factor, `term` one of its effects (the first unless given).

    Examples
    --------
    >>> import ranef
    >>> m = ranef.lmm("Reaction ~ Days + (Days | Subject)", ranef.datasets.load("sleepstudy"))
    >>> ax = ranef.plot.qq(m)
    >>> ax = ranef.plot.qq(m, "Subject", "Days")
    """
    ax = one(ax, size)
    if group is None:
        values, what = np.asarray(fit.residuals(kind, level), dtype=float), f"{kind.capitalize()} residual"
    else:
        values, term = _effects(fit, group, term)
        what = f"{group}: {term}"
    if np.nanmax(np.abs(values), initial=0.0) <= 0.0:
        ax.text(0.5, 0.5, "all are zero", transform=ax.transAxes, ha="center", color=GREY)
    else:
        _draw(ax, quantile_band(values))
    ax.set(xlabel="Standard normal quantile", ylabel=what)
    return ax


def _draw(ax: Any, table: Table) -> None:
    x, y, low, high = (np.asarray(table[name], dtype=float) for name in ("theoretical", "sample", "conf_low", "conf_high"))
    ax.fill_between(x, low, high, color=PALE, alpha=0.6, linewidth=0, zorder=1)
    ax.plot(x, table["line"], color=GREY, linewidth=0.9, zorder=1.5)
    out = (y < low) | (y > high)
    size = 12.0 if len(x) <= 150 else 6.0
    ax.scatter(x[~out], y[~out], s=size, color=BLUE, linewidths=0, zorder=2)
    if out.any():
        ax.scatter(x[out], y[out], s=2.2 * size, color=VERMILLION, marker="^", linewidths=0, zorder=3)
    n = int(np.max(table["rank"]))
    some = f"{len(x)} quantiles of {labels.many(n, 'values')}." if len(x) < n else ""
    outside = f"{int(out.sum())} of them outside (triangles)." if out.any() else ""
    caption(ax, some, f"A normal sample lies wholly inside the band with probability {labels.level(table.level or 0.95)}.", outside)


def _effects(fit: Fit, group: str, term: str | None) -> tuple[Array, str]:
    """Predictions of one random effect. Raises ModelError for an unknown one."""
    factor = factor_named(fit, group)
    term = factor.names[0] if term is None else term
    if term not in factor.names:
        raise ModelError(f"{group!r} has no random effect {term!r}.", hint=f"It has: {', '.join(factor.names)}.")
    found = fit.ranef(cond_var=False)
    keep = (np.asarray(found["group"]) == group) & (np.asarray(found["term"]) == term)
    return np.asarray(found["estimate"], dtype=float)[keep], term
