"""Power of two-level designs in closed form: J clusters of m rows, one random intercept, an effect between or within clusters.

    between   Var = (tau^2 + sigma^2 / m) / (J v)          v the variance of the covariate over clusters     df J - 2
    within    Var = (tau_1^2 + sigma^2 / (m v)) / J         v its variance within clusters                    df J - 1 with
    tau_1 > 0,
                                                            tau_1^2 that of its random slope                 else J (m - 1) - 1

These are the variances of generalised least squares in balanced designs (Snijders and Bosker 1993; Raudenbush and Liu 2000),
and the power that of the noncentral t. A treatment given to half of the clusters (or rows) has v = 1/4.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from scipy.optimize import brentq
from scipy.special import stdtrit
from scipy.stats import nct

from ranef.arguments import checked
from ranef.errors import ModelError
from ranef.table import Table

Level = Literal["between", "within"]
MOST = 10_000_000  # clusters or rows of a cluster


@dataclass(frozen=True)
class TwoLevel:
    """A balanced two-level design. Variances are those of the response; `slope` is that of the random slope of a within
    effect."""

    clusters: float
    size: float
    tau2: float
    sigma2: float
    level: Level
    variance: float = 0.25  # of the covariate
    slope: float = 0.0

    @property
    def effect_variance(self) -> float:
        """Of the estimated effect."""
        if self.level == "between":
            return (self.tau2 + self.sigma2 / self.size) / (self.clusters * self.variance)
        return (self.slope + self.sigma2 / (self.size * self.variance)) / self.clusters

    @property
    def df(self) -> float:
        if self.level == "between":
            return self.clusters - 2.0
        return self.clusters - 1.0 if self.slope > 0.0 else self.clusters * (self.size - 1.0) - 1.0

    def power(self, effect: float, alpha: float) -> float:
        """Of a two-sided t test; zero without degrees of freedom."""
        if self.df <= 0.0:
            return 0.0
        shift, t = abs(effect) / np.sqrt(self.effect_variance), stdtrit(self.df, 1.0 - alpha / 2.0)
        return float(nct.sf(t, self.df, shift) + nct.cdf(-t, self.df, shift))


@checked
def power_two_level(
    *,
    effect: float | None = None,
    clusters: int | None = None,
    size: int | None = None,
    power: float | None = None,
    icc: float | None = None,
    tau2: float | None = None,
    sigma2: float | None = None,
    level: Level = "between",
    variance: float = 0.25,
    slope: float = 0.0,
    alpha: float = 0.05,
) -> Table:
    """Power, or the clusters, the rows of a cluster or the effect that a power needs: give all but one of these four.

    Parameters
    ----------
    effect
        Difference of the response for one unit of the covariate (two-sided test).
    clusters, size
        Number of clusters, and of rows in each.
    icc, or tau2 and sigma2
        The variances: `icc` alone counts the effect in standard deviations of the response (tau2 = icc, sigma2 = 1 - icc).
    level
        Whether the covariate varies ``"between"`` clusters only or ``"within"`` them only.
    variance
        Of the covariate, at its level: p (1 - p) for a treatment given to a share p of the clusters or rows.
    slope
        Variance of the random slope of a within effect.

    Raises ModelError for contradictory arguments, and where no number of clusters or rows gives the power.

    Examples
    --------
    >>> import ranef
    >>> ranef.power_two_level(effect=0.4, size=20, icc=0.1, power=0.8)  # how many clusters, when whole clusters are treated?
    Power of a two-level design
    Clusters  Cluster size  Rows  Effect  Std. error    df  Power
    -------------------------------------------------------------
          31         20.00   620  0.4000      0.1368  29.0  0.807
    Effect between clusters; covariate with variance 0.25; intraclass correlation
    0.1.
    Two-sided t test at 0.05; balanced design, variances as given.
    """
    asked = {"effect": effect, "clusters": clusters, "size": size, "power": power}
    numbers = {**asked, "icc": icc, "tau2": tau2, "sigma2": sigma2, "variance": variance, "slope": slope, "alpha": alpha}
    for name, value in numbers.items():
        if value is not None and not (isinstance(value, int | float | np.number) and math.isfinite(value)):
            raise ModelError(f"{name}={value!r} must be one finite number.", hint="For several designs at once see power_curves().")
    absent = [name for name, value in asked.items() if value is None]
    if len(absent) != 1:
        raise ModelError(
            "Give three of effect, clusters, size and power; the fourth is found.", hint=f"Missing: {', '.join(absent) or 'none'}."
        )
    design = TwoLevel(clusters or 2.0, size or 1.0, *_variances(icc, tau2, sigma2), level, variance, slope)
    _check(design, asked, alpha)
    if power is not None and effect is None:
        effect = _detectable(design, power, alpha)
    elif power is not None and effect is not None:
        design = _with(design, absent[0], _smallest(design, absent[0], effect, power, alpha))
    assert effect is not None
    return _table(design, effect, alpha)


def _variances(icc: float | None, tau2: float | None, sigma2: float | None) -> tuple[float, float]:
    if icc is not None:
        if tau2 is not None or sigma2 is not None or not 0.0 <= icc < 1.0:
            raise ModelError("Give icc (from 0 to below 1), or tau2 and sigma2.")
        return icc, 1.0 - icc
    if tau2 is None or sigma2 is None or tau2 < 0.0 or not sigma2 > 0.0:
        raise ModelError("The variances are not known.", hint="Give icc, or tau2 (not negative) and sigma2 (positive).")
    return tau2, sigma2


def _check(design: TwoLevel, asked: dict[str, float | None], alpha: float) -> None:
    if design.level not in ("between", "within"):
        raise ModelError(f"level={design.level!r} is not known.", hint='Use "between" or "within".')
    if not design.variance > 0.0 or design.slope < 0.0:
        raise ModelError("variance must be positive and slope must not be negative.")
    if design.slope > 0.0 and design.level == "between":
        raise ModelError("An effect between clusters has no random slope.", hint='Leave out slope, or use level="within".')
    power, effect = asked["power"], asked["effect"]
    if not 0.0 < alpha < 1.0 or (power is not None and not alpha < power < 1.0):
        raise ModelError("alpha must lie between 0 and 1, and power between alpha and 1.")
    if effect == 0.0:
        raise ModelError("An effect of zero cannot be found.", hint="Give the smallest effect that matters.")
    for name in ("clusters", "size"):
        value = asked[name]
        if value is not None and not value >= (2 if name == "clusters" else 1):
            raise ModelError(f"{name}={value!r} is too small.")


def _with(design: TwoLevel, name: str, value: int) -> TwoLevel:
    return replace(design, clusters=value) if name == "clusters" else replace(design, size=value)


def _smallest(design: TwoLevel, name: str, effect: float, power: float, alpha: float) -> int:
    """The smallest number of clusters, or of rows in each, with at least this power."""

    def enough(value: int) -> bool:
        return _with(design, name, value).power(effect, alpha) >= power

    high = 2
    while not enough(high):
        high *= 2
        if high > MOST:
            what = "clusters" if name == "clusters" else "rows in each cluster"
            raise ModelError(
                f"No number of {what} up to {MOST:,} gives a power of {power:g}.",
                hint="More rows in a cluster do not make up for too few clusters." if name == "size" else None,
            )
    low = 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high if not (low >= (2 if name == "clusters" else 1) and enough(low)) else low


def _detectable(design: TwoLevel, power: float, alpha: float) -> float:
    if design.df <= 0.0:
        raise ModelError(f"{design.clusters:g} clusters of {design.size:g} rows leave no degrees of freedom for the test.")
    unit = float(np.sqrt(design.effect_variance))
    high = unit
    while design.power(high, alpha) < power:
        high *= 2.0
    return float(brentq(lambda effect: design.power(effect, alpha) - power, 0.0, high, xtol=1e-12 * high))


def _table(design: TwoLevel, effect: float, alpha: float) -> Table:
    columns = {
        "clusters": [int(design.clusters)], "cluster_size": [int(design.size)], "rows": [int(design.clusters * design.size)],
        "effect_size": [effect], "std_error": [float(np.sqrt(design.effect_variance))], "df": [design.df],
        "power": [design.power(effect, alpha)],
    }  # fmt: skip
    rho = design.tau2 / (design.tau2 + design.sigma2)
    notes = (
        f"Effect {design.level} clusters; covariate with variance {design.variance:g}; intraclass correlation {rho:.4g}.",
        f"Two-sided t test at {alpha:g}; balanced design, variances as given.",
    )
    return Table(columns, title="Power of a two-level design", notes=notes)
