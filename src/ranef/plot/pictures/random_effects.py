"""How the predicted random effects lie: one against the other, and beside the normal distribution that the model fits."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from ranef.design import Array
from ranef.errors import ModelError
from ranef.fit.effects import factor_named, factors
from ranef.inference.views.density import ellipse, normal_density, random_covariance
from ranef.plot import crowd, labels
from ranef.plot.figures import Size, caption_all, several, zero_line
from ranef.plot.picture import picture
from ranef.plot.style import BLUE, GREY, PALE, VERMILLION

if TYPE_CHECKING:
    from ranef.fit.fit import Fit


@picture
def random_effects(fit: Fit, group: str | None = None, *, level: float = 0.95, ax: Any = None, size: Size = None) -> Any:
    """The random effects of a grouping factor: with one a histogram, with several a panel for each pair.

    The curve and the ellipse are the fitted normal distribution (the ellipse holds `level` of it). Predictions vary less than the
    effects themselves, since they are drawn towards zero.

    Examples
    --------
    >>> import ranef
    >>> m = ranef.lmm("Reaction ~ Days + (Days | Subject)", ranef.datasets.load("sleepstudy"))
    >>> ax = ranef.plot.random_effects(m)
    """
    known = factors(fit)
    if not known or (group is None and len(known) > 1):
        names = ", ".join(factor.name for factor in known)
        raise ModelError("Say which grouping factor: group=." if known else "The model has no random effects.", hint=names or None)
    factor = known[0] if group is None else factor_named(fit, group)
    covariance, values = random_covariance(fit, factor.name), fit.solution.effects[factor.block]
    said = f"{len(values):,} levels of {factor.name}; predictions vary less than the fitted distribution, being drawn to zero."
    if len(factor.names) == 1:
        axis = several(ax, 1, size)[0]
        _histogram(axis, values[:, 0], float(np.sqrt(covariance[0, 0])))
        axis.set(xlabel=f"{factor.name}: {factor.names[0]}", ylabel="Density")
        caption_all([axis], said, "Curve: fitted normal distribution.")
        return axis
    pairs = list(combinations(range(len(factor.names)), 2))
    axes = several(ax, len(pairs), size, panel=(3.0, 2.8))
    for axis, (i, j) in zip(axes, pairs, strict=True):
        _pair(axis, values[:, [i, j]], covariance[np.ix_([i, j], [i, j])], level)
        axis.set(xlabel=factor.names[i], ylabel=factor.names[j])
    caption_all(axes, said, f"Ellipse: holds {labels.level(level)} of it.")
    return axes if len(axes) > 1 else axes[0]


def _histogram(ax: Any, values: Array, sd: float) -> None:
    if not np.ptp(values) > 0.0:
        ax.text(0.5, 0.5, "all are zero", transform=ax.transAxes, ha="center", color=GREY)
        return
    crowd.histogram(ax, values, density=True)
    if len(values) <= 100:
        ax.plot(values, np.zeros(len(values)), "|", color=BLUE, markersize=9, clip_on=False)
    if sd > 0.0:
        curve = normal_density(sd)
        ax.plot(curve["x"], curve["density"], color=VERMILLION)


def _pair(ax: Any, values: Array, covariance: Array, level: float) -> None:
    zero_line(ax)
    zero_line(ax, vertical=True)
    crowd.points(ax, values[:, 0], values[:, 1])
    curve = ellipse(covariance, level)
    ax.plot(curve["x"], curve["y"], color=VERMILLION, linewidth=1.2)
    spread = np.sqrt(np.diag(covariance))
    if np.all(spread > 0.0):
        text = f"r = {covariance[0, 1] / np.prod(spread):.2f}".replace("-", "\N{MINUS SIGN}")
        box = {"facecolor": "white", "edgecolor": PALE, "pad": 2.0}
        ax.annotate(text, (0.03, 0.97), xycoords="axes fraction", va="top", fontsize=8.0, color=GREY, bbox=box)
