"""R(rho): the covariance of the residuals of any rows of one subject, and its derivatives.

    R_ij = g_i g_j (C_ij + [i = j] tau^2)

C comes from a structure over visits (C_ij = Omega[v_i, v_j]) or from a correlation that is a function of the distance of two rows
(C_ij = sd^2 c(|x_i - x_j|)), g from variance functions, tau^2 is the nugget where one is asked for. rho holds the parameters of the
structure, then tau, then those of the variance functions. All results are for stacks of U sets of n rows; derivation in
docs/explanation/residual-structures.md, eq. 3-6.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ranef.core.vanished import vanished
from ranef.covariance.base import Array, Covariance
from ranef.covariance.correlation import Kernel
from ranef.covariance.diagonal import Diagonal
from ranef.covariance.identity import Identity
from ranef.covariance.scaled import Scaled
from ranef.covariance.variance_functions import VarianceFunction
from ranef.design import ResidualTerm

Index = NDArray[np.intp]
ZERO = 1e-5  # a standard deviation, in standardised units, that is not told from zero


@dataclass(frozen=True, eq=False)
class RowCovariance:
    """The parameters rho and where each kind begins; `unit` is the user's scale of one standardised unit."""

    term: ResidualTerm
    unit: float = 1.0

    @property
    def structure(self) -> Covariance:
        return self.term.structure

    @property
    def kernel(self) -> Kernel:
        """The correlation as a function of distance, for a term with coordinates."""
        assert isinstance(self.structure, Scaled) and isinstance(self.structure.correlation, Kernel)
        return self.structure.correlation

    @property
    def functions(self) -> tuple[tuple[VarianceFunction, Array], ...]:
        return self.term.functions

    @property
    def nugget(self) -> int:
        return int(self.term.nugget)

    @cached_property
    def spans(self) -> tuple[slice, ...]:
        """The stretch of rho of the structure, of the nugget, and of each variance function."""
        sizes = [self.structure.size, self.nugget, *(function.size for function, _ in self.functions)]
        ends = list(itertools.accumulate(sizes))
        return tuple(slice(end - size, end) for size, end in zip(sizes, ends, strict=True))

    @property
    def size(self) -> int:
        return self.spans[-1].stop

    def canonical(self, rho: Array) -> Array:
        out = rho.copy()
        out[self.spans[0]] = self.structure.canonical(rho[self.spans[0]])
        out[self.spans[1]] = np.abs(rho[self.spans[1]])
        return out

    def rescale(self, rho: Array, factor: float) -> None:
        """Multiply all standard deviations by a factor, in place."""
        own = self.spans[0]
        rho[own] = self.structure.transformed(rho[own], factor * np.eye(self.structure.k))
        rho[self.spans[1]] *= factor

    def at(self, rho: Array) -> Residuals:
        return Residuals(self, rho)

    def zeros(self, rho: Array) -> NDArray[np.bool_]:
        """(q,) the standard deviations that are zero: those of `id` and `diag`, that of a nugget."""
        linear = np.zeros(self.size, dtype=bool)
        linear[self.spans[0]] = isinstance(self.structure, Diagonal | Identity)
        linear[self.spans[1]] = True
        return linear & (np.abs(rho) <= ZERO)

    def vanished(self, rho: Array) -> tuple[str, ...]:
        """Variances that are zero and correlations that are one, in words."""
        own = rho[self.spans[0]]
        if self.term.coordinates is not None:
            found = [f"the variance of {self.term.label} beside its nugget is zero"] if abs(own[0]) <= ZERO else []
        elif self.term.known is None and len(own):
            names = self.term.visits if len(self.term.visits) > 1 else ("the rows",)
            found = vanished(self.structure.factor(own), names, "the residuals")
        else:
            found = []
        if (np.abs(rho[self.spans[1]]) <= ZERO).any():
            found.append("the nugget is zero")
        return tuple(found)


@dataclass(frozen=True, eq=False)
class Residuals:
    """R at rho; `rows` (U, n) are positions in the design."""

    owner: RowCovariance
    rho: Array

    @property
    def own(self) -> Array:
        """The parameters of the structure."""
        return self.rho[self.owner.spans[0]]

    @cached_property
    def _omega(self) -> Array:
        return self.owner.structure.matrix(self.own)

    @cached_property
    def _first(self) -> Array:
        return self.owner.structure.gradient(self.own)

    @cached_property
    def _second(self) -> Array:
        return self.owner.structure.second(self.own)

    @property
    def by_visit(self) -> bool:
        return self.owner.term.coordinates is None

    def matrix(self, rows: Index) -> Array:
        """(U, n, n) R, known sampling variances included."""
        out, known = self._estimated(rows), self.owner.term.known
        if known is not None:
            at = np.arange(rows.shape[1])
            out[:, at, at] += known[rows] / self.owner.unit**2
        return out

    def _estimated(self, rows: Index) -> Array:
        scale = self._scales(rows)
        out = self._core(rows) * (scale[:, :, None] * scale[:, None, :])
        if self.owner.nugget:
            at = np.arange(rows.shape[1])
            out[:, at, at] += self._tau**2 * scale**2
        return out

    def first(self, rows: Index) -> Array:
        """(q, U, n, n) derivatives in rho."""
        U, n = rows.shape
        out = np.zeros((self.owner.size, U, n, n))
        scale = self._scales(rows)
        pair, at = scale[:, :, None] * scale[:, None, :], np.arange(n)
        out[self.owner.spans[0]] = self._core_first(rows) * pair
        if self.owner.nugget:
            out[self.owner.spans[1].start, :, at, at] = 2.0 * self._tau * (scale**2).T
        if self.owner.functions:
            whole = self._estimated(rows)
            for span, a in zip(self.owner.spans[2:], self._slopes(rows), strict=True):
                out[span] = whole * _pairwise(a)
        return out

    def bend(self, rows: Index, weights: Array) -> Array:
        """(q, q) sums of symmetric weights (U, n, n) times the second derivatives."""
        spans, scale = self.owner.spans, self._scales(rows)
        out = np.zeros((self.owner.size, self.owner.size))
        G = weights * (scale[:, :, None] * scale[:, None, :])
        out[spans[0], spans[0]] = self._core_bend(rows, G)
        trace = np.einsum("unn->un", G)
        if self.owner.nugget:
            out[spans[1], spans[1]] = 2.0 * trace.sum()
        if not self.owner.functions:
            return out
        first, whole = self._core_first(rows), self._estimated(rows) * weights
        slopes = list(zip(spans[2:], self._slopes(rows), strict=True))
        for (span, a), (function, values) in zip(slopes, self.owner.functions, strict=True):
            s = _pairwise(a)
            cross = np.einsum("kuij,luij->kl", first * G, s)
            out[spans[0], span], out[span, spans[0]] = cross, cross.T
            if self.owner.nugget:
                mixed = 4.0 * self._tau * np.einsum("un,lun->l", trace, a)
                out[spans[1], span], out[span, spans[1]] = mixed, mixed[:, None]
            for other, b in slopes:
                out[span, other] = np.einsum("kuij,luij->kl", whole * s, _pairwise(b))
            curve = function.curvature(values[rows], self.rho[span])
            out[span, span] += 2.0 * np.einsum("uij,klui->kl", whole, curve)
        return out

    def combined(self, rows: Index, weights: Array) -> Array:
        """(U, n, n) sum of weights_kl (q, q, symmetric) times the second derivatives."""
        spans, scale = self.owner.spans, self._scales(rows)
        pair, at = scale[:, :, None] * scale[:, None, :], np.arange(rows.shape[1])
        out = self._core_combined(rows, weights[spans[0], spans[0]]) * pair
        if self.owner.nugget:
            out[:, at, at] += 2.0 * float(weights[spans[1], spans[1]].sum()) * scale**2
        if not self.owner.functions:
            return out
        first, whole = self._core_first(rows), self._estimated(rows)
        slopes = list(zip(spans[2:], self._slopes(rows), strict=True))
        for (span, a), (function, values) in zip(slopes, self.owner.functions, strict=True):
            s = _pairwise(a)
            out += 2.0 * np.einsum("kl,kuij,luij->uij", weights[spans[0], span], first, s, optimize=True) * pair
            if self.owner.nugget:
                out[:, at, at] += 8.0 * self._tau * scale**2 * np.tensordot(weights[spans[1], span].sum(axis=0), a, 1)
            for other, b in slopes:
                out += whole * np.einsum("kl,kuij,luij->uij", weights[span, other], s, _pairwise(b), optimize=True)
            curve = np.tensordot(weights[span, span], function.curvature(values[rows], self.rho[span]), 2)
            out += whole * (curve[:, :, None] + curve[:, None, :])
        return out

    def visit_forms(self, products: Array) -> Array:
        """(q, c, c) sums over pairs of visits of derivatives of Omega times products (T, T, c, c)."""
        return np.tensordot(self._first, products, 2)

    # -- the structure without scales

    def _core(self, rows: Index) -> Array:
        if self.by_visit:
            v = self.visits(rows)
            return self._omega[v[:, :, None], v[:, None, :]]
        return self.own[0] ** 2 * self._kernel(rows)[0]

    def _core_first(self, rows: Index) -> Array:
        if self.by_visit:
            v = self.visits(rows)
            return self._first[:, v[:, :, None], v[:, None, :]]
        value, first, _ = self._kernel(rows)
        sd = self.own[0]
        return np.concatenate([2.0 * sd * value[None], sd**2 * first])

    def _core_bend(self, rows: Index, weights: Array) -> Array:
        if self.by_visit:
            v, k = self.visits(rows), self.owner.structure.k
            flat = (v[:, :, None] * k + v[:, None, :]).ravel()
            total = np.bincount(flat, weights=weights.ravel(), minlength=k * k)
            return self._second.reshape(len(self.own), len(self.own), k * k) @ total
        value, first, second = self._kernel(rows)
        sd, c = self.own[0], len(first)
        out = np.empty((c + 1, c + 1))
        out[0, 0] = 2.0 * np.sum(weights * value)
        out[0, 1:] = out[1:, 0] = 2.0 * sd * np.einsum("uij,kuij->k", weights, first)
        out[1:, 1:] = sd**2 * np.einsum("uij,kluij->kl", weights, second)
        return out

    def _core_combined(self, rows: Index, weights: Array) -> Array:
        if self.by_visit:
            v = self.visits(rows)
            return np.tensordot(weights, self._second, 2)[v[:, :, None], v[:, None, :]]
        value, first, second = self._kernel(rows)
        sd = self.own[0]
        out = 2.0 * weights[0, 0] * value + sd**2 * np.tensordot(weights[1:, 1:], second, 2)
        return out + 4.0 * sd * np.tensordot(weights[0, 1:], first, 1)

    def visits(self, rows: Index) -> Index:
        """(U, n) the position of each row in the structure."""
        assert self.owner.term.visit is not None
        return self.owner.term.visit[rows]

    def _kernel(self, rows: Index) -> tuple[Array, Array, Array]:
        """The correlation and its derivatives at the distances of the rows."""
        x = self.owner.term.coordinates
        assert x is not None
        points = x[rows]
        gaps = points[:, :, None, :] - points[:, None, :, :]
        distance = np.abs(gaps[..., 0]) if gaps.shape[-1] == 1 else np.sqrt(np.einsum("uijd,uijd->uij", gaps, gaps))
        return self.owner.kernel.correlation(distance, self.own[1:])

    # -- scales

    @property
    def _tau(self) -> float:
        return float(self.rho[self.owner.spans[1].start])

    def _scales(self, rows: Index) -> Array:
        """(U, n) g."""
        out = np.zeros(rows.shape)
        for span, (function, values) in zip(self.owner.spans[2:], self.owner.functions, strict=True):
            out += function.log_scale(values[rows], self.rho[span])
        return np.exp(out)

    def _slopes(self, rows: Index) -> list[Array]:
        """For each variance function (q, U, n): the derivatives of log g."""
        pairs = zip(self.owner.spans[2:], self.owner.functions, strict=True)
        return [function.slopes(values[rows], self.rho[span]) for span, (function, values) in pairs]


def _pairwise(a: Array) -> Array:
    """(q, U, n, n) a_i + a_j."""
    return a[:, :, :, None] + a[:, :, None, :]
