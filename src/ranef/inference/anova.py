"""Analysis of variance: an F test for every term of the fixed part.

Types I, II and III are those of SAS and lmerTest: the same for every coding of the factors. `style="car"` gives the hypotheses of
R's car package: type II adjusts by generalised least squares, and type III tests the coefficients as they are coded.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ranef.errors import ModelError
from ranef.fit.methods import DDF
from ranef.inference.ddf import FTest
from ranef.inference.estimable import Hypotheses
from ranef.inference.terms import Style
from ranef.table import Table

if TYPE_CHECKING:
    from ranef.fit.fit import Fit

ROMAN = {1: "I", 2: "II", 3: "III"}
KINDS = {**{str(number): number for number in ROMAN}, **{roman: number for number, roman in ROMAN.items()}}


def anova(fit: Fit, type: int | str = 3, ddf: str | None = None, *, style: Style = "sas") -> Table:
    """F tests of the terms: term sum_sq mean_sq num_df den_df statistic p_value; chi-squared if ddf="asymptotic".

    Sums of squares are on the scale of the residual variance: mean_sq / sigma^2 is F (before the scale of Kenward and Roger). A
    term of which the data tell nothing has no degrees of freedom and no test.

    Raises ModelError for an unknown type, style or method.
    """
    kind = KINDS.get(str(type).upper())
    if kind is None:
        raise ModelError(f"type={type!r} is not known.", hint="Use 1 (sequential), 2 or 3.")
    if style not in ("sas", "car"):
        raise ModelError(f"style={style!r} is not known.", hint='Use "sas" (as lmerTest) or "car".')
    method = fit.denominator(ddf)
    rows = Hypotheses.of(fit, style).rows(kind)
    if not rows:
        raise ModelError("The fixed part has no terms to test.", hint="anova() tests the terms beside the intercept.")
    tests = [method.test(L, np.zeros(len(L))) for _, L in rows]
    name = fit.ddf if ddf is None else fit.applicable(ddf)
    title = f"Type {ROMAN[kind]} analysis of variance" + (" (hypotheses as in car)" if style == "car" else "")
    table = table_of([label for label, _ in rows], tests, fit, name, title)
    design = fit.model.design
    plain = not design.mixed and not design.known_variances and name != "asymptotic"
    return _with_residuals(table, fit) if plain else table


def table_of(labels: list[str], tests: list[FTest], fit: Fit, method: str, title: str) -> Table:
    """F tests as a table, or chi-squared tests where the denominator has no degrees of freedom of its own."""
    columns: dict[str, Any] = {"term": labels}
    if method == "asymptotic":
        columns |= {"statistic": [test.statistic * test.num_df for test in tests], "df": [test.num_df for test in tests]}
        heading = "Chi-sq."
    else:
        mean = [test.wald * fit.sigma**2 for test in tests]
        columns |= {"sum_sq": [m * test.num_df for m, test in zip(mean, tests, strict=True)], "mean_sq": mean}
        columns |= {"num_df": [test.num_df for test in tests], "den_df": [test.den_df for test in tests]}
        columns["statistic"] = [test.statistic for test in tests]
        heading = "F"
    columns["p_value"] = [test.p_value for test in tests]
    return Table(columns, title=title, notes=(DDF[method],), headings={"statistic": heading}, frame_kind=fit.model.rows.frame)


def _with_residuals(table: Table, fit: Fit) -> Table:
    """The row that tables of ordinary regression end with."""
    df, mean = fit.df_residual, fit.sigma**2
    last = {"term": "Residuals", "sum_sq": mean * df, "mean_sq": mean, "num_df": df}
    return replace(table, columns={name: [*values, last.get(name)] for name, values in table.columns.items()})
