"""Profiles of the likelihood: zeta of each parameter, or the density that it stands for."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from scipy.special import ndtri

from ranef.errors import ModelError
from ranef.fit.fit import Fit
from ranef.inference.views.profiled import profile_curves
from ranef.plot import labels
from ranef.plot.figures import Size, caption_all, several, zero_line
from ranef.plot.picture import picture
from ranef.plot.style import BLUE, GREY, VERMILLION

if TYPE_CHECKING:
    from ranef.inference.profile import Profile
    from ranef.table import Table


@picture
def profile(
    source: Profile | Fit, kind: Literal["zeta", "density"] = "zeta", *, ax: Any = None, size: Size = None, **options: Any
) -> Any:
    """A panel for each parameter. `source` is the answer of `ranef.profile`, or a fit, which is then profiled with `options`.

    zeta
        The signed root of the rise of -2 log L: a straight line where the likelihood is quadratic and Wald's interval right. The
        bar below the curve is the profile interval.
    density
        The confidence density; the shaded part is the interval.

    Examples
    --------
    >>> import ranef
    >>> m = ranef.lmm("Reaction ~ Days + (Days | Subject)", ranef.datasets.load("sleepstudy"))
    >>> axes = ranef.plot.profile(ranef.profile(m))
    >>> axes = ranef.plot.profile(m, "density")
    """
    if kind not in ("zeta", "density"):
        raise ModelError(f"kind={kind!r} is not known.", hint='Use "zeta" or "density".')
    found = _profiled(source, options)
    curves, intervals = profile_curves(found), found.intervals
    axes = several(ax, len(intervals), size, panel=(2.4, 2.1))
    for axis, row in zip(axes, intervals, strict=True):
        _panel(axis, curves, row, kind, found.level)
        axis.set(xlabel=_name(row))
    for axis in axes:
        place = axis.get_subplotspec()
        if place is None or place.is_first_col():
            axis.set_ylabel("ζ" if kind == "zeta" else "Density")
    said = "Bars: intervals" if kind == "zeta" else "Shaded: intervals"
    caption_all(axes, f"{said} of {labels.level(found.level)} by the profile likelihood; broken line: estimate.")
    return axes if len(axes) > 1 else axes[0]


def _profiled(source: Any, options: Any) -> Profile:
    from ranef.inference.profile import profile as profiled

    return profiled(source, **options) if isinstance(source, Fit) else source


def _panel(ax: Any, curves: Table, row: dict[str, Any], kind: str, level: float) -> None:
    keep = [i for i in range(len(curves)) if (curves["group"][i], curves["term"][i]) == (row["group"], row["term"])]
    value, height = np.asarray(curves["value"], dtype=float)[keep], np.asarray(curves[kind], dtype=float)[keep]
    low, high = row["conf_low"], row["conf_high"]
    ax.axvline(row["estimate"], color=GREY, linewidth=0.8, linestyle=(0, (4, 3)), zorder=0.5)
    ax.plot(value, height, color=BLUE, zorder=3)
    if kind == "density":
        inside = (value >= low) & (value <= high)
        ax.fill_between(value, 0.0, height, where=inside, color=BLUE, alpha=0.25, linewidth=0)
        ax.set(ylim=(0.0, None), yticks=[])
    else:
        z = float(ndtri(0.5 * (1.0 + level)))
        zero_line(ax)
        ax.hlines([-z, z], ax.get_xlim()[0], [low, high], color=GREY, linewidth=0.6, linestyle=(0, (1, 2)))
        ax.vlines([low, high], -3.6, [-z, z], color=GREY, linewidth=0.6, linestyle=(0, (1, 2)))
        ax.plot([low, high], [-3.6, -3.6], color=VERMILLION, linewidth=3.0, solid_capstyle="butt")
        ax.set(ylim=(-3.8, 3.3), yticks=[-2, 0, 2])
    ax.locator_params(axis="x", nbins=4)


def _name(row: dict[str, Any]) -> str:
    term = str(row["term"])
    for short, word in (("sd__", "SD of "), ("cor__", "Correlation of ")):
        if term.startswith(short):
            what = term[len(short) :].replace(".", ", ") if short == "cor__" else term[len(short) :]
            return "Residual SD" if what == "Observation" else f"{_folded(word + what)}\nin {row['group']}"
    return _folded(term)


def _folded(text: str) -> str:
    """Long names in two lines."""
    return textwrap.fill(text, 24, break_long_words=False)
