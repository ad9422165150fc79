"""Shrinkage: what each level says by itself, and where partial pooling draws it."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from ranef.errors import ModelError
from ranef.inference.pooling import pooling
from ranef.plot import crowd, labels
from ranef.plot.figures import Size, caption_all, legend, level_ticks, rows_fit, several
from ranef.plot.picture import picture
from ranef.plot.style import BLUE, GREY, INK, PALE, VERMILLION
from ranef.table import Table

if TYPE_CHECKING:
    from ranef.fit.fit import Fit

MOST_NAMES = 45
MOST_ARROWS = 150


@picture
def shrinkage(
    fit: Fit | Table, group: str | None = None, terms: tuple[str, ...] | None = None, *, ax: Any = None, size: Size = None
) -> Any:
    """No, partial and complete pooling of the coefficients of a grouping factor.

    With one random effect: a line for each level from its own estimate to that of the model. With two: arrows in their plane; with
    more, a panel for each pair. `fit` may be the table of `ranef.pooling`. `terms` chooses the coefficients.

    Examples
    --------
    >>> import ranef
    >>> m = ranef.lmm("Reaction ~ Days + (Days | Subject)", ranef.datasets.load("sleepstudy"))
    >>> ax = ranef.plot.shrinkage(m)
    """
    table = fit if isinstance(fit, Table) else pooling(fit, group)
    names = list(dict.fromkeys(table["term"])) if terms is None else list(terms)
    unknown = set(names) - set(table["term"])
    if unknown:
        raise ModelError(f"No random effect is called {sorted(unknown)[0]!r}.", hint=f"There are: {', '.join(set(table['term']))}.")
    if len(names) == 1:
        tall = max(2.6, 0.9 + 0.16 * _levels(table, names[0])) if _levels(table, names[0]) <= MOST_NAMES else 3.4
        axes = several(ax, 1, size or (4.6, tall))
        said = [_dumbbells(axes[0], _ways(table, names[0]))]
    else:
        pairs = list(combinations(names, 2))
        axes = several(ax, len(pairs), size, panel=(3.2, 3.0), alone=(4.6, 3.8))
        said = [_arrows(axis, _ways(table, a), _ways(table, b), (a, b)) for axis, (a, b) in zip(axes, pairs, strict=True)]
    legend(axes[0], over=axes)
    caption_all(axes, said[0])
    return axes if len(axes) > 1 else axes[0]


def _levels(table: Table, term: str) -> int:
    return int(np.sum(np.asarray(table["term"]) == term))


def _ways(table: Table, term: str) -> dict[str, Any]:
    keep = np.asarray(table["term"]) == term
    columns = {name: np.asarray(table[f"{name}_pooling"], dtype=float)[keep] for name in ("no", "partial", "complete")}
    return {**columns, "level": np.asarray(table["level"], dtype=object)[keep], "group": table["group"][0], "term": term}


def _dumbbells(ax: Any, ways: dict[str, Any]) -> str:
    order = np.argsort(ways["partial"], kind="stable")
    count = len(order)
    order = order[crowd.sampled(count, crowd.MOST_LEVELS // 2)]
    no, partial, at = ways["no"][order], ways["partial"][order], np.arange(len(order))
    small = len(order) > MOST_NAMES or not rows_fit(ax, len(order))
    complete = ways["complete"][order]
    if np.ptp(complete) < 1e-9 * (abs(float(complete.mean())) + 1e-300):
        ax.axvline(complete[0], color=INK, linewidth=1.0, linestyle=(0, (5, 3)), label="complete pooling", zorder=1)
    else:
        ax.plot(complete, at, "|", color=INK, markersize=3 if small else 8, label="complete pooling", zorder=1)
    ax.hlines(at, no, partial, color=PALE if small else GREY, linewidth=0.5 if small else 1.0, zorder=1.5)
    ax.plot(no, at, "o", color=VERMILLION, markerfacecolor="white", markersize=2 if small else 4.5, label="no pooling", zorder=2)
    ax.plot(partial, at, "o", color=BLUE, markersize=2 if small else 4.5, label="partial pooling", zorder=3)
    ax.set(xlabel=_name(ways["term"]), ylabel=ways["group"])
    ax.margins(y=0.03)
    if small:
        ax.set_yticks([])
        ax.set_ylabel(f"{ways['group']}, {count:,} levels in order")
    else:
        level_ticks(ax, [labels.text(level) for level in ways["level"][order]], "y")
    return crowd.said(len(order), count, "levels")


def _arrows(ax: Any, x: dict[str, Any], y: dict[str, Any], names: tuple[str, str]) -> str:
    known = np.flatnonzero(np.isfinite(x["no"]) & np.isfinite(y["no"]))
    shown = known[crowd.sampled(len(known), MOST_ARROWS)]
    many = len(shown) > 60
    start, end = (np.stack([x[way][shown], y[way][shown]], axis=1) for way in ("no", "partial"))
    arrow = {"arrowstyle": "-|>,head_width=0.15,head_length=0.3", "color": PALE if many else GREY, "lw": 0.7}
    for a, b in zip(start, end, strict=True):
        ax.annotate("", b, a, arrowprops={**arrow, "shrinkA": 2.5, "shrinkB": 2.5})
    size = 8.0 if many else 20.0
    ax.scatter(*start.T, s=size, facecolors="white", edgecolors=VERMILLION, label="no pooling", zorder=2)
    ax.scatter(*end.T, s=size, color=BLUE, linewidths=0, label="partial pooling", zorder=3)
    complete = np.unique(np.round(np.stack([x["complete"], y["complete"]], axis=1), 12), axis=0)
    ax.scatter(*complete.T, s=40.0, marker="D", color=INK, linewidths=0, label="complete pooling", zorder=4)
    ax.set(xlabel=_name(names[0]), ylabel=_name(names[1]))
    return _missing(len(x["no"]) - len(known)) + crowd.said(len(shown), len(known), "levels", "evenly spaced")


def _missing(count: int) -> str:
    return f"{count} levels have no estimate of their own. " if count else ""


def _name(term: str) -> str:
    return "Intercept" if term == "(Intercept)" else term
