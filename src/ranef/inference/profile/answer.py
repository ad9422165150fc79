"""Profile likelihood: intervals of every parameter on the user's scale, and the curves they are read from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import chdtri

from ranef.arguments import check_level, checked
from ranef.core.criterion import Criterion
from ranef.core.solution import Solution
from ranef.covariance.base import Array
from ranef.errors import Finding, ModelError
from ranef.fit.perfect import needs_residuals
from ranef.fit.residual_side import refuse_structured
from ranef.fit.spanned import refuse_spanned
from ranef.inference.profile.limits import Lower, Unreachable, model_at, reach
from ranef.inference.profile.parameters import Axis, axes
from ranef.inference.profile.surface import Surface
from ranef.optim import minimise
from ranef.optim.problem import Evaluation
from ranef.table import Table

if TYPE_CHECKING:
    from ranef.fit.fit import Fit

STEPS = np.arange(1, 7) * 0.5  # of zeta, on either side of the estimate
OTHER_NAMES = {"sigma": "sd__Observation", ".sigma": "sd__Observation", "beta_": "fixed", "theta_": "ran_pars"}  # lme4's
NOTE = "Profile likelihood; estimates and limits are those of maximum likelihood."


@dataclass(frozen=True, eq=False)
class Curve:
    """The profile of one parameter: values from low to high, zeta = +-sqrt(rise of -2 log L) at them."""

    axis: Axis
    estimate: float
    values: Array
    zeta: Array


@dataclass(frozen=True, eq=False)
class Interval:
    estimate: float
    low: float
    high: float
    finding: Finding | None


@dataclass(frozen=True, eq=False)
class Profile:
    """Profiles of the parameters of a fit; `intervals` and `grid` are tables, `conf_int` takes another level."""

    fit: Fit
    solution: Solution  # maximum likelihood
    axes: tuple[Axis, ...]
    level: float

    @cached_property
    def _surfaces(self) -> list[tuple[Surface, Evaluation]]:
        surfaces = [axis.make() for axis in self.axes]
        return [(surface, surface.evaluate(surface.optimum)) for surface in surfaces]

    @cached_property
    def _intervals(self) -> list[Interval]:
        return self._solve(self.level)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Parameters whose profile could not be followed, and better optima that were met."""
        return tuple(interval.finding for interval in self._intervals if interval.finding is not None)

    @property
    def intervals(self) -> Table:
        """effect group term estimate conf_low conf_high."""
        return self._table(self._intervals, self.level)

    def conf_int(self, level: float = 0.95) -> Table:
        """The intervals at another level."""
        return self._table(self._solve(check_level(level)), level)

    @cached_property
    def curves(self) -> tuple[Curve, ...]:
        """The profile of each parameter at zeta = -3, -2.5, ..., 3, as far as its range goes."""
        return tuple(_curve(axis, surface, start) for axis, (surface, start) in zip(self.axes, self._surfaces, strict=True))

    @property
    def grid(self) -> Table:
        """The curves in one table: effect group term value zeta."""
        rows = [
            (curve.axis.effect, curve.axis.group, curve.axis.term, value, zeta)
            for curve in self.curves
            for value, zeta in zip(curve.values, curve.zeta, strict=True)
        ]
        columns = dict(zip(("effect", "group", "term", "value", "zeta"), map(list, zip(*rows, strict=True)), strict=True))
        return Table(columns, title="Profile likelihood", notes=(NOTE,), frame_kind=self.fit.model.rows.frame)

    def _solve(self, level: float) -> list[Interval]:
        rise = float(chdtri(1.0, 1.0 - level))
        return [_interval(axis, *surface, rise) for axis, surface in zip(self.axes, self._surfaces, strict=True)]

    def _table(self, intervals: Sequence[Interval], level: float) -> Table:
        columns = {
            "effect": [axis.effect for axis in self.axes],
            "group": [axis.group for axis in self.axes],
            "term": [axis.term for axis in self.axes],
            "estimate": np.array([interval.estimate for interval in intervals]),
            "conf_low": np.array([interval.low for interval in intervals]),
            "conf_high": np.array([interval.high for interval in intervals]),
        }
        notes = (NOTE, *(str(interval.finding) for interval in intervals if interval.finding is not None))
        return Table(columns, title="Confidence intervals", notes=notes, frame_kind=self.fit.model.rows.frame, level=level)

    def __repr__(self) -> str:
        return repr(self.intervals)

    def _repr_html_(self) -> str:
        return self.intervals._repr_html_()


@checked
def profile(fit: Fit, level: float = 0.95, which: str | Sequence[str] | None = None) -> Profile:
    """Profile likelihood intervals of fixed effects, standard deviations, correlations and sigma.

    Always of the full likelihood, as in lme4: a fit by REML is first moved to its ML optimum. The fit itself never changes. `which`
    selects parameters by the names of the table (`"Days"`, `"sd__Days"`), or all of one kind: `"fixed"`, `"ran_pars"`. lme4's words
    are understood too: `"sigma"` or `".sigma"` is `sd__Observation`, `"beta_"` and `"theta_"` are the two kinds.

    A parameter whose profile cannot be followed gets Wald's interval and a finding. Raises ModelError for an unknown name and for a
    level outside of (0, 1).

    Examples
    --------
    >>> import ranef
    >>> m = ranef.lmm("Reaction ~ Days + (Days | Subject)", ranef.datasets.load("sleepstudy"))
    >>> ranef.profile(m, which="ran_pars").intervals
    Confidence intervals
    Effect    Group     Term                   Estimate    Lower    Upper
    ---------------------------------------------------------------------
    ran_pars  Subject   sd__(Intercept)         23.7806  14.3814  37.7161
    ran_pars  Subject   sd__Days                 5.7168   3.8012   8.7534
    ran_pars  Subject   cor__(Intercept).Days    0.0813  -0.4815   0.6850
    ran_pars  Residual  sd__Observation         25.5918  22.8983  28.8580
    Profile likelihood; estimates and limits are those of maximum likelihood.
    Intervals hold with probability 0.95.
    """
    check_level(level)
    refuse_structured(fit, "profile()", "residual_parameters() has Wald intervals on suitable scales.")
    refuse_spanned(fit, "profile()")
    needs_residuals(fit, "profile()")
    criterion = replace(fit.criterion, reml=False)
    if criterion.size:
        optimum = fit.optimum if not fit.reml else minimise(criterion, start=_warm(fit, criterion))
        theta = optimum.theta
    else:
        theta = np.zeros(0)
    solution = Solution(criterion, theta)
    return Profile(fit, solution, _chosen(axes(fit, solution), which), level)


def _warm(fit: Fit, criterion: Criterion) -> Array | None:
    """Where to start: at the REML optimum, except on the boundary, where ML may have another one."""
    return None if fit.is_singular and criterion.effort < 1e6 else fit.optimum.theta


def _chosen(found: tuple[Axis, ...], which: str | Sequence[str] | None) -> tuple[Axis, ...]:
    if which is None:
        return found
    known = {axis.term for axis in found} | {"fixed", "ran_pars"}
    asked = [which] if isinstance(which, str) else list(which) if isinstance(which, Iterable) else [which]
    names = {name if name in known else OTHER_NAMES.get(name, name) for name in map(str, asked)}
    unknown = names - known
    if unknown or not names:
        raise ModelError(
            f"The model has no parameter {min(unknown)!r} to profile." if unknown else "which names no parameter to profile.",
            hint=f"Its parameters: {', '.join(a.term for a in found)}.",
        )
    return tuple(axis for axis in found if axis.term in names or axis.effect in names)


def _interval(axis: Axis, surface: Surface, start: Evaluation, rise: float) -> Interval:
    estimate = surface.user(_polished(surface, start))
    try:
        low, high = (_limit(surface, start, rise, side) for side in (-1, 1))
        return Interval(estimate, low, high, None)
    except Unreachable:
        what = f"The profile of {axis.term} could not be followed to its limits; the interval is Wald's."
        remedy = "Use conf_int(method='bootstrap') for this parameter."
    except Lower as lower:
        what = (
            f"On the profile of {axis.term} -2 log L falls to {lower}, below {surface.lowest:.6f} at the optimum; "
            "the interval is Wald's."
        )
        remedy = "The likelihood has several optima; fit again from other starts."
    evidence = {"term": axis.term, "group": axis.group}
    return Interval(estimate, *_wald(surface, start, rise), Finding("profile_failed", "warning", what, remedy, evidence))


def _polished(surface: Surface, start: Evaluation) -> float:
    """The tested coordinate after one more Newton step: the optimizer stops where the criterion is flat to 1e-10."""
    origin = float(start.theta[surface.axis])
    model = model_at(start, surface.axis)
    if model is None or model.curvature <= 0.0 or model.slope**2 > 1e-6 * model.curvature:
        return origin
    return float(np.clip(origin - model.slope / model.curvature, *surface.bounds))


def _limit(surface: Surface, start: Evaluation, rise: float, side: int) -> float:
    origin = float(start.theta[surface.axis])
    return surface.user(float(reach(surface, start, surface.lowest + rise, side, origin).v[surface.axis]))


def _wald(surface: Surface, start: Evaluation, rise: float) -> tuple[float, float]:
    """From the curvature at the optimum, in the coordinate of the surface; the whole range where there is none."""
    model = model_at(start, surface.axis) if np.isfinite(start.value) else None
    low, high = surface.bounds
    if model is not None and model.curvature > 0.0:
        half, origin = float(np.sqrt(2.0 * rise / model.curvature)), float(start.theta[surface.axis])
        low, high = max(low, origin - half), min(high, origin + half)
    return surface.user(low), surface.user(high)


def _curve(axis: Axis, surface: Surface, start: Evaluation) -> Curve:
    """Points at equal steps of zeta, each found from the last; the curve ends where the range does, or where it is lost."""
    origin = float(start.theta[surface.axis])
    points = [(origin, 0.0)]
    for side in (-1, 1):
        at = start
        for zeta in STEPS:
            try:
                point = reach(surface, at, surface.lowest + zeta**2, side, origin)
            except (Unreachable, Lower):
                break
            rise = max(point.value - surface.lowest, 0.0)
            points.append((float(point.v[surface.axis]), side * float(np.sqrt(rise))))
            if point.bounded:
                break
            at = surface.evaluate(point.v)
    points.sort()
    values = np.array([surface.user(u) for u, _ in points])
    return Curve(axis, surface.user(origin), values, np.array([z for _, z in points]))
