"""Sampling variances that come with the data: weights sigma^2 / v_i beside a known sigma; with correlated errors, their
correlations as a residual structure without parameters.

sigma^2 is the typical variance of Higgins and Thompson (2002), Statistics in Medicine 21, 1539-1558, eq. 9: with w = 1 / v,

    sigma^2 = (n - 1) sum w / ((sum w)^2 - sum w^2),

so that the weights are numbers near one in any unit, and tau^2 / (tau^2 + sigma^2) is I^2 of a model without moderators.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.linalg import block_diag, lapack

from ranef.covariance.given import Given
from ranef.design import Array, Grouping, ResidualTerm
from ranef.errors import DataError
from ranef.schema.evaluate import first_rows
from ranef.schema.memory import refuse_beyond
from ranef.schema.values import objects

SYMMETRIC = 1e-8  # relative difference of an entry and its mirror image that is rounding
WIDEST = 1e100  # ratio of the largest to the smallest variance up to which their products are numbers


def refuse_unusable(variances: Array, missing: np.ndarray | None) -> None:
    """Raises DataError for a sampling variance that is zero, negative or infinite in a row without missing values."""
    bad = (variances <= 0) | np.isinf(variances)
    bad = bad if missing is None else bad & ~missing
    if bad.any():
        at = int(np.flatnonzero(bad)[0])
        raise DataError(
            f"sampling_variance is {variances[at]:g} in row {first_rows(bad)}: it must be positive and finite.",
            hint="It is the square of the standard error of each estimate. Leave out rows that have none, or mark them as missing.",
        )
    used = variances if missing is None else variances[~missing]
    if len(used) and used.max() > WIDEST * used.min():
        raise DataError(
            f"The sampling variances range from {used.min():g} to {used.max():g}, which is more than numbers can hold together.",
            hint="Check the column, or leave the rows with huge variances out: they say nothing.",
        )


def relative_weights(variances: Array) -> tuple[Array, float]:
    """(n,) sigma^2 / v, and sigma."""
    low = float(variances.min())
    w = low / variances
    pairs = 2.0 * float(w[1:] @ np.cumsum(w)[:-1])  # (sum w)^2 - sum w^2, without its cancellation
    typical = low * (len(w) - 1) * float(w.sum()) / pairs if len(w) > 1 else low
    return typical / variances, float(np.sqrt(typical))


def covariance_matrix(given: Any) -> Array | None:
    """(n, n) the covariance matrix of all rows of the data, from a matrix or a list of blocks; None for variances.

    Raises DataError for what is not square or not symmetric.
    """
    blocks = _blocks(given)
    if blocks is None:
        return None
    n = sum(len(block) for block in blocks)
    refuse_beyond(8.0 * n * n, f"The covariance matrix of {n} sampling errors")
    V = np.asarray(block_diag(*blocks))
    scale = np.sqrt(np.abs(V.diagonal()))
    off = np.abs(V - V.T) > SYMMETRIC * np.outer(scale, scale)
    if off.any():
        i, j = (int(place) for place in np.argwhere(off)[0])
        raise DataError(
            f"The matrix of sampling_variance is not symmetric: rows {i} and {j} have {V[i, j]:g} and {V[j, i]:g}.",
            hint="Give the covariance matrix of the sampling errors, or a list of its blocks along the rows of the data.",
        )
    return V


def _blocks(given: Any) -> list[Array] | None:
    """The blocks along the diagonal, or None for anything that is no matrix and no list of them."""
    if isinstance(given, list | tuple):
        if not any(np.ndim(block) == 2 for block in given):
            return None
        blocks = [np.atleast_2d(np.asarray(block, dtype=float)) for block in given]
    elif not isinstance(given, str) and np.ndim(given) == 2:
        blocks = [np.asarray(given, dtype=float)]
    else:
        return None
    for place, block in enumerate(blocks):
        if block.ndim != 2 or block.shape[0] != block.shape[1]:
            raise DataError(f"Block {place} of sampling_variance has the shape {block.shape}; covariance matrices are square.")
    return blocks


def correlated_errors(V: Array) -> ResidualTerm | None:
    """The correlations of the rows used, blocks being what no entry connects; None where all are zero.

    Raises DataError for a matrix that is not positive definite and for missing covariances.
    """
    sd = np.sqrt(V.diagonal())
    C = V / np.outer(sd, sd)
    if not np.isfinite(C).all():
        i, j = (int(place) for place in np.argwhere(~np.isfinite(C))[0])
        raise DataError(f"The covariance of the sampling errors of rows {i} and {j} (of those used) is missing.")
    from scipy.sparse.csgraph import connected_components  # which other models need not wait for

    count, codes = connected_components(C != 0.0, directed=False)
    if count == len(C):
        return None
    root, info = lapack.dpotrf(C, lower=1, clean=1)
    if info != 0:
        raise DataError(
            f"The covariance matrix of the sampling errors is not positive definite: row {info - 1} (of those used) is determined "
            "by rows before it.",
            hint="Check the correlations within the studies.",
        )
    blocks = Grouping("sampling errors", (), objects(list(range(count))), codes.astype(np.intp))
    return ResidualTerm("known sampling covariances", blocks, Given(len(C), root), np.arange(len(C)), None)
