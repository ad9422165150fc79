"""Known covariances between levels that are not given as the matrix itself: by its inverse, or by a root of low rank.

With E the columns of the identity that belong to the levels of the data, A among these is E'Q^-1 E: levels beyond them (ancestors
without records, regions without data) are integrated out. Q is factored once and keeps its zeros; the only dense matrix is the
answer. With a root B (m, r), A = B B'.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ranef.arguments import as_numbers, checked
from ranef.errors import ModelError

Array = NDArray[np.float64]
SINGULAR = 1e-11  # a pivot, as a share of the diagonal entry that it comes from
ASYMMETRY = 1e-8  # as a share of the largest entry
COLUMNS = 256  # that are solved for at once


@dataclass(frozen=True, eq=False)
class Precision:
    """The inverse Q of the covariance of `levels`; see `precision`."""

    matrix: Any  # (n, n) scipy.sparse, csc
    levels: tuple[Hashable, ...]

    def among(self, at: NDArray[np.intp]) -> Array:
        """(m, m) A among the levels in the places `at`. Raises ModelError where Q is not positive definite."""
        out = np.empty((len(at), len(at)))
        for start in range(0, len(at), COLUMNS):
            some = at[start : start + COLUMNS]
            unit = np.zeros((len(self.levels), len(some)))
            unit[some, np.arange(len(some))] = 1.0
            out[:, start : start + len(some)] = self._factored.solve(unit)[at]
        return (out + out.T) / 2.0

    @cached_property
    def _factored(self) -> Any:
        """Q = L U without pivoting, in an order that keeps it sparse: positive definite where all pivots are positive."""
        from scipy.sparse.linalg import splu

        try:
            found = splu(self.matrix, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True})
        except RuntimeError:  # exactly singular
            raise _improper(0.0) from None
        shares = found.U.diagonal()[found.perm_r] / self.matrix.diagonal()
        if not np.array_equal(found.perm_r, found.perm_c) or not shares.min(initial=1.0) > SINGULAR:
            raise _improper(float(shares.min()))
        return found


@dataclass(frozen=True, eq=False)
class LowRank:
    """A root B of the covariance B B' of `levels`; see `low_rank`."""

    root: Array  # (m, r)
    levels: tuple[Hashable, ...]

    def among(self, at: NDArray[np.intp]) -> Array:
        """(m, m) A among the levels in the places `at`."""
        own = self.root[at]
        return np.asarray(own @ own.T)


@checked
def precision(matrix: Any, levels: Sequence[Hashable] | None = None) -> Precision:
    """A known covariance given by its inverse: ``lmm(formula, data, covariances={"A": ranef.precision(Q, levels)})``.

    Parameters
    ----------
    matrix
        (n, n) the precision matrix Q = A^-1: sparse (scipy.sparse), an array, or a labelled square pandas frame.
    levels
        The n levels in the order of its rows; not needed for a frame. There may be more than the data have: the others are
        integrated out, which is not the same as leaving out their rows of Q.

    Raises
    ------
    ModelError
        Where the matrix is not square, symmetric and finite, or the levels are not as many and different. That it is positive
        definite is found when the model is fitted.

    Examples
    --------
    >>> import ranef
    >>> p = ranef.pedigree(["a", "b", "c"], [None, None, "a"], [None, None, "b"])
    >>> ranef.precision(p.precision, p.members).levels
    ('a', 'b', 'c')

    References
    ----------
    Henderson (1976), A simple method for computing the inverse of a numerator relationship matrix, Biometrics 32, 69-83.
    """
    from scipy.sparse import csc_array, issparse

    names = _labels(matrix, levels, "precision")
    Q = csc_array(matrix if issparse(matrix) else np.atleast_2d(as_numbers("matrix", matrix)), dtype=np.float64)
    if not names or Q.shape != (len(names), len(names)):
        raise ModelError(
            f"The precision matrix has shape {Q.shape} and {len(names)} levels; it must be square, a row for each level."
        )
    if not np.all(np.isfinite(Q.data)) or abs(Q - Q.T).max() > ASYMMETRY * abs(Q).max():
        raise ModelError("The precision matrix is not symmetric, or not finite.")
    if not Q.diagonal().min(initial=1.0) > 0.0:
        place = int(np.argmin(Q.diagonal()))
        raise ModelError(f"The precision matrix has {Q.diagonal()[place]:.3g} on its diagonal, at the level {names[place]!r}.")
    return Precision(Q, names)


@checked
def low_rank(root: Any, levels: Sequence[Hashable] | None = None) -> LowRank:
    """A known covariance A = B B' given by B (m, r), such as standardised markers over the root of their number.

    Parameters
    ----------
    root
        (m, r) B: an array, sparse, or a pandas frame whose index are the levels.
    levels
        The m levels in the order of its rows; not needed for a frame.

    Raises
    ------
    ModelError
        Where the root is no finite matrix, or the levels are not as many and different.

    Examples
    --------
    >>> import ranef
    >>> ranef.low_rank([[1.0], [0.5]], ["a", "b"]).among([0, 1])
    array([[1.  , 0.5 ],
           [0.5 , 0.25]])
    """
    names = _labels(root, levels, "low_rank")
    B = np.asarray(root.toarray() if hasattr(root, "toarray") else root, dtype=np.float64)
    if B.ndim != 2 or len(B) != len(names) or not np.all(np.isfinite(B)):
        raise ModelError(f"The root has shape {B.shape} and {len(names)} levels; it must be finite, with a row for each level.")
    return LowRank(B, names)


def _labels(matrix: Any, levels: Sequence[Hashable] | None, function: str) -> tuple[Hashable, ...]:
    found = getattr(matrix, "index", None) if levels is None else levels
    if found is None or callable(found):
        raise ModelError(f"{function}() does not know the levels.", hint=f"Give {function}(matrix, levels), or a labelled frame.")
    names = tuple(found)
    if len(set(names)) < len(names):
        twice = next(name for i, name in enumerate(names) if name in names[:i])
        raise ModelError(f"{function}() has the level {twice!r} twice.")
    return names


def _improper(share: float) -> ModelError:
    return ModelError(
        f"The precision matrix is not positive definite: a pivot is {share:.3g} times its diagonal entry.",
        hint="An intrinsic autoregression has no covariance: add a small multiple of the identity, or a sum-to-zero constraint.",
    )
