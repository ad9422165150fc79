"""The rules of tolerances.json as comparisons that say what differs, by how much, and what was allowed.

A number passes when any of the rules for its kind holds; `floor` differences always pass.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

RULES: list[dict[str, Any]] = json.loads((Path(__file__).with_name("tolerances.json")).read_text(encoding="utf-8"))["rules"]
Array = NDArray[np.float64]


def rule(match: str) -> dict[str, Any]:
    """The rule whose `match` has this word or phrase among its alternatives."""
    for candidate in RULES:
        if match in (part.strip() for part in candidate["match"].split("|")) or match == candidate["match"]:
            return candidate
    raise KeyError(match)


def numbers(values: ArrayLike | Sequence[Any]) -> Array:
    """Numbers of a case file: null is NaN, infinities are words."""
    words = {"Infinity": math.inf, "-Infinity": -math.inf}
    flat = np.asarray(values, dtype=object)
    return np.array(
        [np.nan if v is None else words.get(v, v) if isinstance(v, str) else v for v in flat.ravel()], dtype=float
    ).reshape(flat.shape)


def within(ours: ArrayLike, theirs: Any, allowed: ArrayLike, what: str) -> None:
    """Asserts |ours - theirs| <= allowed elementwise; NaN matches NaN and infinities match themselves."""
    a, b = np.atleast_1d(np.asarray(ours, dtype=float)), np.atleast_1d(numbers(theirs))
    assert a.shape == b.shape, f"{what}: {a.shape} values, R has {b.shape}"
    bound = np.broadcast_to(np.asarray(allowed, dtype=float), b.shape)
    with np.errstate(invalid="ignore"):
        ok = (np.abs(a - b) <= bound) | (a == b) | (np.isnan(a) & np.isnan(b))
    if not ok.all():
        i = np.unravel_index(int(np.argmax(np.where(ok, 0, np.nan_to_num(np.abs(a - b) / bound, nan=np.inf)))), b.shape)
        raise AssertionError(
            f"{what}{list(map(int, i))}: {a[i]:.12g}, R has {b[i]:.12g}; differs by {abs(a[i] - b[i]):.2g}, allowed {bound[i]:.2g}"
        )


def relative(ours: ArrayLike, theirs: Any, rel: float, what: str, *, floor: float = 0.0) -> None:
    within(ours, theirs, np.maximum(rel * np.abs(numbers(theirs)), floor), what)


def likelihood(ours: float, theirs: float, what: str, *, sign: float) -> None:
    """One-sided: better than the reference passes. `sign` is +1 where larger is better (log likelihood), -1 for deviances."""
    allowed = rule("loglik")["rel"] * (1 + abs(theirs))
    assert sign * (ours - theirs) >= -allowed, f"{what}: {ours:.12g} is worse than {theirs:.12g} of R, allowed {allowed:.2g}"


def equal_or_better(ours: float, theirs: float, what: str, *, sign: float) -> bool:
    """As `likelihood`; True when both agree, so that the estimates are comparable; False when ours is strictly better."""
    likelihood(ours, theirs, what, sign=sign)
    return abs(ours - theirs) <= rule("loglik")["rel"] * (1 + abs(theirs))


def checksum(ours: ArrayLike, theirs: dict[str, Any], what: str, *, rel: float | None = None, floor: float | None = None) -> None:
    """Mean, sd, extremes, sums and the values that are stored; the floor of a sum is that of a row times the rows."""
    r = rule("fitted|residuals checksums")
    rel, floor = r["rel"] if rel is None else rel, r["floor"] if floor is None else floor
    v = np.asarray(ours, dtype=float).ravel()
    n = len(v)
    assert n == theirs["n"], f"{what}: {n} values, R has {theirs['n']}"
    scale = float(np.max(np.abs(v), initial=0.0))
    facts = {"mean": v.mean(), "min": v.min(), "max": v.max()} | ({"sd": v.std(ddof=1)} if n > 1 else {})
    for name, value in facts.items():
        within(value, theirs[name], max(floor, rel * max(scale, abs(theirs[name]))), f"{what}.{name}")
    within(np.sum(v**2), theirs["sumsq"], max(floor, 2 * rel * float(np.sum(v**2))), f"{what}.sumsq")
    wsum = np.sum(v * np.cos(np.arange(1, n + 1)))
    within(wsum, theirs["wsum"], max(floor, rel * math.sqrt(n) * scale), f"{what}.wsum")
    if "values" in theirs:
        within(v, theirs["values"], max(floor, rel * scale), f"{what}.values")
    if "head" in theirs:
        within(v[:6], theirs["head"], max(floor, rel * scale), f"{what}.head")
        within(v[-6:], theirs["tail"], max(floor, rel * scale), f"{what}.tail")


def coefficients(ours: ArrayLike, theirs: Any, se: Any, what: str, *, target: bool = False) -> None:
    r = rule("fixef.estimate|coefficients.estimate|beta.estimate (lmm, gls, lme, mmrm, ols, meta)")
    within(ours, theirs, (r["target"] if target else r["se_mult"]) * numbers(se), what)


def covariance_matrix(ours: ArrayLike, theirs: Any, what: str) -> None:
    """Elementwise relative to the geometric mean of the two variances: a covariance near zero has no digits of its own."""
    b = numbers(theirs)
    sd = np.sqrt(np.abs(np.diag(b)))
    within(ours, theirs, rule("se|vcov")["rel"] * np.outer(sd, sd) + 1e-300, what)


def standard_deviations(ours: ArrayLike, theirs: Any, sigma: float, what: str) -> None:
    r = rule("sigma|varcorr.sdcor (sd)|random.sd|tau2")
    b = np.abs(numbers(theirs))
    near_zero = b < r["abs_of_sigma"] * sigma
    within(ours, theirs, np.where(near_zero, r["abs_of_sigma"] * sigma, np.maximum(r["rel"] * b, 0)), what)


def p_values(ours: ArrayLike, theirs: Any, what: str) -> None:
    r = rule("p")
    within(ours, theirs, np.maximum(r["rel"] * np.abs(numbers(theirs)), r["abs"]), what)


def statistics(ours: ArrayLike, theirs: Any, what: str) -> None:
    r = rule("t|stat|z|f|chisq|lrt")
    within(ours, theirs, np.maximum(r["rel"] * np.abs(numbers(theirs)), r["abs"]), what)
