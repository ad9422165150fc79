"""Balanced crossed and nested random intercepts: the optimum from mean squares, and the only one.

The averages P_f over the levels of each factor commute, and take X into the span of X. So they cut the space orthogonal to X into
strata, each with one variance for every theta: on the stratum that the factors A keep and the others annihilate

    lambda_A = sigma^2 (1 + sum over A of n_f omega_f),      n_f the rows of a level of f.

Let the strata that are not empty be the residual stratum and one for each factor f, A_f = {f} and the factors of another stratum,
its parent. Then the criterion is, up to a constant,

    sum over strata of d_A log lambda_A + SS_A / lambda_A,        lambda_child >= lambda_parent

with d_A the dimensions under REML; under ML those of the stratum with X. It is convex in the 1 / lambda_A on a convex set, so there
is one optimum: the mean squares SS_A / d_A, each pooled with that of its parent while it is smaller (Thompson 1962, Ann. Math.
Statist. 33, 273).

docs/explanation/likelihood.md, eq. 28a-28b.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ranef.core.gram import Gram
from ranef.covariance.base import Array

EXACT = 1e-9  # share of a squared length that counts as rounding
MOST = 6  # factors, whose strata double with each
RESIDUAL: frozenset[int] = frozenset()


@dataclass(frozen=True, eq=False)
class Tree:
    """The strata that have dimensions, one for each factor f and the residual one; the parent of A_f is A_f - {f}."""

    own: tuple[frozenset[int], ...]  # A_f of each factor f
    degrees: Mapping[frozenset[int], int]

    @classmethod
    def of(cls, degrees: Mapping[frozenset[int], int], factors: int) -> Tree | None:
        """None where there are other strata than one for each factor and one for the residual."""
        present = {A: d for A, d in degrees.items() if d > 0}
        own = []
        for f in range(factors):
            found = [A for A in present if f in A and A - {f} in present]
            if len(found) != 1:
                return None
            own.append(found[0])
        return cls(tuple(own), present) if len(present) == factors + 1 == len({*own, RESIDUAL}) else None

    def pooled(self, squares: Mapping[frozenset[int], float]) -> dict[frozenset[int], float]:
        """lambda_A from sums of squares: the smallest mean square is final, or pooled with its parent's, and so on."""
        total, degrees = dict(squares), dict(self.degrees)
        above: dict[frozenset[int], frozenset[int] | None] = {A: A - {f} for f, A in enumerate(self.own)}
        above[RESIDUAL] = None
        members = {A: [A] for A in above}
        out = {}
        while above:
            least = min(above, key=lambda A: total[A] / degrees[A])
            parent = above.pop(least)
            heir = parent if parent in above else None
            above = {A: heir if up == least else up for A, up in above.items()}
            if heir is None:
                out.update(dict.fromkeys(members[least], total[least] / degrees[least]))
            else:
                total[heir] += total[least]
                degrees[heir] += degrees[least]
                members[heir] += members[least]
        return out


@dataclass(frozen=True, eq=False)
class Orthogonal:
    """What the closed form needs besides the response; it exists for balanced designs only."""

    sizes: Array  # (K,) n_f
    projections: Mapping[frozenset[int], Array]  # (c, c) on the part of each stratum in the span of Z
    reml: Tree | None
    ml: Tree | None

    @classmethod
    def of(cls, gram: Gram, roots: Sequence[Array], x: Array) -> Orthogonal | None:
        """From Z_f (c, m_f) and X_s (c, r) in an orthonormal basis of the span of Z; None where the design is not balanced."""
        blocks, c = gram.layout.blocks, len(x)
        if len(blocks) > MOST or any(len(b.parts) != 1 or b.width != 1 or b.parts[0].covariance.word != "un" for b in blocks):
            return None
        sizes = np.array([zz[0, 0, 0] for zz in gram.zz])
        if any(np.abs(zz - n).max() > EXACT * n for zz, n in zip(gram.zz, sizes, strict=True)):
            return None
        averages = [root @ root.T / n for root, n in zip(roots, sizes, strict=True)]
        if not (all(_keeps(P, x) for P in averages) and all(_commute(P, Q) for P, Q in itertools.combinations(averages, 2))):
            return None
        strata: dict[frozenset[int], Array] = {RESIDUAL: np.eye(c)}
        for f, P in enumerate(averages):
            kept = {A: Q @ P for A, Q in strata.items()}
            strata = {**{A | {f}: Q for A, Q in kept.items()}, **{A: Q - kept[A] for A, Q in strata.items()}}
        all_of = {A: round(float(Q.trace())) for A, Q in strata.items()}
        fixed = {A: round(float(np.vdot(x, Q @ x))) for A, Q in strata.items()}
        all_of[RESIDUAL] += gram.nobs - c
        fixed[RESIDUAL] += gram.rank - sum(fixed.values())
        left = {A: d - fixed[A] for A, d in all_of.items()}
        trees = Tree.of(left, len(blocks)), Tree.of(all_of, len(blocks))
        return None if trees == (None, None) else cls(sizes, strata, *trees)

    def tree(self, reml: bool) -> Tree | None:
        return self.reml if reml else self.ml

    def variances(self, E: Array, rest: Array, reml: bool) -> Array | None:
        """(K,) the best omega_f, from [X_s y] (c, r+1) in that basis and what it leaves of [X_s y]'[X_s y].

        None where there is no formula.
        """
        tree, r = self.tree(reml), len(rest) - 1
        if tree is None:
            return None
        turn = -(rest[r] + E[:, r] @ E)  # -X'y where X'X = I
        turn[r] = 1.0
        e = E @ turn
        squares = {A: float(e @ self.projections[A] @ e) for A in tree.degrees}
        squares[RESIDUAL] += float(turn @ rest @ turn)
        if not squares[RESIDUAL] > 0.0:
            return None
        pooled = tree.pooled(squares)
        gain = np.array([pooled[A] - pooled[A - {f}] for f, A in enumerate(tree.own)])
        return np.maximum(gain, 0.0) / (self.sizes * pooled[RESIDUAL])


def _keeps(P: Array, x: Array) -> bool:
    """Does the projection P take X into its span? tr C - tr C^2, C = X'PX, is the squared length of what leaves it."""
    C = x.T @ P @ x
    length = float(C.trace())
    return length - float(np.vdot(C, C)) <= EXACT * (1.0 + length)


def _commute(P: Array, Q: Array) -> bool:
    PQ = P @ Q
    return bool(np.abs(PQ - PQ.T).max(initial=0.0) <= EXACT)
