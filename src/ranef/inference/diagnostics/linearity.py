"""Linearity: does a curve explain what the line leaves?

RESET: powers of the fitted values added to the fixed effects, and an F test of their coefficients, Ramsey (1969), JRSS B 31,
350-371. The fitted values are those of the fixed effects, X beta: given the variances they are independent of the residuals P y
that the test looks at, so that the F test is as exact as any other of the model. In ordinary regression it is lmtest's
`resettest`. The same with powers of one numeric predictor asks about that predictor.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from ranef.core.criterion import Criterion
from ranef.core.gram import Gram
from ranef.core.layout import Layout
from ranef.core.solution import Solution
from ranef.core.standard import standardise
from ranef.covariance.base import Array
from ranef.design import Design
from ranef.errors import RanefError
from ranef.fit.answer import Searched
from ranef.fit.fit import Fit
from ranef.fit.run import answer
from ranef.inference.ddf.base import FTest
from ranef.inference.diagnostics.answer import Assessment, judge, untested
from ranef.inference.diagnostics.evidence import Evidence
from ranef.inference.terms import terms_of
from ranef.table import Table

ASSUMPTION = "Linearity"
POWERS = (2, 3)
AFFORDABLE = 3e8  # floating-point operations of an evaluation beyond which the variances are held at their estimates
SMALL, LARGE = 0.02, 0.13  # partial R2: Cohen's (1988) small and medium f2 of 0.02 and 0.15
REMEDY = "Look at the trend of the residuals; a transformation, a polynomial, a spline or a missing predictor may describe it."


def linearity(evidence: Evidence) -> Iterator[Assessment]:
    """One assessment of the fitted values, and one of each numeric predictor with more than two values."""
    yield assess(evidence, "RESET, fitted values", "", evidence.mean)
    for name, x in predictors(evidence.fit).items():
        if abs(np.corrcoef(x, evidence.mean)[0, 1]) < 1.0 - 1e-10:  # else it is the same question
            yield assess(evidence, f"Curve in {name}", name, x)


def assess(evidence: Evidence, check: str, name: str, x: Array) -> Assessment:
    """Of the predictor called `name`; of the fitted values where that is empty."""
    code, panel = (f"linearity_{name}", f"linearity:{name}") if name else ("linearity", "linearity")
    try:
        test = reset(evidence.fit, x)
    except RanefError as problem:
        return untested(code, ASSUMPTION, check, f"The powers cannot be added: {problem.message}")
    if not test.num_df:
        return untested(code, ASSUMPTION, check, "The powers say nothing that the fixed effects do not say already.")
    share = test.num_df * test.statistic
    share = share / (share + test.den_df) if np.isfinite(test.den_df) else share / (share + evidence.fit.nobs)
    words = f"a curve explains {share:.1%} of the variance that is left."
    verdict = judge(test.p_value, share, small=SMALL, large=LARGE)
    return Assessment(code, ASSUMPTION, check, test.statistic, test.p_value, verdict, words, REMEDY, panel)


def reset(fit: Fit, x: Array, powers: tuple[int, ...] = POWERS) -> FTest:
    """F test of powers of x (n,) added to the fixed effects, with Satterthwaite's degrees of freedom.

    No degrees of freedom in the numerator where the powers are aliased with the columns of the model. Raises RanefError where
    the larger model cannot be fitted.
    """
    design = fit.model.design
    spread = float(np.std(x))
    if spread <= 1e-10 * max(float(np.abs(x).max(initial=0.0)), 1e-300):
        return FTest(float("nan"), 0, float("nan"))
    z = (x - x.mean()) / spread
    added = np.column_stack([z**power for power in powers])
    names = tuple(f"power {power}" for power in powers)
    larger = replace(design, X=np.asfortranarray(np.hstack([design.X, added])), names=design.names + names)
    other = _fit(fit, larger)
    old = len(design.names)
    kept = [j for j in other.criterion.gram.standard.kept if j >= old]
    L = np.eye(len(larger.names))[kept]
    ddf = "satterthwaite" if _affordable(fit) else "residual"
    return other.denominator(ddf).test(L, np.zeros(len(kept))) if kept else FTest(float("nan"), 0, float("nan"))


def _affordable(fit: Fit) -> bool:
    return fit.criterion.effort <= AFFORDABLE


def _fit(fit: Fit, design: Design) -> Fit:
    """The model with another design that has the same random terms; by REML."""
    model = replace(fit.model, intake=replace(fit.model.intake, design=design), reml=True)
    gram = Gram.of(standardise(design, Layout.of(design.terms)))
    if not design.terms or _affordable(fit):
        return answer(model, gram, None, warm=fit.optimum.theta if design.terms else None)
    criterion = Criterion.of_gram(gram, True)
    return Fit(model, Searched(criterion, fit.optimum, Solution(criterion, fit.optimum.theta)), ())


def predictors(fit: Fit) -> dict[str, Array]:
    """The numeric predictors that enter the fixed effects by themselves, with more than two values."""
    schema, design = fit.model.schema, fit.model.design
    _, terms = terms_of(schema, fit.criterion.gram.standard.kept)
    out = {}
    for term in terms.tested:
        name = next(iter(term.numerics), "")
        if term.factors or len(term.numerics) != 1 or schema.variables[name].kind != "numeric":
            continue
        values = design.X[:, terms.at[term.columns][0]]
        if len(np.unique(values[:1000])) > 2 or len(np.unique(values)) > 2:
            out[name] = values
    return out


def linearity_panels(evidence: Evidence) -> Iterator[tuple[str, Table]]:
    residual = evidence.fit.model.design.y - evidence.fitted
    yield "linearity", evidence.table({"fitted": evidence.fitted, "residual": residual}, "Residuals against fitted values")
    yield "linearity_trend", evidence.trend(evidence.fitted, residual, "Trend of the residuals over the fitted values")
    for name, x in predictors(evidence.fit).items():
        yield f"linearity:{name}", evidence.table({"x": x, "residual": residual}, f"Residuals against {name}")
        yield f"linearity_trend:{name}", evidence.trend(x, residual, f"Trend of the residuals over {name}")
