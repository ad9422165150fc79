"""Between-within degrees of freedom: the strata of nested groups, as in a split-plot analysis of variance.

For groups g_1 (coarsest) ... g_G, each nested in the one before, with N_1 < ... < N_G levels and N_(G+1) = n rows,

    df of stratum g = N_g - N_(g-1) - p_g,        N_0 = 0

where p_g is the number of dimensions of X that vary within g_(g-1) but not within g_g. A contrast belongs to the coarsest stratum
that it takes information from: that of the rows if it is estimable within the levels of g_G, else that of g_G if it is estimable
within g_(G-1), and so on. This does not depend on the coding of factors. For single coefficients it is the rule of SAS (DDFM=BW),
nlme (Pinheiro and Bates 2000, p. 91) and mmrm, except that nlme and mmrm give the intercept the df of the rows.
The subjects of a residual structure are one of the groups.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.linalg import solve_triangular

from ranef.covariance.base import Array
from ranef.design import Grouping
from ranef.errors import ModelError
from ranef.fit.fit import Fit
from ranef.fit.rows import needs_rows
from ranef.inference.ddf.base import Denominator

NOTHING = 1e-9  # share of a direction of X within groups that is rounding


@dataclass(frozen=True, eq=False)
class BetweenWithin(Denominator):
    """`within[g]` (r, d_g): the directions of whitened X that are estimable within group g, finest first; `strata` are the df."""

    within: tuple[Array, ...]
    strata: tuple[float, ...]  # of the rows, then of each group from the finest

    @classmethod
    def of(cls, fit: Fit) -> BetweenWithin:
        """Raises ModelError for crossed groups, which have no strata, and for a model without its rows."""
        needs_rows(fit, 'ddf="between-within"')
        groups = nested_groups(fit)
        within = tuple(_directions(fit, group) for group in groups)
        ranks = [fit.criterion.gram.rank, *(w.shape[1] for w in reversed(within)), 0]  # coarsest first
        sizes = [0, *(group.size for group in reversed(groups)), fit.nobs]
        dfs = [float(sizes[g + 1] - sizes[g] - (ranks[g] - ranks[g + 1])) for g in range(len(groups) + 1)]
        return cls(fit, within, tuple(reversed(dfs)))

    def df(self, L: Array) -> Array:
        xi = L @ self.fit.criterion.gram.standard.to_user
        size = np.linalg.norm(xi, axis=1)
        out = np.full(len(L), max(self.strata[-1], 1.0))
        for W, df in reversed(list(zip(self.within, self.strata, strict=False))):
            outside = np.linalg.norm(xi - xi @ W @ W.T, axis=1)
            out[outside <= 1e-6 * size] = max(df, 1.0)
        return out

    def joint_df(self, L: Array) -> float:
        """That of the coarsest stratum from which any row takes information."""
        xi = L @ self.fit.criterion.gram.standard.to_user
        size = np.linalg.norm(xi)
        for W, df in zip(self.within, self.strata, strict=False):
            if np.linalg.norm(xi - xi @ W @ W.T) <= 1e-6 * size:
                return max(df, 1.0)
        return max(self.strata[-1], 1.0)


def nested_groups(fit: Fit) -> list[Grouping]:
    """The grouping factors and the subjects of a residual structure, finest first. Raises ModelError where two are crossed."""
    design = fit.model.design
    unique = {id(term.group): term.group for term in design.terms}
    if design.residual is not None and design.residual.subject.size < fit.nobs:
        unique |= {id(design.residual.subject): design.residual.subject}
    groups: list[Grouping] = []
    for group in sorted(unique.values(), key=lambda group: -group.size):
        if not any(_same_partition(group, other) for other in groups):
            groups.append(group)
    for fine, coarse in pairwise(groups):
        pairs = np.unique(fine.codes.astype(np.int64) * coarse.size + coarse.codes)
        if len(pairs) != fine.size:
            raise ModelError(
                f'ddf="between-within" needs nested groups, and {fine.name} and {coarse.name} are crossed.',
                hint='Use "kenward-roger" or "satterthwaite"; "containment" also takes crossed groups.',
            )
    return groups


def _same_partition(one: Grouping, other: Grouping) -> bool:
    pairs = np.unique(one.codes.astype(np.int64) * other.size + other.codes)
    return len(pairs) == one.size == other.size


def _directions(fit: Fit, group: Grouping) -> Array:
    """(r, d) orthonormal combinations of the standardised columns of X that vary within the levels of a group."""
    standard = fit.criterion.gram.standard
    count = np.bincount(group.codes, minlength=group.size)
    X = standard.fixed()
    centred = np.empty_like(X)
    for j in range(X.shape[1]):
        means = np.bincount(group.codes, weights=X[:, j], minlength=group.size) / count
        centred[:, j] = X[:, j] - means[group.codes]
    within, total = centred.T @ centred, X.T @ X
    if standard.orthonormal is None and standard.rank:
        within, total = (_decorrelated(part, standard.upper) for part in (within, total))
    values, vectors = np.linalg.eigh(within)
    return np.asarray(vectors[:, values > NOTHING * max(np.trace(total) / max(len(total), 1), 1e-300)])


def _decorrelated(cross: Array, upper: Array) -> Array:
    return np.asarray(solve_triangular(upper, solve_triangular(upper, cross, trans="T").T, trans="T"))
