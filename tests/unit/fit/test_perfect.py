"""A perfect fit has no optimum; it is refused also where the check is dear and comes late. Effects that fit any response are another matter."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

import ranef
from ranef import datasets

LEVELS = {
    "a": "3103121301322020213220121", "b": "1000020111112102021001211",
    "g": "0000111112223333334455555", "h": "3044026203011606231203110",
}  # fmt: skip
RESPONSE = [
    0.79, -0.95, -3.57, -1.39, -0.04, -0.11, 0.12, 0.45, 0.52, 4.71, 3.70, 3.25, 0.26, 1.80, 2.49, 2.66, 3.02, 3.86, 1.99, 3.89,
    2.88, 3.91, 1.88, 1.42, 2.67,
]  # fmt: skip


def saturated() -> pd.DataFrame:
    """25 rows, 11 coefficients, 6 levels of g and 19 of g:h: [X Z] has rank 25."""
    return pd.DataFrame({"y": RESPONSE} | {name: list(codes) for name, codes in LEVELS.items()})


def crowded(seed: int) -> pd.DataFrame:
    """Hardly more rows than levels of g and h together."""
    rng = np.random.default_rng(seed)
    n = int(rng.choice([16, 24, 36, 60]))
    g, h, x, f = rng.integers(0, n // 4, n), rng.integers(0, n // 2, n), rng.normal(size=n), rng.choice(list("abc"), n)
    y = 3 + x + rng.normal(size=n)[g] + rng.normal(size=n)[h] + rng.normal(size=n)
    return pd.DataFrame({"y": y, "x": x, "f": f, "g": g.astype(str), "h": h.astype(str)})


def test_large_crossed_factors_that_leave_nothing() -> None:
    data = datasets.load("InstEval")
    rng = np.random.default_rng(0)
    data["y"] = rng.normal(size=2972)[data["s"].cat.codes] + rng.normal(size=1128)[data["d"].cat.codes]
    with pytest.raises(ranef.ModelError, match="perfectly"):
        ranef.lmm("y ~ service + (1 | s) + (1 | d)", data)


def test_effects_that_fit_any_response_have_a_restricted_likelihood() -> None:
    """lme4 1.1-31, bobyqa with rhoend = 1e-11."""
    m = ranef.lmm("y ~ a * b + (1 | g / h)", saturated())
    assert m.deviance == pytest.approx(50.4724893598, abs=1e-8)
    sd = m.varcorr.frame.set_index("group")["sdcor"]
    assert sd[["g:h", "g", "Residual"]].to_numpy() == pytest.approx([0.2933084052, 0.9802080723, 0.8193453869], abs=2e-6)
    assert m.params.iloc[:3].to_numpy() == pytest.approx([-2.690089272, 3.281112092, 5.708959598], abs=1e-6)
    assert m.df.iloc[:3].to_numpy() == pytest.approx([13.4542204, 8.7534535, 11.4066441], rel=1e-4)


def test_their_likelihood_has_no_maximum() -> None:
    with pytest.raises(ranef.ModelError, match="any response"):
        ranef.lmm("y ~ a * b + (1 | g / h)", saturated(), reml=False)


def test_a_response_that_a_part_of_them_determines_is_refused() -> None:
    data = saturated().assign(y=lambda d: d["g"].astype(float) ** 2)
    with pytest.raises(ranef.ModelError, match="perfectly"):
        ranef.lmm("y ~ a * b + (1 | g / h)", data)


@pytest.mark.parametrize("question", [ranef.profile, ranef.bootstrap])
def test_what_looks_at_a_residual_variance_of_zero_is_refused(question: Callable[[Any], Any]) -> None:
    with pytest.raises(ranef.ModelError, match="fit any response in these 25 rows"):
        question(ranef.lmm("y ~ a * b + (1 | g / h)", saturated()))


def test_rounding_does_not_decide_whether_effects_fit_any_response() -> None:
    """24 rows, 3 coefficients and 23 effects; lme4 1.1-31, bobyqa with rhoend = 1e-11."""
    m = ranef.lmm("y ~ f + (x || g) + (1 | h)", crowded(9203))
    assert m.deviance == pytest.approx(88.10902944058, abs=1e-8)
    with pytest.raises(ranef.ModelError, match="fit any response"):
        ranef.profile(m)


def test_a_search_meets_a_residual_variance_of_zero() -> None:
    """36 rows and 35 levels of g:h: the criterion falls to a limit as the residual variance goes to zero."""
    with pytest.raises(ranef.ModelError, match="falls as it goes to zero"):
        ranef.lmm("y ~ x * f + (1 | g / h)", crowded(9182))
