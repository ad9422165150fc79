"""Pictures of fits and of answers, by matplotlib (`pip install 'ranef[plot]'`).

Every function takes a fit, or the answer of another function, and draws what that computed:

>>> import ranef
>>> m = ranef.lmm("Reaction ~ Days + (Days | Subject)", ranef.datasets.load("sleepstudy"))
>>> axes = ranef.plot.trajectories(m)  # doctest: +SKIP

`ax` draws into Axes of yours (for pictures with several panels: as many as there are panels); without it there is a new figure,
`size` = (width, height) inches. The Axes are returned, an array of them for panels, so that everything can be changed
afterwards. The style holds inside of these functions only: matplotlib's own settings stay as they are.

    the data           spaghetti, bands
    the fit            trajectories, effects, means, interaction, variance, pooling, shrinkage
    random effects     caterpillar, random_effects
    residuals          residuals, scale_location, qq, acf, semivariogram, assumptions, check, influence
    parameters         profile, bootstrap, matrix, covariance, optimizer
    designs            power

Nothing is computed here: the numbers come from the fit and from the Tables of `ranef.inference` and `ranef.means`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

# Public name -> its module in `ranef.plot.pictures`.
PUBLIC = {
    "acf": "correlogram",
    "assumptions": "assumptions",
    "bands": "bands",
    "bootstrap": "bootstrap",
    "caterpillar": "caterpillar",
    "check": "check",
    "covariance": "matrix",
    "effects": "effects",
    "influence": "influence",
    "interaction": "means",
    "matrix": "matrix",
    "means": "means",
    "optimizer": "optimizer",
    "pooling": "pooling",
    "power": "power",
    "profile": "profile",
    "qq": "qq",
    "random_effects": "random_effects",
    "residuals": "residuals",
    "scale_location": "residuals",
    "semivariogram": "correlogram",
    "shrinkage": "shrinkage",
    "spaghetti": "spaghetti",
    "trajectories": "trajectories",
    "variance": "variance",
}

__all__ = [*PUBLIC]


def __getattr__(name: str) -> Any:
    if name not in PUBLIC:
        import sys

        raise AttributeError(f"module 'ranef.plot' has no attribute {name!r}", name=name, obj=sys.modules[__name__])
    value = getattr(import_module(f"ranef.plot.pictures.{PUBLIC[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *PUBLIC})


if TYPE_CHECKING:  # what type checkers see; kept equal to PUBLIC by a test
    from ranef.plot.pictures.assumptions import assumptions as assumptions
    from ranef.plot.pictures.bands import bands as bands
    from ranef.plot.pictures.bootstrap import bootstrap as bootstrap
    from ranef.plot.pictures.caterpillar import caterpillar as caterpillar
    from ranef.plot.pictures.check import check as check
    from ranef.plot.pictures.correlogram import acf as acf
    from ranef.plot.pictures.correlogram import semivariogram as semivariogram
    from ranef.plot.pictures.effects import effects as effects
    from ranef.plot.pictures.influence import influence as influence
    from ranef.plot.pictures.matrix import covariance as covariance
    from ranef.plot.pictures.matrix import matrix as matrix
    from ranef.plot.pictures.means import interaction as interaction
    from ranef.plot.pictures.means import means as means
    from ranef.plot.pictures.optimizer import optimizer as optimizer
    from ranef.plot.pictures.pooling import pooling as pooling
    from ranef.plot.pictures.power import power as power
    from ranef.plot.pictures.profile import profile as profile
    from ranef.plot.pictures.qq import qq as qq
    from ranef.plot.pictures.random_effects import random_effects as random_effects
    from ranef.plot.pictures.residuals import residuals as residuals
    from ranef.plot.pictures.residuals import scale_location as scale_location
    from ranef.plot.pictures.shrinkage import shrinkage as shrinkage
    from ranef.plot.pictures.spaghetti import spaghetti as spaghetti
    from ranef.plot.pictures.trajectories import trajectories as trajectories
    from ranef.plot.pictures.variance import variance as variance
