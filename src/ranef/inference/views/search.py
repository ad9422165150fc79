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


def search_path(fit: Fit) -> Table:
    """The path of the optimizer: evaluation criterion above gradient_norm note, and theta_1, theta_2, ... in the user's units.

    `above` is how far the criterion lies above the optimum. Raises ModelError for a model without random terms, and for one that
    was loaded from a file without its path.
    """
    path = fit.optimum.path
    if not path or not len(fit.optimum.theta):
        raise ModelError("The fit has no path: there was nothing to search, or the model was loaded from a file.")
    theta = np.array([replace(fit.solution, theta=np.array(step.theta)).theta_user for step in path])
    columns = {
        "evaluation": np.array([step.evaluation for step in path]),
        "criterion": np.array([step.value for step in path]),
        "above": np.array([max(step.value - fit.optimum.value, 0.0) for step in path]),
        "gradient_norm": np.array([np.nan if step.gradient_norm is None else step.gradient_norm for step in path]),
        "note": [step.note for step in path],
        **{f"theta_{k + 1}": theta[:, k] for k in range(theta.shape[1])},
    }
    notes = (f"Optimizer: {fit.optimum.optimizer}. {fit.optimum.message}",)
    return Table(columns, title="Path of the optimizer", notes=notes, frame_kind=fit.model.rows.frame)


def landscape(fit: Fit, first: Array, second: Array, pair: tuple[int, int] = (0, 1)) -> Table:
    """x y above: the criterion over the optimum on a grid of two entries of theta (the user's), the others at the optimum."""
    here, rows = fit.theta.copy(), []
    for a in first:
        for b in second:
            here[list(pair)] = a, b
            rows.append((a, b, max(fit.deviance_at(here) - fit.optimum.value, 0.0)))
    x, y, above = np.array(rows).T
    return Table({"x": x, "y": y, "above": above}, title="Criterion around the optimum")
