"""Is the residual structure of one model a special case of another's?

What the smaller structure can be at two sets of parameters is looked for among the members of the larger one: where both are found,
it is nested. Residual parameters of interest lie inside their range, so that they count with full degrees of freedom.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ranef.core.residual.rows import RowCovariance
from ranef.covariance.base import Array, Covariance

if TYPE_CHECKING:
    from ranef.fit.fit import Fit

SAME = 1e-6


def free_residual_parameters(small: Fit, large: Fit) -> int | None:
    """How many residual parameters the larger model has more; None where its structure does not contain the smaller one's."""
    one, other = small.criterion.residual, large.criterion.residual
    if other is None:
        return 0 if one is None else None
    if one is None:
        return other.size - 1
    if one.term.label == other.term.label and one.size == other.size:
        return 0
    return other.size - one.size if _contained(one, other) else None


def _contained(small: RowCovariance, large: RowCovariance) -> bool:
    names = [{function.names for function, _ in own.functions} for own in (small, large)]
    if not names[0] <= names[1] or small.nugget > large.nugget:
        return False
    if not np.array_equal(small.term.subject.codes, large.term.subject.codes) and small.structure.k > 1:
        return False
    if small.term.coordinates is not None or large.term.coordinates is not None:
        return small.structure == large.structure
    if small.structure.k == 1:
        return True
    assert small.term.visit is not None and large.term.visit is not None
    if not np.array_equal(small.term.visit, large.term.visit):
        return False
    return is_member(small.structure, large.structure)


def is_member(small: Covariance, large: Covariance) -> bool:
    """Is a structure a special case of another?"""
    return all(_has(large, root) for root in _members(small))


def _members(covariance: Covariance) -> list[Array]:
    """Roots of the covariances at two sets of parameters."""
    start = covariance.start()
    rng = np.random.default_rng(1)
    return [covariance.factor(start + 0.3 * rng.standard_normal(len(start))) for _ in range(2)]


def _has(covariance: Covariance, root: Array) -> bool:
    found, matrix = covariance.matrix(covariance.of_factor(root)), root @ root.T
    return bool(np.abs(found - matrix).max() <= SAME * np.abs(matrix).max())
