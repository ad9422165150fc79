"""Residuals: against fitted values, against a predictor, by group; and their size, for the variance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ranef.design import Array
from ranef.inference.diagnostics.smooth import trend
from ranef.inference.views.columns import Values, column
from ranef.inference.views.spread import spread
from ranef.plot import crowd, labels
from ranef.plot.figures import Size, caption, level_ticks, one, zero_line
from ranef.plot.picture import picture
from ranef.plot.style import PALE, SKY, VERMILLION
from ranef.table import Table

if TYPE_CHECKING:
    from ranef.fit.fit import Fit

MOST_BOXES = 40
MOST_BARS = 150
WORDS = {
    "raw": "Residual",
    "pearson": "Pearson residual",
    "standardised": "Standardised residual",
    "studentised": "Studentised residual",
}


@picture
def residuals(
    fit: Fit, against: str = "fitted", *, kind: str = "standardised", level: str = "conditional", ax: Any = None, size: Size = None
) -> Any:
    """Residuals against the fitted values, or against a column of the data: any pattern is something that the model lacks.

    Parameters
    ----------
    against
        ``"fitted"``, a grouping factor, or any column of the data, in the formula or not. Factors get a box for each level; with
        more than forty, the levels stand in the order of their medians.
    kind, level
        Of the residuals, see `Fit.residuals`.

    Examples
    --------
    >>> import ranef
    >>> m = ranef.lmm("Reaction ~ Days + (Days | Subject)", ranef.datasets.load("sleepstudy"))
    >>> ax = ranef.plot.residuals(m)
    >>> ax = ranef.plot.residuals(m, "Subject")
    """
    ax, values = one(ax, size), np.asarray(fit.residuals(kind, level), dtype=float)
    found = _column(fit, against, level)
    zero_line(ax)
    said = _cloud(ax, found, values) if found.numbers is not None else _by_level(ax, found, values)
    ax.set(xlabel=_named(fit, against, level, found), ylabel=_residual(fit, kind))
    caption(ax, said)
    return ax


@picture
def scale_location(fit: Fit, against: str = "fitted", *, level: str = "conditional", ax: Any = None, size: Size = None) -> Any:
    """The root of the size of the standardised residuals, against fitted values or a column: level if the variance is constant.

    The broken line is what normal residuals have on average, 0.822.

    Examples
    --------
    >>> import ranef
    >>> m = ranef.lmm("Reaction ~ Days + (Days | Subject)", ranef.datasets.load("sleepstudy"))
    >>> ax = ranef.plot.scale_location(m)
    """
    ax, values = one(ax, size), np.sqrt(np.abs(np.asarray(fit.residuals("standardised", level), dtype=float)))
    found = _column(fit, against, level)
    zero_line(ax, NORMAL_ROOT)
    said = _cloud(ax, found, values) if found.numbers is not None else _by_level(ax, found, values)
    ax.set(xlabel=_named(fit, against, level, found), ylabel="√|standardised residual|", ylim=(0.0, None))
    caption(ax, said, "Broken line: the mean under a constant variance.")
    return ax


NORMAL_ROOT = 0.8221789586  # E sqrt|Z| = 2^(1/4) Gamma(3/4) / sqrt(pi)


def _column(fit: Fit, against: str, level: str) -> Values:
    if against != "fitted":
        return column(fit, against)
    return Values("fitted", numbers=np.asarray(fit.fittedvalues if level == "conditional" else fit.predict(re="population"), float))


def _named(fit: Fit, against: str, level: str, found: Values) -> str:
    if against != "fitted":
        count = 0 if found.levels is None else len(found.levels)
        return f"{against}, {count:,} levels" if count > MOST_BOXES else labels.with_unit(fit, against)
    what = "Fitted value" if level == "conditional" else "Fitted value of the fixed part"
    unit = labels.units(fit).get(fit.model.design.response)
    return f"{what} ({unit})" if unit else what


def _residual(fit: Fit, kind: str) -> str:
    unit = labels.units(fit).get(fit.model.design.response)
    name = WORDS.get(kind, kind.capitalize() + " residual")
    return f"{name} ({unit})" if unit and kind in ("raw", "pearson", "response") else name


def _cloud(ax: Any, found: Values, values: Array) -> str:
    assert found.numbers is not None
    good = np.isfinite(found.numbers) & np.isfinite(values)
    said, line = crowd.points(ax, found.numbers, values), trend(found.numbers[good], values[good])
    ax.fill_between(line.x, line.lower, line.upper, color=VERMILLION, alpha=0.18, linewidth=0, zorder=2.5)
    ax.plot(line.x, line.y, color=VERMILLION, zorder=3, gid="trend")
    return f"{said} Line: smooth mean with 95 % band.".strip()


def _by_level(ax: Any, found: Values, values: Array) -> str:
    assert found.codes is not None
    table = spread(values, found.codes, found.levels)
    if len(table) <= MOST_BOXES:
        _boxes(ax, table, found, values)
        level_ticks(ax, [labels.text(level) for level in table["level"]])
        return "Boxes: quartiles; whiskers reach up to 1.5 times the height of the box."
    return _bars(ax, table)


def _boxes(ax: Any, table: Table, found: Values, values: Array) -> None:
    assert found.codes is not None and found.levels is not None
    if len(values) <= crowd.MOST_POINTS:
        place = {level: at for at, level in enumerate(table["level"])}
        at = np.array([place.get(level, np.nan) for level in found.levels] + [np.nan])[found.codes]
        jitter = np.random.default_rng(0).uniform(-0.18, 0.18, len(values))
        crowd.points(ax, at + jitter, values)
    crowd.boxes(ax, table, range(len(table)), 0.6, ink=VERMILLION)
    ax.set_xlim(-0.7, len(table) - 0.3)


def _bars(ax: Any, table: Table) -> str:
    """Quartiles as thin bars, levels in the order of their medians."""
    order = np.argsort(table["median"], kind="stable")
    order = order[crowd.sampled(len(order), MOST_BARS)]
    at = np.arange(len(order))
    ax.vlines(at, np.asarray(table["minimum"])[order], np.asarray(table["maximum"])[order], color=PALE, linewidth=1.0)
    ax.vlines(at, np.asarray(table["quarter"])[order], np.asarray(table["three_quarters"])[order], color=SKY, linewidth=1.2)
    ax.plot(at, np.asarray(table["median"])[order], color=VERMILLION, linewidth=1.2)
    ax.set(xticks=[], xlim=(-0.02 * len(order), 1.02 * len(order)))
    some = crowd.said(len(order), len(table), "levels")
    return f"Levels in the order of their medians (line), with quartiles (dark) and whiskers (pale). {some}".strip()
