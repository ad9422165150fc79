"""What can be said about the criterion before any search: how dear an evaluation is, and whether a second optimum can exist."""

from __future__ import annotations

import numpy as np

from ranef.core.gram import Gram
from ranef.covariance.base import Array

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


def unimodal(gram: Gram, lower: Array, E: Array) -> bool:
    """Is the criterion of one term known to have a single optimum?

    It is for an unstructured term when all levels have the same Z_j'Z_j = C and beta does not depend on Omega: the columns of
    Z Omega Z'X lie in the span of X (Zyskind 1967, Ann. Math. Statist. 38, 1092). Then, with A = (Omega + sigma^2 C^-1)^-1 and
    a = 1 / sigma^2, -2 log L = -m log|A| + tr S A - f log a + a SSE: convex in (A, a), on the convex set A <= a C.
    `lower` (U, k, k) and `E` (G, k, r+1) are those of the engine: only sums of products over levels count.
    """
    block, r = gram.layout.blocks[0], gram.rank
    if len(block.parts) != 1 or block.parts[0].covariance.word != "un" or len(lower) != 1:
        return False
    root, k = lower[0], lower.shape[1]
    flat = E.reshape(len(E), -1)
    sums = (flat.T @ flat).reshape(k, r + 1, k, r + 1)[:, :r, :, :r]
    D = np.einsum("ai,irjs,bj->arbs", root, sums, root)  # sum over levels of vec(Z_j'X) vec(Z_j'X)'
    C, XX = root @ root.T, gram.ww[:r, :r]
    own = np.einsum("arar->r", D)
    for a in range(k):
        for b in range(a + 1):
            F = np.zeros((k, k))
            F[a, b] = F[b, a] = 1.0
            length = np.einsum("ab,arbr->r", F @ C @ F, D)  # of the columns of Z F Z'X
            along = np.einsum("ac,arcs->rs", F, D)
            inside = np.einsum("rs,rs->s", along, np.linalg.solve(XX, along)) if r else length
            if np.any(length - inside > EXACT * (length + own)):
                return False
    return True
