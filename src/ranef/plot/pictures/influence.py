"""Influence: what the estimates owe to single clusters or rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ranef.design import Array
from ranef.errors import ModelError
from ranef.fit.fit import Fit
from ranef.plot import crowd, labels
from ranef.plot.figures import Size, caption_all, level_ticks, several, zero_line
from ranef.plot.picture import picture
from ranef.plot.style import BLUE, GREY, INK, VERMILLION

if TYPE_CHECKING:
    from ranef.inference.influence import Influence

MOST_NAMES = 40
NAMED = 5  # the largest that get their names
WORDS = {
    "cooks_distance": "Cook's distance", "cooks_theta": "Cook's distance of the variances", "covratio": "COVRATIO",
    "sigma": "σ without",
    "hat": "Leverage", "dffits": "DFFITS", "cooks_conditional": "Cook's distance (conditional)",
}  # fmt: skip


@picture
def influence(
    source: Influence | Fit,
    what: str | Literal["dfbetas", "leverage"] = "cooks_distance",
    *,
    ax: Any = None,
    size: Size = None,
    **options: Any,
) -> Any:
    """A needle for each cluster or row; the five largest have their names.

    Parameters
    ----------
    source
        The answer of `ranef.influence`, or a fit, for which it is made with `options` (such as ``by="row"``).
    what
        A column of its table, such as ``"cooks_distance"`` or ``"cooks_theta"``; ``"dfbetas"``: a panel for each coefficient;
        ``"leverage"``: the residuals against their leverage (by row only), the size of a mark Cook's distance.

    Examples
    --------
    >>> import ranef
    >>> m = ranef.lmm("Reaction ~ Days + (Days | Subject)", ranef.datasets.load("sleepstudy"))
    >>> ax = ranef.plot.influence(m)
    >>> axes = ranef.plot.influence(m, "dfbetas")
    """
    found = _influence(source, what, options)
    if what == "leverage":
        return _leverage(found, ax, size)
    if what == "dfbetas":
        names = list(found.dfbetas.columns)[len(found.labels) :]
        axes = several(ax, len(names), size, columns=1 if len(names) <= 3 else 2, panel=(4.6, 2.0))
        for axis, name in zip(axes, names, strict=True):
            _needles(axis, found, np.asarray(found.dfbetas[name], dtype=float), f"DFBETAS of\n{name}")
            for limit in (-1.0, 1.0):
                zero_line(axis, limit * 2.0 / np.sqrt(len(found.cooks)))
        for axis in axes:
            place = axis.get_subplotspec()
            if place is not None and not place.is_last_row():
                axis.set_xlabel("")
        caption_all(
            axes, "Change of the coefficient in standard errors when a level is left out. Broken lines: ±2/√m.", _method(found)
        )
        return axes if len(axes) > 1 else axes[0]
    if not isinstance(what, str) or what not in found.table:
        raise ModelError(
            f"The table of influence has no column {what!r}.", hint=f"It has: {', '.join(found.table.columns)}, dfbetas."
        )
    axis = several(ax, 1, size)[0]
    _needles(axis, found, np.asarray(found.table[what], dtype=float), WORDS.get(what, what))
    if what.startswith("cooks_d"):
        caption_all([axis], _limit(axis, 4.0 / len(found.cooks)), _method(found))
    else:
        caption_all([axis], _method(found))
    return axis


def _limit(ax: Any, value: float) -> str:
    """The usual limit, where there is something near it."""
    if value > ax.get_ylim()[1]:
        return f"All are below 4/m = {value:.2g}, above which one looks closer."
    zero_line(ax, value)
    return f"Broken line: 4/m = {value:.2g}, above which one looks closer."


def _influence(source: Any, what: str, options: Any) -> Influence:
    from ranef.inference.influence import influence as influential

    if not isinstance(source, Fit):
        return source
    by = options.pop("by", "row" if what == "leverage" else None)
    return influential(source, by, **options)


def _method(found: Influence) -> str:
    from ranef.inference.influence.answer import WORDS as methods

    return f"{methods[found.method][0].upper()}{methods[found.method][1:]}."


def _names(found: Influence) -> list[str]:
    return [labels.text(level) for level in next(iter(found.labels.values()))]


def _needles(ax: Any, found: Influence, values: Array, what: str) -> None:
    if not np.isfinite(values).any():
        raise ModelError("Without any of these levels the model is not determined, so that no influence is finite.")
    names, at = _names(found), np.arange(len(values))
    base = 1.0 if what == "COVRATIO" else 0.0
    many = len(values) > MOST_NAMES
    ax.vlines(at, base, values, color=BLUE, linewidth=0.5 if many else 1.0, alpha=0.8)
    if not many:
        ax.plot(at, values, "o", color=BLUE, markersize=3.4)
    size = np.where(np.isfinite(values), np.abs(values - base), 0.0)
    top = np.argsort(size)[-min(NAMED, len(values)) :] if what != "σ without" else np.zeros(0, dtype=np.intp)
    ax.plot(at[top], values[top], "o", color=VERMILLION, markersize=4.2, zorder=3)
    if not many:
        level_ticks(ax, names)
        ax.set_xlabel(found.by)
    else:
        _label(ax, at, values, [i for i in top if size[i] > 0.0], names)
        ax.set_xlabel(
            f"{found.by}, {len(values):,} in the order of the data" if found.by == "row" else f"{found.by}, {len(values):,} levels"
        )
    if base == 0.0 and np.nanmin(values) >= 0.0:
        ax.set_ylim(0.0, 1.12 * np.nanmax(values) if np.nanmax(values) > 0 else 1.0)
    else:
        zero_line(ax, base)
    ax.set_ylabel(what)


def _label(ax: Any, at: Any, values: Array, which: list[int], names: list[str]) -> None:
    """Names beside the marks, those nearer than a text's height to a higher one left out."""
    done: list[tuple[float, float]] = []
    width, height = 0.06 * len(at), 0.07 * (np.nanmax(values) - np.nanmin(values))
    for i in sorted(which, key=lambda i: -abs(values[i])):
        if all(abs(at[i] - a) > width or abs(values[i] - b) > height for a, b in done):
            left = at[i] > 0.85 * len(at)
            ax.annotate(names[i], (at[i], values[i]), (-5 if left else 5, 0), textcoords="offset points", fontsize=7.5, color=INK,
                        ha="right" if left else "left", va="center")  # fmt: skip
            done.append((float(at[i]), float(values[i])))


def _leverage(found: Influence, ax: Any, size: Size) -> Any:
    if "hat" not in found.table:
        raise ModelError("Leverages belong to rows.", hint='Use ranef.influence(m, "row").')
    axis = several(ax, 1, size)[0]
    hat, cooks = (np.asarray(found.table[name], dtype=float) for name in ("hat", "cooks_conditional"))
    residual = np.asarray(found.fit.residuals("standardised"), dtype=float)
    zero_line(axis)
    if len(hat) > crowd.MOST_POINTS:
        said = crowd.points(axis, hat, residual)
    else:
        share = np.nan_to_num(cooks / max(float(np.nanmax(cooks)), 1e-300))
        axis.scatter(hat, residual, s=4.0 + 70.0 * share, color=BLUE, alpha=0.5, linewidths=0)
        said = "The area of a mark is its conditional Cook's distance."
    top = np.argsort(np.nan_to_num(cooks))[-NAMED:]
    for i in top:
        axis.annotate(_names(found)[i], (hat[i], residual[i]), (4, 4), textcoords="offset points", fontsize=7.0, color=GREY)
    axis.set(xlabel="Leverage", ylabel="Standardised residual")
    caption_all([axis], said)
    return axis
