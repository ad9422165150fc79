"""The maps of `standard` for few rows: all columns side by side, so that each step is one call for all of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ranef.core.kernels import columns
from ranef.core.layout import Layout
from ranef.core.standard import COLLINEAR, Standard, binary, cholesky_share, constant_column, reach, term_scale
from ranef.covariance.base import Array
from ranef.design import Design


@dataclass(frozen=True, eq=False)
class Joint:
    """[X y Z_1 Z_2 ...], and where the columns of each term stand."""

    values: Array  # (n, p + 1 + columns of Z), column-major: sums over rows run along the memory
    terms: tuple[slice, ...]

    @classmethod
    def of(cls, design: Design) -> Joint:
        y = design.y if design.offset is None else design.y - design.offset
        parts, terms = [design.X.T, y[None]], []
        at = len(design.names) + 1
        for term in design.terms:
            stop = at if term.z is None else at + term.width
            terms.append(slice(at, stop))
            if term.z is not None:
                parts.append(term.z.T)
            at = stop
        return cls(np.concatenate(parts).T, tuple(terms))


def standardise_at_once(design: Design, layout: Layout) -> Standard | None:
    """The maps of a design with an intercept and without weights; None where the columns of X are too close to collinear."""
    joint, p = Joint.of(design), len(design.names)
    A, places = joint.values, joint.terms
    center, top, constants = _centers(design, joint)
    A -= center
    scale = _scales(A, design, top, places, constants)
    A /= scale
    X = A[:, :p]
    upper = cholesky_share(X.T @ X, COLLINEAR)
    if upper is None:
        return None
    shift = np.zeros(p)
    shift[design.intercept] = center[p]
    own = [
        (np.zeros(1), np.ones(1)) if term.z is None else (center[at], scale[at])
        for term, at in zip(design.terms, places, strict=True)
    ]
    return Standard(
        design, layout, tuple(range(p)), center[:p], scale[:p], upper, np.zeros((p, 0)), None, shift, float(scale[p]),
        tuple(z_center for z_center, _ in own), tuple(z_scale for _, z_scale in own), constants,
        A.T[[*range(p), *range(p + 1, A.shape[1])]].T,
    )  # fmt: skip


def _centers(design: Design, joint: Joint) -> tuple[Array, Array, tuple[int | None, ...]]:
    """Of all columns: what is subtracted, and the largest distance from it; of each term: its column of ones."""
    p, constants = len(design.names), []
    center, low, high = columns.summary(joint.values)
    center[design.intercept] = 0.0
    for term, at in zip(design.terms, joint.terms, strict=True):
        constant = None if term.z is None else constant_column(term, low[at], high[at])
        constants.append(constant)
        center[at if constant is None else at.start + constant] = 0.0
    top = reach(center, low, high)
    top[p] = max(high[p] - center[p], center[p] - low[p])
    return center, top, tuple(constants)


def _scales(A: Array, design: Design, top: Array, places: tuple[slice, ...], constants: tuple[int | None, ...]) -> Array:
    """Root mean squares of centred columns, one for columns of zeros; ones stay ones. For X, powers of two about them."""
    unit = A / np.where(top > 0.0, top, 1.0)
    unit *= unit
    scale = top * np.sqrt(np.add.reduce(unit, axis=0) / len(A))
    p = len(design.names)
    scale[scale == 0.0] = 1.0
    scale[:p] = binary(scale[:p])
    for term, at, constant in zip(design.terms, places, constants, strict=True):
        if term.z is not None:
            scale[at] = term_scale(term, scale[at], constant)
    return scale
