"""Where the parameters live: terms with the same grouping factor form a block; theta is cut into the terms' pieces.

Derivatives are taken in two stages. The criterion is differentiated with respect to the entries of the relative covariances Omega
(the *directions*: dV/d omega_ab = Z (I kron E_ab) Z', E_ab symmetric), and the chain rule through Omega = Lambda(theta)
Lambda(theta)' is applied here. So no engine knows a covariance structure, and no structure knows an engine.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from ranef.covariance.base import Array, Covariance
from ranef.covariance.factored import is_linear
from ranef.design import RandomTerm

MOST_DIRECTIONS = 800
BROAD = 30  # columns of a block up to which tables are always cheap
LARGE = 2000  # entries of dLambda/dtheta up to which second derivatives are kept as a table


@dataclass(frozen=True)
class Part:
    """The place of one random term: its columns in its block and its stretch of theta."""

    term: int
    columns: slice
    theta: slice
    covariance: Covariance


@dataclass(frozen=True)
class Block:
    """All random effects of one grouping factor: `levels` times `width`."""

    levels: int
    width: int
    parts: tuple[Part, ...]

    @property
    def size(self) -> int:
        return self.levels * self.width


@dataclass(frozen=True)
class Layout:
    blocks: tuple[Block, ...]
    size: int  # length of theta

    @classmethod
    def of(cls, terms: tuple[RandomTerm, ...]) -> Layout:
        """Blocks in the order in which their grouping factors first appear; theta in the order of the terms.

        One object stands for all models of one shape, so that its index tables are made once.
        """
        groups: dict[int, int] = {}
        shapes = [(groups.setdefault(id(term.group), len(groups)), term.group.size, term.covariance) for term in terms]
        return _of_shapes(tuple(shapes))

    def start(self) -> Array:
        theta = np.empty(self.size)
        for _, part in self.parts:
            theta[part.theta] = part.covariance.start()
        return theta

    def multiple(self, size: float) -> Array:
        """The start, `size` times as large."""
        theta = np.empty(self.size)
        for _, part in self.parts:
            own = part.covariance
            theta[part.theta] = own.transformed(own.start(), size * np.eye(own.k))
        return theta

    @cached_property
    def parts(self) -> tuple[tuple[int, Part], ...]:
        """(block index, part) in the order of theta."""
        pairs = [(f, part) for f, block in enumerate(self.blocks) for part in block.parts]
        return tuple(sorted(pairs, key=lambda pair: pair[1].term))

    def factors(self, theta: Array) -> list[Array]:
        """Lambda of each block, (k, k), block-diagonal over its parts."""
        out = [np.zeros((block.width, block.width)) for block in self.blocks]
        for f, part in self.parts:
            out[f][part.columns, part.columns] = part.covariance.factor(theta[part.theta])
        return out

    def canonical(self, theta: Array) -> Array:
        if len(self.parts) == 1:
            return self.parts[0][1].covariance.canonical(theta)
        out = np.empty_like(theta)
        for _, part in self.parts:
            out[part.theta] = part.covariance.canonical(theta[part.theta])
        return out

    @cached_property
    def directions(self) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
        """(block, row a, column b), a >= b within the block, of each free entry of the Omegas; each is (K,)."""
        found = []
        for f, part in self.parts:
            rows, columns = np.nonzero(np.tril(part.covariance.support()))
            found += [(f, part.columns.start + a, part.columns.start + b) for a, b in zip(rows, columns, strict=True)]
        blocks, rows, columns = np.array(found, dtype=np.intp).reshape(-1, 3).T
        return blocks, rows, columns

    @cached_property
    def product_places(self) -> dict[tuple[int, int], tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp], Array]]:
        """For each pair of blocks f <= g: its directions (R,) and (C,), where the four terms of tr E_d A E_e B stand.

        These are places (4, R, C) in the flattened table[b, c, a, d] = sum A_fg[b, c] B_fg[a, d]; then the halves (R, C) of
        diagonal directions.
        """
        f, a, b = self.directions
        half = np.where(a == b, 0.5, 1.0)
        out = {}
        for first in range(len(self.blocks)):
            for second in range(first, len(self.blocks)):
                rows, columns = np.flatnonzero(f == first), np.flatnonzero(f == second)
                a1, b1, a2, b2 = a[rows, None], b[rows, None], a[None, columns], b[None, columns]
                k_f, k_g = self.blocks[first].width, self.blocks[second].width
                terms = ((b1, a2, a1, b2), (b1, b2, a1, a2), (a1, a2, b1, b2), (a1, b2, b1, a2))
                index = np.stack([((w * k_g + x) * k_f + y) * k_g + z for w, x, y, z in terms])
                out[first, second] = (rows, columns, index, half[rows, None] * half[columns])
        return out

    @property
    def wide(self) -> bool:
        """Are the directions so many that tables of pairs of them would not do?"""
        return len(self.directions[0]) > MOST_DIRECTIONS

    @cached_property
    def differenced(self) -> bool:
        """Are second derivatives dearer in tables, which grow with the fourth power of a block's columns, than by differences?"""
        return self.wide or any(block.width > BROAD and 2 * self.size < block.width for block in self.blocks)

    @property
    def table(self) -> float:
        """Bytes of the tables."""
        return 24.0 * float(max((block.width for block in self.blocks), default=0)) ** 4

    @cached_property
    def diagonal(self) -> NDArray[np.bool_]:
        """(K,) which directions are variances."""
        return self.directions[1] == self.directions[2]

    @cached_property
    def places(self) -> Array:
        """(K,) how many entries of Omega a direction moves: one, or two off the diagonal."""
        return np.where(self.diagonal, 1.0, 2.0)

    @cached_property
    def shares(self) -> Array:
        """(K, 1, 1) the factor that makes A + A' of a direction: a half on the diagonal."""
        return np.where(self.diagonal, 0.5, 1.0)[:, None, None]

    @cached_property
    def spans(self) -> tuple[tuple[Part, slice, NDArray[np.intp], NDArray[np.intp]], ...]:
        """Each part in the order of theta, with its stretch of the directions and its own entries (a, b), a >= b."""
        out, at = [], 0
        for _, part in self.parts:
            rows, columns = np.nonzero(np.tril(part.covariance.support()))
            out.append((part, slice(at, at + len(rows)), rows, columns))
            at += len(rows)
        return tuple(out)

    @cached_property
    def _quadratic(self) -> tuple[Array | None, ...]:
        """(K, q, q) d2 omega / d theta2 of the parts in which it is constant, because Lambda is linear in theta."""
        out: list[Array | None] = []
        for part, _, rows, columns in self.spans:
            if not is_linear(part.covariance) or part.covariance.size * part.covariance.k**2 > LARGE:
                out.append(None)
                continue
            d_lam = part.covariance.jacobian(part.covariance.start())
            product = np.einsum("pdl,tdl->dpt", d_lam[:, rows], d_lam[:, columns])
            out.append(product + product.swapaxes(1, 2))
        return tuple(out)

    def jacobian(self, theta: Array) -> Array:
        """(q, K) d omega / d theta."""
        if len(self.parts) == 1 and self._quadratic[0] is not None:
            return (self._quadratic[0] @ theta[: self.size]).T
        out = np.zeros((self.size, len(self.directions[0])))
        for (part, span, rows, columns), constant in zip(self.spans, self._quadratic, strict=True):
            own = theta[part.theta]
            if constant is not None:
                out[part.theta, span] = (constant @ own).T
            elif is_linear(part.covariance):
                d_omega = part.covariance.jacobian(own) @ part.covariance.factor(own).T
                out[part.theta, span] = d_omega[:, rows, columns] + d_omega[:, columns, rows]
            else:
                out[part.theta, span] = part.covariance.gradient(own)[:, rows, columns]
        return out

    def curvature(self, theta: Array, weights: Array) -> Array:
        """(q, q) sum over directions of weights_d d2 omega_d / d theta2."""
        out = np.zeros((self.size, self.size))
        for (part, span, rows, columns), constant in zip(self.spans, self._quadratic, strict=True):
            own = theta[part.theta]
            q = len(own)
            if constant is not None:
                out[part.theta, part.theta] = (weights[span] @ constant.reshape(-1, q * q)).reshape(q, q)
                continue
            k = part.covariance.k
            weight = np.zeros((k, k))  # sum_d w_d omega_d = tr(weight Omega) with weight symmetric
            weight[rows, columns] = weights[span]
            weight = (weight + weight.T) / 2
            if is_linear(part.covariance):
                d_lam = part.covariance.jacobian(own)
                out[part.theta, part.theta] = 2.0 * d_lam.reshape(q, -1) @ (weight @ d_lam).reshape(q, -1).T
            else:
                out[part.theta, part.theta] = np.einsum("klab,ab->kl", part.covariance.second(own), weight)
        return out


@lru_cache(maxsize=64)
def _of_shapes(shapes: tuple[tuple[int, int, Covariance], ...]) -> Layout:
    """From the factor, its number of levels and the covariance of each term."""
    starts = [0, *itertools.accumulate(covariance.size for _, _, covariance in shapes)]
    members: dict[int, list[int]] = {}
    for index, (factor, _, _) in enumerate(shapes):
        members.setdefault(factor, []).append(index)
    blocks = []
    for indices in members.values():
        parts, at = [], 0
        for i in indices:
            width = shapes[i][2].k
            parts.append(Part(i, slice(at, at + width), slice(starts[i], starts[i + 1]), shapes[i][2]))
            at += width
        blocks.append(Block(shapes[indices[0]][1], at, tuple(parts)))
    return Layout(tuple(blocks), starts[-1])
