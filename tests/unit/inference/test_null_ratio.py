"""Ratios under the smaller model, all data sets refitted at once: against the engines one by one, exact draws and row-wise bootstrap."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2, ks_2samp
from tests.unit.inference.examples import crossed

import ranef
from ranef.core.criterion import Criterion
from ranef.core.many import Responses
from ranef.inference.bootstrap.refit import Refitter
from ranef.inference.bootstrap.statistics import Levels
from ranef.inference.null_ratio import NullRatio, null_ratio
from ranef.inference.rlrt import eigenvalues, null_draws
from ranef.inference.tail import stretch, tail_p
from ranef.optim import minimise

PAIRS = [
    ("y ~ x", "y ~ x + (1 | g)"),
    ("y ~ x + (1 | g)", "y ~ x + (x | g)"),
    ("y ~ x", "y ~ x + (x | g)"),
    ("y ~ x + (x || g)", "y ~ x + (x | g)"),
    ("y ~ x + (1 | h)", "y ~ x + (1 | g) + (1 | h)"),
    ("y ~ x + (1 | g) + (1 | h)", "y ~ x + (x | g) + (1 | h)"),
    ("y ~ x + id(x | g)", "y ~ x + diag(x | g)"),
    ("y ~ 1 + (1 | g)", "y ~ x + a + (x | g)"),
    ("y ~ x + (1 | g)", "y ~ a + x + (1 | g) + (1 | h)"),
    ("y ~ x", "y ~ x + a + (1 | g)"),
]
SAME_MEAN = PAIRS[:7]


@pytest.fixture(scope="module")
def data() -> pd.DataFrame:
    return crossed(n=150)


def pair(data: pd.DataFrame, formulas: tuple[str, str], reml: bool, **options) -> tuple[ranef.Fit, ranef.Fit, NullRatio]:
    small, large = (ranef.lmm(f, data, reml=reml, **options) if "|" in f else ranef.lm(f, data, **options) for f in formulas)
    found = null_ratio(small, large, reml)
    assert found is not None
    return small, large, found


def drawn(ratio: NullRatio, b: int, seed: int = 1) -> Responses:
    Ey, rest = ratio.sampler.draws(np.random.default_rng(seed), b)
    return Responses(Ey.reshape(b, len(ratio.large.many.pattern), -1), rest[:, :-1], rest[:, -1])


def one_by_one(large: ranef.Fit, responses: Responses, reml: bool) -> list[Criterion]:
    """The larger model's own engine for each response."""
    engine = large.criterion.engine
    levels = Levels.of(engine, collapse=True) if hasattr(engine, "levels") else None
    refitter = Refitter(large.criterion, large.solution.theta, levels, 1)
    out = []
    for Ey, x, y in zip(responses.Ey, responses.rest_x, responses.rest_y, strict=True):
        own = refitter._engine(Ey if levels is not None else Ey[0], np.append(x, y))
        out.append(Criterion(large.criterion.gram, own, reml, large.criterion.scale))
    return out


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize(
    "formula", ["y ~ x + (1 | g)", "y ~ x + (x | g)", "y ~ x + (1 | g) + (1 | h)", "y ~ x + (x | g) + (x || h)"]
)
def test_value_and_derivatives_are_those_of_the_engines(data: pd.DataFrame, formula: str, reml: bool) -> None:
    _, large, ratio = pair(data, ("y ~ x", formula), reml, precision_weights="w")
    responses, rng = drawn(ratio, 6), np.random.default_rng(2)
    theta = rng.normal(size=(6, large.criterion.size))
    found = ratio.large.many.evaluate(theta, responses)
    offsets = []
    for i, criterion in enumerate(one_by_one(large, responses, reml)):
        wanted = criterion.evaluate(theta[i], 2)
        offsets.append(wanted.value - found.value[i])
        np.testing.assert_allclose(found.gradient[i], wanted.gradient, rtol=1e-8, atol=1e-8)
        np.testing.assert_allclose(found.hessian[i], wanted.hessian, rtol=1e-7, atol=1e-7 * np.abs(wanted.hessian).max())
    np.testing.assert_allclose(offsets, offsets[0], rtol=1e-10)
    np.testing.assert_allclose(ratio.large.many.values(theta[0], responses)[0], found.value[0], rtol=1e-13)


def test_known_sampling_variances(data: pd.DataFrame) -> None:
    """sigma is not profiled then; T has no more mass at zero and no other tail than a direct simulation."""
    studies = data.head(12).assign(v=lambda d: d["w"] / 4, study=np.arange(12).astype(str))
    formulas = ("y ~ 1 + (1 | study)", "y ~ x + (1 | study)")
    small, large = (ranef.lmm(f, studies, sampling_variance="v", reml=False) for f in formulas)
    ratio = null_ratio(small, large, False)
    assert ratio is not None
    responses, theta = drawn(ratio, 5), np.linspace(0.1, 2.0, 5)[:, None]
    found, offsets = ratio.large.many.evaluate(theta, responses), []
    for i, criterion in enumerate(one_by_one(large, responses, False)):
        wanted = criterion.evaluate(theta[i], 2)
        offsets.append(wanted.value - found.value[i])
        np.testing.assert_allclose(found.gradient[i], wanted.gradient, rtol=1e-8, atol=1e-8)
        np.testing.assert_allclose(found.hessian[i], wanted.hessian, rtol=1e-7, atol=1e-7)
    np.testing.assert_allclose(offsets, offsets[0], rtol=1e-10)
    rng, draws = np.random.default_rng(4), ratio.draws(2000, 3)
    spread = np.sqrt(studies["v"] + small.varcorr["vcov"][0])
    simulated = []
    for _ in range(150):
        y = spread * rng.normal(size=12)
        simulated.append(max(2 * (large.refit(y).llf - small.refit(y).llf), 0.0))
    assert ks_2samp(np.round(draws, 4), np.round(simulated, 4)).pvalue > 1e-3


def test_balanced_levels_are_rotated_and_stay_right() -> None:
    """Eighty equal groups are a few pseudo-levels and a Wishart matrix."""
    rng = np.random.default_rng(3)
    g, x = np.repeat(np.arange(80), 5), np.tile(np.arange(5.0), 80)
    data = pd.DataFrame({"y": rng.normal(size=400) + rng.normal(size=80)[g], "x": x, "g": g.astype(str)})
    _, large, ratio = pair(data, ("y ~ x + (1 | g)", "y ~ x + (x | g)"), True)
    assert len(ratio.large.many.pattern) < 12
    responses = drawn(ratio, 3)
    theta = np.array([[0.7, 0.2, 0.4]] * 3)
    found = ratio.large.many.evaluate(theta, responses)
    for i, criterion in enumerate(one_by_one(large, responses, True)):
        wanted = criterion.evaluate(theta[i], 2)
        np.testing.assert_allclose(found.gradient[i], wanted.gradient, rtol=1e-8, atol=1e-8)
        np.testing.assert_allclose(found.hessian[i], wanted.hessian, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize(("formulas", "reml"), [*((pair, False) for pair in PAIRS), *((pair, True) for pair in SAME_MEAN)])
def test_optima_are_those_of_the_general_optimizer(data: pd.DataFrame, formulas: tuple[str, str], reml: bool) -> None:
    """Differences of values are compared: each side has its own constants."""
    _, large, ratio = pair(data, formulas, reml)
    responses = drawn(ratio, 12)
    values, done = ratio.large.best(responses)
    assert done.all()
    wanted = []
    for criterion in one_by_one(large, responses, reml):
        starts = (0.1 * criterion.layout.start(), criterion.layout.start(), ratio.large.starts[0])
        wanted.append(min(minimise(criterion, start=start).value for start in starts))
    difference = np.array(wanted) - values
    np.testing.assert_allclose(difference, difference[0], atol=2e-4)


@pytest.mark.parametrize("formulas", [p for p in PAIRS if "|" in p[0]])
def test_the_smaller_model_is_where_its_parameters_are_put(data: pd.DataFrame, formulas: tuple[str, str]) -> None:
    """On the observed response, by ML: the smaller model's optimum against the same theta in the larger one's coordinates."""
    small, large, ratio = pair(data, formulas, False)
    many, theta = ratio.small.many, small.solution.theta
    rng = np.random.default_rng(5)
    for moved in (theta, theta * 1.5, theta + 0.2 * rng.normal(size=len(theta))):
        V = [root @ root.T for root in (lam[0] for lam in many.factors(moved[None]))]
        wanted = covariance_of(small, small.criterion.layout.factors(moved))
        found = np.eye(large.nobs)
        for f, block in enumerate(large.criterion.layout.blocks):
            S = np.linalg.inv(large.criterion.gram.z_map(f))
            found += spread(large, block, S @ V[f] @ S.T)
        np.testing.assert_allclose(found, wanted, atol=1e-8 * np.abs(wanted).max())


def covariance_of(fit: ranef.Fit, factors: list[np.ndarray]) -> np.ndarray:
    out = np.eye(fit.nobs)
    for f, block in enumerate(fit.criterion.layout.blocks):
        root = np.linalg.solve(fit.criterion.gram.z_map(f), factors[f])
        out += spread(fit, block, root @ root.T)
    return out


def spread(fit: ranef.Fit, block, omega: np.ndarray) -> np.ndarray:
    """Z (I kron Omega) Z' on the user's scale, n x n."""
    terms = [fit.model.design.terms[part.term] for part in block.parts]
    z = np.hstack([np.ones((fit.nobs, 1)) if term.z is None else term.z for term in terms])
    codes = terms[0].group.codes
    return (z @ omega @ z.T) * (codes[:, None] == codes[None])


def test_one_variance_has_the_exact_distribution(data: pd.DataFrame) -> None:
    for reml in (True, False):
        _, large, ratio = pair(data, ("y ~ x", "y ~ x + (1 | g)"), reml)
        gram = large.criterion.gram
        mu, xi = eigenvalues(gram)
        dof = large.nobs - gram.rank
        exact = null_draws(mu, mu if reml else xi, dof, dof if reml else large.nobs, 20_000, np.random.default_rng(1))
        draws = ratio.draws(8000, 2)
        assert len(draws) == 8000
        assert ks_2samp(np.where(draws < 1e-4, 0.0, draws), np.where(exact < 1e-4, 0.0, exact)).pvalue > 1e-3


@pytest.mark.parametrize("formulas", [PAIRS[1], PAIRS[4], PAIRS[7]])
def test_draws_are_those_of_the_bootstrap_by_rows(data: pd.DataFrame, formulas: tuple[str, str]) -> None:
    """That one simulates responses and refits each model with its own engine and starts."""
    reml = formulas in SAME_MEAN
    small, large, ratio = pair(data, formulas, reml)
    rows = ranef.bootstrap(small, large, n=120, seed=3, progress=False)
    assert rows.reml == reml
    assert ks_2samp(np.round(ratio.draws(3000, 4), 4), np.round(rows.draws, 4)).pvalue > 1e-3


def test_units_and_repetition(data: pd.DataFrame) -> None:
    moved = data.assign(x=data["x"] * 1e3 + 5e3, y=data["y"] * 1e-4)
    draws = [pair(d, PAIRS[1], True)[2].draws(200, 7) for d in (data, data, moved)]
    np.testing.assert_array_equal(draws[0], draws[1])
    np.testing.assert_allclose(draws[0], draws[2], atol=1e-3)


class TestTail:
    def test_a_stretched_chi_square_is_found(self) -> None:
        draws = 1.3 * np.random.default_rng(1).chisquare(2, 50_000)
        for t in (0.5, 4.0, 9.0, 15.0, 40.0):
            found, wanted = tail_p(draws, t, 2), chi2.sf(t / 1.3, 2)
            assert abs(found.value - wanted) < 4 * found.error
        assert found.beyond and 0 < found.error < found.value

    def test_it_is_continuous_and_falls(self) -> None:
        draws = np.maximum(np.random.default_rng(2).chisquare(1, 1000) - 0.5, 0.0)
        t = np.linspace(0.01, 30.0, 3000)
        p = np.array([tail_p(draws, one, 1).value for one in t])
        assert np.all(np.diff(p) <= 1e-15)
        assert np.max(-np.diff(p)[t[:-1] > 1.0]) < 0.01

    def test_zero_and_few_draws(self) -> None:
        draws = np.zeros(1000)
        draws[:10] = np.arange(1.0, 11.0)
        assert tail_p(draws, 0.0, 1).value == 1.0
        assert tail_p(draws, 5.5, 1).value == pytest.approx(6 / 1001)
        assert tail_p(draws, 20.0, 1).value == pytest.approx(1 / 1001)

    def test_stretch_of_an_exponential(self) -> None:
        """chi2(2) is exponential with mean 2: its excess over any u is 2a."""
        assert stretch(5.0 + 2.0 * 1.4, 5.0, 2) == pytest.approx(1.4)
