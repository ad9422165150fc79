"""The path of the optimizer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ranef.errors import ModelError
from ranef.inference.views.search import POINTS, landscape, search_path
from ranef.plot.figures import Size, caption, legend, one
from ranef.plot.style import GREY, INK, PALE, VERMILLION, picture, series

if TYPE_CHECKING:
    from ranef.fit.fit import Fit
    from ranef.table import Table

FLOOR = 1e-12  # below this height two values of the criterion are the same


@picture
def optimizer(fits: Fit | Mapping[str, Fit], *, hills: bool = False, pair: tuple[int, int] = (0, 1), ax: Any = None, size: Size = None) -> Any:
    """How far the criterion was above the optimum at each evaluation: of one fit, or of several by name.

    hills
        Draw the path over the contours of the criterion instead, in the plane of two entries of theta (`pair`, from 0), the others
        held at the optimum. Contours at a height of 3.84 bound what a 95 % region would hold.
    """
    named = fits if isinstance(fits, Mapping) else {"": fits}
    ax = one(ax, size)
    if hills:
        return _hills(ax, next(iter(named.values())), pair)
    lowest = min(fit.optimum.value for fit in named.values())
    for k, (name, fit) in enumerate(named.items()):
        path = search_path(fit)
        above = np.maximum(np.asarray(path["criterion"], dtype=float) - lowest, FLOOR)
        ax.plot(path["evaluation"], above, **series(k), markersize=4.0, label=name or None)
    ax.set(yscale="log", xlabel="Evaluation of the criterion", ylabel="Height above the optimum (−2 log L)")
    ax.xaxis.get_major_locator().set_params(integer=True)
    legend(ax)
    only = next(iter(named.values()))
    about = f"Optimizer: {only.optimum.optimizer}." if len(named) == 1 else ""
    caption(ax, about, f"Heights below {FLOOR:g} are drawn there." if lowest is not None else "")
    return ax


def _hills(ax: Any, fit: Fit, pair: tuple[int, int]) -> Any:
    path, q = search_path(fit), len(fit.optimum.theta)
    if q < 2 or not all(0 <= k < q for k in pair):
        raise ModelError(f"pair={pair} must be two places below {q}, the number of entries of theta.")
    x, y = (np.asarray(path[f"theta_{k + 1}"], dtype=float) for k in pair)
    first, second = _range(x, fit.theta[pair[0]]), _range(y, fit.theta[pair[1]])
    _contours(ax, landscape(fit, first, second, pair), len(first), len(second))
    inside = (x >= first[0]) & (x <= first[-1]) & (y >= second[0]) & (y <= second[-1])
    ax.plot(x[inside], y[inside], "o-", color=VERMILLION, markersize=4.0, linewidth=1.0, zorder=3, label="path")
    ax.plot(*fit.theta[list(pair)], "*", color=INK, markersize=11.0, zorder=4, label="optimum", linestyle="none")
    ax.set(xlabel=f"θ{pair[0] + 1}", ylabel=f"θ{pair[1] + 1}")
    legend(ax)
    caption(ax, "Contours: height of the criterion above the optimum, other entries of θ at the optimum.")
    return ax


def _range(path: Any, best: float) -> Any:
    low, high = min(path.min(), best), max(path.max(), best)
    pad = 0.25 * (high - low) + 0.15 * max(abs(best), 0.05)
    return np.linspace(low - pad, high + pad, POINTS)


def _contours(ax: Any, table: Table, nx: int, ny: int) -> None:
    x, y, above = (np.asarray(table[name], dtype=float).reshape(nx, ny) for name in ("x", "y", "above"))
    levels = [0.5, 1.0, 2.0, 3.84, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0]
    lines = ax.contour(x, y, above, levels=levels, colors=[GREY if v == 3.84 else PALE for v in levels], linewidths=0.9)
    ax.clabel(lines, fontsize=6.5, fmt=lambda v: f"{v:g}", inline=True)
