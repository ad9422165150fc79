"""`refit(y)` is the fit of the same model to y: by formulas where the data are balanced, by a search where they are not."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import ranef
from ranef.errors import DataError, ModelError
from ranef.fit.answer import Calculated
from ranef.fit.fit import Fit

OPTIONS = {
    "growth": ("y ~ t + (t | g)", {}),
    "intercepts": ("y ~ t + (1 | g)", {}),
    "slopes": ("y ~ t + (0 + t | g)", {}),
    "treatments": ("y ~ t * trt + w + (t | g)", {}),
    "by maximum likelihood": ("y ~ t * trt + w + (t | g)", {"reml": False}),
    "three effects": ("y ~ t + w + (t + w | g)", {}),
    "offset": ("y ~ t + (t | g)", {"offset": "w"}),
    "weights": ("y ~ t + (t | g)", {"precision_weights": "u"}),
    "an aliased column": ("y ~ t + I(2 * t) + (t | g)", {}),
}


def balanced(groups: int = 12, per: int = 6, seed: int = 1) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"g": np.repeat(np.arange(groups), per).astype(str), "t": np.tile(np.arange(per) - 1.5, groups)})
    frame["w"] = np.tile(rng.normal(size=per), groups)
    frame["u"] = np.tile(rng.uniform(0.5, 2.0, size=per), groups)
    frame["trt"] = np.repeat(np.where(np.arange(groups) % 3 == 0, "new", "old"), per)
    return frame.assign(y=response(frame, seed))


def response(frame: pd.DataFrame, seed: int, sd: float = 2.0) -> np.ndarray:
    rng, codes = np.random.default_rng(seed), frame["g"].astype("category").cat.codes.to_numpy()
    b = sd * rng.normal(size=(codes.max() + 1, 3))[codes]
    return 5.0 + b[:, 0] + b[:, 1] * frame["t"].to_numpy() + b[:, 2] * frame["w"].to_numpy() + rng.normal(size=len(frame))


def assert_same(one: Fit, other: Fit) -> None:
    np.testing.assert_allclose(one.params, other.params, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(one.bse, other.bse, rtol=1e-8)
    np.testing.assert_allclose(one.df, other.df, rtol=1e-6)
    np.testing.assert_allclose(one.pvalues, other.pvalues, rtol=1e-6)
    np.testing.assert_allclose(one.theta, other.theta, rtol=1e-6, atol=1e-8)
    assert one.deviance == pytest.approx(other.deviance, rel=1e-11)
    assert one.sigma == pytest.approx(other.sigma, rel=1e-9)
    assert (one.status, one.nobs, one.npar, one.dropped) == (other.status, other.nobs, other.npar, other.dropped)
    assert [f.code for f in one.findings] == [f.code for f in other.findings]
    assert list(one.params.index) == list(other.params.index)
    np.testing.assert_allclose(one.fittedvalues, other.fittedvalues, rtol=1e-7)


@pytest.mark.parametrize("case", OPTIONS)
def test_formulas_give_the_fit_to_another_response(case: str) -> None:
    formula, options = OPTIONS[case]
    frame = balanced()
    m = ranef.lmm(formula, frame, **options)
    for seed in (2, 3):
        y = 10.0 * response(frame, seed) + 100.0
        again = m.refit(y)
        assert isinstance(again.answer, Calculated)
        assert_same(again, ranef.lmm(formula, frame.assign(y=y), **options))
        assert again.refit(frame["y"]).deviance == pytest.approx(m.deviance, rel=1e-11)


@pytest.mark.parametrize("ddf", ["kenward-roger", "between-within", "residual", "asymptotic"])
def test_other_methods_of_degrees_of_freedom_answer_for_a_refit(ddf: str) -> None:
    frame = balanced()
    formula, y = "y ~ t * trt + (t | g)", response(frame, 4)
    again, fresh = ranef.lmm(formula, frame, ddf=ddf).refit(y), ranef.lmm(formula, frame.assign(y=y), ddf=ddf)
    np.testing.assert_allclose(again.bse, fresh.bse, rtol=1e-8)
    np.testing.assert_allclose(again.df, fresh.df, rtol=1e-6)


def test_a_refit_answers_all_questions_of_a_fit() -> None:
    frame = balanced()
    formula, y = "y ~ t * trt + (t | g)", response(frame, 5)
    again, fresh = ranef.lmm(formula, frame).refit(y), ranef.lmm(formula, frame.assign(y=y))
    assert str(again.summary()) == str(fresh.summary())
    assert again.optimum.certificate.decrement < 1e-10
    for table in ("anova", "ranef", "tidy", "glance"):
        one, other = (getattr(m, table)().frame.select_dtypes("number") for m in (again, fresh))
        np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(again.hessian, fresh.hessian, rtol=1e-6)


def test_a_response_without_variance_between_groups_goes_to_the_boundary() -> None:
    frame = balanced()
    m = ranef.lmm("y ~ t + (t | g)", frame)
    for seed in range(6, 10):
        y = response(frame, seed, sd=0.0)
        again = m.refit(y)
        assert_same(again, ranef.lmm("y ~ t + (t | g)", frame.assign(y=y)))
        assert again.is_singular == (not isinstance(again.answer, Calculated))
        assert again.status == ("optimum on the boundary" if again.is_singular else "optimum")


def test_from_a_singular_fit_the_search_goes_on() -> None:
    frame = balanced()
    flat = frame.assign(y=np.tile([1.0, 2.0, 4.0, 3.0, 2.0, 5.0], 12) + np.random.default_rng(1).permutation(72) * 1e-3)
    m = ranef.lmm("y ~ t + (t | g)", flat)
    assert m.is_singular
    assert_same(m.refit(frame["y"]), ranef.lmm("y ~ t + (t | g)", frame))


@pytest.mark.parametrize("formula", ["y ~ t + (t | g)", "y ~ t + (1 | g) + (1 | trt:t)", "y ~ w + (t || g)"])
def test_other_data_are_searched(formula: str) -> None:
    frame = balanced().iloc[:-1]
    m, y = ranef.lmm(formula, frame), response(frame, 6)
    again = m.refit(y)
    assert not isinstance(again.answer, Calculated)
    assert_same(again, ranef.lmm(formula, frame.assign(y=y)))


def test_almost_balanced_data_are_not_taken_as_balanced() -> None:
    """A column of levels that varies within them by a hundred-thousandth: the formulas would be off by as much."""
    frame = balanced()
    rng = np.random.default_rng(3)
    level = np.repeat(rng.normal(size=12), 6)
    frame["x"] = level + 1e-5 * rng.normal(size=len(frame))
    m, y = ranef.lmm("y ~ t + x + (t | g)", frame), response(frame, 7)
    again = m.refit(y)
    assert not isinstance(again.answer, Calculated)
    assert_same(again, ranef.lmm("y ~ t + x + (t | g)", frame.assign(y=y)))


@pytest.mark.parametrize("rows", [72, 71])
def test_the_response_may_change_afterwards(rows: int) -> None:
    frame = balanced().iloc[:rows]
    m, y = ranef.lmm("y ~ t + (t | g)", frame), response(balanced(), 3)[:rows]
    again, fresh = m.refit(y), ranef.lmm("y ~ t + (t | g)", frame.assign(y=y.copy()))
    y[:] = 0.0
    assert_same(again, fresh)


def test_bad_responses_are_refused() -> None:
    frame = balanced()
    m = ranef.lmm("y ~ t + (t | g)", frame)
    with pytest.raises(DataError, match="72 values are needed"):
        m.refit(np.zeros(71))
    with pytest.raises(DataError, match="in row 5"):
        m.refit(np.where(np.arange(72) == 5, np.nan, 1.0))
    with pytest.raises(ModelError, match="constant"):
        m.refit(np.full(72, 3.0))
    with pytest.raises(ModelError, match="perfect"):
        m.refit(1.0 + 2.0 * frame["t"].to_numpy())
    with pytest.raises(ModelError, match="perfect"):
        m.refit(np.repeat(np.arange(12.0) ** 2, 6))


@pytest.mark.parametrize("size", [1e-120, 1e-9, 1e9, 1e120])
@pytest.mark.parametrize("rows", [72, 71])
def test_responses_of_another_size(rows: int, size: float) -> None:
    """Also where the data are not balanced, and where the sampling variances are known."""
    frame = balanced().iloc[:rows]
    m = ranef.lmm("y ~ t + (t | g)", frame)
    again = m.refit(size * frame["y"].to_numpy())
    np.testing.assert_allclose(again.params, size * m.params, rtol=1e-9)
    np.testing.assert_allclose(again.pvalues, m.pvalues, rtol=1e-6)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e200, 1.7e308])
def test_values_that_no_square_holds_are_refused_before_any_arithmetic(value: float) -> None:
    frame = balanced()
    m, one = ranef.lmm("y ~ t + (t | g)", frame), frame["y"].to_numpy(copy=True)
    one[3] = value
    for y in (one, np.full(72, value)):
        with pytest.raises(DataError, match="new response is"):
            m.refit(y)


def test_known_variances_keep_their_units() -> None:
    frame = balanced(per=1).assign(v=0.5)
    m, y = ranef.lmm("y ~ trt + (1 | g)", frame, sampling_variance="v"), 1e-7 * response(balanced(per=1), 8)
    assert_same(m.refit(y), ranef.lmm("y ~ trt + (1 | g)", frame.assign(y=y), sampling_variance="v"))


def test_a_residual_structure_and_a_response_of_another_size() -> None:
    frame = balanced().assign(visit=np.tile(list("abcdef"), 12))
    formula, y = "y ~ t", 1e-7 * response(balanced(), 9)
    one = ranef.lmm(formula, frame, residual="ar1(visit | g)").refit(y)
    other = ranef.lmm(formula, frame.assign(y=y), residual="ar1(visit | g)")
    np.testing.assert_allclose(one.params, other.params, rtol=1e-6)
    assert one.deviance == pytest.approx(other.deviance, abs=1e-7)


@pytest.mark.parametrize("formula", ["y ~ x + (1 | g)", "y ~ x + (x | g)"])
@pytest.mark.parametrize("seed", [8, 10, 16, 17])
def test_a_refit_finds_the_best_optimum_of_another_response(seed: int, formula: str) -> None:
    """The first response has a small variance; the slope within groups of the second contradicts that between them."""
    rng = np.random.default_rng(seed)
    g = np.delete(np.repeat(np.arange(16), 5), [3])
    center = 8 * rng.normal(size=16)
    x = center[g] + rng.normal(size=len(g))
    small = 0.5 * x + rng.normal(size=16)[g] + rng.normal(size=len(g))
    contradicting = 0.5 * x - 1.5 * (x - center[g]) + rng.normal(size=len(g))
    data = pd.DataFrame({"y": small, "x": x, "g": g.astype(str)})
    first = ranef.lmm(formula, data)
    fresh = ranef.lmm(formula, data.assign(y=contradicting))
    assert first.refit(contradicting).deviance == pytest.approx(fresh.deviance, abs=1e-6)
    assert fresh.deviance < ranef.lmm(formula, data.assign(y=contradicting), start=first.theta).deviance - 1.0
