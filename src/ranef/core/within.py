"""What the random columns of one factor leave of [X y]'[X y]: the sums of squares within its levels."""

from __future__ import annotations

import numpy as np

from ranef.core.gram import Gram
from ranef.covariance.base import Array

NULL = 1e-12  # an eigenvalue of Z_j'Z_j below this share of the largest is rounding


def tile_roots(C: Array) -> tuple[Array, Array]:
    """L with L L' = C and its left inverse on the range of C, both (U, k, k), for C of any rank."""
    if C.shape[1] == 1:
        root = np.sqrt(C)
        return root, np.divide(1.0, root, out=np.zeros_like(root), where=root > 0)
    values, vectors = np.linalg.eigh(C)
    values = np.where(values > NULL * values[:, -1:], values, 0.0)
    root = np.sqrt(values)[:, None, :]
    inverse = np.divide(1.0, root, out=np.zeros_like(root), where=root > 0)
    return vectors * root, np.swapaxes(vectors * inverse, 1, 2)


def regressions(gram: Gram, f: int) -> tuple[Array, Array]:
    """(m, k, r+1) C_j^+ D_j, the regressions of [X y] on Z_j in the levels of block f, and (r+1, r+1) W_0, what they leave."""
    _, left_inverse = tile_roots(gram.zz[f])
    E = left_inverse @ gram.zw[f]
    flat = E.reshape(-1, E.shape[2])
    return np.swapaxes(left_inverse, 1, 2) @ E, gram.ww - flat.T @ flat
