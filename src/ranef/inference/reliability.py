"""How much the data of a level say about its random effects, and how far these are shrunk.

    lambda_j = 1 - Var(b_j | y) / Var(b_j)                  with one random intercept  tau^2 / (tau^2 + sigma^2 / n_j)

1 - lambda_j is the part of the deviation of the level that shrinkage takes away. The fixed effects count as known.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ranef.arguments import checked
from ranef.core.solution import Solution
from ranef.design import Array
from ranef.fit.effects import factors
from ranef.fit.residual_side import refuse_structured
from ranef.fit.spanned import refuse_spanned
from ranef.glossary import Rule
from ranef.inference.boundary import farthest_theta
from ranef.inference.ratios import quantile
from ranef.table import Table

if TYPE_CHECKING:
    from ranef.fit.fit import Fit

STEP = 1e-4  # of a parameter, for central differences
LIMITS: dict[str, Rule] = {"conf_low": "fraction", "conf_high": "fraction"}
NOTE = "Intervals by the delta method on the scale of log(1 - reliability); where a variance is zero, by the likelihood."


@checked
def reliability(fit: Fit, *, level: float = 0.95) -> Table:
    """Of each random effect: group level term rows estimate reliability shrinkage conf_low conf_high.

    `estimate` is the predicted random effect; the limits are those of the reliability. Where a variance is zero the reliability
    has the limit zero: shrinkage is complete.

    Examples
    --------
    >>> import ranef
    >>> m = ranef.lmm("Yield ~ 1 + (1 | Batch)", ranef.datasets.load("Dyestuff"))
    >>> ranef.reliability(m)
    Reliability of the random effects
    Group  Level  Term         Rows  Estimate  Reliability  Shrinkage  Lower  Upper
    -------------------------------------------------------------------------------
    Batch  A      (Intercept)     5  -17.6069        0.783      0.217  0.150  0.944
    Batch  B      (Intercept)     5    0.3913        0.783      0.217  0.150  0.944
    Batch  C      (Intercept)     5   28.5622        0.783      0.217  0.150  0.944
    Batch  D      (Intercept)     5  -23.0845        0.783      0.217  0.150  0.944
    Batch  E      (Intercept)     5   56.7332        0.783      0.217  0.150  0.944
    Batch  F      (Intercept)     5  -44.9953        0.783      0.217  0.150  0.944
    Intervals by the delta method on the scale of log(1 - reliability); where a
    variance is zero, by the likelihood.
    Intervals hold with probability 0.95.
    """
    refuse_structured(fit, "reliability()")
    refuse_spanned(fit, "reliability()")
    z = quantile(level)
    now = information(fit.solution)
    low, high = _limits(fit, now, z)
    columns: dict[str, list[Array]] = {name: [] for name in ("group", "level", "term", "rows", "estimate")}
    for factor in factors(fit):
        m, k = len(factor.levels), len(factor.names)
        codes = next(term.group.codes for term in fit.model.design.terms if term.group.name == factor.name)
        columns["group"].append(np.full(m * k, factor.name, dtype=object))
        columns["level"].append(np.tile(factor.levels, k))
        columns["term"].append(np.repeat(np.array(factor.names, dtype=object), m))
        columns["rows"].append(np.tile(np.bincount(codes, minlength=m), k))
        columns["estimate"].append(fit.solution.effects[factor.block].T.ravel())
    joined = {name: np.concatenate(parts) if parts else np.zeros(0) for name, parts in columns.items()}
    found = {"reliability": _share(now), "shrinkage": 1.0 - _share(now), "conf_low": _share(low), "conf_high": _share(high)}
    return Table(
        {**joined, **found},
        title="Reliability of the random effects",
        notes=(NOTE,),
        level=level,
        rules=LIMITS,
        frame_kind=fit.model.rows.frame,
    )


def information(solution: Solution) -> Array:
    """-log(1 - lambda) = log Var(b) - log Var(b | y) of all random effects: by grouping factor, column, level."""
    out = []
    for f, block in enumerate(solution.criterion.layout.blocks):
        every = np.arange(block.levels)
        posterior = np.einsum("mkk->km", solution.conditional(f, f, every, every))
        prior = np.einsum("ij,ij->i", solution.root(f), solution.root(f))[:, None]
        known = np.broadcast_to(prior > 0.0, posterior.shape)
        part = np.zeros(posterior.shape)
        part[known] = np.log((prior / np.where(known, posterior, 1.0))[known])
        out.append(np.maximum(part, 0.0).ravel())
    return np.concatenate(out) if out else np.zeros(0)


def _share(h: Array) -> Array:
    return -np.expm1(-h)


def _limits(fit: Fit, now: Array, z: float) -> tuple[Array, Array]:
    solution = fit.solution
    if not len(now):
        return now, now
    slopes = np.empty((len(solution.theta), len(now)))
    for i, theta in enumerate(solution.theta):
        step = np.zeros(len(solution.theta))
        step[i] = STEP * max(abs(theta), 0.01)
        up, down = (information(replace(solution, theta=solution.theta + sign * step)) for sign in (1.0, -1.0))
        slopes[i] = (up - down) / (2.0 * step[i])
    q = len(solution.theta)
    half = z * np.sqrt(np.maximum(np.einsum("ik,ij,jk->k", slopes, fit.variance_parameters.covariance[:q, :q], slopes), 0.0))
    high = now + half
    gone = now == 0.0
    if gone.any():
        reached = [information(replace(solution, theta=theta)) for theta in farthest_theta(solution, z**2)]
        high = np.where(gone, np.max([now, *reached], axis=0), high)
    return np.maximum(now - half, 0.0), high
