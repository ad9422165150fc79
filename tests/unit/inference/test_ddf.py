"""The other methods of degrees of freedom: definitions, textbook designs, and what must not matter."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from tests.unit.inference.examples import crossed

import ranef
from ranef.fit.methods import DDF, ROBUST
from ranef.inference.ddf import METHODS
from ranef.inference.ddf.containment import rank
from ranef.inference.ddf.satterthwaite import fai_cornelius

CLASSICAL = [name for name in DDF if name not in (*ROBUST, "knapp-hartung")]
MIXED = [name for name in CLASSICAL if name not in ("residual", "asymptotic")]


def test_every_name_has_a_method() -> None:
    assert [name for name in METHODS if name != "knapp-hartung"] == CLASSICAL


def test_knapp_and_hartung_need_known_variances() -> None:
    m = ranef.lmm("Reaction ~ Days + (Days | Subject)", ranef.datasets.load("sleepstudy"), ddf="knapp-hartung")
    with pytest.raises(ranef.ModelError, match="known sampling variances"):
        m.summary().tables  # noqa: B018


@pytest.mark.parametrize("method", CLASSICAL)
def test_every_method_is_usable_everywhere_and_named(method: str) -> None:
    m = ranef.lmm("Reaction ~ Days + (Days | Subject)", ranef.datasets.load("sleepstudy"), ddf=method)
    assert DDF[method] in str(m.summary()).replace("\n", " ")
    assert m.ddf == method and len(m.df) == 2
    for table in (m.tidy(), m.conf_int(), m.anova(), m.test("Days = 10"), m.test("Days", joint=True)):
        assert any(DDF[method] in note for note in table.footnotes()), table.title
    assert np.isfinite(m.conf_int()["conf_low"]).all()


@pytest.mark.parametrize("method", CLASSICAL)
def test_singular_fits(method: str) -> None:
    m = ranef.lmm("Yield ~ 1 + (1 | Batch)", ranef.datasets.load("Dyestuff2"), ddf=method)
    assert m.is_singular and np.all(m.df >= 1.0) and np.isfinite(m.bse).all()


@pytest.mark.parametrize("method", MIXED)
def test_without_random_effects_all_are_the_residual_df(method: str) -> None:
    m = ranef.lm("Reaction ~ Days", ranef.datasets.load("sleepstudy"), ddf=method)
    assert m.ddf == "residual" and list(m.df) == [178.0, 178.0]
    assert list(m.anova(ddf=method)["den_df"]) == [178.0, None]


def test_unknown_method_names_the_known() -> None:
    m = ranef.lm("Reaction ~ Days", ranef.datasets.load("sleepstudy"))
    with pytest.raises(ranef.ModelError, match="kenward-roger"):
        m.anova(ddf="guess")


class TestSatterthwaite:
    def test_equal_df_stay(self) -> None:
        assert fai_cornelius(np.array([7.5, 7.5, 7.5])) == 7.5

    def test_moments(self) -> None:
        """2 E / (E - q) with E = 10/8 + 5/3."""
        E = 10 / 8 + 5 / 3
        np.testing.assert_allclose(fai_cornelius(np.array([10.0, 5.0])), 2 * E / (E - 2))

    def test_a_direction_with_two_df_or_less_leaves_two(self) -> None:
        assert fai_cornelius(np.array([10.0, 2.0])) == 2.0

    def test_infinite_df_count(self) -> None:
        assert fai_cornelius(np.array([np.inf, np.inf])) == np.inf
        E = 1 + 10 / 8
        np.testing.assert_allclose(fai_cornelius(np.array([np.inf, 10.0])), 2 * E / (E - 2))

    def test_from_its_definition(self) -> None:
        """2 v^2 / Var(v) with v and its derivatives by differences of the profiled criterion in (theta, log sigma)."""
        m = ranef.lmm("y ~ x + a + (x | g) + (1 | h)", crossed())
        c, theta, s2 = m.criterion, m.optimum.theta, m.solution.sigma**2
        unit = c.gram.standard.unit
        nu, T = c.nu, c.gram.standard.to_user
        row = np.array([0.3, 1.0, -0.5, 0.2])

        def v(p: np.ndarray) -> float:
            gls = c.pieces(p[:-1], 0).gls
            white = np.linalg.solve(gls.lower, (row @ T)[:, None])
            return float(np.exp(p[-1]) * (white.T @ white)[0, 0])

        def deviance(p: np.ndarray) -> float:
            pieces = c.pieces(p[:-1], 0)
            return pieces.logdet_u + pieces.gls.logdet_x + nu * p[-1] + pieces.gls.pwrss * unit**2 * np.exp(-p[-1])

        at = np.append(theta, np.log(s2))
        h = 1e-4
        steps = h * np.eye(len(at))
        gradient = np.array([(v(at + s) - v(at - s)) / (2 * h) for s in steps])
        hessian = np.array(
            [
                [
                    (deviance(at + s + t) - deviance(at + s - t) - deviance(at - s + t) + deviance(at - s - t)) / (4 * h**2)
                    for t in steps
                ]
                for s in steps
            ]
        )
        df = 2 * v(at) ** 2 / (gradient @ (2 * np.linalg.inv(hessian)) @ gradient)
        np.testing.assert_allclose(m.ddf_of(row[None]), [df], rtol=1e-4)


class TestBetweenWithin:
    def test_textbook(self) -> None:
        """A growth curve: the intercept and what is constant within subjects, then what is not."""
        m = ranef.lmm("distance ~ age * Sex + (1 | Subject)", ranef.datasets.load("Orthodont"), ddf="between-within")
        assert list(m.df) == [25.0, 79.0, 25.0, 79.0]

    def test_split_plot(self) -> None:
        data = ranef.datasets.load("Oats").assign(dose=lambda d: d["nitro"].astype(str))
        m = ranef.lmm("yield ~ dose * Variety + (1 | Block/Variety)", data)
        assert list(m.anova(ddf="between-within")["den_df"]) == [45.0, 10.0, 45.0]
        assert m.test("(Intercept)", ddf="between-within")["df"][0] == 5.0

    @pytest.mark.parametrize("coding", ["treatment", "sum", "helmert"])
    def test_coding_does_not_matter(self, coding: str) -> None:
        data = crossed()
        m = ranef.lmm("y ~ a * b + x + (1 | g)", data, contrasts={"a": coding, "b": coding})
        sizes = {"g": data["g"].nunique(), "n": len(data)}
        between = sizes["g"] - 3.0
        within = sizes["n"] - sizes["g"] - (2 + 4 + 1)
        assert list(m.anova(ddf="between-within")["den_df"]) == [within, between, within, within]

    def test_the_mean_of_a_cell_is_between(self) -> None:
        m = ranef.lmm("distance ~ Sex * age + (1 | Subject)", ranef.datasets.load("Orthodont"), ddf="between-within")
        assert m.test("(Intercept) + 11 * age")["df"][0] == 25.0

    def test_crossed_groups_are_refused(self) -> None:
        m = ranef.lmm("y ~ x + (1 | g) + (1 | h)", crossed())
        with pytest.raises(ranef.ModelError, match="crossed"):
            m.anova(ddf="between-within")


class TestContainment:
    def test_random_slopes_contain_their_slope(self) -> None:
        m = ranef.lmm("Reaction ~ Days + (Days | Subject)", ranef.datasets.load("sleepstudy"), ddf="containment")
        assert list(m.df) == [17.0, 17.0]
        m = ranef.lmm("Reaction ~ Days + (1 | Subject)", ranef.datasets.load("sleepstudy"), ddf="containment")
        assert list(m.df) == [17.0, 161.0]

    def test_split_plot_of_sas(self) -> None:
        """Its order of the random effects does not matter."""
        for formula in (
            "yield ~ dose * Variety + (1 | Block/Variety)",
            "yield ~ dose * Variety + (1 | Block:Variety) + (1 | Block)",
        ):
            data = ranef.datasets.load("Oats").assign(dose=lambda d: d["nitro"].astype(str))
            m = ranef.lmm(formula, data, ddf="containment")
            assert list(m.anova()["den_df"]) == [45.0, 10.0, 45.0]
            assert m.df.iloc[0] == 5.0

    def test_what_no_random_effect_contains_has_the_residual_df(self) -> None:
        """The mean of a school is constant within schools, and still: the rule is about names."""
        m = ranef.lmm("distance ~ Sex + (1 | Subject)", ranef.datasets.load("Orthodont"), ddf="containment")
        assert list(m.df) == [25.0, 81.0]

    @pytest.mark.parametrize(
        "formula", ["y ~ x + a + (x | g)", "y ~ x * b + (x | g) + (1 | h)", "y ~ a + (a | g) + diag(0 + x | h)"]
    )
    def test_ranks(self, formula: str) -> None:
        data = crossed(n=90)
        m = ranef.lmm(formula, data)
        Z = [
            np.repeat(pd.get_dummies(t.group.codes).to_numpy(float), t.width, axis=1)
            * np.tile(np.ones((m.nobs, 1)) if t.z is None else t.z, t.group.size)
            for t in m.model.design.terms
        ]
        whole = np.linalg.matrix_rank(np.hstack([m.model.design.X, *Z]), tol=1e-8)
        assert rank(m.criterion, [np.ones(block.width) for block in m.criterion.layout.blocks]) == whole
        assert rank(m.criterion, [np.zeros(block.width) for block in m.criterion.layout.blocks]) == m.criterion.gram.rank


def test_contradicting_hypotheses_are_refused() -> None:
    m = ranef.lmm("Reaction ~ Days + (Days | Subject)", ranef.datasets.load("sleepstudy"))
    for method in ("satterthwaite", "kenward-roger"):
        with pytest.raises(ranef.ModelError, match="contradict"):
            m.test("Days = 1, 2 * Days = 3", joint=True, ddf=method)
        twice = m.test("Days = 1, 2 * Days = 2", joint=True, ddf=method)
        once = m.test("Days = 1", joint=True, ddf=method)
        assert twice["num_df"] == [1]
        np.testing.assert_allclose(twice["statistic"], once["statistic"], rtol=1e-9)


def test_units_do_not_matter_for_joint_tests() -> None:
    data = crossed()
    m = ranef.lmm("y ~ x + a + (x | g)", data)
    other = ranef.lmm("y ~ x + a + (x | g)", data.assign(x=data["x"] * 1e9))
    for method in ("satterthwaite", "kenward-roger", "residual", "asymptotic"):
        here, there = (fit.test("x, a[T.q], a[T.r]", joint=True, ddf=method) for fit in (m, other))
        np.testing.assert_allclose(there["statistic"], here["statistic"], rtol=1e-6)
        assert method == "asymptotic" or there["num_df"] == [3]


def test_intervals_of_predictions_are_those_of_the_test() -> None:
    for method in ("kenward-roger", "satterthwaite", "between-within"):
        m = ranef.lmm("Reaction ~ Days + (Days | Subject)", sparse(), ddf=method)
        band = m.predict(pd.DataFrame({"Days": [12.0]}), re="population", interval="confidence")
        test = m.test("(Intercept) + 12 * Days")
        np.testing.assert_allclose(
            band[["conf_low", "conf_high"]].to_numpy()[0], [test["conf_low"][0], test["conf_high"][0]], rtol=1e-8
        )


def sparse() -> pd.DataFrame:
    """Unbalanced, so that Kenward and Roger's standard errors differ."""
    data = ranef.datasets.load("sleepstudy")
    return data[(np.arange(len(data)) * 7) % 11 > 3]
