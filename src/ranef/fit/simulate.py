"""New responses from a fitted model."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ranef.arguments import check_count, check_seed
from ranef.design import Array
from ranef.errors import ModelError
from ranef.fit.points import Points, design_points, marginal_mean, random_part
from ranef.fit.rows import aligned_frame, needs_rows
from ranef.schema.memory import refuse_beyond

if TYPE_CHECKING:
    from ranef.fit.fit import Fit


def simulate(fit: Fit, n: int = 1, *, seed: int | np.random.Generator | None = None, re: Literal["new", "fitted"] = "new") -> Any:
    """Responses y* = offset + X beta + Z b* + e*, a column for each of n simulations: `sim_1`, `sim_2`, ...

    With `re="new"` each simulation draws new random effects, b* ~ N(0, sigma^2 Omega): data from new levels, as a parametric
    bootstrap needs them. With `re="fitted"` b* are the conditional means: new data from the same levels.
    e*_i ~ N(0, sigma^2 / w_i), or e* with the covariance of the residual structure.

    Returns a frame of the user's kind with the rows used, under the user's index. A simulation depends on the seed and on its
    number only, not on n. Raises ModelError for a model that was loaded from a file.
    """
    needs_rows(fit, "simulate()")
    if re not in ("new", "fitted"):
        raise ModelError(f"re={re!r} is not known.", hint='Use "new" or "fitted".')
    check_count("n", n, 1, "simulations")
    check_seed(seed)
    refuse_beyond(8.0 * n * fit.nobs, f"{n:,} simulations of {fit.nobs:,} rows", "Simulate fewer at a time.")
    response = responses_of(fit, re)
    rng = np.random.default_rng(seed)
    out = np.empty((n, fit.nobs))
    for i in range(n):
        out[i] = response(rng)
    return aligned_frame({f"sim_{i + 1}": draw for i, draw in enumerate(out)}, fit.model.rows.index, fit.model.rows.frame)


def responses_of(fit: Fit, re: Literal["new", "fitted"]) -> Callable[[np.random.Generator], Array]:
    """Draws one response (n,) of the rows used."""
    solution = fit.solution
    points = design_points(fit.model.design, fit.criterion.layout)
    mean, noise = marginal_mean(solution, points), _noise(fit, points)
    if re == "fitted":
        mean = mean + random_part(solution, points)
    roots = [solution.sigma * solution.root(f) for f in range(len(points.z))]

    def draw(rng: np.random.Generator) -> Array:
        out = mean.copy()
        if re == "new":
            for block, root, codes, z in zip(fit.criterion.layout.blocks, roots, points.codes, points.z, strict=True):
                effects = rng.standard_normal((block.levels, block.width)) @ root.T
                out += np.einsum("nk,nk->n", z, effects[codes])
        return np.asarray(out + noise(rng))

    return draw


def _noise(fit: Fit, points: Points) -> Callable[[np.random.Generator], Array]:
    """Draws the residuals (n,)."""
    scale = fit.solution.sigma * np.sqrt(points.noise)
    if fit.criterion.residual is None:
        return lambda rng: scale * rng.standard_normal(len(points))
    engine = fit.solution.structured
    return lambda rng: scale * engine.drawn(rng)
