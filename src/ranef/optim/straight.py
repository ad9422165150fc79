"""Steps that are straight in the covariances instead of in their factors.

Where two variances compete, the criterion hardly changes along a line in Omega. In theta this line is a curve, a circle for two
standard deviations, and a long step along its tangent leads up the wall of the valley. From Omega = Lambda Lambda' the same step
dLambda leads to

    Omega + t (Lambda dLambda' + dLambda Lambda') = Lambda (I + t S) Lambda',     S = X + X',  X = Lambda^-1 dLambda,

with t = 1, or up to where I + t S becomes singular.

docs/explanation/optimization.md.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ranef.optim.problem import Array, Structure

SHORTEST = 0.05  # a share of the step below which the path is not worth an evaluation
MEMBER = 1e-8  # relative distance from a structure at which a covariance belongs to it


def straight(blocks: Sequence[tuple[slice, Structure]], theta: Array, step: Array) -> Array | None:
    """theta at the end of the path; None where it is short, or a covariance is singular at its start or leaves its structure.

    None, too, for factors that are not linear in theta: the member nearest to a covariance would have to be searched.
    """
    if not blocks:
        return None
    factors, spectra, t = [], [], 1.0
    for where, structure in blocks:
        factor, half, whole = (structure.factor(theta[where] + share * step[where]) for share in (0.0, 0.5, 1.0))
        if not np.allclose(2.0 * half, factor + whole, rtol=MEMBER, atol=0.0):
            return None
        try:
            change = np.linalg.solve(factor, whole - factor)
        except np.linalg.LinAlgError:
            return None
        if not np.isfinite(change).all():
            return None
        values, vectors = np.linalg.eigh(change + change.T)
        factors.append(factor)
        spectra.append((values, vectors))
        t = min(t, -1.0 / min(values[0], -1.0)) if len(values) else t
    if t < SHORTEST:
        return None
    out = theta + t * step
    for (where, structure), factor, (values, vectors) in zip(blocks, factors, spectra, strict=True):
        root = factor @ (vectors * np.sqrt(np.maximum(1.0 + t * values, 0.0)))
        out[where] = structure.of_factor(root)
        found, wanted = structure.factor(out[where]), root @ root.T
        if np.abs(found @ found.T - wanted).max(initial=0.0) > MEMBER * np.abs(wanted).max(initial=0.0):
            return None
    return out
