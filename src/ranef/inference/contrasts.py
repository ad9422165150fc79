"""Tests of linear hypotheses: one by one with t, jointly with F, one-sided, of equivalence and of non-inferiority.

              without margin              with margin m > 0
two-sided     H0: L beta = value          H0: |L beta - value| >= m    equivalence: two one-sided tests, the larger p
greater       H0: L beta <= value         H0: L beta <= value - m      non-inferiority
less          H0: L beta >= value         H0: L beta >= value + m      non-superiority
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from scipy.special import ndtri, stdtrit

from ranef.arguments import check_level
from ranef.covariance.base import Array
from ranef.errors import ModelError
from ranef.fit.methods import DDF
from ranef.fit.tails import t_tail
from ranef.inference.anova import table_of
from ranef.inference.hypothesis import Hypothesis, hypothesis
from ranef.table import Table

if TYPE_CHECKING:
    from ranef.fit.fit import Fit

Alternative = Literal["two-sided", "less", "greater"]


def linear_test(
    fit: Fit,
    L: Any,
    value: float | Sequence[float] = 0.0,
    ddf: str | None = None,
    *,
    alternative: Alternative = "two-sided",
    margin: float | None = None,
    joint: bool = False,
    level: float = 0.95,
) -> Table:
    """Test L beta = value.

    Parameters
    ----------
    L
        Text (``"Days = 10"``, ``"a - b, a + b"``), a list of texts, weights by name (``{"a": 1, "b": -1}``), or a matrix with a
        column for each coefficient. See `ranef.inference.hypothesis`.
    value
        What L beta is under the hypothesis, where the text does not say it.
    ddf
        Method of the degrees of freedom; that of the fit if not given.
    alternative, margin
        See the module. With a margin the table is one of equivalence, non-inferiority or non-superiority.
    joint
        One F test of all rows instead of a t test for each.
    level
        Of the confidence intervals of L beta, one-sided where the alternative is.

    Raises
    ------
    FormulaError, ModelError
        For text that cannot be read, a hypothesis that does not fit the model, or options that contradict each other.
    """
    _check(alternative, margin, joint, level)
    asked = hypothesis(fit, L, value)
    name = fit.ddf if ddf is None else fit.applicable(ddf)
    if joint:
        tested = fit.denominator(ddf).test(asked.L, asked.value)
        return table_of([", ".join(asked.labels)], [tested], fit, name, "Joint test")
    return _singly(fit, asked, name, alternative, margin, level)


def _singly(fit: Fit, asked: Hypothesis, method: str, alternative: Alternative, margin: float | None, level: float) -> Table:
    denominator = fit.denominator(method)
    estimate = asked.L @ fit.solution.beta
    se = np.sqrt(np.einsum("ci,ij,cj->c", asked.L, denominator.vcov, asked.L))
    df = denominator.df(asked.L)
    t, p = t_and_p(estimate - asked.value, se, df, alternative, margin)
    low, high = limits(estimate, se, df, alternative, level)
    columns: dict[str, Any] = {"term": list(asked.labels), "estimate": estimate, "std_error": se}
    if np.any(asked.value != 0):
        columns["null"] = asked.value
    columns |= {"df": df, "statistic": t, "p_value": p, "conf_low": low, "conf_high": high}
    headings, title = {"statistic": "z" if np.isinf(df).any() else "t"}, _title(alternative, margin)
    return Table(columns, title=title, notes=(DDF[method],), level=level, headings=headings, frame_kind=fit.model.rows.frame)


def t_and_p(difference: Array, se: Array, df: Array, alternative: Alternative, margin: float | None) -> tuple[Array, Array]:
    """(c,) t and p; with a margin t is the distance from the nearest bound that has to be passed."""
    m = margin or 0.0
    if alternative == "greater":
        t = (difference + m) / se
        return t, t_tail(t, df)
    if alternative == "less":
        t = (difference - m) / se
        return t, t_tail(-t, df)
    if margin is None:
        t = difference / se
        return t, 2.0 * t_tail(np.abs(t), df)
    t = (np.abs(difference) - m) / se
    return t, t_tail(-t, df)


def limits(estimate: Array, se: Array, df: Array, alternative: Alternative, level: float) -> tuple[Array, Array]:
    tail = 0.5 * (1.0 + level) if alternative == "two-sided" else level
    finite = ~np.isinf(df)
    half = np.where(finite, stdtrit(np.where(finite, df, 1.0), tail), ndtri(tail)) * se
    low = np.full(len(se), -np.inf) if alternative == "less" else estimate - half
    return low, np.full(len(se), np.inf) if alternative == "greater" else estimate + half


def _title(alternative: Alternative, margin: float | None) -> str:
    if margin is None:
        return "Tests of linear hypotheses" + ("" if alternative == "two-sided" else f" (one-sided: {alternative})")
    kinds = {"two-sided": "equivalence", "greater": "non-inferiority", "less": "non-superiority"}
    return f"Tests of {kinds[alternative]} (margin {margin:g})"


def _check(alternative: str, margin: float | None, joint: bool, level: float) -> None:
    if alternative not in ("two-sided", "less", "greater"):
        raise ModelError(f"alternative={alternative!r} is not known.", hint='Use "two-sided", "less" or "greater".')
    if margin is not None and not (np.isfinite(margin) and margin > 0):
        raise ModelError(f"margin={margin!r} must be a positive number, on the scale of the response.")
    if joint and (alternative != "two-sided" or margin is not None):
        raise ModelError("A joint test has no direction and no margin.", hint="Test the hypotheses one by one: joint=False.")
    check_level(level)
