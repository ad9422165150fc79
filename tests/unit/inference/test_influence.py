"""Deletion against fits without the rows."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import ranef
from ranef.core.solution import Solution
from ranef.inference.influence import influence
from ranef.inference.influence.deletion import Deletion, members


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
