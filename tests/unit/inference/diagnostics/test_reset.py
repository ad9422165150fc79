"""RESET of many variables at once, with the variances fitted again and held."""

from __future__ import annotations

import numpy as np
import pytest
from tests.unit.inference.examples import crossed

import ranef
from ranef.inference.diagnostics import reset as module
from ranef.inference.diagnostics.reset import reset, resets

MODELS = ["y ~ x + a + (x | g)", "y ~ x + b + (1 | g) + (1 | h)", "y ~ x + (1 | g/h)", "y ~ 0 + x + a + (1 | g)"]


def variables(data, n=3):
    rng = np.random.default_rng(0)
    return [data.x.to_numpy(), *rng.normal(3.0, np.geomspace(1.0, 1e4, n - 1)[:, None], (n - 1, len(data)))]


def powers(x):
    return np.column_stack([((x - x.mean()) / x.std()) ** k for k in (2, 3)])


@pytest.mark.parametrize("formula", MODELS)
def test_fitted_again_it_is_the_test_of_the_larger_formula(formula):
    data = crossed(4)
    m = ranef.lmm(formula, data, precision_weights="w")
    asked = variables(data)
    for x, found in zip(asked, resets(m, asked), strict=True):
        data["p2"], data["p3"] = powers(x).T
        larger = ranef.lmm(formula.replace(" + (", " + p2 + p3 + (", 1), data, precision_weights="w")
        L = np.eye(len(larger.params))[[larger.params.index.get_loc(name) for name in ("p2", "p3")]]
        theirs = larger.denominator("satterthwaite").test(L, np.zeros(2))
        assert not found.held
        assert found.test.statistic == pytest.approx(theirs.statistic, rel=1e-5)
        assert found.test.den_df == pytest.approx(theirs.den_df, rel=1e-4)


@pytest.mark.parametrize("formula", MODELS)
def test_with_the_variances_held_it_is_the_f_test_by_dense_matrices(formula, monkeypatch):
    data = crossed(4)
    m = ranef.lmm(formula, data, precision_weights="w")
    monkeypatch.setattr(module, "DEAR_TOGETHER", 0.0)
    V = np.diag(1.0 / data.w.to_numpy())
    for f, block in enumerate(m.criterion.layout.blocks):
        term = m.model.design.terms[block.parts[0].term]
        z = np.ones((len(data), 1)) if term.z is None else term.z
        same = term.group.codes[:, None] == term.group.codes
        V += (z @ m.solution.root(f) @ m.solution.root(f).T @ z.T) * same
    half = np.linalg.inv(np.linalg.cholesky(V))
    X, y, asked = m.model.design.X, m.model.design.y, variables(data)

    def rest(columns):
        return float(np.linalg.lstsq(half @ columns, half @ y, rcond=None)[1][0])

    for x, found in zip(asked, resets(m, asked), strict=True):
        small, large = rest(X), rest(np.hstack([X, powers(x)]))
        df = len(y) - X.shape[1] - 2
        assert found.held and found.test.num_df == 2 and found.test.den_df == df
        assert found.test.statistic == pytest.approx((small - large) / 2 / (large / df), rel=1e-6)


def test_passes_over_the_rows_do_not_matter(monkeypatch):
    data = crossed(4)
    m = ranef.lmm("y ~ x + a + (x | g)", data)
    asked = variables(data, 5)
    together = [found.test.statistic for found in resets(m, asked)]
    monkeypatch.setattr(module, "NUMBERS", 1)
    assert [found.test.statistic for found in resets(m, asked)] == pytest.approx(together, rel=1e-8)


@pytest.mark.parametrize("together", [0.0, np.inf])
def test_what_says_nothing_new_is_not_tested(together, monkeypatch):
    data = crossed(4)
    monkeypatch.setattr(module, "DEAR_TOGETHER", together)
    m = ranef.lmm("y ~ x + I(x**2) + I(x**3) + (1 | g)", data)
    assert reset(m, data.x.to_numpy()).num_df == 0
    assert reset(m, np.full(len(data), 7.0)).num_df == 0
    assert reset(m, data.x.to_numpy() ** 2).num_df == 2


def test_the_answer_says_when_the_variances_were_held(monkeypatch):
    m = ranef.lmm("y ~ x + a + (x | g)", crossed(4))
    words = {one.code: one.evidence for one in ranef.check(m, n=20).assessments if one.code.startswith("linearity")}
    assert not any("held" in text for text in words.values())
    monkeypatch.setattr(module, "DEAR_TOGETHER", 0.0)
    words = {one.code: one.evidence for one in ranef.check(m, n=20).assessments if one.code.startswith("linearity")}
    assert len(words) == 2 and all("with the variances held" in text for text in words.values())
