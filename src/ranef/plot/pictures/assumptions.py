"""The assumptions of a regression in four panels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ranef.inference.clusters import groupings
from ranef.plot.figures import Size, several
from ranef.plot.picture import picture
from ranef.plot.pictures.correlogram import acf
from ranef.plot.pictures.qq import qq
from ranef.plot.pictures.residuals import residuals, scale_location

if TYPE_CHECKING:
    from ranef.fit.fit import Fit


@picture
def assumptions(fit: Fit, *, ax: Any = None, size: Size = None) -> Any:
    """Linearity, constant variance, normality and independence: what the residuals say about each.

    Independence is shown by group where the model has groups (boxes away from zero: the group is not fully accounted for), else
    along the rows. `ranef.check` gives the tests and the words.

    Examples
    --------
    >>> import ranef
    >>> m = ranef.lm("distance ~ age", ranef.datasets.load("Orthodont"))
    >>> axes = ranef.plot.assumptions(m)
    """
    axes = several(ax, 4, size, panel=(3.4, 2.7))
    residuals(fit, ax=axes[0])
    scale_location(fit, ax=axes[1])
    qq(fit, ax=axes[2])
    groups = groupings(fit)
    if groups:
        residuals(fit, max(groups.values(), key=lambda one: one.size).name, ax=axes[3])
    else:
        acf(fit, ax=axes[3])
    for axis, name in zip(axes, ("Linearity", "Constant variance", "Normality", "Independence"), strict=True):
        axis.set_title(name)
    return axes
