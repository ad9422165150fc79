"""What the fixed part says: marginal means over each predictor and each interaction, with intervals, above the data."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ranef.errors import RanefError
from ranef.fit.effects import factors
from ranef.fit.rows import has_rows
from ranef.means.emmeans import emmeans
from ranef.means.estimates import FitEstimates
from ranef.report.charts import Picture, thinned
from ranef.report.charts.checks import counted, scatter
from ranef.report.svg import BOTTOM, SERIES, TOP, Panel, span
from ranef.table import Table

if TYPE_CHECKING:
    from ranef.fit.fit import Fit
    from ranef.means.predictors import Predictor

MOST_PICTURES = 4
MOST_CELLS = 20_000  # of the reference grid
MOST_ROWS = 40  # levels of a factor
MOST_LINES = 60
STEPS = 25
LIMITS = ("estimate", "conf_low", "conf_high")

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Asked:
    """Means over `x`, a number or a factor, in `series` of another predictor."""

    x: Predictor
    series: Predictor | None
    values: tuple[float, ...]  # of x, where it is a number
    levels: tuple[Any, ...]  # of the series


def effect_pictures(fit: Fit) -> list[Picture]:
    """One picture for each term that is no margin of another, up to four; none for a model that was loaded without its rows."""
    if not has_rows(fit):
        return []
    try:
        found = FitEstimates(fit, fit.ddf)
        cells = np.prod([float(len(p.levels)) for p in found.predictors.values() if p.levels is not None])
    except RanefError:
        return []
    if cells > MOST_CELLS:
        return []
    terms = [term for term in dict.fromkeys(found.terms) if term and not any(term < other for other in found.terms)]
    pictures = [_picture(fit, found, term) for term in terms[:MOST_PICTURES]]
    return [picture for picture in pictures if picture is not None]


def _picture(fit: Fit, found: FitEstimates, term: frozenset[str]) -> Picture | None:
    asked = _asked(found, term)
    if asked is None:
        return None
    names = [asked.x.name, *([asked.series.name] if asked.series else [])]
    at: dict[str, Any] = {asked.x.name: list(asked.values)} if asked.values else {}
    if asked.series is not None and asked.series.levels is None:
        at[asked.series.name] = list(asked.levels)
    try:
        means = emmeans(fit, names, at=at or None)
    except RanefError:
        return None
    if not np.isfinite(np.asarray(means["estimate"], dtype=float)).any():
        return None
    return (_over_number if asked.values else _over_factor)(fit, asked, means)


def _asked(found: FitEstimates, term: frozenset[str]) -> Asked | None:
    """Which predictor of a term goes along the axis and which makes the series."""
    here = [found.predictors[name] for name in found.predictors if name in term]
    numbers = [p for p in here if p.levels is None and p.values is not None and np.ptp(p.values) > 0]
    factors = sorted((p for p in here if p.levels is not None), key=lambda p: -len(p.levels or ()))
    if numbers:
        x, others = numbers[0], [*(p for p in factors if len(p.levels or ()) <= SERIES), *numbers[1:]]
        series = others[0] if others else None
        return Asked(x, series, _steps(x), _levels(series))
    if not factors or len(factors[0].levels or ()) > MOST_ROWS:
        return None
    series = next((p for p in factors[1:] if len(p.levels or ()) <= SERIES), None)
    return Asked(factors[0], series, (), _levels(series))


def _steps(x: Predictor) -> tuple[float, ...]:
    assert x.values is not None
    return tuple(np.linspace(float(x.values.min()), float(x.values.max()), STEPS).tolist())


def _levels(series: Predictor | None) -> tuple[Any, ...]:
    """The levels of a factor; of a number its values if there are few, else three of its quantiles, rounded."""
    if series is None:
        return ()
    if series.levels is not None:
        return series.levels
    assert series.values is not None
    if len(series.distinct) <= 3:
        return series.distinct
    return tuple(float(f"{q:.3g}") for q in np.quantile(series.values, [0.1, 0.5, 0.9]))


def _groups(asked: Asked, means: Table) -> list[tuple[str, Table]]:
    """The rows of the means, series by series."""
    if asked.series is None:
        return [("", means)]
    column = list(means[asked.series.name])
    out = []
    for level in dict.fromkeys(column):
        rows = [i for i, value in enumerate(column) if value == level]
        name = f"{asked.series.name} = {level:.4g}" if isinstance(level, float) else f"{asked.series.name} {level}"
        out.append((name, Table({key: [values[i] for i in rows] for key, values in means.columns.items()})))
    return out


def _over_number(fit: Fit, asked: Asked, means: Table) -> Picture:
    assert asked.x.values is not None
    y, x, groups = fit.model.design.y, asked.x.values, _groups(asked, means)
    numbers = [[np.asarray(part[name], dtype=float) for name in (asked.x.name, *LIMITS)] for _, part in groups]
    first = groups[0][0] and f" ({groups[0][0]})"
    panel = Panel(
        span(x), span(y, *(limit for group in numbers for limit in group[2:])), asked.x.name, fit.model.design.response,
        f"{fit.model.design.response} over {asked.x.name}",
        f"Marginal mean from {numbers[0][1][0]:.4g} to {numbers[0][1][-1]:.4g}{first}.",
        legend=[name for name, _ in groups] if asked.series else (),
    )  # fmt: skip
    lines = _individual_lines(fit, asked, numbers[0][0], numbers[0][1])
    _data(panel, fit, asked, x, y)
    panel.lines(lines, "thin")
    for k, group in enumerate(numbers):
        along, estimate, low, high = (values[np.isfinite(group[1])] for values in group)
        panel.band(along, low, high, k if asked.series else 1)
        panel.line(along, estimate, "trend", k if asked.series else 1)
    return Picture(panel.render(), _caption(asked, means, counted(x) if not asked.series else "", bool(lines)))


def _data(panel: Panel, fit: Fit, asked: Asked, x: Array, y: Array) -> None:
    """The rows, in the colours of the series where these are levels of a factor."""
    series = asked.series
    if series is None or series.codes is None:
        scatter(panel, x, y)
        return
    for k in range(len(asked.levels)):
        rows = thinned(np.flatnonzero(series.codes == k), 300)
        panel.points(x[rows], y[rows], 1.8, k, "pale")


def _individual_lines(fit: Fit, asked: Asked, along: Array, mean: Array) -> list[tuple[Array, Array]]:
    """The mean with the random effects of each level, over its range, where these are an intercept and a slope of x."""
    factor = next((one for one in factors(fit) if set(one.names) == {"(Intercept)", asked.x.name}), None)
    if factor is None or asked.series is not None:
        return []
    assert asked.x.values is not None
    effects = fit.solution.effects[factor.block]  # (m, k)
    intercept, slope = (effects[:, factor.names.index(name)] for name in ("(Intercept)", asked.x.name))
    codes = next(term.group.codes for term in fit.model.design.terms if term.group.name == factor.name)
    out = []
    for j in thinned(np.arange(len(factor.levels)), MOST_LINES):
        own = asked.x.values[codes == j]
        inside = (along >= own.min()) & (along <= own.max())
        out.append((along[inside], mean[inside] + intercept[j] + slope[j] * along[inside]))
    return out


def _over_factor(fit: Fit, asked: Asked, means: Table) -> Picture:
    assert asked.x.levels is not None
    groups, levels = _groups(asked, means), list(asked.x.levels)
    m, s = len(levels), len(groups)
    place = {level: m - 1 - i for i, level in enumerate(levels)}
    estimate = np.asarray(means["estimate"], dtype=float)
    row = max(22, 9 * s + 8) if m <= 15 else max(14, 7 * s + 4)
    panel = Panel(
        span(means["conf_low"], means["conf_high"]), (-0.6, m - 0.4), fit.model.design.response, "",
        f"Marginal means of {fit.model.design.response} by {asked.x.name}" + (f" and {asked.series.name}" if asked.series else ""),
        f"{len(estimate)} means from {np.nanmin(estimate):.4g} to {np.nanmax(estimate):.4g}.",
        height=TOP + BOTTOM + row * m + (17 if asked.series else 0), y_names=[str(level) for level in levels[::-1]],
        legend=[name for name, _ in groups] if asked.series else (),
    )  # fmt: skip
    for k, (_, part) in enumerate(groups):
        known = np.flatnonzero(np.isfinite(np.asarray(part["estimate"], dtype=float))).tolist()
        shift = 0.0 if s == 1 else 0.56 * (0.5 - k / (s - 1))
        y = [place[part[asked.x.name][i]] + shift for i in known]
        middle, low, high = ([float(part[name][i]) for i in known] for name in LIMITS)
        panel.intervals(low, high, y, k)
        panel.points(middle, y, 3.2, k)
    return Picture(panel.render(), _caption(asked, means, "", False))


def _caption(asked: Asked, means: Table, counted: str, lines: bool) -> str:
    what = f"Marginal means over {asked.x.name}" if asked.values else f"Marginal means by {asked.x.name}"
    series = f" and {asked.series.name}" if asked.series else ""
    thin = " Thin lines: the same with the random effects of single levels." if lines else ""
    return f"{what}{series}, with 95 % intervals.{_held(means.notes)}{thin}{counted}"


def _held(notes: Sequence[str]) -> str:
    """What the means were averaged over, and at which values of the other predictors."""
    kept = [note for note in notes if note.startswith(("Averaged over", "At:", "Interactions with"))]
    return re.sub(r"-?\d+\.\d{3,}", lambda found: f"{float(found.group()):.3g}", "".join(" " + note for note in kept))
