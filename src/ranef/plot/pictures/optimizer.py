"""The path of the optimizer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ranef.design import Array
from ranef.inference.views.search import landscape, search_path
from ranef.plot.figures import Size, caption, legend, one
from ranef.plot.picture import picture
from ranef.plot.style import GREY, INK, PALE, VERMILLION, series

if TYPE_CHECKING:
    from ranef.fit.fit import Fit
    from ranef.table import Table

PALER = "Paler: searches from other starts, which check the optimum."
FLOOR = 1e-12  # below this height two values of the criterion are the same


@picture
def optimizer(
    fits: Fit | Mapping[str, Fit], *, hills: bool = False, pair: tuple[int, int] = (0, 1), ax: Any = None, size: Size = None
) -> Any:
    """How far the criterion was above the optimum at each evaluation: of one fit, or of several by name.

    hills
        Draw the path over the contours of the criterion instead, in the plane of two entries of theta (`pair`, from 0), the others
        held at the optimum. Contours at a height of 3.84 bound what a 95 % region would hold.

    Examples
    --------
    >>> import ranef
    >>> m = ranef.lmm("Reaction ~ Days + (Days | Subject)", ranef.datasets.load("sleepstudy"))
    >>> ax = ranef.plot.optimizer({"newton": m, "em": m.update(optimizer="em")})
    """
    named = fits if isinstance(fits, Mapping) else {"": fits}
    ax = one(ax, size)
    if hills:
        return _hills(ax, next(iter(named.values())), pair)
    checks = 0
    lowest = min(fit.optimum.value for fit in named.values())
    for k, (name, fit) in enumerate(named.items()):
        path = search_path(fit)
        above = np.maximum(np.asarray(path["criterion"], dtype=float) - lowest, FLOOR)
        checks += _searches(ax, path, np.asarray(path["evaluation"]), above, {**series(k), "label": name or None})
    ax.set(yscale="log", xlabel="Evaluation of the criterion", ylabel="−2 log L above the optimum")
    ax.xaxis.get_major_locator().set_params(integer=True)
    legend(ax)
    only = next(iter(named.values()))
    about = f"Optimizer: {only.optimum.optimizer}." if len(named) == 1 else ""
    caption(ax, about, f"Heights below {FLOOR:g} are drawn there.", PALER if checks else "")
    return ax


def _hills(ax: Any, fit: Fit, pair: tuple[int, int]) -> Any:
    path, hills = search_path(fit), landscape(fit, pair)
    x, y = (np.asarray(path[f"theta_{k + 1}"], dtype=float) for k in pair)
    first, second = np.unique(hills["x"]), np.unique(hills["y"])
    _contours(ax, hills, len(first), len(second))
    checks = _searches(ax, path, x, y, {"color": VERMILLION, "marker": "o", "linestyle": "-", "linewidth": 1.0, "label": "path"})
    ax.set(xlim=(first[0], first[-1]), ylim=(second[0], second[-1]))
    ax.plot(*fit.theta[list(pair)], "*", color=INK, markersize=11.0, zorder=4, label="optimum", linestyle="none")
    ax.set(xlabel=_theta(pair[0]), ylabel=_theta(pair[1]))
    legend(ax)
    caption(ax, "Contours: height of the criterion above the optimum, other entries of θ at the optimum.", PALER if checks else "")
    return ax


def _searches(ax: Any, path: Table, x: Array, y: Array, how: dict[str, Any]) -> int:
    """A line for each search, those after the first paler; returns how many these are."""
    search = np.asarray(path["search"])
    for number in np.unique(search):
        rows = search == number
        fainter = {} if number == 1 else {"alpha": 0.35, "label": None}
        ax.plot(x[rows], y[rows], **{**how, **fainter}, markersize=4.0, zorder=3)
    return int(search.max()) - 1


def _contours(ax: Any, table: Table, nx: int, ny: int) -> None:
    x, y, above = (np.asarray(table[name], dtype=float).reshape(nx, ny) for name in ("x", "y", "above"))
    levels = [0.25, 1.0, 2.0, 3.84, 6.0, 9.0, 12.0, 20.0, 40.0, 80.0, 160.0]
    lines = ax.contour(x, y, above, levels=levels, colors=[GREY if v == 3.84 else PALE for v in levels], linewidths=0.9)
    ax.clabel(lines, fontsize=6.5, fmt=lambda v: f"{v:g}", inline=True)


def _theta(place: int) -> str:
    """θ₁ for the first."""
    return "θ" + "".join(chr(0x2080 + int(digit)) for digit in str(place + 1))
