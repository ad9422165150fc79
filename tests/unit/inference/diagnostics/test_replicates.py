"""Replicates are analysed as n x n algebra would do it."""

from __future__ import annotations

import numpy as np
import pytest
from tests.unit.inference.examples import crossed

import ranef
from ranef.fit.points import design_points
from ranef.inference.diagnostics.replicates import Replicator, how_many
from ranef.inference.diagnostics.summaries import effect_spreads

FORMULAS = [
    "y ~ x + a + (x | g)",
    "y ~ x + b + (x | g) + (1 | h)",
    "y ~ x + (x || g) + (1 | h)",
    "y ~ 1 + (1 | g)",
    "y ~ x + a",
    "y ~ 0 + (1 | g)",
]


@pytest.fixture(scope="module", params=FORMULAS)
def fit(request):
    return ranef.lmm(request.param, crossed(3), precision_weights="w")


def dense(m):
    """sqrt(w), V / sigma^2, its P, and Omega and Z of each block."""
    design, points = m.model.design, design_points(m.model.design, m.criterion.layout)
    X = design.X[:, list(m.criterion.gram.standard.kept)]
    V, blocks = np.diag(1 / design.weights), []
    for f, (codes, z) in enumerate(zip(points.codes, points.z, strict=True)):
        root = m.solution.root(f)
        omega, levels, k = root @ root.T, codes.max() + 1, z.shape[1]
        Z = np.zeros((len(z), levels * k))
        for j in range(k):
            Z[np.arange(len(z)), codes * k + j] = z[:, j]
        V = V + Z @ np.kron(np.eye(levels), omega) @ Z.T
        blocks.append((Z, omega))
    inverse = np.linalg.inv(V)
    P = inverse - inverse @ X @ np.linalg.pinv(X.T @ inverse @ X) @ X.T @ inverse
    return np.sqrt(design.weights), V, P, blocks


def test_analysis(fit):
    root, _, P, blocks = dense(fit)
    replicator = Replicator(fit)
    y = replicator.draw(np.random.default_rng(1), 4)  # in weighted rows
    found, Py = replicator.analyse(y), P @ (y / root[:, None])
    assert np.allclose(found.residuals, Py / root[:, None], atol=1e-9)
    assert np.allclose(found.sigma**2, np.einsum("nc,nc->c", y / root[:, None], Py) / fit.solution.dof)
    random = np.zeros_like(y)
    for (Z, omega), effects in zip(blocks, found.effects, strict=True):
        levels = Z.shape[1] // len(omega)
        b = np.kron(np.eye(levels), omega) @ Z.T @ Py
        assert np.allclose(effects.reshape(-1, 4), b, atol=1e-9)
        random += Z @ b
    assert np.allclose(replicator.random_part(found), random * root[:, None], atol=1e-9)


def test_the_data_are_analysed_as_the_fit_says(fit):
    design, root = fit.model.design, np.sqrt(fit.model.design.weights)
    found = Replicator(fit).analyse((design.y * root)[:, None])
    assert np.allclose(found.residuals[:, 0], np.asarray(fit.residuals("pearson")), atol=1e-8)
    assert found.sigma[0] == pytest.approx(fit.sigma)
    for ours, theirs in zip(found.effects, fit.solution.effects, strict=True):
        assert np.allclose(ours[:, :, 0], theirs, atol=1e-8)


def test_draws_have_the_covariance_of_the_model():
    fit = ranef.lmm("y ~ x + (x | g)", crossed(3, 40), precision_weights="w")
    root, V, _, _ = dense(fit)
    draws = Replicator(fit).draw(np.random.default_rng(2), 40_000) / root[:, None]
    found = draws @ draws.T / 40_000
    spread = np.sqrt(np.outer(np.diag(V), np.diag(V)))
    assert np.abs((found - V) / spread).max() < 6 / np.sqrt(40_000)


def test_spreads_of_predicted_effects(fit):
    """Var(b_hat) = Omega Z'P Z Omega."""
    _, _, P, blocks = dense(fit)
    spreads = effect_spreads(fit)
    names = [(f, k) for f, (_, omega) in enumerate(blocks) for k in range(len(omega))]
    assert len(spreads) == len(names)
    for (f, k), values in zip(names, spreads.values(), strict=True):
        Z, omega = blocks[f]
        whole = np.kron(np.eye(Z.shape[1] // len(omega)), omega)
        variance = np.diag(whole @ Z.T @ P @ Z @ whole)[k :: len(omega)]
        assert np.allclose(values, np.sqrt(variance), rtol=1e-6)


def test_the_seed_decides_and_chunks_do_not_lose_any(monkeypatch):
    from ranef.inference.diagnostics import replicates

    fit = ranef.lmm("y ~ x + (1 | g)", crossed(3))
    first, again = (np.hstack([a.residuals for a in Replicator(fit).replicates(7, 5)]) for _ in range(2))
    assert np.array_equal(first, again) and first.shape == (240, 7)
    monkeypatch.setattr(replicates, "CHUNK", 240 * 3)
    assert np.hstack([a.residuals for a in Replicator(fit).replicates(7, 5)]).shape == (240, 7)


def test_data_made_with_the_same_seed_are_not_drawn_again():
    """x of the data would be the first response, which the model fits perfectly."""
    x = np.random.default_rng(1).standard_normal(50)
    m = ranef.lm("y ~ x", {"x": x, "y": x + np.random.default_rng(2).standard_normal(50)})
    (found,) = Replicator(m).replicates(20, 1)
    assert found.sigma.min() > 0.5


def test_many_rows_need_few_replicates():
    assert how_many(180, 250) == 250
    assert how_many(73_421, 250) == 60
    assert how_many(73_421, 30) == 30


def test_bands_and_quantile_residuals_come_from_the_same_replicates(monkeypatch):
    """Seven replicates at a time: of 250 for the quantile residuals, 60 make the bands, and the 60th is amid the ninth seven."""
    from ranef.inference.diagnostics import replicates
    from ranef.inference.diagnostics.evidence import Evidence

    fit = ranef.lmm("y ~ x + (x | g)", crossed(3))
    monkeypatch.setattr(replicates, "CHUNK", 240 * 7)
    monkeypatch.setattr(replicates, "ALL_TOGETHER", 0)
    evidence = Evidence(fit, 250, 5)
    for re, found in evidence.quantile_residuals.items():
        alone = ranef.quantile_residuals(fit, 250, re=re, seed=5)
        assert np.array_equal(found.values, alone.values) and np.array_equal(found.simulated, alone.simulated)
    own = np.hstack([a.residuals / a.sigma for a in Replicator(fit).replicates(250, 5)])[:, :60]
    own /= np.sqrt(1.0 - np.asarray(fit.hat_values()))[:, None]
    assert np.allclose(evidence.summaries.residuals, np.sort(own, axis=0).T)
    assert evidence.summaries.along == pytest.approx(np.sum(np.diff(own, axis=0) ** 2, axis=0) / np.sum(own**2, axis=0))
