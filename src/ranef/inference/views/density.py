"""Densities of normal distributions, and ellipses that hold a share of a bivariate one: what a model says about random effects."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.special import chdtri

from ranef.design import Array
from ranef.fit.effects import factor_named
from ranef.table import Table

if TYPE_CHECKING:
    from ranef.fit.fit import Fit

REACH = 3.5  # standard deviations on either side


def random_covariance(fit: Fit, group: str) -> Array:
    """(k, k) Var(b_j) of a grouping factor, its terms side by side. Raises ModelError for an unknown group."""
    root = fit.solution.sigma * fit.solution.root(factor_named(fit, group).block)
    return np.asarray(root @ root.T)


def normal_density(sd: float, points: int = 121) -> Table:
    """x density of N(0, sd^2)."""
    x = np.linspace(-REACH * sd, REACH * sd, points)
    density = np.exp(-0.5 * (x / sd) ** 2) / (sd * np.sqrt(2.0 * np.pi))
    return Table({"x": x, "density": density}, title="Normal density")


def ellipse(covariance: Array, level: float = 0.95, points: int = 121) -> Table:
    """x y on the curve that holds `level` of a bivariate normal distribution about zero; a line where it is singular."""
    values, vectors = np.linalg.eigh(covariance)
    radius = np.sqrt(chdtri(2.0, 1.0 - level))
    turn = np.linspace(0.0, 2.0 * np.pi, points)
    curve = radius * vectors @ (np.sqrt(np.maximum(values, 0.0))[:, None] * np.array([np.cos(turn), np.sin(turn)]))
    return Table({"x": curve[0], "y": curve[1]}, title="Ellipse", level=level)
