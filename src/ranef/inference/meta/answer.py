"""How much the true effects differ: tau^2, I^2, H^2, Q, and what moderators explain.

With P = W - WX(X'WX)^-1X'W, W = V^-1 of the known sampling (co)variances, n rows and p coefficients:

    Q     = y'P y, chi-squared on n - p df if all true effects are x'beta               Cochran (1954), Biometrics 10, 101-129
    s^2   = (n - p) / tr P, the sampling variance of a typical row
    I^2   = tau^2 / (tau^2 + s^2), H^2 = (tau^2 + s^2) / s^2        Higgins and Thompson (2002), Stat. Med. 21, 1539-1558, eq. 9-10
    R^2   = (tau_0^2 - tau^2) / tau_0^2, tau_0^2 without moderators                     Raudenbush (1994)
    Q_M   the Wald test of all coefficients but the intercept

With several levels tau^2 is the sum of their variances, and I^2 of a level is its variance over tau^2 + s^2 (Nakagawa and Santos
2012, Evol. Ecol. 26, 1253-1274, eq. 25-27). The variance of a level with several effects is averaged over the rows.
Without random effects I^2 = (Q - (n - p)) / Q and H^2 = Q / (n - p).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import chdtrc

from ranef.arguments import check_level, checked
from ranef.errors import ModelError
from ranef.fit.points import design_points
from ranef.fit.rows import needs_rows, row_labels
from ranef.inference.meta.components import Component, components, generalised_q, interval, studies
from ranef.inference.meta.estimators import NAMES, estimate
from ranef.inference.meta.typical import typical_variance
from ranef.inference.meta.weights import row_weights
from ranef.table import Table

if TYPE_CHECKING:
    from ranef.fit.fit import Fit

Row = dict[str, Any]


@dataclass(frozen=True, eq=False)
class Heterogeneity:
    """Three tables and the numbers in them; prints as text, shows as HTML in a notebook."""

    fit: Fit
    level: float

    @property
    def tau2(self) -> float:
        """The variance of true effects over all levels, averaged over the rows."""
        return sum(self._levels.values())

    @property
    def i2(self) -> float:
        """I^2 in percent."""
        if not self._levels:
            return max(0.0, 100.0 * (self.q - self._free) / self.q) if self.q > 0 else 0.0
        return self._i2(self.tau2)

    @property
    def h2(self) -> float:
        if not self._levels:
            return self.q / self._free if self._free else np.nan
        return self._h2(self.tau2)

    @cached_property
    def q(self) -> float:
        """Cochran's Q, of what the moderators leave."""
        return generalised_q(self.fit.criterion)

    @cached_property
    def r2(self) -> float | None:
        """R^2 of the moderators in percent; None where there are none, or nothing for them to explain."""
        before = _without_moderators(self.fit) if self._tested and self.fit.model.design.intercept is not None else 0.0
        return max(0.0, 100.0 * (before - self.tau2) / before) if before > 0.0 else None

    @cached_property
    def variances(self) -> Table:
        """group term variance sd std_error conf_low conf_high of each random effect; std_error and limits are of the variance."""
        rows = [
            {"group": c.group, "term": c.term, "variance": c.variance, "std_error": c.std_error, "conf_low": low, "conf_high": high,
             "sd": np.sqrt(c.variance)}
            for c, (low, high, _) in zip(self._components, self._limits, strict=True)
        ]  # fmt: skip
        methods = sorted({method for _, _, method in self._limits if method})
        notes = (f"Limits by {' and '.join(methods)}.",) if methods else ()
        level = self.level if methods else None
        headings = {"variance": "tau2", "sd": "tau"}
        return self._table(rows, f"Variance of the true effects ({self._method})", headings=headings, notes=notes, level=level)

    @cached_property
    def shares(self) -> Table:
        """quantity group estimate conf_low conf_high: I2 and R2 in percent, and H2."""
        bounds = self._limits[0][:2] if len(self._limits) == 1 else None
        rows: list[Row] = [{"quantity": "I2 (%)", "group": None, "estimate": self.i2, **_bounds(bounds, self._i2)}]
        if len(self._levels) > 1:
            rows += [{"quantity": "I2 (%)", "group": g, "estimate": 100.0 * v * self._per_total} for g, v in self._levels.items()]
        rows.append({"quantity": "H2", "group": None, "estimate": self.h2, **_bounds(bounds, self._h2)})
        if self.r2 is not None:
            rows.append({"quantity": "R2 (%)", "group": None, "estimate": self.r2})
        by_row = dict.fromkeys(("estimate", "conf_low", "conf_high"), "row")
        return self._table(rows, "I2 and H2" if self.r2 is None else "I2, H2 and R2", rules=by_row)

    @cached_property
    def tests(self) -> Table:
        """test statistic num_df den_df p_value: Q of heterogeneity, and the test of all moderators by the method of the fit."""
        p = float(chdtrc(self._free, self.q)) if self._free else np.nan
        rows: list[Row] = [{"test": "Q: heterogeneity", "statistic": self.q, "num_df": self._free, "p_value": p}]
        if self._tested:
            names = self.fit.model.design.names
            found = self.fit.denominator().test(np.eye(len(names))[self._tested], np.zeros(len(self._tested)))
            chi2 = bool(np.isinf(found.den_df))
            row: Row = {"test": "QM: moderators" if chi2 else "F: moderators", "num_df": found.num_df, "p_value": found.p_value}
            row["statistic"] = found.statistic * (found.num_df if chi2 else 1.0)
            rows.append(row if chi2 else {**row, "den_df": found.den_df})
        columns = ("test", "statistic", "num_df", "den_df", "p_value")
        return self._table(
            [{name: row[name] for name in columns if name in row} for row in rows], "Tests", headings={"num_df": "df"}
        )

    @cached_property
    def weights(self) -> Table:
        """row weight: how much each row counts, in percent."""
        columns = {**row_labels(self.fit), "weight": row_weights(self.fit)}
        return Table(columns, title="Weights (%)", frame_kind=self.fit.model.rows.frame)

    def __str__(self) -> str:
        tables = (self.variances, self.shares, self.tests) if self._components else (self.shares, self.tests)
        return "\n\n".join(str(table) for table in tables)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        tables = (self.variances, self.shares, self.tests) if self._components else (self.shares, self.tests)
        return "".join(table._repr_html_() for table in tables)

    @cached_property
    def _components(self) -> list[Component]:
        return components(self.fit)

    @cached_property
    def _limits(self) -> list[tuple[float, float, str]]:
        return [interval(self.fit, component, self.level) for component in self._components]

    @cached_property
    def _levels(self) -> dict[str, float]:
        return average_variances(self.fit)

    @cached_property
    def _typical(self) -> float:
        return typical_variance(self.fit)

    @property
    def _per_total(self) -> float:
        return 1.0 / (self.tau2 + self._typical)

    def _i2(self, tau2: float) -> float:
        return 100.0 * (1.0 if np.isinf(tau2) else tau2 / (tau2 + self._typical))

    def _h2(self, tau2: float) -> float:
        return 1.0 + tau2 / self._typical

    @property
    def _free(self) -> int:
        return self.fit.nobs - len(self.fit.params)

    @cached_property
    def _tested(self) -> list[int]:
        """The columns of X that are moderators."""
        return [j for j in self.fit.criterion.gram.standard.kept if j != self.fit.model.design.intercept]

    @property
    def _method(self) -> str:
        method = self.fit.optimum.optimizer
        return NAMES.get(method, "REML" if self.fit.reml else "ML")

    def _table(self, rows: list[Row], title: str, **options: Any) -> Table:
        names = list(dict.fromkeys(name for row in rows for name in row))
        names = sorted(names, key=lambda name: ORDER.index(name))
        columns = {name: [row.get(name) for row in rows] for name in names}
        if "group" in columns and not any(columns["group"]):
            del columns["group"]
        return Table(columns, title=title, frame_kind=self.fit.model.rows.frame, **options)


ORDER = (
    "test", "quantity", "group", "term", "variance", "sd", "estimate", "std_error", "conf_low", "conf_high", "statistic", "num_df",
    "den_df", "p_value",
)  # fmt: skip


@checked
def heterogeneity(fit: Fit, level: float = 0.95) -> Heterogeneity:
    """How much the true effects of a meta-analysis differ: tau2, I2, H2, the Q test, and what moderators explain.

    The variances come with the standard error of the expected information and with limits: by the Q-profile where there is one
    variance and each row has an effect of its own, else by the profile of the criterion that the fit minimised. I2 is given
    overall and, with several grouping factors, by factor. The test of all moderators is that of the fit's `ddf`: chi-squared, or F.

    Raises ModelError for a fit without `sampling_variance`, for one that was loaded from a file, and for a level outside (0, 1).

    Examples
    --------
    >>> import ranef
    >>> m = ranef.lmm("yi ~ 1 + (1 | trial)", ranef.datasets.load("bcg"), sampling_variance="vi")
    >>> ranef.heterogeneity(m)
    Variance of the true effects (REML)
    Group  Term           tau2     tau  Std. error   Lower   Upper
    --------------------------------------------------------------
    trial  (Intercept)  0.3132  0.5597      0.1664  0.1197  1.1115
    Limits by Q-profile.
    Intervals hold with probability 0.95.
    <BLANKLINE>
    I2 and H2
    Quantity  Estimate   Lower   Upper
    ----------------------------------
    I2 (%)      92.221  81.921  97.678
    H2          12.856   5.531  43.068
    <BLANKLINE>
    Tests
    Test              Statistic  df       p
    ---------------------------------------
    Q: heterogeneity     152.23  12  <0.001
    """
    if not fit.model.design.known_variances:
        raise ModelError(
            "Heterogeneity is what is left beside known sampling variances, and this model estimates its residual variance.",
            hint="Fit it with sampling_variance=...; for other models see ranef.icc() and ranef.variance_partition().",
        )
    check_level(level)
    needs_rows(fit, "heterogeneity()")
    return Heterogeneity(fit, level)


def _bounds(bounds: tuple[float, float] | None, at: Any) -> Row:
    return {} if bounds is None or np.isnan(bounds[0]) else {"conf_low": at(bounds[0]), "conf_high": at(bounds[1])}


def average_variances(fit: Fit) -> dict[str, float]:
    """By grouping factor, z'Omega z averaged over the rows."""
    points, out = design_points(fit.model.design, fit.criterion.layout), {}
    for f, block in enumerate(fit.criterion.layout.blocks):
        scores = points.z[f] @ (fit.sigma * fit.solution.root(f))
        out[fit.model.design.terms[block.parts[0].term].group.name] = float(np.mean(np.einsum("nk,nk->n", scores, scores)))
    return out


def _without_moderators(fit: Fit) -> float:
    """tau^2 of the model with the intercept alone."""
    design = fit.model.design
    assert design.intercept is not None
    if fit.optimum.optimizer in NAMES:
        alone = replace(studies(fit), X=np.ones((design.nobs, 1)))
        return estimate(alone, fit.optimum.optimizer).tau2 * fit.sigma**2
    from ranef.fit.run import run

    intake = replace(
        fit.model.intake,
        design=replace(design, X=np.asfortranarray(design.X[:, [design.intercept]]), names=("(Intercept)",), intercept=0),
    )
    options = replace(fit.model.options, start=None)
    return sum(average_variances(run(replace(fit.model, intake=intake, options=options))).values())
