"""Bootstrap: the draws have the model's moments, compiled and general refits agree, and the same seed gives the same numbers."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pytest

import ranef
from ranef.core.criterion import Criterion
from ranef.core.dense import Dense
from ranef.core.gram import Gram
from ranef.core.single import Single
from ranef.inference.bootstrap import bootstrap
from ranef.inference.bootstrap.limits import acceleration, basic, bca, percentile, studentised
from ranef.inference.bootstrap.refit import Refitter
from ranef.inference.bootstrap.run import Work, generator
from ranef.inference.bootstrap.sources import parametric, refitter_of, responses, taken
from ranef.inference.bootstrap.statistics import Levels, Sampler
from ranef.progress import Meter


def data(m: int = 40, per: int = 5, seed: int = 1) -> pd.DataFrame:
    """Two patterns of x, so that levels share them."""
    rng = np.random.default_rng(seed)
    g = np.repeat(np.arange(m), per)
    x = np.where(g % 2 == 0, np.tile(np.arange(per), m), 2.0 * np.tile(np.arange(per), m))
    h = rng.integers(0, 6, m * per)
    b = rng.normal(size=(m, 2)) * (1.0, 0.4)
    y = 2 + 0.5 * x + b[g, 0] + b[g, 1] * x + 0.8 * rng.normal(size=6)[h] + rng.normal(size=len(g))
    return pd.DataFrame({"y": y, "x": x, "g": g.astype(str), "h": h.astype(str), "w": rng.uniform(0.5, 2, len(g))})


@pytest.fixture(scope="module")
def slope():
    return ranef.lmm("y ~ x + (x | g)", data())


@pytest.fixture(scope="module")
def crossed():
    return ranef.lmm("y ~ x + (x | g) + (1 | h)", data(m=15))


def direct_moments(fit, n: int, seed: int) -> np.ndarray:
    """(n, ...) X'y, y'y and y'V^-1 y at another theta, of responses simulated by rows."""
    rows, rng = responses(fit, 1), np.random.default_rng(seed)
    return np.array([summary(fit, fit.criterion.gram.with_response(rows.response(rng))) for _ in range(n)])


def summary(fit, gram: Gram) -> np.ndarray:
    criterion = Criterion.of_gram(gram, fit.reml)
    pieces = criterion.pieces(criterion.layout.start(), 0)
    return np.append(pieces.gls.gamma, [pieces.gls.pwrss])


def sampled_moments(fit, n: int, seed: int) -> np.ndarray:
    source, rng = parametric(fit, 1), np.random.default_rng(seed)
    out = []
    for _ in range(n):
        engine = source.refitter._engine(*source.sampler.draw(rng))
        pieces = engine.pieces(fit.criterion.layout.factors(fit.criterion.layout.start()), 0)
        out.append(np.append(pieces.gls.gamma, [pieces.gls.pwrss]))
    return np.array(out)


@pytest.mark.parametrize("model", ["slope", "crossed", "weighted", "regression"])
def test_drawn_statistics_have_the_moments_of_simulated_rows(model: str, slope, crossed) -> None:
    """Two independent roads to the same distribution: means and standard deviations within four standard errors."""
    made = {"slope": lambda: slope, "crossed": lambda: crossed, "regression": lambda: ranef.lm("y ~ x", data()),
            "weighted": lambda: ranef.lmm("y ~ x + (1 | g)", data(), precision_weights="w")}  # fmt: skip
    fit, n = made[model](), 1500
    a, b = direct_moments(fit, n, 1), sampled_moments(fit, n, 2)
    spread = np.sqrt((a.var(axis=0) + b.var(axis=0)) / n)
    assert np.all(np.abs(a.mean(axis=0) - b.mean(axis=0)) < 4 * spread)
    assert np.all(np.abs(np.log(a.std(axis=0) / b.std(axis=0))) < 4 / np.sqrt(n))


def test_rotated_levels_give_the_same_likelihood_as_all_levels() -> None:
    """The observed response through the rotation: the pseudo-levels carry all of it but the Wishart remainder."""
    fit = ranef.lmm("y ~ x + (1 | g)", data(m=200))
    levels = Levels.of(fit.criterion.engine, collapse=True)
    assert len(levels.E) < 40
    assert levels.noise.sum() + len(levels.E) - np.count_nonzero(levels.noise) == 200
    sampler = Sampler.of_levels(levels, fit.solution)
    rng = np.random.default_rng(0)
    values = [levels.engine(*sampler.draw(rng)).pieces(fit.solution.factors, 0).gls.pwrss for _ in range(2000)]
    nu, sigma = fit.criterion.nu, sampler.sigma
    assert np.mean(values) == pytest.approx(nu * sigma**2, abs=4 * sigma**2 * np.sqrt(2 * nu / 2000))
    assert np.var(values) == pytest.approx(2 * nu * sigma**4, rel=0.15)


@pytest.mark.parametrize("formula", ["y ~ x + (x | g)", "y ~ x + diag(x | g)", "y ~ x + (1 | g)"])
@pytest.mark.parametrize("reml", [True, False])
def test_compiled_refits_equal_those_of_the_general_optimizer(formula: str, reml: bool) -> None:
    fit = ranef.lmm(formula, data(m=25), reml=reml)
    source = parametric(fit, 100_000)
    draws = [source.sampler.draw(generator(5, i)) for i in range(12)]
    assert source.refitter.compiled is not None
    general = Refitter(fit.criterion, fit.solution.theta, source.refitter.levels, 1)
    assert general.compiled is None
    a, b = source.refitter.of_statistics(draws), general.of_statistics(draws)
    np.testing.assert_array_equal(a.done, b.done)
    np.testing.assert_allclose(a.value, b.value, rtol=1e-9)
    np.testing.assert_allclose(a.estimates[:, :2], b.estimates[:, :2], rtol=1e-5)
    np.testing.assert_allclose(a.std_errors, b.std_errors, rtol=1e-4)


def test_refit_to_the_observed_response_is_the_fit(slope, crossed) -> None:
    for fit in (slope, crossed):
        batch = refitter_of(fit, 1).of_responses([fit.model.design.y])
        np.testing.assert_allclose(batch.estimates[0, : len(fit.params)], fit.params, rtol=1e-7)
        np.testing.assert_allclose(batch.std_errors[0], fit.bse, rtol=1e-5)
        assert batch.value[0] == pytest.approx(fit.deviance, abs=1e-7)
    assert isinstance(slope.criterion.engine, Single)
    assert isinstance(crossed.criterion.engine, Dense)


def test_same_seed_same_draws_for_any_chunks_and_workers(slope) -> None:
    first = bootstrap(slope, 24, seed=3)
    np.testing.assert_array_equal(first.draws, bootstrap(slope, 24, seed=3, n_jobs=2).draws)
    np.testing.assert_array_equal(first.draws[:10], bootstrap(slope, 10, seed=3).draws)
    np.testing.assert_array_equal(
        bootstrap(slope, 6, kind="cluster", seed=3).draws, bootstrap(slope, 6, kind="cluster", seed=3, n_jobs=2).draws
    )
    assert not np.array_equal(first.draws, bootstrap(slope, 24, seed=4).draws)
    again = bootstrap(slope, 5)
    np.testing.assert_array_equal(again.draws, bootstrap(slope, 5, seed=again.seed).draws)


@pytest.mark.parametrize("kind", ["parametric", "residual", "cluster"])
def test_spread_of_the_coefficients_is_about_their_standard_error(slope, kind: str) -> None:
    answer = bootstrap(slope, 300, kind=kind, seed=1)
    assert answer.failures == 0
    np.testing.assert_allclose(answer.intervals["std_error"][:2], slope.bse, rtol=0.25)


def test_residual_bootstrap_draws_effects_with_the_estimated_covariance(slope) -> None:
    from ranef.inference.bootstrap.sources import residual

    source = residual(slope, 1)
    (b,), (root,) = source.effects, source.roots
    np.testing.assert_allclose(b.T @ b / len(b), root @ root.T, rtol=1e-8)
    assert np.mean(source.errors**2) == pytest.approx(1.0)
    old = slope.solution.effects[0] - slope.solution.effects[0].mean(axis=0)
    white = b @ np.linalg.inv(root).T
    for turn in np.linspace(0.1, 6.2, 12):
        rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
        assert np.linalg.norm(b - old) < np.linalg.norm(white @ rotation @ root.T - old)


def test_case_bootstrap_of_a_regression_finds_unequal_variances() -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(size=400)
    fit = ranef.lm("y ~ x", pd.DataFrame({"y": x + rng.normal(size=400) * np.abs(x) * 2, "x": x}))
    answer = bootstrap(fit, 300, kind="case", seed=2)
    assert answer.intervals["std_error"][1] == pytest.approx(np.sqrt(fit.cov_params("CR0").iloc[1, 1]), rel=0.15)


def test_copies_of_a_cluster_are_new_levels_and_crossed_levels_stay() -> None:
    design = ranef.lmm("y ~ x + (1 | g) + (1 | h)", data(m=4)).model.design
    g = design.terms[0].group.codes
    rows = np.concatenate([np.flatnonzero(g == 1), np.flatnonzero(g == 1), np.flatnonzero(g == 2)])
    copies = np.repeat([0, 1, 2], 5)
    out = taken(design, rows, copies, g)
    assert out.terms[0].group.size == 3
    assert out.terms[1].group.size == len(np.unique(design.terms[1].group.codes[rows]))
    np.testing.assert_array_equal(out.y, design.y[rows])


def test_intervals_from_known_draws() -> None:
    draws = np.arange(1.0, 1000.0)
    assert percentile(draws, 0.9) == pytest.approx((50.9, 949.1))
    assert basic(draws, 500.0, 0.9, (-np.inf, np.inf)) == pytest.approx((50.9, 949.1))
    assert basic(draws, 100.0, 0.9, (0.0, np.inf))[0] == 0.0
    assert bca(draws, 500.0, 0.9, 0.0) == pytest.approx(percentile(draws, 0.9), abs=1.0)
    low, high = bca(draws, 500.0, 0.9, 0.1)
    assert low > 50.9
    assert high > 949.1
    assert studentised(draws, np.full(999, 2.0), 500.0, 4.0, 0.9) == pytest.approx((500 - 2 * 449.1, 500 + 2 * 449.1))


def test_acceleration_of_a_mean_is_a_sixth_of_its_skewness() -> None:
    x = np.random.default_rng(0).gamma(2.0, size=50)
    without = (x.sum() - x) / 49
    centred = x - x.mean()
    expected = np.sum(centred**3) / (6 * np.sum(centred**2) ** 1.5)
    assert acceleration(without[:, None])[0] == pytest.approx(expected)


@pytest.mark.parametrize("method", ["percentile", "basic", "bca", "studentised"])
def test_every_method_gives_intervals_in_range(slope, method: str) -> None:
    table = bootstrap(slope, 60, seed=1).conf_int(0.9, method)
    assert np.all(np.asarray(table["conf_low"]) < np.asarray(table["conf_high"]))
    deviations = [term.startswith("sd__") for term in table["term"]]
    assert np.all(np.asarray(table["conf_low"])[deviations] >= 0.0)
    assert slope.conf_int("bootstrap", n=60, seed=1, level=0.9, intervals=method)["conf_low"][0] == table["conf_low"][0]


def test_interrupt_keeps_what_is_done(slope) -> None:
    source = parametric(slope, 1)
    calls = []

    def refits(rngs):
        calls.append(len(rngs))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return source.refits(rngs)

    batch, complete = Work(refits, 40, 1, 1, True, small=False).run()
    assert not complete
    assert len(batch.done) == sum(calls[:2])


def test_failures_are_counted_not_hidden() -> None:
    rng = np.random.default_rng(2)
    frame = pd.DataFrame({"y": rng.normal(size=12), "f": list("aaaaaaaaaaab")})
    answer = bootstrap(ranef.lm("y ~ f", frame), 60, kind="case", seed=1)
    assert 0 < answer.failures < 60
    assert len(answer.draws) == 60 - answer.failures
    assert answer.findings[0].code == "bootstrap_failures"
    assert "failed" in repr(answer)


def test_one_refit_has_no_standard_error(slope) -> None:
    answer = bootstrap(slope, 1, seed=1)
    table = answer.intervals
    np.testing.assert_allclose(table["bias"], answer.draws[0] - table["estimate"])
    for name in ("std_error", "conf_low", "conf_high"):
        assert np.isnan(table[name]).all()
    assert [finding.code for finding in answer.findings] == ["bootstrap_too_few"]
    assert "at least two" in repr(answer)
    two = bootstrap(slope, 2, seed=1)
    np.testing.assert_allclose(two.intervals["std_error"], np.abs(two.draws[0] - two.draws[1]) / np.sqrt(2.0))
    assert two.findings == ()


def test_meter_is_silent_for_short_work_and_when_told() -> None:
    stream = io.StringIO()
    meter = Meter("bootstrap", "refits", 10, None, stream)
    meter.show(5)
    assert stream.getvalue() == ""
    meter.started -= 10
    meter.shown -= 10
    meter.show(5)
    assert "5 of 10" in stream.getvalue()


def test_test_of_nested_models_knows_the_boundary() -> None:
    frame = data(m=20)
    small, large = ranef.lmm("y ~ x + (1 | g)", frame), ranef.lmm("y ~ x + (x | g)", frame)
    answer = bootstrap(small, large, n=60, seed=1)
    assert answer.reml
    assert answer.statistic == pytest.approx(small.deviance - large.deviance, abs=1e-7)
    assert answer.p_value == pytest.approx((1 + np.sum(answer.draws >= answer.statistic)) / 61)
    assert bootstrap(large, small, n=60, seed=1).p_value == answer.p_value


def test_test_of_fixed_effects_uses_ml_and_of_the_only_term_a_regression() -> None:
    frame = data(m=12)
    a, b = ranef.lmm("y ~ 1 + (1 | g)", frame), ranef.lmm("y ~ x + (1 | g)", frame)
    answer = bootstrap(a, b, n=20, seed=1)
    assert not answer.reml
    ml = a.update(reml=False).deviance - b.update(reml=False).deviance
    assert answer.statistic == pytest.approx(ml, abs=1e-6)
    none = bootstrap(ranef.lm("y ~ x", frame), b, n=20, seed=1)
    assert none.reml
    assert np.mean(none.draws < 1e-8) > 0.2


def test_refusals(slope) -> None:
    with pytest.raises(ranef.ModelError, match="kind='wild'"):
        bootstrap(slope, 10, kind="wild")
    with pytest.raises(ranef.ModelError, match="n=0"):
        bootstrap(slope, 0)
    with pytest.raises(ranef.ModelError, match="method='best'"):
        bootstrap(slope, 3, seed=1).conf_int(method="best")
    with pytest.raises(ranef.ModelError, match="different data"):
        bootstrap(slope, ranef.lmm("y ~ 1 + (1 | g)", data().iloc[:100]), n=3)
    with pytest.raises(ranef.ModelError, match="not nested"):
        bootstrap(ranef.lmm("y ~ w + (1 | g)", data()), ranef.lmm("y ~ x + (x | g)", data()), n=3)
    with pytest.raises(ranef.ModelError, match="No grouping factor"):
        bootstrap(ranef.lmm("y ~ x + (1 | g) + (1 | h)", data()), 3, kind="cluster")
