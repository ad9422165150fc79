"""Simulated quantile residuals: where each residual lies among those of data simulated from the model.

    u_i = share of simulated residuals below the own one, r*_i < r_i         (ties are split at random)

Uniform on (0, 1) under a right model, whatever the distribution of the response: Dunn and Smyth (1996), J. Comput. Graph. Stat. 5,
236-244; Hartig's DHARMa, with its option `refit`. Every simulated response is analysed like the data: beta, sigma and the random
effects are estimated again, and only the variance ratios theta are held (`ranef.inference.diagnostics.replicates`). So a residual
and its simulations differ in nothing but chance, though the fit has followed the data. `re="new"` compares y - X beta, which has
all random effects in it; `re="fitted"` y - X beta - Z b. Residuals of rows that share something go together; the tests compare
with the same statistic of the simulations, which go together likewise.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from ranef.arguments import checked
from ranef.covariance.base import Array
from ranef.design import Codes
from ranef.errors import ModelError
from ranef.fit.points import design_points, marginal_mean, random_part
from ranef.fit.rows import aligned, needs_rows
from ranef.fit.simulate import simulate
from ranef.glossary import Rule
from ranef.inference.clusters import clusters_of
from ranef.inference.diagnostics.replicates import STREAM, Analysis, Replicator, has_structure
from ranef.inference.diagnostics.uniformity import (
    Test,
    dispersion,
    largest_distance,
    outlying,
    uniform_distance,
)
from ranef.table import Table

if TYPE_CHECKING:
    from ranef.fit.fit import Fit

Effects = Literal["new", "fitted"]
KEPT = 5000  # rows whose simulations are kept for the tests
BINS = 4  # of a numeric variable


@checked
def quantile_residuals(fit: Fit, n: int = 250, *, re: Effects = "new", seed: int = 1) -> QuantileResiduals:
    """Simulated (scaled) quantile residuals, and tests of their uniformity, dispersion and outliers.

    Parameters
    ----------
    n
        Simulations. A residual is a multiple of 1/n: 0 and 1 are rows outside of all simulations.
    re
        `"new"` random effects test the model as a whole, `"fitted"` ones the residuals given them. Without any both are one.
    seed
        The same seed gives the same residuals.

    Raises
    ------
    ModelError
        For another `re`, less than 20 simulations, and a model that was loaded from a file.

    Examples
    --------
    >>> import ranef
    >>> m = ranef.lmm("diameter ~ 1 + (1 | plate) + (1 | sample)", ranef.datasets.load("Penicillin"))
    >>> residuals = ranef.quantile_residuals(m)
    >>> residuals.scaled.head(3)
    0    0.972
    1    0.512
    2    0.956
    Name: scaled_residual, dtype: float64
    >>> residuals.tests
    Tests of the quantile residuals
    Check       Statistic  Expected      p
    --------------------------------------
    uniformity      0.087     0.104  0.629
    dispersion      0.980     1.000  0.900
    outliers        2.000     1.152  0.414
    250 simulations with new random effects, seed 1.
    >>> residuals.by("plate")
    Quantile residuals by plate
    Check                Statistic  Expected      p
    -----------------------------------------------
    uniformity by plate      1.336     1.348  0.494
    250 simulations with new random effects, seed 1.
    """
    needs_rows(fit, "quantile_residuals()")
    if re not in ("new", "fitted"):
        raise ModelError(f"re={re!r} is not known.", hint='Use "new" or "fitted".')
    if not isinstance(n, int) or n < 20:
        raise ModelError(f"n={n!r}: less than 20 simulations show no distribution.")
    return simulated_residuals(fit, n, (re,), seed)[re]


def simulated_residuals(fit: Fit, n: int, kinds: tuple[Effects, ...], seed: int) -> dict[Effects, QuantileResiduals]:
    """Of several kinds from the same simulations."""
    ranking = Ranking.of(fit, kinds)
    if has_structure(fit):
        for re, simulated in _plain(fit, n, kinds, seed, ranking.centers):
            ranking.add(re, simulated)
    else:
        replicator = Replicator(fit)
        for analysis in replicator.replicates(n, seed):
            ranking.add_analysed(replicator, analysis)
    return ranking.residuals(seed)


@dataclass(frozen=True, eq=False)
class Ranking:
    """Counts, while simulations come in, of those below each residual, and those of some rows."""

    fit: Fit
    centers: Mapping[Effects, Array]  # (n,) expected responses
    unit: Array  # (n,) sigma / sqrt(w)
    rows: NDArray[np.intp]  # that are kept
    below: dict[Effects, NDArray[np.int32]]  # (n,)
    ties: dict[Effects, NDArray[np.int32]]
    kept: dict[Effects, list[Array]]

    @classmethod
    def of(cls, fit: Fit, kinds: tuple[Effects, ...]) -> Ranking:
        points = design_points(fit.model.design, fit.criterion.layout)
        mean, n = marginal_mean(fit.solution, points), len(points)
        centers = {re: mean if re == "new" else mean + random_part(fit.solution, points) for re in kinds}
        rows = np.arange(n) if n <= KEPT else np.linspace(0, n - 1, KEPT).astype(np.intp)
        below, ties = ({re: np.zeros(n, dtype=np.int32) for re in kinds} for _ in range(2))
        return cls(fit, centers, fit.sigma * np.sqrt(points.noise), rows, below, ties, {re: [] for re in kinds})

    def add(self, re: Effects, simulated: Array) -> None:
        """Residuals (n, c)."""
        residual = self.fit.model.design.y - self.centers[re]
        for own in simulated.T:
            self.below[re] += own < residual
            self.ties[re] += own == residual
        self.kept[re].append(simulated[self.rows].T)

    def add_analysed(self, replicator: Replicator, analysis: Analysis) -> None:
        """The same of replicates that were analysed like the data."""
        for re in self.centers:
            own = analysis.residuals if re == "fitted" else analysis.residuals + replicator.random_part(analysis)
            self.add(re, own * self.unit[:, None] / analysis.sigma)

    def residuals(self, seed: int) -> dict[Effects, QuantileResiduals]:
        """Ties are split at random."""
        share, out = np.random.default_rng([seed, 1]).random(len(self.unit)), {}
        for re, center in self.centers.items():
            simulated = np.concatenate(self.kept[re])
            values = (self.below[re] + share * self.ties[re]) / len(simulated)
            out[re] = QuantileResiduals(self.fit, re, len(simulated), seed, values, center, self.rows, simulated)
        return out


def _plain(
    fit: Fit, n: int, kinds: tuple[Effects, ...], seed: int, centers: Mapping[Effects, Array]
) -> Iterator[tuple[Effects, Array]]:
    """Residuals (rows, c) of responses as they are simulated, for models with a residual structure: as DHARMa by default."""
    for re in kinds:
        frame = simulate(fit, n, seed=np.random.default_rng([seed, STREAM]), re=re)
        names = frame.keys() if isinstance(frame, dict) else getattr(frame, "column_names", None) or frame.columns
        yield re, np.column_stack([np.asarray(frame[name]) for name in names]) - centers[re][:, None]


@dataclass(frozen=True, eq=False, repr=False)
class QuantileResiduals:
    """`values` (n,) in the order of the rows used; the tests look at the simulations of at most 5000 rows, `rows`."""

    fit: Fit
    re: Effects
    n: int
    seed: int
    values: Array
    center: Array  # (n,) expected responses
    rows: NDArray[np.intp]  # (r,)
    simulated: Array  # (simulations, r) residuals

    @property
    def scaled(self) -> Any:
        """The residuals under the user's index, in the kind of frame that the user passed in."""
        return aligned(self.values, self.fit.model.rows.index, self.fit.model.rows.frame, "scaled_residual")

    @cached_property
    def ranks(self) -> Array:
        """(simulations, r) quantile residuals of each simulation among the others."""
        order = np.argsort(self.simulated, axis=0, kind="stable")
        ranks = np.empty_like(self.simulated)
        np.put_along_axis(ranks, order, np.arange(self.n, dtype=float)[:, None], axis=0)
        return ranks / (self.n - 1)

    @cached_property
    def uniformity(self) -> Test:
        return uniform_distance(self.values[self.rows], self.ranks)

    @cached_property
    def dispersion(self) -> Test:
        return dispersion((self.fit.model.design.y - self.center)[self.rows], self.simulated)

    @cached_property
    def outliers(self) -> Test:
        return outlying(self.values[self.rows], self.ranks)

    @property
    def tests(self) -> Table:
        """Kolmogorov and Smirnov's distance from uniformity, the dispersion, and the rows outside of all simulations."""
        names = {"uniformity": self.uniformity, "dispersion": self.dispersion, "outliers": self.outliers}
        return self._table(names, "Tests of the quantile residuals")

    def along(self, codes: Codes) -> Test:
        """Are the residuals uniform in each of some groups (codes of all rows)?"""
        return largest_distance(self.values[self.rows], self.ranks, codes[self.rows])

    def by(self, variable: Any) -> Table:
        """The largest distance from uniformity in a level of a factor, or in a quarter of the values of a numeric variable.

        `variable` is a column of the data, a grouping factor, or an array. One p value for the largest of all distances.
        Raises DataError for an unknown column.
        """
        name, levels, codes = clusters_of(self.fit, variable)
        if np.issubdtype(levels.dtype, np.number) and len(levels) > BINS:
            codes = quarters(levels[codes].astype(float))
        return self._table({f"uniformity by {name}": self.along(codes)}, f"Quantile residuals by {name}")

    def _table(self, tests: dict[str, Test], title: str) -> Table:
        columns = {
            "check": list(tests),
            "statistic": [test.statistic for test in tests.values()],
            "expected": [test.expected for test in tests.values()],
            "p_value": [test.p_value for test in tests.values()],
        }
        effects = "new" if self.re == "new" else "fitted"
        note = f"{self.n} simulations with {effects} random effects, seed {self.seed}."
        some = f" Tested on {len(self.rows)} of {len(self.values)} rows." if len(self.rows) < len(self.values) else ""
        rules: dict[str, Rule] = {"statistic": "fraction", "expected": "fraction"}
        return Table(columns, title=title, notes=(note + some,), rules=rules, frame_kind=self.fit.model.rows.frame)

    def __repr__(self) -> str:
        return repr(self.tests)

    def _repr_html_(self) -> str:
        return self.tests._repr_html_()


def quarters(values: Array) -> Codes:
    """Codes of about equally many rows, by the size of a variable."""
    edges = np.unique(np.quantile(values, np.arange(1, BINS) / BINS))
    return np.unique(np.searchsorted(edges, values, side="left"), return_inverse=True)[1].astype(np.intp)
