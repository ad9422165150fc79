"""Structures in front of a bar: what they make of their terms, and what a fit tells about them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2

import ranef
from ranef.covariance import Scaled, structure
from ranef.covariance.roots import cholesky
from ranef.errors import DataError, FormulaError, ModelError


def panel(omega: np.ndarray, groups: int, each: int = 2, seed: int = 1) -> pd.DataFrame:
    """`each` rows for each of the positions of each group, with effects of covariance omega and residuals of variance one."""
    rng = np.random.default_rng(seed)
    k = len(omega)
    b = rng.normal(size=(groups, k)) @ cholesky(omega).T
    g, t = (
        a.ravel()
        for a in np.broadcast_arrays(np.arange(groups)[:, None, None], np.arange(k)[None, :, None], np.empty((1, 1, each)))[:2]
    )
    y = 3.0 + 0.2 * t + b[g, t] + rng.normal(size=len(g))
    return pd.DataFrame(
        {"y": y, "g": [f"g{i:03d}" for i in g], "t": t.astype(float), "v": pd.Categorical([f"v{i:02d}" for i in t])}
    )


RECOVERED = {  # theta of the truth
    "cs": (1.5, 0.4), "csh": (0.2, 0.5, 0.0, 0.7, 0.4), "ar1": (1.5, 0.7), "ar1h": (0.2, 0.5, 0.0, 0.7, 0.7),
    "toep": (1.5, 0.6, 0.1, -0.1), "toeph": (0.2, 0.5, 0.0, 0.7, 0.6, 0.1, -0.1), "ad": (1.5, 0.6, 0.3, 0.9),
    "adh": (0.2, 0.5, 0.0, 0.7, 0.6, 0.3, 0.9), "arma11": (1.5, 0.9, -0.4), "arma11h": (0.2, 0.5, 0.0, 0.7, 0.9, -0.4),
    "car1": (1.5, 0.5), "ou": (1.5, 0.5), "sp_exp": (1.5, 0.5), "sp_gau": (1.5, 0.5), "sp_sph": (1.5, 1.2), "sp_pow": (1.5, 0.5),
    "sp_lin": (1.5, 1.2), "sp_ratio": (1.5, 0.3), "sp_exph": (0.2, 0.5, 0.0, 0.7, 0.5),
    "un": (1.5, 0.7, 0.4, 0.2, 1.2, 0.4, 0.3, 1.0, 0.5, 0.9), "diag": (0.7, 1.2, 0.9, 1.5), "id": (1.3,),
}  # fmt: skip


@pytest.mark.parametrize("word", RECOVERED)
def test_simulated_parameters_are_recovered(word: str) -> None:
    """Within five standard errors, and the criterion is not above that of the truth."""
    positions = tuple((float(i),) for i in range(4))
    truth = np.array(RECOVERED[word])
    covariance = structure(word, 4, positions)
    data = panel(covariance.matrix(truth), groups=250)
    front = "t" if isinstance(covariance, Scaled) and covariance.correlation.about.coordinates else "0 + v"
    m = ranef.lmm(f"y ~ t + {word}({front} | g)", data)
    assert m.model.design.terms[0].covariance == covariance
    assert m.status == "optimum"
    found, expected = covariance.natural(m.theta, tuple("abcd")), covariance.natural(truth, tuple("abcd"))
    sigma_sd = np.array([p.kind == "sd" for p in found.parameters])
    scale = np.where(sigma_sd, m.sigma, 1.0)
    spread = found.jacobian @ m.variance_parameters.covariance[:-1, :-1] @ found.jacobian.T
    unit = np.sqrt(np.diag(spread)) if word not in ("un", "diag", "id") else np.full(len(scale), 0.15)
    assert np.all(np.abs(found.values * scale - expected.values) <= 5.0 * unit + 0.05), (found.values * scale, expected.values)
    assert m.deviance <= m.deviance_at(truth) + 1e-9


def test_reduced_rank_is_recovered() -> None:
    """Its loadings are identified up to a rotation that the triangle fixes: the covariance is compared."""
    covariance = structure("rr", 4, d=2)
    truth = covariance.matrix(np.array([1.5, 0.9, 0.4, -0.6, 1.1, 0.7, 0.5]))
    data = panel(truth, groups=600, seed=5)
    m = ranef.lmm("y ~ t + rr(0 + v | g, d=2)", data)
    assert m.status == "optimum"
    found = m.sigma**2 * m.solution.root(0) @ m.solution.root(0).T
    spread = np.sqrt((truth**2 + np.outer(truth.diagonal() + 0.5, truth.diagonal() + 0.5)) / 600)  # of a sample covariance
    assert np.all(np.abs(found - truth) <= 5.0 * spread), found - truth
    assert np.linalg.matrix_rank(found, tol=1e-8) == 2
    assert m.deviance <= m.deviance_at(covariance.of_factor(np.linalg.svd(truth)[0] * np.sqrt(np.linalg.svd(truth)[1]))) + 1e-9


def test_matern_is_recovered() -> None:
    """Range and smoothness are hardly told apart, but the correlations are; with the smoothness known the range is."""
    positions = tuple((float(i),) for i in range(6))
    covariance = structure("mat", 6, positions)
    theta = covariance.of_factor(
        np.linalg.cholesky(1.5**2 * structure("mat", 6, positions, smoothness=1.5).matrix(np.array([1.0, 0.0])))
    )
    truth = covariance.matrix(theta)
    data = panel(truth, groups=300, seed=6)
    m = ranef.lmm("y ~ t + mat(t | g)", data)
    found = m.sigma**2 * covariance.matrix(m.theta)
    assert np.abs(found - truth).max() <= 0.15 * truth.max()
    assert m.deviance <= m.deviance_at(theta) + 1e-9
    known = ranef.lmm("y ~ t + mat(t | g, smoothness=1.5)", data)
    table = next(t for t in known.summary().tables if t.title == "Structured random effects")
    expected = structure("mat", 6, positions, smoothness=1.5).natural(np.array([1.5, 0.0]), tuple("abcdef")).values
    assert np.all(np.abs(np.asarray(table["estimate"]) - expected) <= 4.0 * np.asarray(table["std_error"]))


def test_a_factor_is_read_by_its_levels_with_or_without_the_intercept() -> None:
    data = panel(np.eye(3) + 0.5, groups=30)
    one, other = (ranef.lmm(f"y ~ t + ar1({front} | g)", data) for front in ("v", "0 + v"))
    assert one.deviance == other.deviance
    assert one.model.design.terms[0].names == ("v[v00]", "v[v01]", "v[v02]")


def test_parameters_are_few_in_all_tables() -> None:
    m = ranef.lmm("y ~ t + ar1(v | g)", panel(structure("ar1", 5).matrix(np.array([1.5, 0.8])), groups=40))
    varcorr = m.varcorr
    assert list(varcorr["term1"]) == ["v", "rho", None]
    assert list(m.tidy("ran_pars")["term"]) == ["sd__v", "rho", "sd__Observation"]
    assert varcorr["sdcor"][0] ** 2 == pytest.approx(varcorr["vcov"][0])
    assert "Structured random effects" in str(m.summary())


def test_standard_errors_are_those_of_the_likelihood() -> None:
    """The interval of rho by the curvature of the profiled criterion, over Fisher's z, against differences of the criterion itself."""
    m = ranef.lmm("y ~ t + ar1(v | g)", panel(structure("ar1", 5).matrix(np.array([1.5, 0.8])), groups=40))
    h = 1e-4 * np.eye(2)
    D = [[(m.deviance_at(m.theta + a + b) - m.deviance_at(m.theta + a - b) - m.deviance_at(m.theta - a + b)
           + m.deviance_at(m.theta - a - b)) / 4e-8 for b in h] for a in h]  # fmt: skip
    spread = 2.0 * np.linalg.inv(np.array(D))
    table = next(t for t in m.summary().tables if t.title == "Structured random effects")
    rho = table["estimate"][1]
    assert table["std_error"][1] == pytest.approx((1 - rho**2) * np.sqrt(spread[1, 1]), rel=1e-3)
    z = np.arctanh([table["conf_low"][1], table["conf_high"][1]]) - np.arctanh(rho)
    np.testing.assert_allclose(z, np.array([-1, 1]) * 1.959964 * np.sqrt(spread[1, 1]), rtol=1e-3)


def test_units_of_coordinates_do_not_matter() -> None:
    data = panel(structure("sp_exp", 6, tuple((float(i),) for i in range(6))).matrix(np.array([1.5, 0.5])), groups=40)
    a = ranef.lmm("y ~ t + sp_exp(t | g)", data)
    b = ranef.lmm("y ~ I(t / 1000) + sp_exp(t2 | g)", data.assign(t2=data.t * 1000))
    assert a.llf + np.log(1000.0) == pytest.approx(b.llf, abs=1e-8)  # REML: the scale of a covariate
    assert a.varcorr["sdcor"][1] * 1000 == pytest.approx(b.varcorr["sdcor"][1], rel=1e-6)


def test_a_random_field_of_one_group() -> None:
    """A single field over the plane: the group is one level, and each row has a place of its own."""
    rng = np.random.default_rng(3)
    x = rng.uniform(size=(80, 2))
    d = np.sqrt(((x[:, None] - x[None]) ** 2).sum(-1))
    y = np.linalg.cholesky(2.0 * np.exp(-d / 0.3) + 0.3 * np.eye(80)) @ rng.normal(size=80)
    data = pd.DataFrame({"y": y, "a": x[:, 0], "b": x[:, 1], "all": "one"})
    m = ranef.lmm("y ~ 1 + sp_exp(a + b | all)", data)
    sd, reach = m.varcorr["sdcor"][:2]
    V = sd**2 * np.exp(-d / reach) + m.sigma**2 * np.eye(80)
    one = np.ones(80)
    W = np.linalg.inv(V)
    r = y - (one @ W @ y) / (one @ W @ one)
    value = -0.5 * (79 * np.log(2 * np.pi) + np.linalg.slogdet(V)[1] + np.log(one @ W @ one) + r @ W @ r)
    assert m.llf == pytest.approx(value, abs=1e-8)


def test_saved_structures_come_back(tmp_path) -> None:
    data = panel(structure("ar1h", 4).matrix(np.array([0.2, 0.5, 0.0, 0.7, 0.7])), groups=40)
    for formula in ("y ~ t + ar1h(v | g)", "y ~ t + sp_exp(t | g)", "y ~ t + rr(0 + v | g, d=2)", "y ~ t + toeph(v | g, bands=2)"):
        m = ranef.lmm(formula, data)
        m.save(tmp_path / "m.ranef")
        again = ranef.load(tmp_path / "m.ranef")
        assert again.model.design.terms[0].covariance == m.model.design.terms[0].covariance
        np.testing.assert_array_equal(again.predict(data.head(7)), m.predict(data.head(7)))


@pytest.mark.parametrize(
    ("formula", "error", "message"),
    [
        ("y ~ t + ar1(t | g)", ModelError, "relates ordered positions"),
        ("y ~ t + cs(1 | g)", ModelError, "at least two columns"),
        ("y ~ t + sp_exp(1 | g)", FormulaError, "needs coordinates"),
        ("y ~ t + sp_exp(v | g)", FormulaError, "a factor"),
        ("y ~ t + sp_lin(t + y | g)", ModelError, "at most 1 dimensions"),
        ("y ~ t + rr(0 + v | g, d=9)", ModelError, "d must lie between"),
        ("y ~ t + ar1(v | g, d=2)", FormulaError, "no option"),
        ("y ~ t + ar1(v | g, 2)", FormulaError, "options by name"),
    ],
)
def test_refusals(formula: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        ranef.lmm(formula, panel(np.eye(3) + 0.5, groups=30))


def test_beside_a_residual_structure() -> None:
    data = panel(structure("cs", 5).matrix(np.array([1.5, 0.8])), groups=40, each=1)
    data["b"] = np.random.default_rng(1).integers(0, 8, len(data)).astype(str)
    m = ranef.lmm("y ~ t + csh(v | b)", data, residual="ar1(v | g)")
    assert "Structured random effects" in str(m.summary())
    assert list(m.varcorr["group"])[-2:] == ["Residual", "Residual"]


def test_a_structure_is_left_out_as_a_whole() -> None:
    m = ranef.lmm("y ~ t + ar1(v | g)", panel(structure("ar1", 4).matrix(np.array([1.5, 0.8])), groups=40))
    assert len(ranef.ranova(m)) == 2


def test_what_is_not_identified_without_the_term_is_not_tested() -> None:
    data = panel(structure("ar1h", 4).matrix(np.array([0.2, 0.5, 0.0, 0.7, 0.7])), groups=40)
    m = ranef.lmm("y ~ t + ar1h(v | g)", data)
    table = ranef.ranova(m)
    assert np.isnan(table["p_value"][1])
    assert any("without ar1h(v | g) its correlations are not identified" in note for note in table.notes)
    compared = ranef.compare(ranef.lmm("y ~ t + (1 | g)", data), m)
    assert np.isnan(compared["p_value"][1])
    assert any("(1 | g) lies at the bound of ar1h(v | g)" in note for note in compared.notes)


def test_structures_within_others_are_tested() -> None:
    data = panel(structure("ar1h", 4).matrix(np.array([0.2, 0.5, 0.0, 0.7, 0.7])), groups=40)
    fits = [ranef.lmm(f"y ~ t + {word}(0 + v | g)", data) for word in ("id", "ar1", "ar1h")]
    un = ranef.lmm("y ~ t + (0 + v | g)", data)
    for small, large, df in [(fits[0], fits[1], 1), (fits[1], fits[2], 3), (fits[2], un, 5)]:
        table = ranef.compare(small, large)
        ratio = small.deviance - large.deviance
        assert table["statistic"][1] == pytest.approx(ratio)
        assert table["df"][1] == df
        assert table["p_mixture"][1] == pytest.approx(chi2.sf(ratio, df), rel=1e-9)
    other = ranef.compare(ranef.lmm("y ~ t + cs(v | g)", data), fits[2])
    assert np.isnan(other["p_value"][1])


def test_the_same_structure_in_both_models_is_not_tested() -> None:
    data = panel(structure("ar1", 4).matrix(np.array([1.5, 0.7])), groups=40)
    small, large = (ranef.lmm(f"{mean} + ar1(v | g)", data, reml=False) for mean in ("y ~ 1", "y ~ t"))
    table = ranef.compare(small, large)
    assert table["df"][1] == 1
    assert table["p_mixture"][1] == pytest.approx(chi2.sf(small.deviance - large.deviance, 1), rel=1e-9)


def test_correlations_at_their_bound_are_counted_and_have_no_interval() -> None:
    data = panel(np.ones((5, 5)) + 1e-9 * np.eye(5), groups=40, seed=3)
    m = ranef.lmm("y ~ t + ar1(v | g)", data)
    assert m.status == "optimum on the boundary"
    assert any("10 correlations" in text for text in m.optimum.boundary)
    table = next(t for t in m.summary().tables if t.title == "Structured random effects")
    assert np.isnan(table["conf_low"][1])


def test_em_is_refused_where_its_step_has_no_closed_form() -> None:
    with pytest.raises(ModelError, match="no closed M step"):
        ranef.lmm("y ~ t + ar1(v | g)", panel(np.eye(3) + 0.5, groups=30), optimizer="em")


@pytest.mark.parametrize("optimizer", ["bobyqa", "lbfgs"])
def test_other_optimizers_find_the_same_optimum(optimizer: str) -> None:
    data = panel(structure("ar1h", 4).matrix(np.array([0.2, 0.5, 0.0, 0.7, 0.7])), groups=40)
    newton, other = (ranef.lmm("y ~ t + ar1h(v | g)", data, optimizer=name) for name in ("newton", optimizer))
    assert other.deviance == pytest.approx(newton.deviance, abs=1e-6)


def test_positions_that_were_not_in_the_fit_are_named() -> None:
    data = panel(np.eye(3) + 0.5, groups=30)
    m = ranef.lmm("y ~ t + sp_exp(t | g)", data)
    with pytest.raises(DataError, match=r"7\.5"):
        m.predict(data.head(2).assign(t=[0.0, 7.5]))


def test_kenward_roger_is_refused_at_very_many_positions() -> None:
    rng = np.random.default_rng(1)
    data = pd.DataFrame({"y": rng.normal(size=90), "t": rng.uniform(size=90), "g": np.repeat(np.arange(9), 10)})
    m = ranef.lmm("y ~ t + ou(t | g)", data)
    with pytest.raises(ModelError, match="so many positions"):
        m.anova(ddf="kenward-roger")
