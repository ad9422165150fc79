"""Covariance and correlation matrices as heat maps with their numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ranef.errors import ModelError
from ranef.inference.views.marginal import marginal_covariance
from ranef.plot import labels
from ranef.plot.figures import ASPECT, Size, caption, one
from ranef.plot.picture import picture
from ranef.plot.style import BLUE, INK, VERMILLION
from ranef.table import Table

if TYPE_CHECKING:
    from ranef.fit.fit import Fit

MOST_NUMBERS = 12  # rows of a matrix whose cells have room for numbers
MOST_LABELS = 25
SMALLEST = 4.0  # points, of a number in a cell


@picture
def matrix(table: Table | Any, *, numbers: bool | None = None, ax: Any = None, size: Size = None) -> Any:
    """A labelled square matrix as a heat map: a Table whose first column holds the labels, or a frame such as `m.cov_params()`.

    A matrix with a unit diagonal is a correlation, coloured from -1 to 1 about white; others are coloured about zero. `numbers`
    writes the entries into the cells, by default up to twelve rows.

    Examples
    --------
    >>> import ranef
    >>> m = ranef.lmm("Reaction ~ Days + (Days | Subject)", ranef.datasets.load("sleepstudy"))
    >>> ax = ranef.plot.matrix(m.cov_params())
    """
    name, names, values = _read(table)
    ax = one(ax, size, (4.2, 3.6))
    _draw(ax, names, values, len(names) <= MOST_NUMBERS if numbers is None else numbers)
    if name:
        ax.set_xlabel(name)
        ax.set_ylabel(name)
    if isinstance(table, Table):
        caption(ax, *table.notes)
    return ax


@picture
def covariance(
    fit: Fit, group: str | None = None, *, correlation: bool = False, x: str | None = None, ax: Any = None, size: Size = None
) -> Any:
    """The covariance (or correlation) that the model implies for the rows of one level of a grouping factor, in the order of `x`.

    See `ranef.marginal_covariance`, whose table this draws.

    Examples
    --------
    >>> import ranef
    >>> m = ranef.lmm("Reaction ~ Days + (Days | Subject)", ranef.datasets.load("sleepstudy"))
    >>> ax = ranef.plot.covariance(m, correlation=True)
    """
    table = marginal_covariance(fit, group, x=x, correlation=correlation)
    name, names, values = _read(table)
    ax = one(ax, size, (4.2, 3.6))
    _draw(ax, names, values, len(names) <= MOST_NUMBERS)
    what = labels.with_unit(fit, name)
    ax.set(xlabel=what, ylabel=what)
    implied = ["Correlations" if correlation else "Covariances", *[note[0].lower() + note[1:] for note in table.notes]]
    caption(ax, *(implied if table.notes else [f"{table.title}."]))
    return ax


def _read(table: Any) -> tuple[str, list[str], Any]:
    """(name of the labels, labels, values). Raises ModelError for what is no labelled square matrix."""
    if isinstance(table, Table):
        first, *rest = table.columns
        names, values = [labels.text(label) for label in table[first]], _as_numbers([table[name] for name in rest]).T
    else:
        rest = [str(name) for name in getattr(table, "columns", ())]
        first, names, values = "", [str(name) for name in getattr(table, "index", ())], _as_numbers(table)
    if values.ndim != 2 or values.shape[0] != values.shape[1] or len(names) != len(values):
        raise ModelError("This is no labelled square matrix.", hint="A first column of labels, then a column for each of them.")
    return first, names, values


def _as_numbers(values: Any) -> Any:
    try:
        return np.asarray(values, dtype=float)
    except (TypeError, ValueError):
        return np.zeros(0)


def _draw(ax: Any, names: list[str], values: Any, numbers: bool) -> None:
    from matplotlib.colors import LinearSegmentedColormap

    shades = LinearSegmentedColormap.from_list("ranef_signed", [BLUE, "#9cc5df", "#ffffff", "#f0b893", VERMILLION])
    unit = np.allclose(np.diag(values), 1.0) and np.nanmax(np.abs(values)) <= 1.0 + 1e-9
    most = 1.0 if unit else float(np.nanmax(np.abs(values))) or 1.0
    image = ax.imshow(values, cmap=shades, vmin=-most, vmax=most)
    step = max(1, int(np.ceil(len(names) / MOST_LABELS)))
    shown = range(0, len(names), step)
    ax.set_xticks(shown, [names[i] for i in shown])
    ax.set_yticks(shown, [names[i] for i in shown])
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    if max(len(names[i]) for i in shown) * len(shown) > 45:
        ax.tick_params(axis="x", labelrotation=90)
    bar = ax.get_figure(root=False).colorbar(image, ax=ax, shrink=0.85, label="Correlation" if unit else "Covariance")
    low = float(np.nanmin(values))
    bar.ax.set_ylim((-most if low < 0.0 else 0.0), most)
    bar.outline.set_visible(False)
    if numbers:
        _numbers(ax, values, most, unit)


def _numbers(ax: Any, values: Any, most: float, unit: bool) -> None:
    """The entries, in letters as large as the cells allow; none where these would be too small to read."""
    texts = [[f"{v:.2f}" if unit else _number(v) for v in row] for row in values]
    cell = 0.8 * ax.get_position().width * ax.get_figure(root=True).get_size_inches()[0] * 72.0 / len(values)
    size = min(7.5, cell / (ASPECT * max(len(text) for row in texts for text in row) + 0.6))
    if size < SMALLEST:
        return
    for i, j in np.ndindex(*values.shape):
        color = "white" if abs(values[i, j]) > 0.8 * most else INK
        ax.text(j, i, texts[i][j].replace("-", "\N{MINUS SIGN}"), ha="center", va="center", fontsize=size, color=color)


def _number(value: float) -> str:
    return f"{value:.3g}" if abs(value) < 999.5 else f"{value:.0f}" if abs(value) < 1e6 else f"{value:.1e}"
