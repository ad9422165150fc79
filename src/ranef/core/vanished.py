"""The directions in which random effects do not vary, in words."""

from __future__ import annotations

import math

import numpy as np

from ranef.covariance.base import Array

MANY_ZEROS = 10  # variances, beyond which they are counted
MANY = 3  # perfect correlations, beyond which they are counted
TINY = 1e-300


def vanished(factor: Array, names: tuple[str, ...], group: str, rank: int | None = None, tolerance: float = 1e-5) -> list[str]:
    """What a singular k x k factor says, in words: a zero variance, a correlation of +-1, or a rank below that of its structure."""
    k = len(names)
    if not k:
        return []
    sd = np.sqrt(np.add.reduce(factor * factor, axis=1))
    zero = sd <= tolerance
    share = np.log(np.maximum(np.abs(factor.diagonal()), TINY) / np.maximum(sd, TINY)).sum()
    if share > math.log(tolerance) + 0.5 * k * math.log(k) and not zero.any():
        return []  # the determinant of the correlations' factor is at most its smallest singular value times k^(k/2)
    out = [f"the variance of {name} in {group} is zero" for name, z in zip(names, zero, strict=True) if z]
    if len(out) > MANY_ZEROS:
        out = [f"the variances of {len(out)} effects in {group} are zero"]
    rows = np.flatnonzero(~zero)
    if len(rows) < 2:
        return out
    scaled = factor[rows] / sd[rows, None]
    full = min(len(rows), k if rank is None else rank)
    deficient = full - int((np.linalg.svd(scaled, compute_uv=False) > tolerance).sum())
    if deficient <= 0:
        return out
    correlation = scaled @ scaled.T
    perfect = [(i, j) for i in range(len(rows)) for j in range(i) if abs(correlation[i, j]) > 1 - tolerance**2 * k]
    if len(perfect) > MANY:
        return [*out, f"{len(perfect)} correlations of the effects in {group} are +-1"]
    for i, j in perfect:
        sign = "+1" if correlation[i, j] > 0 else "-1"
        out.append(f"the correlation of {names[rows[j]]} and {names[rows[i]]} in {group} is {sign}")
    if not perfect:
        out.append(f"the {len(rows)} random effects of {group} vary in {full - deficient} dimensions only")
    return out
