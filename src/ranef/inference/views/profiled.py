"""Profiles as smooth curves: zeta, and the density that it stands for.

zeta is monotone in the parameter and close to standard normal under its true value, so that phi(zeta(v)) zeta'(v) is the density of
a confidence distribution (Bates et al., lme4's `densityplot` of a profile). Between the points of the profile zeta is a monotone
cubic (Fritsch and Carlson 1980).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.interpolate import CubicSpline, PchipInterpolator

from ranef.table import Table

if TYPE_CHECKING:
    from ranef.inference.profile import Profile

POINTS = 161


def profile_curves(profile: Profile) -> Table:
    """effect group term value zeta density, `POINTS` rows for each parameter."""
    columns: dict[str, list[object]] = {name: [] for name in ("effect", "group", "term", "value", "zeta", "density")}
    for curve in profile.curves:
        value, zeta = curve.values, curve.zeta
        rising = np.diff(value, prepend=-np.inf) > 0.0
        value, zeta = value[rising], zeta[rising]
        if len(value) < 2:
            continue
        smooth = CubicSpline(value, zeta)
        at = np.linspace(value[0], value[-1], POINTS)
        if np.any(smooth(at, 1) < 0.0):
            smooth = PchipInterpolator(value, zeta)
        shown, slope = smooth(at), np.maximum(smooth(at, 1), 0.0)
        density = np.exp(-0.5 * shown**2) * slope / np.sqrt(2.0 * np.pi)
        for name, part in zip(columns, (*_labels(curve.axis), at, shown, density), strict=True):
            columns[name].extend(part)
    notes = ("zeta: signed root of the rise of -2 log L; density: its derivative times the normal density at zeta.",)
    return Table({name: _tidy(values) for name, values in columns.items()}, title="Profile likelihood", notes=notes)


def _labels(axis: object) -> tuple[list[object], ...]:
    return tuple([getattr(axis, name)] * POINTS for name in ("effect", "group", "term"))


def _tidy(values: list[object]) -> object:
    return np.array(values, dtype=float) if values and isinstance(values[0], float) else values
