"""Structures made of structures: a Kronecker product, and one structure for each of several groups.

In a product the scale is kept in the first factor: the first parameter of the second, which is a scale in every structure, is held
at its start, where the first diagonal entry of its matrix is one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import block_diag

from ranef.covariance.base import Array, Closure, Covariance
from ranef.covariance.jets import Jet, concatenate
from ranef.covariance.natural import Natural, Parameter
from ranef.covariance.roots import cholesky


@dataclass(frozen=True)
class Kronecker(Covariance):
    """A (x) B, for the positions (i of A, j of B) in the order i k_B + j."""

    first_factor: Covariance
    second_factor: Covariance
    closure: Closure = "scalar"

    @property
    def k(self) -> int:  # type: ignore[override]
        return self.first_factor.k * self.second_factor.k

    @property
    def word(self) -> str:
        return f"{self.first_factor.word} @ {self.second_factor.word}"

    @property
    def rank(self) -> int:
        return self.first_factor.rank * self.second_factor.rank

    @property
    def size(self) -> int:
        return self.first_factor.size + self.second_factor.size - 1

    def split(self, theta: Array) -> tuple[Array, Array]:
        """The parameters of both factors in full."""
        at = self.first_factor.size
        return theta[:at], np.append(self.second_factor.start()[:1], theta[at:])

    def _joined(self, a: Array, b: Array) -> Array:
        return np.append(a, b[1:])

    def start(self) -> Array:
        return self._joined(self.first_factor.start(), self.second_factor.start())

    def _jets(self, a: Jet, b: Jet) -> tuple[Jet, Jet]:
        """Both among all parameters."""
        b = Jet(b.value, b.first[1:], b.second[1:, 1:])
        return a.embedded(self.size, 0), b.embedded(self.size, len(a.first))

    def jet(self, theta: Array) -> Jet:
        own, other = self.split(theta)
        a, b = self._jets(self.first_factor.jet(own), self.second_factor.jet(other))
        return (a[:, None, :, None] * b[None, :, None, :]).reshape(self.k, self.k)

    def matrix(self, theta: Array) -> Array:
        a, b = self.split(theta)
        return np.asarray(np.kron(self.first_factor.matrix(a), self.second_factor.matrix(b)), dtype=np.float64)

    def gradient(self, theta: Array) -> Array:
        return self.jet(theta).first

    def second(self, theta: Array) -> Array:
        return self.jet(theta).second

    def factor(self, theta: Array) -> Array:
        a, b = self.split(theta)
        return np.asarray(np.kron(self.first_factor.factor(a), self.second_factor.factor(b)), dtype=np.float64)

    def jacobian(self, theta: Array) -> Array:
        a, b = self.split(theta)
        first, second = self.first_factor, self.second_factor
        left = [np.kron(slope, second.factor(b)) for slope in first.jacobian(a)]
        right = [np.kron(first.factor(a), slope) for slope in second.jacobian(b)[1:]]
        return np.array([*left, *right])

    def of_factor(self, factor: Array) -> Array:
        """From the nearest product, the first singular pair of the rearranged matrix: Van Loan and Pitsianis (1993)."""
        m, n = self.first_factor.k, self.second_factor.k
        tiles = (factor @ factor.T).reshape(m, n, m, n).transpose(0, 2, 1, 3).reshape(m * m, n * n)
        left, values, right = np.linalg.svd(tiles, full_matrices=False)
        A, B = left[:, 0].reshape(m, m), right[0].reshape(n, n)
        sign = -1.0 if np.trace(A) < 0.0 else 1.0
        scale = B[0, 0] * sign
        if not values[0] > 0.0 or not scale > 0.0:
            A, B, scale = np.eye(m), np.eye(n), 1.0
        A, B = A * sign * values[0] * scale, B * sign / scale
        return self._joined(self.first_factor.of_factor(cholesky(A)), self.second_factor.of_factor(cholesky(B)))

    def canonical(self, theta: Array) -> Array:
        a, b = self.split(theta)
        return self._joined(self.first_factor.canonical(a), self.second_factor.canonical(b))

    def support(self) -> NDArray[np.bool_]:
        return np.kron(self.first_factor.support(), self.second_factor.support())

    def transformed(self, theta: Array, T: Array) -> Array:
        a, b = self.split(theta)
        return self._joined(
            self.first_factor.transformed(a, T[0, 0] * np.eye(self.first_factor.k)), self.second_factor.canonical(b)
        )

    def natural(self, theta: Array, labels: tuple[str, ...]) -> Natural:
        """Those of the second factor are relative to the scale that the first one keeps."""
        a, b = self.split(theta)
        n = self.second_factor.k
        parts = [label.split(":") for label in labels]
        own = tuple(part[0] for part in parts[::n])
        other = tuple(part[-1] for part in parts[:n])
        left, right = self.first_factor.natural(a, own), self.second_factor.natural(b, other)
        jets = self._jets(left.jet, right.jet[1:])
        return Natural((*left.parameters, *right.parameters[1:]), concatenate(jets))

    def kr_parameters(self, theta: Array) -> Jet:
        a, b = self.split(theta)
        return concatenate(self._jets(self.first_factor.kr_parameters(a), self.second_factor.kr_parameters(b)[1:]))


@dataclass(frozen=True)
class ByGroup(Covariance):
    """A block for each group, with parameters of its own: the positions of the first group, then those of the second, ...

    Labels of the columns are `group:position`.
    """

    each: Covariance
    groups: int

    @property
    def k(self) -> int:  # type: ignore[override]
        return self.each.k * self.groups

    @property
    def word(self) -> str:
        return self.each.word

    @property
    def closure(self) -> Closure:
        return "scalar" if self.each.closure == "scalar" else "diagonal"

    @property
    def size(self) -> int:
        return self.each.size * self.groups

    def split(self, theta: Array) -> list[Array]:
        """The parameters of each group."""
        return list(np.split(np.asarray(theta), self.groups))

    def start(self) -> Array:
        return np.tile(self.each.start(), self.groups)

    def matrix(self, theta: Array) -> Array:
        return np.asarray(block_diag(*map(self.each.matrix, self.split(theta))))

    def gradient(self, theta: Array) -> Array:
        return self._spread(map(self.each.gradient, self.split(theta)))

    def jacobian(self, theta: Array) -> Array:
        return self._spread(map(self.each.jacobian, self.split(theta)))

    def second(self, theta: Array) -> Array:
        q, k = self.each.size, self.each.k
        out = np.zeros((self.size, self.size, self.k, self.k))
        for g, own in enumerate(self.split(theta)):
            theirs, place = slice(g * q, (g + 1) * q), slice(g * k, (g + 1) * k)
            out[theirs, theirs, place, place] = self.each.second(own)
        return out

    def _spread(self, blocks: Iterable[Array]) -> Array:
        q, k = self.each.size, self.each.k
        out = np.zeros((self.size, self.k, self.k))
        for g, block in enumerate(blocks):
            out[g * q : (g + 1) * q, g * k : (g + 1) * k, g * k : (g + 1) * k] = block
        return out

    def factor(self, theta: Array) -> Array:
        return np.asarray(block_diag(*map(self.each.factor, self.split(theta))))

    def of_factor(self, factor: Array) -> Array:
        rows = np.split(factor, self.groups)
        return np.concatenate([self.each.of_factor(own) for own in rows])

    def canonical(self, theta: Array) -> Array:
        return np.concatenate([self.each.canonical(own) for own in self.split(theta)])

    def support(self) -> NDArray[np.bool_]:
        return np.asarray(block_diag(*[self.each.support()] * self.groups), dtype=bool)

    def transformed(self, theta: Array, T: Array) -> Array:
        k = self.each.k
        tiles = [T[g * k : (g + 1) * k, g * k : (g + 1) * k] for g in range(self.groups)]
        return np.concatenate([self.each.transformed(own, tile) for own, tile in zip(self.split(theta), tiles, strict=True)])

    def natural(self, theta: Array, labels: tuple[str, ...]) -> Natural:
        k, q = self.each.k, self.each.size
        parameters: list[Parameter] = []
        jets: list[Jet] = []
        for g, own in enumerate(self.split(theta)):
            parts = [label.partition(":") for label in labels[g * k : (g + 1) * k]]
            name = parts[0][0]
            found = self.each.natural(own, tuple(rest or first for first, _, rest in parts))
            parameters += [Parameter(p.kind, f"{p.of}[{name}]" if p.of else name, p.bounds) for p in found.parameters]
            jets.append(found.jet.embedded(self.size, g * q))
        return Natural(tuple(parameters), concatenate(jets))

    def kr_parameters(self, theta: Array) -> Jet:
        q = self.each.size
        return concatenate([self.each.kr_parameters(own).embedded(self.size, g * q) for g, own in enumerate(self.split(theta))])
