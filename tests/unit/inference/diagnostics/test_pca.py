"""Principal components of random effects."""

from __future__ import annotations

import numpy as np
import pytest
from tests.unit.inference.examples import crossed

import ranef
from ranef.errors import ModelError


def test_components_are_those_of_the_covariance_matrix():
    m = ranef.lmm("y ~ x + (x | g) + (1 | h)", crossed(3))
    table = ranef.re_pca(m)
    root = m.sigma * m.solution.root(0)
    values = np.linalg.eigvalsh(root @ root.T)[::-1]
    assert np.allclose(np.array(table["sd"][:2]) ** 2, values)
    assert np.allclose(table["share"][:2], values / values.sum())
    assert list(table["group"]) == ["g", "g", "h"] and list(table["component"]) == [1, 2, 1]
    assert table["cumulative"][1] == pytest.approx(1.0) and table["direction"][2] == "1.00 (Intercept)"


def test_units_do_not_matter_to_the_correlation():
    data = crossed(3)
    one, other = (
        ranef.re_pca(ranef.lmm("y ~ x + (x | g)", frame), scale="correlation") for frame in (data, data.assign(x=1000 * data.x))
    )
    assert np.allclose(one["share"], other["share"], atol=1e-6)


def test_a_singular_fit_has_a_component_without_variance():
    data = crossed(3)
    data["y"] = data.y - data.groupby("g").y.transform("mean")
    m = ranef.lmm("y ~ x + (x | g)", data)
    assert m.is_singular
    table = ranef.re_pca(m)
    assert table["share"][1] == pytest.approx(0.0, abs=1e-8)
    assert np.isfinite(table["share"]).all()


def test_without_any_variance_shares_are_nil():
    table = ranef.re_pca(ranef.lmm("Yield ~ 1 + (1 | Batch)", ranef.datasets.load("Dyestuff2")))
    assert table["sd"][0] == pytest.approx(0.0, abs=1e-6) and table["share"][0] in (0.0, 1.0)


def test_what_is_refused():
    with pytest.raises(ModelError, match="no random effects"):
        ranef.re_pca(ranef.lm("y ~ x", crossed(3)))
    with pytest.raises(ModelError, match="scale='sd'"):
        ranef.re_pca(ranef.lmm("y ~ x + (1 | g)", crossed(3)), scale="sd")
