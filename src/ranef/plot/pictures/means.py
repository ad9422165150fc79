"""Marginal means with intervals and the data behind them, and interactions as lines between means."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ranef.design import Array
from ranef.errors import ModelError
from ranef.fit.fit import Fit
from ranef.fit.rows import has_rows
from ranef.inference.views.columns import Values, column, crossed
from ranef.inference.views.spread import spread
from ranef.means.emmeans import MeansAndContrasts, emmeans
from ranef.means.estimates import FitEstimates
from ranef.means.marginal import Marginal
from ranef.plot import crowd, labels
from ranef.plot.figures import Size, caption_all, legend, level_ticks, several
from ranef.plot.picture import picture
from ranef.plot.style import GREY, INK, series

if TYPE_CHECKING:
    from collections.abc import Mapping

NUMBERS = 12  # values of a numeric predictor that are still marked one by one


@picture
def means(
    source: Marginal | Fit, specs: str | Sequence[str] | None = None, by: str | Sequence[str] | None = None, *, data: bool = True,
    ax: Any = None, size: Size = None, **options: Any,
) -> Any:  # fmt: skip
    """Marginal means with their intervals, in front of the observations.

    Parameters
    ----------
    source
        The answer of `ranef.emmeans`, or a fit and `specs`, `by` and further options as there. The first factor of the means is
        the axis, a second one has colours and marks, `by` divides panels.
    data
        Whether the observations are drawn behind the means.

    Examples
    --------
    >>> import ranef
    >>> m = ranef.lmm("score ~ Machine + (1 | Worker) + (1 | Worker:Machine)", ranef.datasets.load("Machines"))
    >>> ax = ranef.plot.means(ranef.emmeans(m, "Machine"))
    """
    return _draw(_marginal(source, specs, by, options), data=data, joined=False, ax=ax, size=size)


@picture
def interaction(
    source: Marginal | Fit, x: str | None = None, trace: str | None = None, by: str | Sequence[str] | None = None, *,
    data: bool = False, ax: Any = None, size: Size = None, **options: Any,
) -> Any:  # fmt: skip
    """Marginal means over `x`, joined by a line for each level of `trace`: parallel lines are no interaction.

    `source` is a fit, or the answer of ``ranef.emmeans(m, [x, trace])``; `by` divides panels, `data` draws the observations behind.

    Examples
    --------
    >>> import ranef
    >>> m = ranef.lmm("yield ~ nitroF * Variety + (1 | Block / Variety)", ranef.datasets.load("Oats"))
    >>> ax = ranef.plot.interaction(m, "nitroF", "Variety")
    """
    specs = [name for name in (x, trace) if name is not None] or None
    return _draw(_marginal(source, specs, by, options), data=data, joined=True, ax=ax, size=size)


def _marginal(source: Any, specs: Any, by: Any, options: Mapping[str, Any]) -> Marginal:
    if isinstance(source, MeansAndContrasts):
        source = source.means
    if isinstance(source, Marginal):
        found = source
    elif isinstance(source, Fit) and specs is not None:
        found = emmeans(source, specs, by, **options)
        found = found.means if isinstance(found, MeansAndContrasts) else found
    else:
        raise ModelError("There are no means to draw.", hint='Give emmeans(m, "a"), or a fit and the factors: means(m, "a").')
    if found.functions.kind == "contrast" or "conf_low" not in found:
        raise ModelError("These are contrasts, not means.", hint="plot.effects(contrasts.confint()) draws them.")
    if not (found.functions.factors or found.functions.by):
        raise ModelError("A single mean has no factor to be drawn along.", hint='Name one: means(m, "a").')
    return found


def _draw(found: Marginal, *, data: bool, joined: bool, ax: Any, size: Size) -> Any:
    f = found.functions
    x, *rest = list(f.factors) or list(f.by)
    trace, families = _crossing(found, rest), [name for name in f.by if name != x]
    axes = several(ax, len(f.families), size, panel=(3.0, 2.9))
    for axis, rows in zip(axes, f.families, strict=True):
        _panel(axis, found, rows, x, (trace, data, joined))
        axis.set_title(", ".join(f"{name} = {labels.text(f.labels[name][rows[0]])}" for name in families))
        axis.set(xlabel=_name(found, x), ylabel=_response(found))
    if len(axes) > 1:
        _share(axes)
    legend(axes[0], ", ".join(rest) or None, over=axes)
    spacing = _behind(found) if data else ""
    notes = [note for note in f.about if not note.startswith("At: ")]
    caption_all(axes, f"{labels.level(found.level or 0.95)} intervals.", spacing, *notes)
    return axes if len(axes) > 1 else axes[0]


def _crossing(found: Marginal, rest: list[str]) -> list[str]:
    """The words of the series of each row."""
    named = found.functions.labels
    return [", ".join(labels.text(named[name][i]) for name in rest) for i in range(len(found))]


def _panel(ax: Any, found: Marginal, rows: Any, x: str, how: tuple[list[str], bool, bool]) -> None:
    trace, data, joined = how
    named, numbers = found.functions.labels[x], _numbers(found, x)
    levels = list(dict.fromkeys(named))
    groups = list(dict.fromkeys(trace))
    width = _width(levels, numbers)
    if data:
        _observations(ax, found, rows, x, (levels, groups, numbers, width))
    low, high, middle = (np.asarray(found[name], dtype=float) for name in ("conf_low", "conf_high", "estimate"))
    dense = numbers and len(levels) > NUMBERS
    for k, group in enumerate(groups):
        own = [i for i in rows if trace[i] == group]
        mark = series(k) if len(groups) > 1 else {"color": INK if data else series(0)["color"], "marker": "o", "linestyle": "-"}
        at = np.array([float(named[i]) if numbers else float(levels.index(named[i])) for i in own])
        shifted = at if dense else at + _shift(k, len(groups), width)
        if dense:
            ax.fill_between(at, low[own], high[own], color=mark["color"], alpha=0.2, linewidth=0)
            ax.plot(at, middle[own], color=mark["color"], linestyle=mark["linestyle"], linewidth=2.0, label=group or None)
            continue
        ax.vlines(shifted, low[own], high[own], color=mark["color"], linewidth=1.5, zorder=3)
        line = mark["linestyle"] if joined else "none"
        ax.plot(
            shifted,
            middle[own],
            color=mark["color"],
            marker=mark["marker"],
            linestyle=line,
            markersize=5.0,
            zorder=4,
            label=group or None,
        )
    if not numbers:
        level_ticks(ax, [labels.text(level) for level in levels])
        ax.set_xlim(-0.6, len(levels) - 0.4)


def _width(levels: list[Any], numbers: bool) -> float:
    """The room of one value on the axis."""
    return float(np.min(np.diff(np.sort(np.array(levels, dtype=float))))) if numbers and len(levels) > 1 else 1.0


def _shift(place: int, count: int, width: float) -> float:
    return 0.0 if count == 1 else (place - 0.5 * (count - 1)) * min(0.22, 0.6 / count) * width


def _numbers(found: Marginal, x: str) -> bool:
    predictor = found.functions.estimates.predictors.get(x)
    return predictor is not None and not predictor.is_factor


def _observations(ax: Any, found: Marginal, rows: Any, x: str, how: tuple[list[Any], list[str], bool, float]) -> None:
    fit = _fit(found)
    if fit is None:
        return
    levels, groups, numbers, width = how
    y, at, series_of = _observed(found, fit), column(fit, x), _series(found, fit, x, rows)
    if numbers:
        place = at.numbers
    else:
        factor = at.as_levels()
        assert factor.levels is not None and factor.codes is not None
        order = {labels.text(level): float(k) for k, level in enumerate(levels)}
        place = np.array([order.get(labels.text(level), np.nan) for level in factor.levels] + [np.nan])[factor.codes]
    assert place is not None
    half = min(0.13, 0.2 / len(groups)) * width
    jitter = np.random.default_rng(0).uniform(-half, half, len(y))
    for k in range(len(groups)):
        own = np.flatnonzero((series_of == k) & np.isfinite(place))
        color, mark = (series(k)["color"], series(k)["marker"]) if len(groups) > 1 else (GREY, "o")
        shift = 0.0 if numbers and len(levels) > NUMBERS else _shift(k, len(groups), width)
        if len(y) > crowd.MOST_POINTS:
            values, codes = np.unique(place[own], return_inverse=True)
            crowd.boxes(ax, spread(y[own], codes, values), values + shift, 2.5 * half, color=color, ink=color, front=False)
        else:
            crowd.points(ax, (place + jitter)[own] + shift, y[own], color=color, marker=mark, pale=True)


def _series(found: Marginal, fit: Fit, x: str, rows: Any) -> Any:
    """(n,) the series that each observation belongs to in this panel, -1 for those of other panels."""
    f = found.functions
    rest, families = [name for name in f.factors if name != x], [name for name in f.by if name != x]
    if not rest and not families:
        return np.zeros(fit.nobs, dtype=np.intp)
    cells, codes = crossed([_as_factor(fit, name) for name in (*rest, *families)])
    groups = list(dict.fromkeys(_crossing(found, rest)))
    family = [labels.text(f.labels[name][rows[0]]) for name in families]
    place = [
        groups.index(", ".join(map(labels.text, cell[: len(rest)])))
        if [*map(labels.text, cell[len(rest) :])] == family and ", ".join(map(labels.text, cell[: len(rest)])) in groups else -1
        for cell in cells
    ]  # fmt: skip
    return np.array([*place, -1])[codes]


def _as_factor(fit: Fit, name: str) -> Values:
    return column(fit, name).as_levels()


def _observed(found: Marginal, fit: Fit) -> Array:
    """The response on the scale that the means have."""
    link = found.functions.scale.link
    return fit.model.design.y if link is None else link.inverse(fit.model.design.y)


def _fit(found: Marginal) -> Fit | None:
    estimates = found.functions.estimates
    usable = isinstance(estimates, FitEstimates) and has_rows(estimates.fit) and found.functions.kind == "mean"
    return estimates.fit if usable and isinstance(estimates, FitEstimates) else None


def _behind(found: Marginal) -> str:
    fit = _fit(found)
    if fit is None:
        return ""
    return "Points: observations." if fit.nobs <= crowd.MOST_POINTS else "Boxes: quartiles of the observations, with whiskers."


def _name(found: Marginal, x: str) -> str:
    fit = _fit(found)
    return x if fit is None else labels.with_unit(fit, x)


def _response(found: Marginal) -> str:
    fit, f = _fit(found), found.functions
    if f.kind == "slope":
        return "Slope"
    if f.scale.link is not None:
        return "Response"
    return f"Mean of {f.estimates.response if fit is None else labels.response(fit)}"


def _share(axes: Any) -> None:
    """The same limits of y for all panels, and inner labels once."""
    limits = [axis.get_ylim() for axis in axes]
    for axis in axes:
        axis.set_ylim(min(low for low, _ in limits), max(high for _, high in limits))
    for axis in axes:
        place = axis.get_subplotspec()
        if place is not None and not place.is_first_col():
            axis.set_ylabel("")
