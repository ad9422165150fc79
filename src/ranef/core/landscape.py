"""What can be said about the criterion before any search: how dear an evaluation is, and whether a second optimum can exist."""

from __future__ import annotations

import numpy as np

from ranef.core.gram import Gram

EXACT = 1e-9  # share of a squared length that counts as rounding


def effort(gram: Gram) -> float:
    """Floating-point operations of an evaluation with second derivatives, to an order of magnitude.

    The factor with most effects is eliminated level by level; the rest makes a dense matrix.
    """
    blocks = gram.layout.blocks
    if not blocks:
        return 0.0
    sizes = [block.size for block in blocks]
    leaf = blocks[int(np.argmax(sizes))]
    rest, r = sum(sizes) - leaf.size, gram.rank
    return 4.0 * rest**3 + leaf.levels * (leaf.width + r) * leaf.width * (leaf.width + r + rest)


def unimodal(gram: Gram) -> bool:
    """Is the criterion known to have a single optimum?

    It is for one unstructured term when all levels have the same Z_j'Z_j = C and beta does not depend on Omega: the columns of
    Z Omega Z'X lie in the span of X (Zyskind 1967, Ann. Math. Statist. 38, 1092). Then, with A = (Omega + sigma^2 C^-1)^-1 and
    a = 1 / sigma^2, -2 log L = -m log|A| + tr S A - f log a + a SSE: convex in (A, a), on the convex set A <= a C.
    """
    blocks = gram.layout.blocks
    if len(blocks) != 1 or len(blocks[0].parts) != 1 or blocks[0].parts[0].covariance.closure != "linear":
        return False
    C, r = gram.zz[0], gram.rank
    if np.abs(C - C[0]).max() > EXACT * np.abs(C[0]).max():
        return False
    D, XX = gram.zw[0][:, :, :r], gram.ww[:r, :r]
    k = C.shape[1]
    for a in range(k):
        for b in range(a + 1):
            E = np.zeros((k, k))
            E[a, b] = E[b, a] = 1.0
            moved = E @ D  # Z moved = Z E Z'X
            length = np.einsum("jar,ab,jbr->r", moved, C[0], moved)
            along = np.einsum("jar,jas->rs", D, moved)
            inside = np.einsum("rs,rs->s", along, np.linalg.solve(XX, along)) if r else length
            if np.any(length - inside > EXACT * (length + np.einsum("jar,jar->r", D, D))):
                return False
    return True
