"""The answer: facts are attributes, questions are methods that return a Table.

This class is an index. Each method is one line that calls the module where the work is done, imported when it is first needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ranef.arguments import as_numbers, checked
from ranef.core.criterion import Criterion
from ranef.core.satterthwaite import VarianceParameters
from ranef.core.solution import Solution, theta_from_user
from ranef.core.strata import Estimates
from ranef.covariance.base import Array
from ranef.errors import Finding, ModelError
from ranef.fit.answer import Answer
from ranef.fit.methods import WITHOUT_RANDOM, check_ddf
from ranef.fit.model import Model
from ranef.fit.tails import t_tail
from ranef.optim.problem import Optimum
from ranef.table import Table

if TYPE_CHECKING:
    from os import PathLike

    import pandas as pd

    from ranef.inference.ddf import Denominator


@lru_cache(maxsize=16)
def label_index(names: tuple[str, ...], kept: tuple[int, ...]) -> pd.Index:
    """The names of the fixed effects as pandas has them; an Index never changes, so that one serves all fits of a design."""
    import pandas as pd

    return pd.Index([names[j] for j in kept], dtype=object)


@dataclass(frozen=True, eq=False)
class Fit:
    """A fitted linear (mixed) model; frozen. See `summary()` for all of it at a glance.

    Examples
    --------
    >>> import ranef
    >>> m = ranef.lmm("Reaction ~ Days + (Days | Subject)", ranef.datasets.load("sleepstudy"))
    >>> m.formula, m.nobs, m.ngroups
    ('Reaction ~ Days + (Days | Subject)', 180, {'Subject': 18})
    >>> m.status, m.is_singular
    ('optimum', False)
    >>> round(m.aic, 2), round(m.sigma, 2)
    (1755.63, 25.59)
    """

    model: Model
    answer: Answer
    findings: tuple[Finding, ...]

    @property
    def criterion(self) -> Criterion:
        return self.answer.criterion

    @property
    def optimum(self) -> Optimum:
        return self.answer.optimum

    @property
    def solution(self) -> Solution:
        return self.answer.solution

    # -- facts about the question

    @property
    def formula(self) -> str:
        return self.model.formula.text

    @property
    def reml(self) -> bool:
        return self.model.reml

    @property
    def ddf(self) -> str:
        """The method of the denominator degrees of freedom; without random terms all but z tests are the residual df."""
        return self.applicable(self.model.options.ddf)

    def applicable(self, ddf: str) -> str:
        """The method that is used when `ddf` is asked for: without random effects classical tests are exact by the residual df."""
        known, design = check_ddf(ddf), self.model.design
        if design.terms or (design.mixed and not design.known_variances) or known in WITHOUT_RANDOM:
            return known
        if not design.known_variances:
            return "residual"
        return known if known in ("residual", "knapp-hartung") else "asymptotic"

    @property
    def nobs(self) -> int:
        return self.answer.nobs

    @property
    def ngroups(self) -> dict[str, int]:
        """Levels of each grouping factor in the rows used."""
        return {term.group.name: term.size for term in self.model.design.terms}

    @property
    def dropped(self) -> tuple[str, ...]:
        """Columns of the fixed part that are aliased with columns before them."""
        names = self.model.design.names
        return tuple(names[j] for j in sorted(set(range(len(names))) - set(self._kept)))

    @property
    def _kept(self) -> tuple[int, ...]:
        return self.answer.kept

    # -- facts about the optimum

    @property
    def status(self) -> str:
        """`optimum`, `optimum on the boundary` or `not converged`; `moment estimate` where no likelihood was maximised."""
        return self.optimum.state

    @property
    def is_singular(self) -> bool:
        return bool(self.optimum.boundary)

    @property
    def npar(self) -> int:
        """Fixed effects, covariance parameters and, unless it is known, the residual variance."""
        return len(self._kept) + len(self.optimum.theta) + (self.criterion.scale is None)

    @property
    def df_residual(self) -> int:
        return self.nobs - self.npar if self.model.design.mixed else self.nobs - len(self._kept)

    @property
    def deviance(self) -> float:
        """-2 log likelihood; under REML the REML criterion. Without random terms it is the full likelihood, as R's logLik."""
        if self.model.design.mixed or self.model.design.sigma:
            return self.answer.value
        n, dof, scale = self.nobs, self.solution.dof, self.solution.sigma**2
        return n * (1.0 + float(np.log(2.0 * np.pi * scale * dof / n))) - self.criterion.gram.log_weights

    @property
    def llf(self) -> float:
        return -0.5 * self.deviance

    @property
    def aic(self) -> float:
        return self.deviance + 2.0 * self.npar

    @property
    def bic(self) -> float:
        return self.deviance + float(np.log(self.nobs)) * self.npar

    @property
    def sigma(self) -> float:
        """Residual standard deviation of a row with weight one; of a typical row where sampling variances are known, and at the
        first position of a residual structure."""
        if self.model.design.residual is not None and not self.model.design.known_variances:
            from ranef.fit.residual_side import reference_sd

            return reference_sd(self)
        return self.answer.sigma

    @property
    def theta(self) -> Array:
        """Relative covariance factors: lower triangles by column, term by term (lme4's order and units)."""
        return self.solution.theta_user

    # -- fixed effects

    @property
    def _beta(self) -> Array:
        return self.answer.beta

    @cached_property
    def _se(self) -> Array:
        short = self._short
        return self._of_kept(np.sqrt(self.denominator().vcov.diagonal())) if short is None else short.std_errors

    @cached_property
    def _df(self) -> Array:
        short = self._short
        return self.denominator().df(self._of_kept(np.eye(len(self.model.design.names)))) if short is None else short.df

    @property
    def _short(self) -> Estimates | None:
        """The formulas where they say all of the method."""
        return self.answer.estimates if self.model.options.ddf == "satterthwaite" else None

    def _of_kept(self, values: Array) -> Array:
        return values[self.criterion.gram.standard.places]

    @property
    def params(self) -> pd.Series:
        return self._labelled(self._beta, "estimate")

    @property
    def bse(self) -> pd.Series:
        return self._labelled(self._se, "std_error")

    @property
    def tvalues(self) -> pd.Series:
        return self._labelled(self._beta / self._se, "statistic")

    @property
    def df(self) -> pd.Series:
        """Denominator degrees of freedom of each coefficient, by `ddf`."""
        return self._labelled(self._df, "df")

    @property
    def pvalues(self) -> pd.Series:
        return self._labelled(2.0 * t_tail(np.abs(self._beta / self._se), self._df), "p_value")

    @checked
    def cov_params(self, kind: str | None = None, cluster: Any = None) -> pd.DataFrame:
        """Covariance matrix of the fixed effects; adjusted for small samples when `ddf` is Kenward and Roger's.

        `kind` asks for a cluster-robust one (CR0 to CR3); see `ranef.robust` for `cluster`, and for tests with it.
        """
        import pandas as pd

        if kind is not None:
            from ranef.inference.robust import robust

            return robust(self, kind, cluster).cov_params()
        kept = list(self._kept)
        names = [self.model.design.names[j] for j in kept]
        return pd.DataFrame(self.denominator().vcov[np.ix_(kept, kept)], index=names, columns=names)

    def _labelled(self, values: Array, name: str) -> pd.Series:
        import pandas as pd

        return pd.Series(values, index=label_index(self.model.design.names, self._kept).view(), name=name)

    # -- degrees of freedom

    @cached_property
    def hessian(self) -> Array:
        """Exact Hessian of the criterion at the optimum, in the standardised theta."""
        found = self.optimum.hessian
        return self.solution.hessian if found is None or self.criterion.engine.exact else found

    @cached_property
    def variance_parameters(self) -> VarianceParameters:
        return VarianceParameters.of(self.solution, self.hessian)

    def denominator(self, ddf: str | None = None) -> Denominator:
        """How contrasts are tested by `ddf` or the method given: covariance, degrees of freedom, F tests."""
        method = self.ddf if ddf is None else self.applicable(ddf)
        if method not in self._denominators:
            from ranef.inference.ddf import denominator

            # of a copy that shares everything: in a cycle with this object, a large fit would outlive its last name
            self._denominators[method] = denominator(replace(self), method)
        return self._denominators[method]

    @cached_property
    def _denominators(self) -> dict[str, Denominator]:
        return {}

    def ddf_of(self, L: Any, ddf: str | None = None) -> Array:
        """(c,) degrees of freedom of linear hypotheses, as `test` reads them, by `ddf` or the method given."""
        from ranef.inference.hypothesis import hypothesis

        return self.denominator(ddf).df(hypothesis(self, L).L)

    # -- rows

    @cached_property
    def _fitted(self) -> Array:
        from ranef.fit.predict import fitted_values

        return fitted_values(self)

    @cached_property
    def _leverage(self) -> Array:
        from ranef.fit.residuals import conditional_leverage

        return conditional_leverage(self)

    @cached_property
    def fittedvalues(self) -> pd.Series:
        """Conditional fitted values of the rows used, under the user's index."""
        return self._by_row(self._fitted, "fitted")

    @cached_property
    def resid(self) -> pd.Series:
        return self._by_row(self.model.design.y - self._fitted, "resid")

    def _by_row(self, values: Array, name: str) -> pd.Series:
        import pandas as pd

        return pd.Series(values, index=self.model.rows.index, name=name)

    # -- questions

    @cached_property
    def varcorr(self) -> Table:
        from ranef.fit.effects import varcorr

        return varcorr(self)

    @checked
    def residual_parameters(self, level: float = 0.95) -> Table:
        """The parameters of the residual structure, with standard errors and intervals; see `ranef.fit.residual_side`."""
        from ranef.fit.residual_side import residual_parameters

        return residual_parameters(self, level)

    def residual_covariance(self, **options: Any) -> Table:
        """The estimated covariance or correlation matrix of the residuals; see `ranef.fit.residual_side`."""
        from ranef.fit.residual_side import residual_covariance

        return residual_covariance(self, **options)

    @checked
    def ranef(self, cond_var: bool = True) -> Table:
        """Conditional means of the random effects, with conditional standard deviations."""
        from ranef.fit.effects import ranef_table

        return ranef_table(self, cond_var)

    def coef(self) -> dict[str, pd.DataFrame]:
        """Fixed plus random effects of each level, by grouping factor."""
        from ranef.fit.effects import coef

        return coef(self)

    def summary(self) -> Any:
        """All that a reader wants first; prints as text, shows as HTML in a notebook."""
        from ranef.report.summary import summary

        return summary(self)

    @checked
    def tidy(self, effects: Sequence[str] = ("fixed", "ran_pars"), conf_int: bool = False, level: float = 0.95) -> Table:
        """Estimates as a tidy table: effect group term estimate std_error df statistic p_value [conf_low conf_high]."""
        from ranef.fit.tidy import tidy

        return tidy(self, effects, conf_int, level)

    def glance(self) -> Table:
        """One row about the whole fit."""
        from ranef.fit.tidy import glance

        return glance(self)

    def augment(self) -> Table:
        """The rows used with fitted values, residuals and leverages."""
        from ranef.fit.residuals import augment

        return augment(self)

    @checked
    def conf_int(self, method: str = "wald", level: float = 0.95, **options: Any) -> Table:
        """Confidence intervals: `wald` (fixed effects, degrees of freedom by `ddf`), `profile` or `bootstrap` (all parameters).

        Further options are those of `ranef.profile` and `ranef.bootstrap`: `which`; `n`, `kind`, `seed`, `n_jobs`, ...
        """
        if method == "profile":
            from ranef.inference.profile import profile

            return profile(self, level=level, **options).intervals
        if method == "bootstrap":
            from ranef.inference.bootstrap import bootstrap_intervals

            return bootstrap_intervals(self, level=level, **options)
        from ranef.fit.tidy import conf_int

        return conf_int(self, method, level, options)

    @checked
    def anova(self, type: int | str = 3, ddf: str | None = None, *, style: Literal["sas", "car"] = "sas") -> Table:
        """F tests of the terms, of type 1 (sequential), 2 or 3. See `ranef.inference.anova`."""
        from ranef.inference.anova import anova

        return anova(self, type, ddf, style=style)

    @checked
    def test(
        self,
        L: Any,
        value: float | Sequence[float] = 0.0,
        ddf: str | None = None,
        *,
        alternative: Literal["two-sided", "less", "greater"] = "two-sided",
        margin: float | None = None,
        joint: bool = False,
        level: float = 0.95,
    ) -> Table:
        """Tests of linear hypotheses such as `"Days = 10"` or `"a - b"`, one by one or jointly. See `ranef.inference.contrasts`."""
        from ranef.inference.contrasts import linear_test

        return linear_test(self, L, value, ddf, alternative=alternative, margin=margin, joint=joint, level=level)

    @checked
    def predict(
        self,
        newdata: Any = None,
        re: str | None = "conditional",
        new_levels: Literal["error", "population", "missing"] = "error",
        interval: Literal["confidence", "prediction"] | None = None,
        level: float = 0.95,
        offset: Any = None,
    ) -> Any:
        """Expected responses for the rows used or for new data; see `ranef.fit.predict`."""
        from ranef.fit.predict import predict

        return predict(self, newdata, re=re, new_levels=new_levels, interval=interval, level=level, offset=offset)

    @checked
    def simulate(self, n: int = 1, seed: int | None = None, re: Literal["new", "fitted"] = "new") -> Any:
        """New responses from the fitted model, a column each."""
        from ranef.fit.simulate import simulate

        return simulate(self, n, seed=seed, re=re)

    @checked
    def residuals(self, kind: str = "raw", level: str = "conditional") -> pd.Series:
        """Residuals: raw, pearson, standardised or studentised; conditional on the random effects or marginal."""
        from ranef.fit.residuals import residuals

        return residuals(self, kind, level)

    def hat_values(self) -> pd.Series:
        """Leverage of each row on its own fitted value."""
        from ranef.fit.residuals import hat_values

        return hat_values(self)

    def refit(self, y: Any) -> Fit:
        """The same model with another response: one value for each row used (or of the original data)."""
        from ranef.fit.run import refit

        return refit(self, y)

    def update(self, **changes: Any) -> Fit:
        """Fit again with other arguments, e.g. `update(reml=False)` or `update(formula="y ~ x + (1 | g)")`."""
        from ranef.api import lmm
        from ranef.fit.rows import needs_rows

        if "data" not in changes:
            needs_rows(self, "update()")
        return lmm(**{**self.model.recipe, "formula": self.formula, "reml": self.reml, **changes})

    def with_ddf(self, ddf: str) -> Fit:
        """The same fit reported with another method of degrees of freedom."""
        return replace(self, model=replace(self.model, options=replace(self.model.options, ddf=check_ddf(ddf))))

    def deviance_at(self, theta: Sequence[float]) -> float:
        """The criterion at a theta on the user's scale, profiled over the fixed effects and sigma."""
        asked = as_numbers("theta", theta)
        if asked.shape != self.theta.shape or not np.all(np.isfinite(asked)):
            raise ModelError(f"theta must hold {len(self.theta)} finite values (see the fit's .theta), not {theta!r}.")
        return self.criterion.evaluate(theta_from_user(self.criterion, asked), 0).value

    def save(self, path: str | PathLike[str]) -> None:
        """Write the model without its data; `ranef.load` reads it."""
        from ranef.fit.persist import save

        save(self, path)

    def __repr__(self) -> str:
        return str(self.summary())

    def _repr_html_(self) -> str:
        from ranef.report.html import summary_fragment

        return summary_fragment(self)
