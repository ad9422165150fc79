"""Comparisons: cones, mixtures, refusals, refits, criteria."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2
from tests.unit.inference.examples import crossed

import ranef
from ranef.inference.conditional_aic import conditional_aic
from ranef.inference.mixture import boundary_p, project, projection_shares
from ranef.inference.nested import Cone, cone_between

PAIRS = {
    # smaller, larger: free parameters, tested covariance matrices
    ("y ~ x", "y ~ x + (1 | g)"): (0, (1,)),
    ("y ~ x", "y ~ x + (x | g)"): (0, (2,)),
    ("y ~ x + (1 | g)", "y ~ x + (x | g)"): (1, (1,)),
    ("y ~ x + (0 + x | g)", "y ~ x + (x | g)"): (1, (1,)),
    ("y ~ x + (1 | g)", "y ~ x + (x || g)"): (0, (1,)),
    ("y ~ x + (x || g)", "y ~ x + (x | g)"): (1, ()),
    ("y ~ x + (1 | g)", "y ~ x + a + (1 | g)"): (2, ()),
    ("y ~ x + (1 | g)", "y ~ x + a + (x | g)"): (3, (1,)),
    ("y ~ x + (1 | g)", "y ~ x + (1 | g) + (1 | h)"): (0, (1,)),
    ("y ~ x", "y ~ x + (1 | g) + (1 | h)"): (0, (1, 1)),
    ("y ~ x + (1 | g)", "y ~ x + (a | g)"): (2, (2,)),
    ("y ~ a + (1 | g)", "y ~ a + (0 + a | g)"): (2, (2,)),
    ("y ~ x + diag(x | g)", "y ~ x + (x | g)"): (1, ()),
    ("y ~ x + id(x | g)", "y ~ x + diag(x | g)"): (1, ()),
    ("y ~ x + id(x | g)", "y ~ x + (x | g)"): (2, ()),
    ("y ~ x", "y ~ x + diag(x | g)"): (0, (1, 1)),
    ("y ~ x", "y ~ x + id(x | g)"): (0, (1,)),
    ("y ~ x + (1 | g)", "y ~ x + (x | g) + (x | h)"): (1, (1, 2)),
    ("y ~ x + (x | g)", "y ~ x + (1 | g) + (1 | h)"): None,
    ("y ~ x + (x | g)", "y ~ x + diag(x | g) + (1 | h)"): None,
    ("y ~ a + (1 | g)", "y ~ x + (x | g)"): None,
}


@pytest.fixture(scope="module")
def data() -> pd.DataFrame:
    return crossed()


@pytest.mark.parametrize(("small", "large"), PAIRS)
def test_cones(data: pd.DataFrame, small: str, large: str) -> None:
    m0, m1 = ranef.lmm(small, data), ranef.lmm(large, data)
    cone, wanted = cone_between(m0, m1), PAIRS[small, large]
    if wanted is None:
        assert isinstance(cone, str)
        return
    assert isinstance(cone, Cone) and (cone.free, tuple(sorted(cone.orders))) == wanted
    assert cone.size == m1.npar - m0.npar
    if cone.metric is not None:
        assert np.linalg.eigvalsh(cone.metric)[0] > 0


def test_units_do_not_change_the_mixture(data: pd.DataFrame) -> None:
    moved = data.assign(x=data["x"] * 1e3 + 5e3)
    p = []
    for frame in (data, moved):
        m0, m1 = ranef.lmm("y ~ x", frame), ranef.lmm("y ~ x + (x | g)", frame)
        cone = cone_between(m0, m1)
        assert isinstance(cone, Cone)
        p.append(boundary_p(5.0, cone, draws=4000, seed=1))
    assert abs(p[0].p - p[1].p) < 4 * (p[0].error + p[1].error)


class TestMixtures:
    def test_closed_forms(self) -> None:
        for t in (0.5, 3.0, 12.0):
            assert boundary_p(t, Cone(2, ()), draws=2, seed=1).p == pytest.approx(chi2.sf(t, 2))
            assert boundary_p(t, Cone(0, (1,)), draws=2, seed=1).p == pytest.approx(0.5 * chi2.sf(t, 1))
            p = boundary_p(t, Cone(1, (1,)), draws=2, seed=1)
            assert p.p == pytest.approx(0.5 * chi2.sf(t, 1) + 0.5 * chi2.sf(t, 2))
            assert p.naive == pytest.approx(chi2.sf(t, 2)) and p.error == 0.0
        assert boundary_p(0.0, Cone(0, (1,)), draws=2, seed=1).p == 1.0

    @pytest.mark.parametrize("rho", [-0.6, 0.0, 0.5])
    def test_two_variances_agree_with_simulation(self, rho: float) -> None:
        metric = np.linalg.inv(np.array([[1.0, rho], [rho, 1.0]]))
        exact = boundary_p(4.0, Cone(1, (1, 1), metric), draws=2, seed=1)
        shares = projection_shares(Cone(1, (1, 1), metric), 20_000, 3)
        ps = chi2.sf(4.0 / np.maximum(shares, 1e-300), 3)
        assert abs(ps.mean() - exact.p) < 4 * ps.std() / np.sqrt(len(ps))

    def test_a_round_cone(self) -> None:
        """2 x 2 matrices in Frobenius's norm: a circular cone with weights (2 -+ sqrt 2)/8, sqrt(2)/4 on chi2(0..3)."""
        metric = np.diag([1.0, 2.0, 1.0])  # entries (1,1), (2,1), (2,2)
        t, edge, middle = 3.0, (2 - np.sqrt(2)) / 4, np.sqrt(2) / 4
        wanted = middle * (chi2.sf(t, 1) + chi2.sf(t, 2)) + edge * chi2.sf(t, 3)
        found = boundary_p(t, Cone(0, (2,), metric), draws=20_000, seed=2)
        assert abs(found.p - wanted) < 4 * found.error and found.error < 2e-3

    def test_a_product_of_cones(self) -> None:
        """Without correlation the mixture of two variances and one matrix is the convolution of their mixtures."""
        edge, middle = (2 - np.sqrt(2)) / 4, np.sqrt(2) / 4
        weights = np.convolve([edge, middle, middle, edge], [0.5, 0.5])
        t = 4.0
        wanted = sum(w * chi2.sf(t, df) for df, w in enumerate(weights) if df)
        found = boundary_p(t, Cone(0, (2, 1), np.diag([1.0, 2.0, 1.0, 1.0])), draws=20_000, seed=5)
        assert abs(found.p - wanted) < 4 * found.error

    def test_projections_satisfy_the_optimality_conditions(self) -> None:
        rng = np.random.default_rng(1)
        A = rng.normal(size=(4, 4))
        M, z = A @ A.T + np.eye(4), rng.normal(size=(50, 4))
        weight = np.array([1.0, np.sqrt(0.5), 1.0])
        x = project(z, M, (2, 1))
        force = (x - z) @ M

        def matrix(v: np.ndarray) -> np.ndarray:
            v = v * weight
            return np.array([[v[0], v[1]], [v[1], v[2]]])

        for point, push in zip(x, force, strict=True):
            assert np.linalg.eigvalsh(matrix(point[:3]))[0] > -1e-5 and point[3] >= 0
            assert np.linalg.eigvalsh(matrix(push[:3]))[0] > -1e-4 and push[3] > -1e-4
            assert abs(point @ push) < 1e-4

    def test_seeds_repeat_and_small_p_values_stay_precise(self) -> None:
        cone = Cone(0, (2,), np.diag([1.0, 2.0, 1.0]))
        one, two = (boundary_p(60.0, cone, draws=5000, seed=7) for _ in range(2))
        assert one == two
        assert 0 < one.error < 0.1 * one.p < 1e-10

    def test_it_is_never_above_the_naive_p(self, data: pd.DataFrame) -> None:
        for small, large in (("y ~ x", "y ~ x + (x | g)"), ("y ~ x", "y ~ x + (1 | g) + (1 | h)")):
            cone = cone_between(ranef.lmm(small, data), ranef.lmm(large, data))
            assert isinstance(cone, Cone)
            for t in (0.1, 2.0, 9.0):
                found = boundary_p(t, cone, draws=2000, seed=1)
                assert found.p <= found.naive + 1e-12


@pytest.fixture(scope="module")
def two(data: pd.DataFrame) -> pd.DataFrame:
    return data.assign(b=np.where(data["a"] == data["a"].iloc[0], "yes", "no"))


class TestSpecialCases:
    """(1 | g) is a special case of (0 + b | g): the model is the one without it, and so are its tests."""

    FORMULA = "y ~ x + (b || g)"

    def test_the_variances_count_once(self, two: pd.DataFrame) -> None:
        m0, m1 = ranef.lmm("y ~ x + (1 | g)", two), ranef.lmm(self.FORMULA, two)
        table = ranef.compare(m0, m1, reference="asymptotic")
        t = m0.deviance - m1.deviance
        assert table["p_mixture"][1] == pytest.approx(0.5 * (chi2.sf(t, 1) + chi2.sf(t, 2)), abs=1e-9)
        assert table["p_naive"][1] == pytest.approx(chi2.sf(t, 3), abs=1e-9) and table["df"][1] == 3

    def test_every_random_term_can_be_tested(self, two: pd.DataFrame) -> None:
        for formula in (self.FORMULA, "y ~ x + (1 | g) + (x | g)"):
            table = ranef.ranova(ranef.lmm(formula, two), reference="asymptotic")
            assert table["statistic"][1] == 0.0 and table["p_value"][1] == 1.0 and "the same" in table.notes[1]
            assert 0.0 < table["p_value"][2] < table["p_naive"][2] <= 1.0

    def test_the_fit_says_so(self, two: pd.DataFrame) -> None:
        (found,) = (one for one in ranef.lmm(self.FORMULA, two).findings if one.code == "overlapping_random_terms")
        assert found.evidence == {"term": "(1 | g)", "within": "(0 + b | g)"}
        assert "overlapping_random_terms" in {one.code for one in ranef.describe(self.FORMULA, two).findings}
        for apart in ("y ~ x + (x || g)", "y ~ x + (1 | g) + (0 + x | g) + (1 | h)", "y ~ x + (1 | g) + diag(0 + b | g)"):
            assert "overlapping_random_terms" not in {one.code for one in ranef.lmm(apart, two).findings}

    def test_groups_of_two_names_are_the_same_groups(self, two: pd.DataFrame) -> None:
        """Each level of g has one of k, so that g:k divides the rows as g does: only the sum of the two variances is in the data."""
        nested = two.assign(k=[f"k{str(g)[-1]}" for g in two["g"]])
        m0, m1 = ranef.lmm("y ~ x + (1 | g)", nested), ranef.lmm("y ~ x + (1 | g / k)", nested)
        (found,) = (one for one in m1.findings if one.code == "overlapping_random_terms")
        assert found.evidence == {"term": "(1 | g)", "within": "(1 | g:k)"} and "g and g:k divide the rows" in found.message
        assert "overlapping_random_terms" in {one.code for one in ranef.describe(m1.formula, nested).findings}
        assert m1.deviance == pytest.approx(m0.deviance, abs=1e-9)
        assert sum(m1.varcorr["vcov"][:2]) == pytest.approx(m0.varcorr["vcov"][0], rel=1e-5)
        table = ranef.compare(m0, m1, reference="asymptotic")
        assert table["statistic"][1] == 0.0 and table["p_value"][1] == 1.0 and "the same" in table.notes[-1]
        apart = ranef.describe("y ~ x + (1 | g) + (0 + x | g:k)", nested)
        assert "overlapping_random_terms" not in {one.code for one in apart.findings}


class TestLikelihoods:
    def test_same_mean_by_reml_other_means_by_ml(self, data: pd.DataFrame) -> None:
        m0, m1, m2 = (ranef.lmm(f, data) for f in ("y ~ x + (1 | g)", "y ~ x + (x | g)", "y ~ x + a + (x | g)"))
        table = ranef.compare(m0, m1)
        assert "Restricted likelihoods (REML): the models have the same fixed part." in table.notes
        np.testing.assert_allclose(table["llf"], [m0.llf, m1.llf])
        table = ranef.compare(m1, m2, names=["small", "large"])
        assert any("refitted by ML, because their fixed parts differ: small, large." in note for note in table.notes)
        by_ml = [ranef.lmm(m.formula, data, reml=False).llf for m in (m1, m2)]
        np.testing.assert_allclose(table["llf"], by_ml, rtol=1e-8)
        np.testing.assert_allclose(table["statistic"][1], 2 * (by_ml[1] - by_ml[0]), rtol=1e-5)
        assert m1.reml, "the fits themselves stay as they are"

    def test_mixed_methods_say_so(self, data: pd.DataFrame) -> None:
        table = ranef.compare(ranef.lmm("y ~ x + (1 | g)", data), ranef.lmm("y ~ x + (x | g)", data, reml=False))
        assert any("because others were fitted by ML: 1." in note for note in table.notes)

    def test_order_and_names(self, data: pd.DataFrame) -> None:
        m0, m1 = ranef.lmm("y ~ x + (1 | g)", data), ranef.lmm("y ~ x + (x | g)", data)
        table = ranef.compare(m1, m0, names=["slopes", "intercepts"])
        assert list(table["model"]) == ["intercepts", "slopes"]
        assert f"slopes: {m1.formula}" in table.notes

    def test_criteria(self, data: pd.DataFrame) -> None:
        m0, m1 = ranef.lmm("y ~ x + (1 | g)", data), ranef.lmm("y ~ x + (x | g)", data)
        table = ranef.compare(m0, m1)
        np.testing.assert_allclose(table["aic"], [m0.aic, m1.aic])
        np.testing.assert_allclose(table["bic"], [m0.bic, m1.bic])
        k = m0.npar
        np.testing.assert_allclose(table["aicc"][0], m0.aic + 2 * k * (k + 1) / (m0.nobs - k - 1))
        np.testing.assert_allclose(table["weight"].sum(), 1.0)
        np.testing.assert_allclose(table["weight"][0] / table["weight"][1], np.exp((m1.aic - m0.aic) / 2))

    def test_models_that_are_not_nested_have_no_test(self, data: pd.DataFrame) -> None:
        table = ranef.compare(ranef.lmm("y ~ x + (1 | g)", data), ranef.lmm("y ~ x + (x | h)", data))
        assert np.isnan(table["p_value"][1]) and table["df"][1] is None
        assert any("no nested model" in note for note in table.notes)
        assert np.isfinite(table["aic"]).all()

    def test_a_simulated_p_value_tells_its_error(self, data: pd.DataFrame) -> None:
        table = ranef.compare(ranef.lm("y ~ x", data), ranef.lmm("y ~ x + (x | g)", data), draws=500, seed=3)
        assert any("500 simulated directions (seed 3), Monte Carlo error" in note for note in table.notes)
        assert any("500 simulated data sets (seed 3" in note for note in table.notes)

    def test_a_singular_smaller_model_is_said(self) -> None:
        data = ranef.datasets.load("Dyestuff2").assign(x=lambda d: np.arange(len(d)) % 5)
        table = ranef.compare(ranef.lmm("Yield ~ x + (1 | Batch)", data), ranef.lmm("Yield ~ x + (x | Batch)", data))
        assert any("approximate" in note for note in table.notes)


class TestReferences:
    """Where p values come from."""

    def test_regressions_have_the_f_test(self, data: pd.DataFrame) -> None:
        m0, m1 = ranef.lm("y ~ x", data), ranef.lm("y ~ x + a", data)
        table, f = ranef.compare(m0, m1), ranef.compare(m0, m1, test="f", ddf="residual")
        assert table["p_value"][1] == pytest.approx(f["p_value"][0], rel=1e-9)
        assert table["p_naive"][1] == table["p_mixture"][1] == pytest.approx(chi2.sf(table["statistic"][1], 2))
        assert table.notes[-1].startswith("2 against 1: exact p by F on 2 and ")

    def test_one_variance_has_its_exact_distribution(self) -> None:
        m = ranef.lmm("Yield ~ 1 + (1 | Batch)", ranef.datasets.load("Dyestuff"))
        table, exact = ranef.ranova(m), ranef.rlrt(m)
        assert table["p_value"][1] == pytest.approx(exact.p_value, abs=0.0015)
        assert table["p_mixture"][1] == pytest.approx(0.5 * table["p_naive"][1])
        assert table.notes[-1].startswith("(1 | Batch): p from 10,000 draws of the exact distribution (seed 1, Monte Carlo error")

    @pytest.mark.parametrize("reml", [True, False])
    def test_others_agree_with_the_bootstrap_by_rows(self, reml: bool) -> None:
        rng = np.random.default_rng(12)
        g, x = np.repeat(np.arange(7), 6), np.tile(np.arange(6.0), 7)
        y = rng.normal(size=7)[g] + 0.2 * rng.normal(size=7)[g] * x + rng.normal(size=42)
        small = pd.DataFrame({"y": y, "x": x, "g": g.astype(str)})
        m0, m1 = (ranef.lmm(f, small, reml=reml) for f in ("y ~ x + (1 | g)", "y ~ x + (x | g)"))
        table, rows = ranef.compare(m0, m1, draws=4000), ranef.bootstrap(m0, m1, n=200, seed=2, progress=False)
        assert 0.001 < table["p_value"][1] < table["p_mixture"][1]
        assert abs(table["p_value"][1] - rows.p_value) < 4 * rows.std_error
        assert "simulated data sets (seed 1" in table.notes[-1]

    def test_the_same_call_gives_the_same_answer(self, data: pd.DataFrame) -> None:
        m0, m1 = ranef.lmm("y ~ x + (1 | g)", data), ranef.lmm("y ~ x + (1 | g) + (1 | h)", data)
        first, again, other = (ranef.compare(m0, m1, seed=seed)["p_value"][1] for seed in (1, 1, 2))
        assert first == again != other

    def test_large_models_and_who_asks_for_it_get_the_mixture(self, data: pd.DataFrame) -> None:
        rng = np.random.default_rng(1)
        s, i = rng.integers(0, 150, 900), rng.integers(0, 90, 900)
        big = pd.DataFrame({"y": rng.normal(size=900), "s": s.astype(str), "i": i.astype(str)})
        table = ranef.ranova(ranef.lmm("y ~ 1 + (1 | s) + (1 | i)", big))
        np.testing.assert_array_equal(table["p_value"], table["p_mixture"])
        assert all("asymptotic: too many random effects to simulate" in note for note in table.notes[1:])
        m0, m1 = ranef.lmm("y ~ x + (1 | g)", data), ranef.lmm("y ~ x + (x | g)", data)
        asked = ranef.compare(m0, m1, reference="asymptotic")
        assert asked["p_value"][1] == asked["p_mixture"][1] == ranef.compare(m0, m1, draws=200)["p_mixture"][1]
        assert asked.notes[-1].startswith("2 against 1: 1/2 chi2(1) + 1/2 chi2(2)")

    def test_what_would_take_long_is_done_when_asked(self) -> None:
        rng = np.random.default_rng(1)
        s, i = rng.integers(0, 70, 400), rng.integers(0, 30, 400)
        big = pd.DataFrame({"y": rng.normal(size=400), "s": s.astype(str), "i": i.astype(str)})
        m0, m1 = ranef.lmm("y ~ 1 + (1 | s)", big), ranef.lmm("y ~ 1 + (1 | s) + (1 | i)", big)
        assert 'reference="simulated" does it' in ranef.compare(m0, m1).notes[-1]
        assert "100 simulated data sets" in ranef.compare(m0, m1, reference="simulated", draws=100).notes[-1]

    def test_refusals(self, data: pd.DataFrame) -> None:
        m = ranef.lmm("y ~ x + (1 | g)", data)
        with pytest.raises(ranef.ModelError, match="reference='exact' is not known"):
            ranef.ranova(m, reference="exact")
        with pytest.raises(ranef.ModelError, match="draws=10 must be a number of at least 100"):
            ranef.ranova(m, draws=10)


class TestRefusals:
    def test_other_rows(self, data: pd.DataFrame) -> None:
        holes = data.assign(x=data["x"].mask(data.index < 3))
        m0, m1 = ranef.lmm("y ~ 1 + (1 | g)", holes), ranef.lmm("y ~ x + (1 | g)", holes)
        with pytest.raises(ranef.ModelError, match="different rows: 240 and 237"):
            ranef.compare(m0, m1)

    def test_other_values(self, data: pd.DataFrame) -> None:
        with pytest.raises(ranef.ModelError, match="values of y"):
            ranef.compare(ranef.lmm("y ~ 1 + (1 | g)", data), ranef.lmm("y ~ x + (1 | g)", data.assign(y=data["y"] + 1)))

    def test_other_responses(self, data: pd.DataFrame) -> None:
        with pytest.raises(ranef.ModelError, match="different responses"):
            ranef.compare(ranef.lmm("y ~ 1 + (1 | g)", data), ranef.lmm("I(y * 2) ~ x + (1 | g)", data))

    def test_other_weights_and_offsets(self, data: pd.DataFrame) -> None:
        m = ranef.lmm("y ~ 1 + (1 | g)", data)
        with pytest.raises(ranef.ModelError, match="different weights"):
            ranef.compare(m, ranef.lmm("y ~ x + (1 | g)", data, precision_weights="w"))
        with pytest.raises(ranef.ModelError, match="different offset"):
            ranef.compare(m, ranef.lmm("y ~ x + (1 | g)", data, offset="w"))

    def test_too_few_and_unknown(self, data: pd.DataFrame) -> None:
        m = ranef.lmm("y ~ 1 + (1 | g)", data)
        with pytest.raises(ranef.ModelError, match="two models"):
            ranef.compare(m)
        with pytest.raises(ranef.ModelError, match="two models"):
            ranef.variance_change(m)
        with pytest.raises(ranef.ModelError, match="lrt"):
            ranef.compare(m, m, test="wald")
        with pytest.raises(ranef.ModelError, match="3 names"):
            ranef.compare(m, m, names=["a", "b", "c"])

    def test_saved_models(self, data: pd.DataFrame, tmp_path) -> None:
        m = ranef.lmm("y ~ x + (1 | g)", data)
        m.save(tmp_path / "model")
        loaded = ranef.load(tmp_path / "model")
        for ask in (lambda: ranef.compare(m, loaded), lambda: ranef.ranova(loaded)):
            with pytest.raises(ranef.ModelError, match="rows"):
                ask()


class TestFTests:
    def test_nested_means(self, data: pd.DataFrame) -> None:
        m0, m1 = ranef.lmm("y ~ x + (x | g)", data), ranef.lmm("y ~ x + a + (x | g)", data, ddf="kenward-roger")
        table, joint = ranef.compare(m0, m1, test="f"), m1.test("a[T.q], a[T.r]", joint=True)
        for name in ("num_df", "den_df", "statistic", "p_value"):
            np.testing.assert_allclose(table[name], joint[name], rtol=1e-8)

    def test_another_coding_of_the_smaller_mean(self, data: pd.DataFrame) -> None:
        m1 = ranef.lmm("y ~ x + a + (x | g)", data)
        tables = [
            ranef.compare(ranef.lmm("y ~ a + (x | g)", data, contrasts={"a": c}), m1, test="f", ddf="kenward-roger")["statistic"]
            for c in ("sum", "treatment")
        ]
        np.testing.assert_allclose(tables[0], tables[1], rtol=1e-8)

    def test_refusals(self, data: pd.DataFrame) -> None:
        m = ranef.lmm("y ~ a + (x | g)", data)
        with pytest.raises(ranef.ModelError, match="random parts"):
            ranef.compare(ranef.lmm("y ~ 1 + (1 | g)", data), m, test="f")
        with pytest.raises(ranef.ModelError, match="not nested"):
            ranef.compare(ranef.lmm("y ~ x + (x | g)", data), m, test="f")


class TestRanova:
    def test_every_effect_of_every_bar(self, data: pd.DataFrame) -> None:
        table = ranef.ranova(ranef.lmm("y ~ x + (x + a | g) + (1 | h)", data))
        assert list(table["term"]) == ["<none>", "x in (x + a | g)", "a in (x + a | g)", "(1 | h)"]
        assert list(table["df"]) == [None, 4, 7, 1]

    def test_interactions_go_before_their_margins(self, data: pd.DataFrame) -> None:
        table = ranef.ranova(ranef.lmm("y ~ x + (x * w | g)", data))
        assert list(table["term"]) == ["<none>", "x:w in (x * w | g)"] or list(table["term"])[1].startswith("x:w in ")

    def test_bars_without_an_intercept_go_as_a_whole(self, data: pd.DataFrame) -> None:
        table = ranef.ranova(ranef.lmm("y ~ x + (0 + x | g) + (1 | h)", data))
        assert list(table["term"]) == ["<none>", "(0 + x | g)", "(1 | h)"]

    def test_maximum_likelihood_stays_maximum_likelihood(self, data: pd.DataFrame) -> None:
        m = ranef.lmm("y ~ x + (x | g)", data, reml=False)
        table = ranef.ranova(m)
        assert table["llf"][1] == pytest.approx(ranef.lmm("y ~ x + (1 | g)", data, reml=False).llf)

    def test_a_regression_is_refused(self, data: pd.DataFrame) -> None:
        with pytest.raises(ranef.ModelError, match="no random effects"):
            ranef.ranova(ranef.lm("y ~ x", data))


class TestConditionalAic:
    @pytest.mark.parametrize("formula", ["y ~ x + (x | g)", "y ~ x + (1 | g) + (1 | h)", "y ~ x"])
    @pytest.mark.parametrize("reml", [True, False])
    def test_parameters_are_how_fitted_values_follow_the_response(self, formula: str, reml: bool) -> None:
        """rho is the sum of d y_hat_i / d y_i, here by refitting with each response moved a little."""
        data = crossed(n=60)
        m = ranef.lmm(formula, data, reml=reml)
        y, h, rho = data["y"].to_numpy(), 1e-3, 0.0
        for i in range(len(y)):
            up, down = (np.asarray(m.refit(y + step * h * (np.arange(len(y)) == i)).fittedvalues)[i] for step in (1, -1))
            rho += (up - down) / (2 * h)
        found = conditional_aic(m)
        np.testing.assert_allclose(found.parameters, rho, rtol=2e-3)

    def test_likelihood_given_the_effects(self) -> None:
        m = ranef.lmm("y ~ x + (x | g)", crossed(), precision_weights="w")
        w, e = m.model.design.weights, np.asarray(m.resid)
        llf = -0.5 * np.sum(np.log(2 * np.pi * m.sigma**2 / w) + w * e**2 / m.sigma**2)
        found = conditional_aic(m)
        np.testing.assert_allclose(found.llf, llf, rtol=1e-9)
        np.testing.assert_allclose(found.value, -2 * llf + 2 * (found.parameters + 1), rtol=1e-12)

    def test_a_zero_variance_costs_nothing(self) -> None:
        data = ranef.datasets.load("Dyestuff2")
        assert conditional_aic(ranef.lmm("Yield ~ 1 + (1 | Batch)", data)).parameters == pytest.approx(1.0)


def test_variance_change(data: pd.DataFrame) -> None:
    m0, m1 = ranef.lmm("y ~ 1 + (1 | g)", data), ranef.lmm("y ~ x + (x | g)", data)
    table = ranef.variance_change(m0, m1, names=["null", "full"])
    rows = {(row["model"], row["group"], row["term1"], row["term2"]): row for row in table}
    assert rows["null", "Residual", None, None]["change"] == 0.0
    wanted = m1.sigma**2 / m0.sigma**2 - 1
    np.testing.assert_allclose(rows["full", "Residual", None, None]["change"], wanted)
    assert np.isnan(rows["full", "g", "x", None]["change"])
