"""What can be said about the criterion before any search: how dear an evaluation is."""

from __future__ import annotations

import numpy as np

from ranef.core.gram import Gram


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
