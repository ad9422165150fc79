"""Random terms that say nothing new beside another on the same groups, as (1 | g) beside (0 + f | g) for a factor f, or (1 | g : h)
beside (1 | g) where each level of g has one of h.

With the columns of a term z_1 = z_2 A, every covariance Omega_1 of its effects is the covariance A Omega_1 A' of effects of the
other term, which may have any: the variances of the two cannot be told apart, and the model is the same without the first.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ranef.covariance.base import Array
from ranef.design import Design, RandomTerm
from ranef.errors import Finding

SPANNED = 1e-6  # what a column may differ from combinations of others, relative to its size
FEW = 64  # rows that are looked at first
PLAIN = ("un", "diag", "id")


def overlap_findings(design: Design) -> list[Finding]:
    return [_finding(design.terms[i], design.terms[j]) for i, j in special_cases(design.terms).items()]


def _finding(term: RandomTerm, other: RandomTerm) -> Finding:
    f, g = term.group, other.group
    if frozenset(f.variables) == frozenset(g.variables):
        why, more = "", "; for a factor f without correlations write diag(f | g)"
    else:
        why, more = f", because {f.name} and {g.name} divide the rows in the same way", ""
    return Finding(
        "overlapping_random_terms", "warning",
        f"{term.label} is a special case of {other.label}{why}: the data cannot tell its variance from theirs.",
        f"Leave {term.label} out, the fit stays the same{more}.",
        {"term": term.label, "within": other.label},
    )  # fmt: skip


def special_cases(terms: Sequence[RandomTerm]) -> dict[int, int]:
    """The places of terms that are special cases of others, and the places of those others."""
    found: dict[int, int] = {}
    for i, term in enumerate(terms):
        if term.covariance.word not in PLAIN or term.levels is not None:
            continue
        for j, other in enumerate(terms):
            if j != i and j not in found and other.covariance.word == "un" and columns_within(term, other) is not None:
                found[i] = j
                break
    return found


def columns_within(term: RandomTerm, other: RandomTerm) -> Array | None:
    """(k, r) A with z = z_other A for terms with the same groups; None where there is none."""
    if not _same_groups(term, other):
        return None
    n = len(term.group.codes)
    small, large = (np.ones((n, 1)) if one.z is None else one.z for one in (term, other))
    if n > FEW and _combinations(small[:: n // FEW], large[:: n // FEW]) is None:
        return None
    return _combinations(small, large)


def _same_groups(term: RandomTerm, other: RandomTerm) -> bool:
    """Do their grouping factors divide the rows in the same way, whatever they are called?"""
    f, g = term.group, other.group
    if f.size != g.size:
        return False
    if frozenset(f.variables) == frozenset(g.variables) or term.levels is not None or other.levels is not None:
        return frozenset(f.variables) == frozenset(g.variables)
    image = np.empty(f.size, dtype=g.codes.dtype)
    image[f.codes] = g.codes
    return bool(np.all(image[f.codes] == g.codes))


def _combinations(small: Array, large: Array) -> Array | None:
    size = np.sqrt(np.mean(large**2, axis=0))
    size = np.where(size > 0, size, 1.0)
    A = np.linalg.lstsq(large / size, small, rcond=1e-10)[0] / size[:, None]
    rest = np.abs(small - large @ A).max(axis=0)
    if np.any(rest > SPANNED * np.abs(small).max(axis=0)):
        return None
    scale = np.abs(A) * size[:, None]
    return np.where(scale > SPANNED * scale.max(axis=0), A, 0.0)
