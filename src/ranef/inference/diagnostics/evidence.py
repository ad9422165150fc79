"""What every check looks at: residuals, fitted values, the order of the rows and the groups they belong to."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ranef.covariance.base import Array
from ranef.design import Codes, Grouping
from ranef.errors import DataError, ModelError
from ranef.fit.points import Points, design_points, marginal_mean, random_part
from ranef.inference.clusters import clusters_of, groupings
from ranef.inference.diagnostics.cooks import Distances, cooks_distances
from ranef.inference.diagnostics.replicates import STREAM, Replicator, has_structure, how_many, structure_of
from ranef.inference.diagnostics.scaled import Effects, QuantileResiduals, Ranking, simulated_residuals
from ranef.inference.diagnostics.serial import Series
from ranef.inference.diagnostics.smooth import trend
from ranef.inference.diagnostics.summaries import Collector, Summaries, effect_spreads
from ranef.schema.collect import columns_of
from ranef.schema.evaluate import text_of
from ranef.schema.frames import open_frame
from ranef.table import Table

if TYPE_CHECKING:
    from ranef.fit.fit import Fit

FEW, ROW_SIMULATIONS = 100, 10_000_000  # simulations where there are many rows
SERIES = 3.0  # rows that a level must have on average to be a series


@dataclass(frozen=True, eq=False)
class Labelled:
    """A factor of the rows."""

    levels: NDArray[Any]
    codes: Codes


@dataclass(frozen=True, eq=False)
class Evidence:
    """The rows of a fit as the checks see them."""

    fit: Fit
    simulations: int
    seed: int
    by: Any = None  # grouping factor whose levels are the series
    order: Any = None  # column (or array) by which the rows of a series are ordered

    @cached_property
    def points(self) -> Points:
        return design_points(self.fit.model.design, self.fit.criterion.layout)

    @cached_property
    def mean(self) -> Array:
        """(n,) offset + X beta."""
        return marginal_mean(self.fit.solution, self.points)

    @cached_property
    def fitted(self) -> Array:
        """(n,) with the random effects."""
        return self.mean + random_part(self.fit.solution, self.points)

    @cached_property
    def plain(self) -> Array:
        """(n,) residuals of constant variance, r sqrt(w): R's residuals where there are no weights."""
        return self.scaled if self.structured else np.asarray(self.fit.residuals("pearson"), dtype=float)

    @cached_property
    def scaled(self) -> Array:
        """(n,) residuals over their standard deviations; NaN in rows that determine their own fitted value."""
        return self._normalized() if self.structured else np.asarray(self.fit.residuals("standardised"), dtype=float)

    @cached_property
    def studentised(self) -> Array:
        """(n,) residuals over their standard deviations with sigma estimated without the row."""
        return np.asarray(self.fit.residuals("studentised"), dtype=float)

    @property
    def structured(self) -> bool:
        """Have the residuals a covariance structure?"""
        return has_structure(self.fit)

    def _normalized(self) -> Array:
        """(n,) L^-1(y - X beta) with LL' = sigma^2 V: independent under the model but for the estimation of beta.

        Where V is too large, L^-1(y - X beta - Z b) with LL' the covariance of the residuals.
        """
        try:
            return np.asarray(self.fit.residuals("normalized", "marginal"), dtype=float)
        except ModelError:
            return np.asarray(self.fit.residuals("normalized"), dtype=float)

    @cached_property
    def usable(self) -> NDArray[np.intp]:
        """Rows that have a scaled residual."""
        return np.flatnonzero(np.isfinite(self.scaled))

    # -- groups and order

    @cached_property
    def groups(self) -> dict[str, Grouping]:
        return groupings(self.fit)

    @cached_property
    def series(self) -> tuple[str, NDArray[Any], Codes] | None:
        """(name, levels, codes) of the series in time.

        `by`, or the subjects of the residual structure, or the factor with most levels of three rows and more on average.
        """
        if self.by is not None:
            return clusters_of(self.fit, self.by)
        if self.structured:
            subject = structure_of(self.fit).subject
            return subject.name, subject.levels, subject.codes
        long = [group for group in self.groups.values() if self.fit.nobs / group.size >= SERIES]
        chosen = max(long, key=lambda group: group.size, default=None)
        return None if chosen is None else (chosen.name, chosen.levels, chosen.codes)

    @cached_property
    def sequence(self) -> NDArray[np.intp]:
        """(n,) the rows in time: by `order`, or the visits of the residual structure, else as they stand in the data."""
        if self.order is None:
            visit = structure_of(self.fit).visit if self.structured else None
            return np.arange(self.fit.nobs) if visit is None else np.argsort(visit, kind="stable")
        name, levels, codes = clusters_of(self.fit, self.order)
        if len(levels) < 2:
            raise DataError(f"The order {name!r} has the same value in every row, so it orders nothing.")
        return np.argsort(codes, kind="stable")

    @cached_property
    def overall(self) -> Series:
        """All usable rows in time, by their places among the usable."""
        place = np.full(self.fit.nobs, -1)
        place[self.usable] = np.arange(len(self.usable))
        sequence = place[self.sequence]
        return Series.of(None, sequence[sequence >= 0])

    @cached_property
    def runs(self) -> Series:
        """The usable rows in time within each series; all in one where there are no series."""
        return self.overall if self.series is None else Series.of(self.series[2][self.usable], self.overall.rows)

    # -- what the model expects

    @cached_property
    def effect_spreads(self) -> dict[tuple[str, str], Array]:
        return {} if self.structured else effect_spreads(self.fit)

    @property
    def summaries(self) -> Summaries:
        return self._simulated[0]

    @property
    def quantile_residuals(self) -> dict[Effects, QuantileResiduals]:
        """With new random effects, and where there are any also with the fitted ones."""
        return self._simulated[1]

    @cached_property
    def _simulated(self) -> tuple[Summaries, dict[Effects, QuantileResiduals]]:
        """Both from the same replicates; with a residual structure residuals are independent by construction."""
        kinds: tuple[Effects, ...] = ("new", "fitted") if self.groups and not self.structured else ("new",)
        nobs, collector = self.fit.nobs, Collector.of(self)
        few, many = how_many(nobs, self.simulations), min(self.simulations, max(FEW, ROW_SIMULATIONS // nobs))
        if self.structured:
            rng = np.random.default_rng([self.seed, STREAM])
            collector.add(rng.standard_normal((few, len(self.usable))).T)
            return collector.summaries, simulated_residuals(self.fit, many, kinds, self.seed)
        replicator, ranking, done = Replicator(self.fit), Ranking.of(self.fit, kinds), 0
        for analysis in replicator.replicates(max(few, many), self.seed):
            if done < few:
                collector.add_analysed(analysis.first(few - done))
            if done < many:
                ranking.add_analysed(replicator, analysis.first(many - done))
            done += len(analysis.sigma)
        return collector.summaries, ranking.residuals(self.seed)

    @cached_property
    def cooks(self) -> list[Distances]:
        """Cook's distances by each grouping factor."""
        return cooks_distances(self.fit)

    # -- factors

    @cached_property
    def factors(self) -> dict[str, Labelled]:
        """The factors of the fixed effects that are columns of the data, and the grouping factors."""
        fixed = {name: clusters_of(self.fit, name)[1:] for name in _fixed_factors(self.fit)}
        random = {name: (group.levels, group.codes) for name, group in self.groups.items()}
        return {name: Labelled(*found) for name, found in {**fixed, **random}.items()}

    # -- answers

    def table(self, columns: dict[str, Any], title: str = "", notes: tuple[str, ...] = ()) -> Table:
        return Table(columns, title=title, notes=notes, frame_kind=self.fit.model.rows.frame)

    def trend(self, x: Array, y: Array, title: str) -> Table:
        line = trend(x, y)
        return self.table({"x": line.x, "trend": line.y, "lower": line.lower, "upper": line.upper}, title)


def _fixed_factors(fit: Fit) -> list[str]:
    """The columns of the data behind the factors of the fixed effects: `recipe`, also where the formula has `C(recipe, sum)`."""
    schema = fit.model.schema
    names = open_frame(fit.model.recipe["data"]).names
    out = []
    for node in {text_of(node): node for term in schema.formula.fixed for node in term.factors}.values():
        variable, columns = schema.variables.get(text_of(node)), columns_of([node], names)
        if variable is not None and variable.kind == "factor" and len(columns) == 1:
            out.append(columns[0])
    return list(dict.fromkeys(out))
