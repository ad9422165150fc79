"""The rows of a fit in standardised columns, where cancellation costs no digits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scipy.linalg import solve_triangular

from ranef.core.gram import response_and_fixed
from ranef.covariance.base import Array

if TYPE_CHECKING:
    from ranef.fit.fit import Fit


def standard_rows(fit: Fit) -> Array:
    """(n, r+1) the columns [X_s y_s] that the Gram blocks are made of, without weights."""
    standard = fit.criterion.gram.standard
    out = response_and_fixed(standard, slice(None))
    if standard.orthonormal is None and standard.rank:
        out[:, :-1] = solve_triangular(standard.upper, out[:, :-1].T, trans="T").T
    return out


def whitened_rows(fit: Fit) -> tuple[Array, Array]:
    """(n, r) X in the basis in which X'V^-1X = I, and (n,) the marginal residuals y - X beta."""
    w, gls = standard_rows(fit), fit.solution.pieces.gls
    residuals = fit.criterion.gram.standard.unit * (w[:, -1] - w[:, :-1] @ gls.gamma)
    return solve_triangular(gls.lower, w[:, :-1].T, lower=True).T if len(gls.lower) else w[:, :-1], residuals
