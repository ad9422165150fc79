"""Sums of squares within levels, from rows where cross-products have cancelled.

W_0 = [X y]'[X y] - sum_j E_j'E_j loses the digits by which the spread between levels exceeds the spread within them. Where that is
more than half of what doubles hold, the residuals of the rows are formed and summed instead: one more pass over the data.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.linalg import lapack

from ranef.core.gram import Gram, block_codes, block_columns, response_and_fixed
from ranef.covariance.base import Array

CANCELLED = 1e-6  # share of the squared length of y that is left
SAME = 1e-8  # relative difference up to which rows and Gram blocks are those of the same response


def leftover(gram: Gram, f: int, rest: Array, regression: Callable[[], Array]) -> Array:
    """(r+1, r+1) W_0 of block f: `rest` where it is good, else recomputed from rows with C_j^+ D_j, `regression` (m, k, r+1)."""
    r = gram.rank
    if rest[r, r] > CANCELLED * gram.ww[r, r]:
        return rest
    standard, block, slopes = gram.standard, gram.layout.blocks[f], _raw(gram, f, regression())
    design, right = standard.design, _right(gram)
    root = None if design.weights is None else np.sqrt(design.weights)
    total, sums = np.zeros_like(rest), np.zeros_like(rest)
    for rows in standard.chunks():
        w = response_and_fixed(standard, rows)
        if root is not None:
            w *= root[rows, None]
        w = w @ right
        z, own = block_columns(standard, block, rows, root), slopes[block_codes(design, block)[rows]]
        left = w - (own[:, 0] if z is None else np.einsum("nk,nkc->nc", z, own))
        total += w.T @ w
        sums += left.T @ left
    return sums if np.allclose(total, gram.ww, rtol=SAME, atol=SAME * np.abs(gram.ww).max()) else rest


def _right(gram: Gram) -> Array:
    """(r+1, r+1) what decorrelates the columns of X."""
    r, standard = gram.rank, gram.standard
    out = np.eye(r + 1)
    if standard.orthonormal is None and r:
        out[:r, :r] = lapack.dtrtri(standard.upper, lower=0)[0]
    return out


def _raw(gram: Gram, f: int, regression: Array) -> Array:
    """The regressions on the columns of the rows, before these were decorrelated: z = z_s root."""
    return np.asarray(np.linalg.solve(gram.z_root[f], regression), dtype=np.float64)
