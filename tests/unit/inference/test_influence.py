"""Deletion against fits without the rows."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from tests.unit.core.designs import random_factors

import ranef
from ranef.core.among import among
from ranef.core.solution import Solution
from ranef.inference.clusters import members
from ranef.inference.influence import influence
from ranef.inference.influence.deletion import Deletion
from ranef.inference.influence.held import Held, Rests
from ranef.inference.parameters import of_solution


def frame(seed: int = 2, n: int = 90) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    g, h = rng.integers(0, 8, n), rng.integers(0, 5, n)
    x = rng.normal(size=n) + 4
    y = 1 + x + rng.normal(size=8)[g] + 0.5 * rng.normal(size=8)[g] * x + rng.normal(size=5)[h] + rng.normal(size=n)
    return pd.DataFrame({"y": y, "x": x, "g": g.astype(str), "h": h.astype(str), "w": rng.uniform(0.5, 2, n)})


MODELS = {
    "intercept": lambda d, **o: ranef.lmm("y ~ x + (1 | g)", d, **o),
    "slope": lambda d, **o: ranef.lmm("y ~ x + (x | g)", d, **o),
    "crossed": lambda d, **o: ranef.lmm("y ~ x + (1 | g) + (1 | h)", d, **o),
    "weights": lambda d, **o: ranef.lmm("y ~ x + (1 | g)", d, precision_weights="w", **o),
}


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("model", MODELS)
def test_exact_deletion_is_the_fit_without_the_rows(model: str, reml: bool) -> None:
    d = frame()
    m = MODELS[model](d, reml=reml)
    ours = influence(m, "g", "exact")
    for i, level in enumerate(ours.labels["g"][:3]):
        other = MODELS[model](d[d["g"] != level], reml=reml)
        np.testing.assert_allclose(ours.coefficients[i], other.params, rtol=1e-5)
        assert ours.estimates[i, -1] == pytest.approx(other.sigma, rel=1e-5)
        ratio = np.linalg.det(other.cov_params()) / np.linalg.det(m.cov_params())
        assert ours.covratio[i] == pytest.approx(ratio, rel=1e-4)


@pytest.mark.parametrize("model", MODELS)
def test_rows_in_closed_form_are_deletions_at_the_same_theta(model: str) -> None:
    m = MODELS[model](frame())
    ours, deletion = influence(m, "row", "fixed"), Deletion.of(m)
    for i in (0, 17, 44):
        solution = deletion.without(np.array([i]), "fixed")
        assert isinstance(solution, Solution)
        np.testing.assert_allclose(ours.coefficients[i], solution.beta, rtol=1e-8)
        assert ours.estimates[i, -1] == pytest.approx(solution.sigma, rel=1e-8)
        ratio = np.linalg.det(solution.vcov) / np.linalg.det(m.solution.vcov)
        assert ours.covratio[i] == pytest.approx(ratio, rel=1e-7)
        off = m.solution.beta - solution.beta
        assert ours.cooks[i] == pytest.approx(off @ np.linalg.solve(m.solution.vcov, off) / 2, rel=1e-6)
        np.testing.assert_allclose(
            ours.dfbetas_[i], off / (np.sqrt(np.diag(m.solution.vcov)) * solution.sigma / m.sigma), rtol=1e-6
        )


def test_one_step_is_close_to_the_refit_and_better_than_none() -> None:
    m = MODELS["slope"](frame())
    exact, step, fixed = (influence(m, "g", method) for method in ("exact", "one-step", "fixed"))
    near = np.abs(step.estimates - exact.estimates).sum()
    far = np.abs(fixed.estimates - exact.estimates).sum()
    assert near < 0.7 * far
    assert "one Newton step" in repr(step)
    assert fixed.theta_cooks is None
    assert np.corrcoef(step.theta_cooks, exact.theta_cooks)[0, 1] > 0.7


def test_default_is_the_top_group_and_rows_for_a_regression() -> None:
    d = frame()
    assert influence(ranef.lmm("y ~ x + (1 | g)", d)).by == "g"
    assert influence(ranef.lm("y ~ x", d)).by == "row"
    assert influence(ranef.lm("y ~ x", d), "h").by == "h"
    assert influence(ranef.lm("y ~ x", d), "h").method == "fixed"


def test_rows_without_which_the_model_is_not_determined_are_told() -> None:
    d = frame()
    d["f"] = np.where(np.arange(len(d)) == 5, "rare", "common")
    ours = influence(ranef.lmm("y ~ f + (1 | g)", d), "row", "one-step")
    assert np.isnan(ours.cooks[5])
    assert np.isfinite(np.delete(ours.cooks, 5)).all()
    assert ours.findings[0].code == "deletion_not_identified"


def test_a_large_outlier_stands_out() -> None:
    d = frame()
    d.loc[d["g"] == "3", "y"] += 25 * (d.loc[d["g"] == "3", "x"] - 4)
    ours = influence(ranef.lmm("y ~ x + (x | g)", d), "g")
    assert ours.labels["g"][np.argmax(ours.cooks)] == "3"
    assert ours.labels["g"][np.argmax(ours.theta_cooks)] == "3"


def test_members_partition_the_rows() -> None:
    codes = np.array([2, 0, 2, 1, 0])
    assert [rows.tolist() for rows in members(codes, 3)] == [[1, 4], [3], [0, 2]]


def test_refusals() -> None:
    m = MODELS["intercept"](frame())
    with pytest.raises(ranef.ModelError, match="method='guess'"):
        influence(m, "g", "guess")
    with pytest.raises(ranef.DataError, match="no column"):
        influence(m, "nothing")


def nested_frame(seed: int = 5, n: int = 400) -> pd.DataFrame:
    """A chain of three factors, one crossed with it, and two of few levels."""
    rng = np.random.default_rng(seed)
    c, k, a, b = rng.integers(0, 60, n), rng.integers(0, 30, n), rng.integers(0, 6, n), rng.integers(0, 5, n)
    x, effects = rng.normal(size=n) + 2, rng.normal(size=(6, 60, 2))
    y = 1 + x + rng.normal(size=n)
    for e, code in zip(effects, (c, c // 4, c // 20, k, a, b), strict=False):
        y = y + e[code, 0] + 0.5 * x * e[code, 1]
    labels = {"c": c, "s": c // 4, "t": c // 20, "k": k, "a": a, "b": b}
    return pd.DataFrame({"y": y, "x": x, "w": rng.uniform(0.5, 2, n), **{name: code.astype(str) for name, code in labels.items()}})


HELD = [
    "(x | c)", "(x | c) + (x | s) + (1 | t)", "(1 | c) + (x | s) + (x | k)", "(x | c) + (1 | s) + (1 | k) + (1 | a)",
    "(1 | a) + (x | b)", "(1 | k) + (1 | c)", "(x || c) + (1 | t)",
]  # fmt: skip


@pytest.mark.parametrize("by", ["c", "s", "t", "k", "a", "other"])
@pytest.mark.parametrize("bars", HELD)
@pytest.mark.parametrize("exact", [True, False])
def test_held_deletions_are_those_from_gram_blocks(bars: str, by: str, exact: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether clusters are apart or share effects, whichever engine answers, with weights, by REML and ML."""
    if not exact:
        monkeypatch.setattr("ranef.core.block.EXACT", 0.0)
        monkeypatch.setattr("ranef.core.criterion.FEW", 0)
    d = nested_frame()
    m = ranef.lmm(f"y ~ x + {bars}", d, reml=exact, precision_weights=None if exact else "w")
    names = set(m.ngroups)
    where = np.arange(len(d)) % 37 if by == "other" or by not in names else d[by].to_numpy()
    ours, deletion = influence(m, where, "fixed"), Deletion.of(m)
    for i in (0, len(ours.cooks) // 2, len(ours.cooks) - 1):
        rows = np.flatnonzero(where == next(iter(ours.labels.values()))[i])
        other = deletion.without(rows, "fixed")
        assert isinstance(other, Solution)
        np.testing.assert_allclose(ours.coefficients[i], other.beta, rtol=1e-7)
        assert ours.estimates[i, -1] == pytest.approx(other.sigma, rel=1e-8)
        np.testing.assert_allclose(ours.estimates[i], of_solution(other).estimates[0], rtol=1e-7, atol=1e-9)
        ratio = np.linalg.det(other.vcov) / np.linalg.det(m.solution.vcov)
        assert ours.covratio[i] == pytest.approx(ratio, rel=1e-7)


@pytest.mark.parametrize("bars", HELD)
@pytest.mark.parametrize("kind", ["ordinary", "singular"])
def test_the_covariance_among_rows_is_that_of_all_effects(bars: str, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Z C Z' with C = Lambda (Lambda'Z'Z Lambda + I)^-1 Lambda', all dense."""
    monkeypatch.setattr("ranef.core.criterion.FEW", 0)
    m = ranef.lmm(f"y ~ x + {bars}", nested_frame(n=150))
    deletion, criterion = Deletion.of(m), m.criterion
    factors = random_factors(criterion.gram, 3, kind)
    columns = []
    for z, codes, lam in zip(deletion.z, deletion.codes, factors, strict=True):
        own = np.zeros((len(z), int(codes.max()) + 1, z.shape[1]))
        own[np.arange(len(z)), codes] = z
        columns.append((own @ lam).reshape(len(z), -1))
    ZL = np.hstack(columns)
    expected = ZL @ np.linalg.solve(ZL.T @ ZL + np.eye(ZL.shape[1]), ZL.T)
    rows = np.arange(7, 90, 2)
    covariance = among(criterion.engine, criterion.layout, factors)
    for sets in (rows[None], rows.reshape(-1, 6), rows.reshape(-1, 3)[::-1]):
        found = covariance([z[sets] for z in deletion.z], [c[sets] for c in deletion.codes])
        np.testing.assert_allclose(found, [expected[np.ix_(own, own)] for own in sets], atol=1e-11)


def test_too_many_rows_and_rows_that_alone_determine_an_effect_are_subtracted(monkeypatch: pytest.MonkeyPatch) -> None:
    d = nested_frame()
    m = ranef.lmm("y ~ x + (1 | c) + (1 | k)", d)
    expected = influence(m, "k", "fixed")
    monkeypatch.setattr("ranef.inference.influence.held.MOST", 3)
    np.testing.assert_allclose(influence(m, "k", "fixed").estimates, expected.estimates, rtol=1e-8)


def test_an_interrupt_keeps_what_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    m, calls = MODELS["crossed"](frame()), []

    def stopped(self: Held, clusters: list[np.ndarray]) -> Rests:
        calls.append(clusters)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return without(self, clusters)

    monkeypatch.setattr("ranef.inference.influence.left.TOGETHER", 10)
    without, whole = Held.without, influence(m, "g", "fixed")
    monkeypatch.setattr(Held, "without", stopped)
    found = influence(m, "g", "fixed")
    np.testing.assert_array_equal(found.cooks[:3], whole.cooks[:3])
    assert np.isnan(found.cooks[3:]).all()
    assert [finding.code for finding in found.findings] == ["interrupted"]
    assert "after 3 of 8" in repr(found)
