"""The seam between data and numbers: arrays with names, and nothing else.

A `Design` is on the user's scale. It holds no data frame, no formula and no parameter; the core may standardise copies of its
columns but never changes it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ranef.covariance.base import Covariance
from ranef.covariance.variance_functions import VarianceFunction

Array = NDArray[np.float64]
Codes = NDArray[np.intp]
MOST_VISITS = 40  # positions of a residual structure of which tables over all pairs are small


@dataclass(frozen=True, eq=False)
class Grouping:
    """A grouping factor: `codes[i]` is the position in `levels` of the level that row i belongs to.

    `variables` are the columns crossed to make it (`("batch", "cask")` for `batch:cask`); levels without rows are not listed.
    """

    name: str
    variables: tuple[str, ...]
    levels: NDArray[np.object_]  # (m,)
    codes: Codes  # (n,)

    @property
    def size(self) -> int:
        return len(self.levels)


@dataclass(frozen=True, eq=False)
class RandomTerm:
    """One `(columns | group)`: level j adds z_i' b_j to each of its rows, b_j ~ N(0, sigma^2 Lambda Lambda').

    `z` is None for a single column of ones, so that a million random intercepts cost no memory.
    """

    label: str
    group: Grouping
    names: tuple[str, ...]
    z: Array | None  # (n, k), column-major
    covariance: Covariance

    levels: int | None = None  # where the columns are levels, as for `gr(id, cov=A)`, how many; the group then has one level

    @property
    def width(self) -> int:
        return len(self.names)

    @property
    def size(self) -> int:
        """How many units vary: the levels of the group, or those that are columns."""
        return self.group.size if self.levels is None else self.levels


@dataclass(frozen=True, eq=False)
class ResidualTerm:
    """The covariance of the residuals of a subject's rows; rows of different subjects are independent.

    A structure over visits is told by `visit`, the position of each row in it; a function of distance by `coordinates`.
    `functions` are variance functions, each with its covariate (or the codes of its strata) row by row.
    """

    label: str
    subject: Grouping
    structure: Covariance
    visit: Codes | None  # (n,)
    coordinates: Array | None  # (n, d)
    visits: tuple[str, ...] = ()  # names of the positions
    functions: tuple[tuple[VarianceFunction, Array], ...] = ()
    nugget: bool = False
    of_mean: tuple[int, ...] = ()  # the functions whose covariate is the fitted mean, which the fit determines
    known: Array | None = None  # (n,) sampling variances that come with the data and are added to those of the structure


@dataclass(frozen=True, eq=False)
class Design:
    """y = offset + X beta + sum over terms of Z b + e, with Var(e_i) = sigma^2 / weights_i, or Cov(e) by `residual`.

    `sigma` is None where it is to be estimated. Sampling variances v_i that are known are weights sigma^2 / v_i with a known sigma.
    """

    response: str
    y: Array  # (n,)
    X: Array  # (n, p), column-major
    names: tuple[str, ...]  # of the columns of X
    terms: tuple[RandomTerm, ...]
    offset: Array | None = None  # (n,)
    weights: Array | None = None  # (n,), positive precision weights
    intercept: int | None = None  # the column of X that is all ones
    sigma: float | None = None  # known residual standard deviation of a row with weight one
    residual: ResidualTerm | None = None  # None: independent residuals of one variance

    def with_response(self, y: Array) -> Design:
        """The same with another response (n,)."""
        out = object.__new__(Design)
        out.__dict__.update(self.__dict__, y=y)  # `replace` takes five times as long, and refits are made by the thousand
        return out

    @property
    def nobs(self) -> int:
        return len(self.y)

    @property
    def known_variances(self) -> bool:
        """Did the sampling variances come with the data?"""
        return self.sigma is not None

    @property
    def mixed(self) -> bool:
        """Are there covariance parameters beside sigma: random effects or a residual structure?"""
        return bool(self.terms) or self.residual is not None
