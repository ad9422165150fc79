"""Corrections for multiple comparisons: p-values and critical values of a family of t tests.

single-step   tukey, dunnett, dunnettx, mvt, scheffe, sidak, bonferroni: p-values and simultaneous intervals
stepwise      holm, hochberg, hommel (family-wise), fdr, by (false discovery rate): p-values; their intervals are Bonferroni's
none          each test on its own

Tukey: studentised range, exact for differences of independent means of equal precision, conservative else (Hayter 1984). dunnett
and mvt: the multivariate t of the tests themselves. dunnettx: a mixture of the range distribution and Sidak's bound that comes
close to Dunnett's distribution for correlations of one half. scheffe: any contrast in the space that the family spans.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.polynomial import chebyshev
from scipy.special import chdtrc, chdtri, fdtrc, fdtri, ndtri, stdtrit

from ranef.design import Array
from ranef.errors import ModelError
from ranef.fit.fit import t_tail
from ranef.means.mvt import Family
from ranef.means.studentized import range_tail

Side = Literal["two-sided", "greater", "less"]
WORDS = {
    "tukey": "Tukey", "dunnett": "Dunnett (multivariate t)", "dunnettx": "Dunnett (approximation)", "mvt": "multivariate t",
    "scheffe": "Scheffé", "sidak": "Šidák", "bonferroni": "Bonferroni", "holm": "Holm", "hochberg": "Hochberg", "hommel": "Hommel",
    "fdr": "false discovery rate (Benjamini-Hochberg)", "by": "false discovery rate (Benjamini-Yekutieli)", "none": "none",
}  # fmt: skip
SPELLINGS = {"bh": "fdr", "šidák": "sidak", "scheffé": "scheffe", "hsd": "tukey", "bonf": "bonferroni"}
STEPWISE = ("holm", "hochberg", "hommel", "fdr", "by")
TOLERANCE = 1e-10
DISTINCT = 24  # critical values for more different df than this are interpolated


@dataclass(frozen=True, eq=False)
class Comparisons:
    """One family of t tests. `means` is how many means it compares pairwise, if it does; `rank` that of the contrasts."""

    statistic: Array  # (m,), NaN where a contrast is not estimable
    df: Array  # (m,)
    correlation: Callable[[], Array] = field(repr=False)  # (m, m)
    rank: int = 1
    means: int | None = None
    side: Side = "two-sided"

    @property
    def size(self) -> int:
        return int(np.count_nonzero(~np.isnan(self.statistic)))

    @property
    def toward(self) -> Array:
        """(m,) the statistics turned so that large values speak against the hypothesis."""
        return {"two-sided": np.abs, "greater": np.positive, "less": np.negative}[self.side](self.statistic)

    @cached_property
    def joint(self) -> Family:
        live = np.flatnonzero(~np.isnan(self.statistic))
        return Family(self.correlation()[np.ix_(live, live)], self.side == "two-sided")


def check_adjust(adjust: str) -> str:
    """The method by any of its spellings. Raises ModelError for one that is not known."""
    name = SPELLINGS.get(adjust.lower(), adjust.lower()) if isinstance(adjust, str) else None
    if name is None or name not in WORDS:
        raise ModelError(f"adjust={adjust!r} is not known.", hint=f"Use one of: {', '.join(WORDS)}.")
    return name


def applicable(adjust: str, tests: Comparisons) -> str:
    """The method that is used: what `adjust` asks for where it fits the family, else the nearest that does."""
    if tests.size <= 1:
        return "none"
    if adjust == "tukey" and (tests.means is None or tests.side != "two-sided"):
        return "sidak"
    if adjust == "dunnettx" and tests.side != "two-sided":
        return "dunnett"
    return "sidak" if adjust == "scheffe" and tests.side != "two-sided" else adjust


def p_values(adjust: str, tests: Comparisons) -> Array:
    """(m,) adjusted p-values; `adjust` as `applicable` gives it."""
    if adjust in STEPWISE:
        return _stepwise(adjust, _single(tests, tests.toward, tests.df))
    return _tail(adjust, tests, tests.toward, tests.df)


def critical_values(adjust: str, tests: Comparisons, level: float) -> Array:
    """(m,) how many standard errors a simultaneous interval reaches, so that the family holds with probability `level`."""
    single = "bonferroni" if adjust in STEPWISE else adjust
    m, alpha = tests.size, 1.0 - level
    closed = {"none": alpha, "bonferroni": alpha / m if m else alpha, "sidak": -np.expm1(np.log1p(-alpha) / max(m, 1))}
    if single in closed:
        return quantile(tests.df, closed[single] / (2.0 if tests.side == "two-sided" else 1.0))
    if single == "scheffe":
        return np.sqrt(tests.rank * _f_quantile(tests.rank, tests.df, alpha))
    return _by_df(lambda df: _solve(lambda c: _tail(single, tests, c, df), alpha, quantile(df, alpha / (2.0 * m))), tests.df)


def _by_df(solve: Callable[[Array], Array], df: Array) -> Array:
    """(m,) solutions that depend on df only: one for each, or interpolated in 1 / df where there are many."""
    known = ~np.isnan(df)
    values, place = np.unique(df[known], return_inverse=True)
    out = np.full(len(df), np.nan)
    if len(values) <= DISTINCT or np.isinf(values[-1]):
        out[known] = solve(values)[place]
        return out
    low, high = 1.0 / values[-1], 1.0 / values[0]
    x = chebyshev.chebpts1(DISTINCT)
    curve = chebyshev.chebfit(x, np.log(solve(1.0 / (low + (high - low) * 0.5 * (1.0 + x)))), DISTINCT - 1)
    out[known] = np.exp(chebyshev.chebval(2.0 * (1.0 / df[known] - low) / (high - low) - 1.0, curve))
    return out


def quantile(df: Array, tail: float) -> Array:
    """Upper quantiles of t; normal where df is infinite."""
    finite = ~np.isinf(df)
    return -np.where(finite, stdtrit(np.where(finite, df, 1.0), tail), ndtri(tail))


def _tail(adjust: str, tests: Comparisons, c: Array, df: Array) -> Array:
    """(k,) the probability that the family has a statistic beyond c_j by chance, with df_j degrees of freedom."""
    if adjust == "tukey":
        return range_tail(np.sqrt(2.0) * c, float(tests.means or 2), df)
    if adjust in ("dunnett", "mvt"):
        return tests.joint.tail(c, df)
    if adjust == "scheffe":
        finite = ~np.isinf(df)
        f = fdtrc(tests.rank, np.where(finite, df, 1.0), c**2 / tests.rank)
        return np.where(finite, f, chdtrc(tests.rank, c**2))
    single, m = _single(tests, c, df), tests.size
    if adjust == "bonferroni":
        return np.minimum(m * single, 1.0)
    bound = single
    if adjust in ("sidak", "dunnettx"):
        with np.errstate(divide="ignore"):
            bound = -np.expm1(m * np.log1p(-np.minimum(single, 1.0)))
    if adjust != "dunnettx":
        return bound
    like = 0.5 * (1.0 + np.sqrt(1.0 + 8.0 * m))  # so many means have m differences
    return ((m - 1) * range_tail(np.sqrt(2.0) * c, like, df) + bound) / m


def _single(tests: Comparisons, c: Array, df: Array) -> Array:
    return (2.0 if tests.side == "two-sided" else 1.0) * t_tail(c, df)


def _stepwise(adjust: str, p: Array) -> Array:
    """Holm (1979), Hochberg (1988), Hommel (1988), Benjamini and Hochberg (1995), Benjamini and Yekutieli (2001)."""
    out, live = np.full(len(p), np.nan), np.flatnonzero(~np.isnan(p))
    m, order = len(live), live[np.argsort(p[live])]
    if adjust == "hommel":
        out[order] = _closed(p[order])
        return out
    rank = np.arange(1, m + 1)
    factor = {"holm": m - rank + 1.0, "hochberg": m - rank + 1.0, "fdr": m / rank, "by": m / rank * np.sum(1.0 / rank)}[adjust]
    raised = factor * p[order]
    steps = np.maximum.accumulate(raised) if adjust == "holm" else np.minimum.accumulate(raised[::-1])[::-1]
    out[order] = np.minimum(steps, 1.0)
    return out


def _closed(p: Array) -> Array:
    """(m,) Hommel's p-values of ascending p: the largest that Simes's test has for any set of hypotheses with the one in question.

    Of the sets of size s that is the one with the s - 1 largest others, whose p is the least of s p_(k) / k.
    """
    out = p.copy()
    for size in range(2, len(p) + 1):
        largest = p[len(p) - size :]
        others = np.min(size * largest[1:] / np.arange(2, size + 1))
        out = np.maximum(out, np.minimum(size * np.minimum(p, largest[0]), others))
    return out


def _f_quantile(rank: int, df: Array, alpha: float) -> Array:
    finite = ~np.isinf(df)
    return np.where(finite, fdtri(rank, np.where(finite, df, 1.0), 1.0 - alpha), chdtri(rank, alpha) / rank)


def _solve(tail: Callable[[Array], Array], alpha: float, start: Array) -> Array:
    """(m,) c with tail(c) = alpha, by the secant method on log tail; `start` is not far off."""
    far, target = start.copy(), np.log(alpha)
    near = 0.9 * start
    f_far, f_near = (np.log(tail(c)) - target for c in (far, near))
    for _ in range(60):
        step = f_far * (far - near) / np.where(f_far == f_near, np.inf, f_far - f_near)
        near, f_near = far, f_far
        far = np.maximum(far - np.clip(step, -1.0 - far, 1.0 + far), 1e-3 * start)
        if np.all(np.isnan(step) | (np.abs(step) <= TOLERANCE * np.abs(far))):
            break
        f_far = np.log(np.maximum(tail(far), 1e-300)) - target
    return far


def words(adjust: str, asked: str, tests: Comparisons, families: int) -> str:
    """What a header says of the adjustment: the method, the size of the family, and why another was asked for."""
    each = " in each family" if families > 1 else ""
    size = f"family of {tests.means} means" if adjust == "tukey" else f"{tests.size} tests"
    extra = (
        f", error below {_power_of_ten(tests.joint.error)}" if adjust in ("mvt", "dunnett") and tests.joint.loading is None else ""
    )
    rank = f", rank {tests.rank}" if adjust == "scheffe" else ""
    instead = f"; {WORDS[asked]} does not apply here" if asked != adjust else ""
    return f"{WORDS[adjust]}, {size}{rank}{each}{extra}{instead}"


def _power_of_ten(error: float) -> str:
    return f"1e-{int(np.floor(-np.log10(max(error, 1e-15))))}"
