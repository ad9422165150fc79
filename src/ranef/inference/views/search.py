"""What the optimizer did, and the hills around it: for teaching, and for looking at a fit that gives trouble."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ranef.design import Array
from ranef.errors import ModelError
from ranef.table import Table

if TYPE_CHECKING:
    from ranef.fit.fit import Fit

POINTS = 41
HEIGHT = 12.0  # above the optimum, which the grid reaches on every side where the criterion does


def search_path(fit: Fit) -> Table:
    """The path of the optimizer: search evaluation criterion above gradient_norm note, and theta_1, theta_2, ... as users know it.

    `search` counts the starts: the first goes to the optimum, further ones check it from elsewhere. `above` is how far the
    criterion lies above the optimum. Raises ModelError for a model without random terms, and for one that was loaded from a file
    without its path.
    """
    path = fit.optimum.path
    if not path or not len(fit.optimum.theta):
        raise ModelError("The fit has no path: there was nothing to search, or the model was loaded from a file.")
    theta = np.array([replace(fit.solution, theta=np.array(step.theta)).theta_user for step in path])
    begins = [step.note not in ("", "end") or place == 0 for place, step in enumerate(path)]
    columns = {
        "search": np.cumsum(begins),
        "evaluation": np.array([step.evaluation for step in path]),
        "criterion": np.array([step.value for step in path]),
        "above": np.array([max(step.value - fit.optimum.value, 0.0) for step in path]),
        "gradient_norm": np.array([np.nan if step.gradient_norm is None else step.gradient_norm for step in path]),
        "note": [step.note for step in path],
        **{f"theta_{k + 1}": theta[:, k] for k in range(theta.shape[1])},
    }
    notes = (f"Optimizer: {fit.optimum.optimizer}. {fit.optimum.message}",)
    return Table(columns, title="Path of the optimizer", notes=notes, frame_kind=fit.model.rows.frame)


def landscape(fit: Fit, pair: tuple[int, int] = (0, 1)) -> Table:
    """x y above: the criterion over the optimum on a grid of two entries of theta (the user's), the others at the optimum.

    Raises ModelError for places that theta does not have.
    """
    q = len(fit.optimum.theta)
    if q < 2 or not all(0 <= k < q for k in pair):
        raise ModelError(f"pair={pair} must be two places below {q}, the number of entries of theta.")
    here, rows = fit.theta.copy(), []
    for a in _reach(fit, pair[0]):
        for b in _reach(fit, pair[1]):
            here[list(pair)] = a, b
            rows.append((a, b, _above(fit, here)))
    x, y, above = np.array(rows).T
    return Table({"x": x, "y": y, "above": above}, title="Criterion around the optimum")


def _above(fit: Fit, theta: Array) -> float:
    return max(fit.deviance_at(theta.tolist()) - fit.optimum.value, 0.0)


def _reach(fit: Fit, k: int) -> Array:
    """Values of one entry, out to where the criterion has risen by HEIGHT; diagonal entries from zero."""
    ends = []
    for side in (-1.0, 1.0):
        step, here = 0.05 * max(1.0, abs(fit.theta[k])), fit.theta.copy()
        for _ in range(20):
            here[k] = fit.theta[k] + side * step
            if _above(fit, here) >= HEIGHT:
                break
            step *= 1.4
        ends.append(here[k])
    low = max(ends[0], 0.0) if _is_diagonal(fit, k) else ends[0]
    return np.linspace(low, ends[1], POINTS)


def _is_diagonal(fit: Fit, k: int) -> bool:
    """Does the sign of this entry not matter by itself? It is a diagonal entry of a factor."""
    for _, part in fit.criterion.layout.parts:
        if part.theta.start <= k < part.theta.stop:
            theta = np.zeros(part.theta.stop - part.theta.start)
            theta[k - part.theta.start] = 1.0
            return bool(np.any(np.diag(part.covariance.factor(theta)) != 0.0))
    return False
