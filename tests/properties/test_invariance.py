"""What must not change the answer: units, order of rows, names of levels, and equivalent ways to say the same model."""

from __future__ import annotations

import gc
import math
import weakref

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import ranef

SAME = 1e-6
SEEDS = st.integers(0, 2**31 - 1)
SCALES = st.sampled_from([1e-8, 1e-5, 1e-3, 0.1, 7.0, 1e3, 1e5, 1e8])
SHIFTS = st.sampled_from([0.0, 1.0, -20.0, 2000.0, 1e5, 1e8])


def growth(seed: int, groups: int = 9, rows: int = 8) -> pd.DataFrame:
    """Random slopes of x over groups, a second covariate, weights; unbalanced."""
    rng = np.random.default_rng(seed)
    g = np.repeat(np.arange(groups), rows)
    keep = np.sort(rng.permutation(len(g))[: len(g) - groups // 2])
    x, z = rng.normal(size=len(g)), rng.normal(size=len(g))
    y = 3 + 0.7 * x - 0.4 * z + rng.normal(0, 1.2, groups)[g] + rng.normal(0, 0.6, groups)[g] * x + rng.normal(0, 0.8, len(g))
    frame = pd.DataFrame({"y": y, "x": x, "z": z, "g": [f"g{i:02d}" for i in g], "w": rng.uniform(0.5, 2, len(g))})
    return frame.iloc[keep].reset_index(drop=True)


def crossed(seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    s, i = (a.ravel() for a in np.meshgrid(np.arange(10), np.arange(6), indexing="ij"))
    x = rng.normal(size=60)
    y = 1 + x + rng.normal(0, 1, 10)[s] + rng.normal(0, 0.7, 6)[i] + rng.normal(0, 0.5, 60)
    return pd.DataFrame({"y": y, "x": x, "s": [f"s{k}" for k in s], "i": [f"i{k}" for k in i]})


def assert_close(ours, theirs, what: str, rel: float = SAME) -> None:
    a, b = np.asarray(ours, dtype=float), np.asarray(theirs, dtype=float)
    scale = float(np.max(np.abs(b), initial=1e-300))
    assert np.max(np.abs(a - b), initial=0.0) <= rel * scale, f"{what}: {a} against {b}"


def log_jacobian(m: ranef.Fit, scale: float) -> float:
    """Change of the REML criterion when one column of X is multiplied by `scale`: log|X'V^-1X| moves by 2 log(scale)."""
    return 2 * math.log(scale) if m.reml else 0.0


@given(seed=SEEDS, scale=SCALES, shift=SHIFTS, reml=st.booleans())
def test_shifting_and_scaling_a_covariate(seed: int, scale: float, shift: float, reml: bool) -> None:
    """A shift is in units of the original covariate; t of the slope, fitted values and criterion stay (REML moves by its Jacobian)."""
    data = growth(seed)
    if abs(shift) > 1e5:
        data["x"] = np.round(data["x"] * 2**20) / 2**20
    moved = data.assign(x=(data["x"] + shift) * scale)
    a, b = (ranef.lmm("y ~ x + z + (x | g)", d, reml=reml) for d in (data, moved))
    assert_close(b.deviance - log_jacobian(b, scale), a.deviance, "criterion")
    assert_close(b.fittedvalues, a.fittedvalues, "fitted")
    assert_close(b.tvalues.iloc[1:], a.tvalues.iloc[1:], "t")
    assert_close(b.df.iloc[1:], a.df.iloc[1:], "df", 1e-4)
    assert_close(b.params["x"] * scale, a.params["x"], "slope", 1e-5)


@given(seed=SEEDS, scale=SCALES, shift=SHIFTS)
def test_shifting_and_scaling_a_covariate_of_crossed_factors(seed: int, scale: float, shift: float) -> None:
    data = crossed(seed)
    moved = data.assign(x=(data["x"] + shift) * scale)
    a, b = (ranef.lmm("y ~ x + (1 | s) + (1 | i)", d) for d in (data, moved))
    assert_close(b.deviance - log_jacobian(b, scale), a.deviance, "criterion")
    assert_close(b.fittedvalues, a.fittedvalues, "fitted")
    assert_close(b.tvalues["x"], a.tvalues["x"], "t")


@given(seed=SEEDS, factor=st.sampled_from([1e-9, 1e-4, -1.0, 3.0, 1e5, 1e9]), shift=st.sampled_from([0.0, -5.0, 1e4]))
def test_response_in_other_units(seed: int, factor: float, shift: float) -> None:
    """y -> factor (y + shift): estimates and standard deviations scale, t statistics stay but for the sign."""
    data = growth(seed)
    a = ranef.lmm("y ~ x + z + (x | g)", data)
    b = ranef.lmm("y ~ x + z + (x | g)", data.assign(y=factor * (data["y"] + shift)))
    nu = a.nobs - len(a.params)
    assert_close(b.deviance - 2 * nu * math.log(abs(factor)), a.deviance, "criterion")
    assert_close(b.tvalues.iloc[1:] * math.copysign(1, factor), a.tvalues.iloc[1:], "t")
    assert_close(b.sigma / abs(factor), a.sigma, "sigma")
    assert_close(b.theta, a.theta, "theta", 1e-5)
    assert_close(np.asarray(b.fittedvalues) / factor - shift, a.fittedvalues, "fitted")


@given(seed=SEEDS)
def test_order_of_rows(seed: int) -> None:
    data = growth(seed)
    order = np.random.default_rng(seed).permutation(len(data))
    a, b = ranef.lmm("y ~ x + z + (x | g)", data), ranef.lmm("y ~ x + z + (x | g)", data.iloc[order])
    assert_close(b.deviance, a.deviance, "criterion", 1e-10)
    assert_close(b.params, a.params, "params", 1e-7)
    assert_close(b.fittedvalues.loc[data.index], a.fittedvalues, "fitted, aligned by the user's index", 1e-7)


@given(seed=SEEDS)
def test_names_of_levels(seed: int) -> None:
    """Renaming and reordering the levels of a grouping factor permutes its random effects and nothing else."""
    data = growth(seed)
    levels = sorted(data["g"].unique())
    new = dict(zip(levels, np.random.default_rng(seed).permutation([f"λ{i}" for i in range(len(levels))]), strict=True))
    a, b = ranef.lmm("y ~ x + (x | g)", data), ranef.lmm("y ~ x + (x | g)", data.assign(g=data["g"].map(new)))
    assert_close(b.deviance, a.deviance, "criterion", 1e-10)
    modes_a = {(lv, t): e for lv, t, e in zip(a.ranef()["level"], a.ranef()["term"], a.ranef()["estimate"], strict=True)}
    modes_b = {(lv, t): e for lv, t, e in zip(b.ranef()["level"], b.ranef()["term"], b.ranef()["estimate"], strict=True)}
    assert_close([modes_b[new[lv], t] for lv, t in modes_a], list(modes_a.values()), "random effects", 1e-6)


@given(seed=SEEDS)
def test_an_offset_is_a_known_part_of_the_response(seed: int) -> None:
    data = growth(seed).assign(known=lambda d: 2 + 3 * d["z"])
    a = ranef.lmm("y ~ x + (x | g)", data, offset="known")
    b = ranef.lmm("y ~ x + (x | g)", data.assign(y=data["y"] - data["known"]))
    c = ranef.lmm("y ~ x + offset(known) + (x | g)", data)
    for m in (a, c):
        assert_close(m.deviance, b.deviance, "criterion", 1e-9)
        assert_close(m.params, b.params, "params", 1e-6)
        assert_close(m.fittedvalues, b.fittedvalues + data["known"], "fitted")


@given(seed=SEEDS, weight=st.sampled_from([1.0, 0.01, 250.0]))
def test_equal_weights(seed: int, weight: float) -> None:
    """Weights one are no weights; a common weight only moves sigma (and the criterion stays, as the likelihood of y does)."""
    data = growth(seed).assign(w=weight)
    a, b = ranef.lmm("y ~ x + (x | g)", data), ranef.lmm("y ~ x + (x | g)", data, precision_weights="w")
    assert_close(b.deviance, a.deviance, "criterion", 1e-9)
    assert_close(b.params, a.params, "params", 1e-6)
    assert_close(b.bse, a.bse, "se", 1e-5)
    assert_close(b.sigma / math.sqrt(weight), a.sigma, "sigma", 1e-6)


@given(seed=SEEDS)
def test_nested_groups_are_an_interaction(seed: int) -> None:
    rng = np.random.default_rng(seed)
    data = growth(seed).assign(cask=lambda d: rng.integers(0, 2, len(d)).astype(str))
    data["own"] = data["g"] + "/" + data["cask"]
    fits = [ranef.lmm(f"y ~ x + {bars}", data) for bars in ("(1 | g/cask)", "(1 | g) + (1 | g:cask)", "(1 | g) + (1 | own)")]
    for m in fits[1:]:
        assert_close(m.deviance, fits[0].deviance, "criterion", 1e-9)
        assert_close(m.params, fits[0].params, "params")
        assert_close(m.fittedvalues, fits[0].fittedvalues, "fitted")


@given(seed=SEEDS)
def test_cell_means_and_treatment_coding_fit_alike(seed: int) -> None:
    """ML does not depend on the coding of a factor; neither do fitted values."""
    data = growth(seed)
    data["c"] = np.random.default_rng(seed).choice(list("abc"), len(data))
    a = ranef.lmm("y ~ c + x + (1 | g)", data, reml=False)
    for b in (
        ranef.lmm("y ~ 0 + c + x + (1 | g)", data, reml=False),
        ranef.lmm("y ~ c + x + (1 | g)", data, reml=False, contrasts={"c": "sum"}),
        ranef.lmm("y ~ c + x + (1 | g)", data, reml=False, contrasts={"c": "helmert"}),
    ):
        assert_close(b.deviance, a.deviance, "criterion", 1e-9)
        assert_close(b.fittedvalues, a.fittedvalues, "fitted")


@given(seed=SEEDS, reml=st.booleans(), m=st.integers(3, 12), n=st.integers(2, 9), ratio=st.sampled_from([0.0, 0.3, 1.0, 30.0]))
def test_closed_form_of_the_balanced_one_way_model(seed: int, reml: bool, m: int, n: int, ratio: float) -> None:
    """Searle, Casella and McCulloch (1992), 3.5 and 3.7: (MSA - MSE)/n where positive, else zero with the pooled variance."""
    rng = np.random.default_rng(seed)
    g = np.repeat(np.arange(m), n)
    y = 5 + ratio * rng.normal(size=m)[g] + rng.normal(size=m * n)
    fit = ranef.lmm("y ~ 1 + (1 | g)", {"y": y, "g": g}, reml=reml)
    table = y.reshape(m, n)
    between = n * np.sum((table.mean(axis=1) - y.mean()) ** 2)
    within = np.sum((table - table.mean(axis=1, keepdims=True)) ** 2)
    mse, scaled = within / (m * (n - 1)), between / (m - 1 if reml else m)
    positive = scaled > mse
    expected = mse if positive else (between + within) / (m * n - (1 if reml else 0))
    assert fit.sigma**2 == pytest.approx(expected, rel=1e-8)
    assert fit.varcorr["vcov"][0] == pytest.approx((scaled - mse) / n if positive else 0.0, rel=1e-6, abs=1e-10 * expected)
    assert fit.is_singular == (not positive)
    assert fit.params.iloc[0] == pytest.approx(y.mean(), rel=1e-10)


@given(seed=SEEDS)
def test_a_larger_model_never_fits_worse(seed: int) -> None:
    data = growth(seed)
    small, middle, large = (ranef.lmm(f"y ~ x + {bar}", data) for bar in ("(1 | g)", "(x || g)", "(x | g)"))
    assert middle.deviance <= small.deviance + 1e-8 * abs(small.deviance)
    assert large.deviance <= middle.deviance + 1e-8 * abs(middle.deviance)


@pytest.mark.parametrize("formula", ["y ~ x + (x | g)", "y ~ x + (1 | g) + (1 | c)", "y ~ x"])
def test_a_fit_goes_with_its_last_name(formula: str) -> None:
    """No cycles: the memory of a large fit is free again without waiting for the collector."""
    data = growth(1).assign(c=lambda d: [f"c{i % 5}" for i in range(len(d))])
    gc.collect()
    gc.disable()
    try:
        m = ranef.lmm(formula, data)
        assert m.pvalues.notna().all() and len(str(m.summary())) > 100
        gone = [weakref.ref(part) for part in (m, m.criterion, m.model.design)]
        del m
        assert [part() for part in gone] == [None, None, None]
    finally:
        gc.enable()
