"""The same model with a few more columns of X, many times over: only the sums with those columns are new.

X_s is orthonormal (in the metric of the weights), so columns A that are made orthogonal to it row by row leave all other sums as
they are. With A = X_s C + Q R, Q'Q = I,

    [X_s Q y]'[X_s Q y]  has  Q'X_s = 0 and Q'Q = I,     Z'[X_s Q y]  has  Z'Q beside the old sums,     [X A] = [X_s Q] [R_X C; 0 R]

docs/explanation/diagnostics.md, eq. 9.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from scipy.linalg import lapack

from ranef.core.gram import Gram, Index, block_codes, block_columns
from ranef.core.kernels import sums
from ranef.core.kernels.twins import load
from ranef.core.standard import ALIASED
from ranef.covariance.base import Array

TIMES = 2  # projections on X, after which rounding is all that is left


@dataclass(frozen=True, eq=False)
class Widened:
    """Some sets of columns, orthogonal to X and orthonormal within each set, in the order of the sets."""

    gram: Gram  # of the model without them
    Q: Array  # (n, c) times the roots of the weights; zero for columns that are aliased
    C: Array  # (r, c)
    R: Array  # (sets, k, k), upper
    center: Array  # (c,)
    scale: Array
    zq: tuple[Array, ...]  # per block (m, k_f, c)
    qy: Array  # (c,)

    @classmethod
    def of(cls, gram: Gram, w: Array, A: Array, width: int) -> Widened:
        """`w` (n, r+1) are the columns [X_s y_s] and A (n, c) the new ones, c a multiple of `width`, without weights."""
        design, r = gram.standard.design, gram.rank
        root = None if design.weights is None else np.sqrt(design.weights)
        center = A.mean(axis=0) if design.intercept is not None else np.zeros(A.shape[1])
        Q = A - center
        scale = np.sqrt(np.mean(Q**2, axis=0))
        scale[scale == 0.0] = 1.0
        Q /= scale
        if root is not None:
            w, Q = w * root[:, None], Q * root[:, None]
        length, C = np.linalg.norm(Q, axis=0), np.zeros((r, A.shape[1]))
        for _ in range(TIMES):
            overlap = w[:, :r].T @ Q
            Q -= w[:, :r] @ overlap
            C += overlap
        R = np.stack([_orthonormal(Q[:, at], length[at]) for at in _sets(A.shape[1], width)])
        return cls(gram, Q, C, R, center, scale, _with_random(gram, Q, root), Q.T @ w[:, r])

    def grams(self, names: tuple[str, ...]) -> Iterator[Gram]:
        """The Gram blocks of the model with each set, of which the columns get the names.

        Aliased columns are not among those kept. The design still has the old rows of X: sums are all there is of the new columns.
        """
        for at, R in zip(_sets(self.Q.shape[1], len(names)), self.R, strict=True):
            new = np.flatnonzero(R.diagonal() > 0.0)
            yield self._gram(np.arange(at.start, at.stop)[new], R[np.ix_(new, new)], new, names)

    def _gram(self, at: Index, R: Array, new: Index, names: tuple[str, ...]) -> Gram:
        old, r, c = self.gram, self.gram.rank, len(at)
        ww = np.zeros((r + c + 1, r + c + 1))
        kept = np.append(np.arange(r), r + c)
        ww[np.ix_(kept, kept)] = old.ww
        ww[r : r + c, r : r + c] = np.eye(c)
        ww[r : r + c, -1] = ww[-1, r : r + c] = self.qy[at]
        zw = tuple(np.concatenate([z[:, :, :r], q[:, :, at], z[:, :, r:]], axis=2) for z, q in zip(old.zw, self.zq, strict=True))
        upper = np.zeros((r + c, r + c))
        upper[:r, :r], upper[:r, r:], upper[r:, r:] = old.standard.upper, self.C[:, at], R
        standard, p = old.standard, len(old.standard.shift)
        wider = replace(
            standard, design=replace(standard.design, names=standard.design.names + names),
            kept=standard.kept + tuple(int(p + j) for j in new), center=np.append(standard.center, self.center[at]),
            scale=np.append(standard.scale, self.scale[at]), upper=upper, orthonormal=None, short=None,
            null=np.vstack([standard.null, np.zeros((len(names), standard.null.shape[1]))]),
            shift=np.append(standard.shift, np.zeros(len(names))),
        )  # fmt: skip
        return replace(old, standard=wider, ww=ww, zw=zw)


def _sets(columns: int, width: int) -> list[slice]:
    return [slice(start, start + width) for start in range(0, columns, width)]


def _orthonormal(Q: Array, length: Array) -> Array:
    """(k, k) R; Q (n, k) is made orthonormal in place. Aliased columns become zero, on the diagonal of R too."""
    k = len(length)
    R = np.zeros((k, k))
    for j in range(k):
        for _ in range(TIMES):
            overlap = Q[:, :j].T @ Q[:, j]
            Q[:, j] -= Q[:, :j] @ overlap
            R[:j, j] += overlap
        rest = np.linalg.norm(Q[:, j])
        if rest <= ALIASED * length[j]:
            Q[:, j] = 0.0
        else:
            Q[:, j] /= rest
            R[j, j] = rest
    return R


def _with_random(gram: Gram, Q: Array, root: Array | None) -> tuple[Array, ...]:
    """Per block (m, k, c) Z'Q."""
    standard, out = gram.standard, []
    kernels = sums if standard.kernels is None else load("sums") or sums
    for block, z_root in zip(gram.layout.blocks, gram.z_root, strict=True):
        unused, zq = np.zeros((block.levels, block.width, block.width)), np.zeros((block.levels, block.width, Q.shape[1]))
        z = block_columns(standard, block, slice(None), root)
        kernels.add_cross_products(unused, zq, block_codes(standard.design, block), z, Q)
        out.append(lapack.dtrtri(z_root, lower=0)[0].T @ zq)
    return tuple(out)
