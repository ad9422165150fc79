"""Repeated measures of complete data: sums of squares in orthonormal contrasts of the cells, and corrections for sphericity.

For the within effect w with orthonormal contrasts C_w (c, d) the scores Y C_w are regressed on the between factors. With H and E
the hypothesis and error matrices of an effect, df of the between part b and e:

    F = (tr H / (b d)) / (tr E / (e d))        partial eta^2 = tr H / (tr H + tr E)
    generalised eta^2 = tr H / (tr H + sum over all error strata of tr E)                    Olejnik and Algina (2003)
    epsilon (Greenhouse and Geisser) = (tr S)^2 / (d tr S^2), S = E / e                      multiplies both df
    epsilon (Huynh and Feldt) = ((e + 1) d eps - 2) / (d (e - d eps))                         with Lecoutre's (1991) correction
    W (Mauchly) = |S| / (tr S / d)^d
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import chdtrc, fdtrc

from ranef.covariance.base import Array
from ranef.errors import ModelError
from ranef.inference.rm_anova.cells import Cells, subsets


@dataclass(frozen=True, eq=False)
class Effect:
    """One line: sums of squares, df, and what is known about sphericity (1 where there is nothing to correct)."""

    term: str
    sum_sq: float
    num_df: float
    error_sq: float
    den_df: float
    gg: float
    hf: float
    mauchly: float
    mauchly_p: float

    @property
    def statistic(self) -> float:
        return (self.sum_sq / self.num_df) / (self.error_sq / self.den_df)

    def p_value(self, epsilon: float) -> float:
        return float(fdtrc(epsilon * self.num_df, epsilon * self.den_df, self.statistic))


def effects(cells: Cells, kind: int) -> tuple[list[Effect], float]:
    """The effects in the order of R's afex, and the sum of all error sums of squares. Raises ModelError without error df."""
    X, terms = between_design(cells)
    e = len(X) - np.linalg.matrix_rank(X)
    if e < 1:
        raise ModelError(f"{len(X)} subjects in {X.shape[1]} groups leave no degrees of freedom for the error.")
    out, errors = [], 0.0
    for inside in subsets(cells.within):
        scores = cells.Y @ contrasts(cells, inside)
        error = _residual(scores, X)
        errors += float(np.trace(error))
        spheres = sphericity(error / e, e)
        for outside in subsets(cells.between):
            if not inside and not outside:
                continue
            H = _hypothesis(scores, X, terms, outside, kind)
            d = scores.shape[1]
            b = len(terms[outside])
            label = ":".join((*outside, *inside))
            out.append(Effect(label, float(np.trace(H)), b * d, float(np.trace(error)), float(e * d), *spheres))
    return out, errors


def contrasts(cells: Cells, inside: tuple[str, ...]) -> Array:
    """(c, d) orthonormal: contrasts of the factors named, means over the others."""
    out = np.ones((1, 1))
    for name, size in zip(cells.within, cells.within_sizes, strict=True):
        mean = np.full((size, 1), 1.0 / np.sqrt(size))
        part = np.linalg.qr(np.hstack([mean, np.eye(size)[:, 1:]]))[0][:, 1:] if name in inside else mean
        out = np.kron(out, part)
    return out


def between_design(cells: Cells) -> tuple[Array, dict[tuple[str, ...], list[int]]]:
    """Sum-to-zero coded columns of all subjects, and the columns of each combination of the between factors."""
    n = len(cells.Y)
    coded = {}
    for i, (name, size) in enumerate(zip(cells.between, cells.between_sizes, strict=True)):
        coded[name] = np.vstack([np.eye(size - 1), -np.ones(size - 1)])[cells.groups[:, i]]
    columns, terms, at = [], {}, 0
    for outside in subsets(cells.between):
        block = np.ones((n, 1))
        for name in outside:
            block = (block[:, :, None] * coded[name][:, None, :]).reshape(n, -1)
        terms[outside] = list(range(at, at + block.shape[1]))
        at += block.shape[1]
        columns.append(block)
    return np.hstack(columns), terms


def _residual(Y: Array, X: Array) -> Array:
    rest = Y - X @ np.linalg.lstsq(X, Y, rcond=None)[0] if X.shape[1] else Y
    return np.asarray(rest.T @ rest)


def _hypothesis(Y: Array, X: Array, terms: dict[tuple[str, ...], list[int]], outside: tuple[str, ...], kind: int) -> Array:
    """H of type II (adjusted for what does not contain the effect) or III (for everything else)."""
    own = set(outside)
    others = [columns for name, columns in terms.items() if (not own <= set(name) if kind == 2 else name != outside)]
    without = X[:, [j for columns in others for j in columns]]
    both = np.hstack([without, X[:, terms[outside]]])
    return _residual(Y, without) - _residual(Y, both)


def sphericity(S: Array, e: int) -> tuple[float, float, float, float]:
    """Both epsilons, Mauchly's W and its p (Anderson 2003, 10.7: the chi-square with its second-order term)."""
    d = len(S)
    if d < 2:
        return 1.0, 1.0, np.nan, np.nan
    gg = float(np.trace(S) ** 2 / (d * np.sum(S * S)))
    hf = ((e + 1) * d * gg - 2.0) / (d * (e - d * gg)) if e > d * gg else 1.0
    if e < d:
        return gg, hf, np.nan, np.nan
    sign, logdet = np.linalg.slogdet(S / (np.trace(S) / d))
    if sign <= 0:
        return gg, hf, 0.0, 0.0
    f = d * (d + 1) / 2.0 - 1.0
    rho = 1.0 - (2.0 * d**2 + d + 2.0) / (6.0 * d * e)
    second = (d + 2.0) * (d - 1.0) * (d - 2.0) * (2.0 * d**3 + 6.0 * d**2 + 3.0 * d + 2.0) / (288.0 * (e * d * rho) ** 2)
    z = -e * rho * logdet
    first = float(chdtrc(f, z))
    return gg, hf, float(np.exp(logdet)), first + second * (float(chdtrc(f + 4.0, z)) - first)
