"""From a pedigree to the relationships of its members: inbreeding, the precision matrix A^-1, and A.

With t_ij the share of genes of i that come from j and D the diagonal of Mendelian sampling variances, A = T D T' and
A^-1 = (T^-1)' D^-1 T^-1, where T^-1 has 1 on the diagonal and -1/2 for each known parent: Henderson (1976), Biometrics 32, 69-83.
D depends on the inbreeding of the parents: Quaas (1976), Biometrics 32, 949-953,

    d_i = 1 without known parents,    3/4 - F_p / 4 with one,    1/2 - (F_s + F_d) / 4 with two.

F_i = sum_j t_ij^2 d_j - 1 by going up the ancestors of i: Meuwissen and Luo (1992), Genet. Sel. Evol. 24, 305-313.
"""

from __future__ import annotations

import heapq
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ranef.arguments import checked
from ranef.covariance.labelled import Precision
from ranef.errors import DataError

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Pedigree:
    """Members in an order in which parents stand before their offspring."""

    members: tuple[Hashable, ...]
    parents: NDArray[np.intp]  # (n, 2) places of sire and dam, -1 where unknown

    @cached_property
    def inbreeding(self) -> Array:
        """(n,) F: the probability that both genes at a locus are copies of one ancestral gene."""
        return self._inbreeding_and_sampling[0]

    @cached_property
    def sampling(self) -> Array:
        """(n,) D: the variance of Mendelian sampling, in units of the additive variance."""
        return self._inbreeding_and_sampling[1]

    @cached_property
    def _inbreeding_and_sampling(self) -> tuple[Array, Array]:
        n = len(self.members)
        F, D = np.zeros(n), np.zeros(n)
        for i, known in enumerate(self.parents):
            own = known[known >= 0]
            D[i] = 1.0 - 0.25 * float(np.sum(1.0 + F[own]))
            F[i] = self._own_relationship(i, D) - 1.0 if len(own) == 2 else 0.0
        return F, D

    def _own_relationship(self, i: int, D: Array) -> float:
        """A_ii = sum over ancestors j of t_ij^2 d_j, the youngest first."""
        share, waiting, total = {i: 1.0}, [-i], 0.0
        while waiting:
            j = -heapq.heappop(waiting)
            t = share.pop(j)
            total += t * t * float(D[j])
            for parent in self.parents[j]:
                if parent >= 0:
                    if parent not in share:
                        heapq.heappush(waiting, -int(parent))
                    share[int(parent)] = share.get(int(parent), 0.0) + 0.5 * t
        return total

    @cached_property
    def precision(self) -> Any:
        """(n, n) sparse A^-1."""
        from scipy.sparse import coo_array, diags_array, eye_array

        n = len(self.members)
        rows, which = np.nonzero(self.parents >= 0)
        columns = self.parents[rows, which]
        step = eye_array(n) - coo_array((np.full(len(rows), 0.5), (rows, columns)), shape=(n, n))
        return (step.T @ diags_array(1.0 / self.sampling) @ step).tocsc()

    @property
    def levels(self) -> tuple[Hashable, ...]:
        return self.members

    def among(self, at: NDArray[np.intp]) -> Array:
        """(m, m) A among the members in the places `at`, the others integrated out."""
        return Precision(self.precision, self.members).among(at)

    def relationship(self, members: Sequence[Hashable] | None = None) -> Any:
        """A among some members, or all, as a labelled pandas frame. `covariances={"A": ...}` takes the pedigree itself, too.

        Raises DataError for one who is not in the pedigree.
        """
        import pandas as pd

        wanted = self.members if members is None else tuple(members)
        place = {member: i for i, member in enumerate(self.members)}
        strange = [member for member in wanted if member not in place]
        if strange:
            raise DataError(f"{strange[0]!r} is not in the pedigree.")
        at = np.array([place[member] for member in wanted], dtype=np.intp)
        return pd.DataFrame(self.among(at), index=list(wanted), columns=list(wanted))


@checked
def pedigree(member: Sequence[Any], sire: Sequence[Any], dam: Sequence[Any]) -> Pedigree:
    """Relationships of the members of a pedigree, with inbreeding taken into account.

    Parameters
    ----------
    member, sire, dam
        Equally long columns: who, and the two parents; None, NaN, "" or 0 where a parent is not known. The order does not matter.
        Parents who are not listed themselves are founders.

    Returns
    -------
    Pedigree
        ``precision`` (sparse A^-1), ``inbreeding``, ``relationship(members)`` (A as a labelled frame).
        ``lmm(covariances={"A": pedigree})``
        takes it as it is; members without records are integrated out.

    Raises
    ------
    DataError
        Where a member is listed twice, or is an ancestor of itself.

    Examples
    --------
    Full sibs mated with each other have inbred offspring:

    >>> import ranef
    >>> p = ranef.pedigree(["a", "b", "c", "d", "e"], [None, None, "a", "a", "c"], [None, None, "b", "b", "d"])
    >>> dict(zip(p.members, p.inbreeding.tolist()))
    {'a': 0.0, 'b': 0.0, 'c': 0.0, 'd': 0.0, 'e': 0.25}

    References
    ----------
    Henderson (1976), Biometrics 32, 69-83; Quaas (1976), Biometrics 32, 949-953; Meuwissen and Luo (1992), Genet. Sel. Evol. 24,
    305-313.
    """
    for name, column in (("member", member), ("sire", sire), ("dam", dam)):
        if isinstance(column, str) or not hasattr(column, "__iter__"):
            raise DataError(f"{name} must be a column with an entry for each member, not {column!r}.")
    columns = [[None if _is_unknown(value) else value for value in column] for column in (member, sire, dam)]
    if len({len(column) for column in columns}) != 1:
        raise DataError(f"member, sire and dam have {', '.join(str(len(column)) for column in columns)} entries, not equally many.")
    known: dict[Hashable, tuple[Any, Any]] = {}
    for who, first, second in zip(*columns, strict=True):
        if who is None or who in known:
            raise DataError("A member has no name." if who is None else f"{who!r} is listed twice in the pedigree.")
        known[who] = (first, second)
    for parent in [parent for pair in list(known.values()) for parent in pair if parent is not None]:
        known.setdefault(parent, (None, None))
    members = _parents_first(known)
    place = {who: i for i, who in enumerate(members)}
    parents = np.array([[-1 if p is None else place[p] for p in known[who]] for who in members], dtype=np.intp)
    return Pedigree(members, parents.reshape(-1, 2))


def _is_unknown(value: Any) -> bool:
    return value is None or value == "" or value == 0 or value != value


def _parents_first(known: dict[Hashable, tuple[Any, Any]]) -> tuple[Hashable, ...]:
    """Members such that parents come before offspring. Raises DataError for a circle."""
    waiting = {who: len({parent for parent in pair if parent is not None}) for who, pair in known.items()}
    offspring: dict[Hashable, list[Hashable]] = {}
    for who, pair in known.items():
        for parent in {parent for parent in pair if parent is not None}:
            offspring.setdefault(parent, []).append(who)
    ready = [who for who, count in waiting.items() if not count]
    out: list[Hashable] = []
    for who in ready:
        out.append(who)
        for child in offspring.get(who, ()):
            waiting[child] -= 1
            if not waiting[child]:
                ready.append(child)
    if len(out) < len(known):
        circle = next(who for who in known if waiting[who] > 0)
        raise DataError(f"{circle!r} is an ancestor of itself, or descends from someone who is.")
    return tuple(out)
