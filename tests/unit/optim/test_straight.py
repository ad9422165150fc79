"""Steps that are straight in the covariances."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import ranef
from ranef.covariance import Covariance, Diagonal, Unstructured, structure
from ranef.covariance.held import Held
from ranef.optim.straight import straight


def omega(member: Covariance, theta: np.ndarray) -> np.ndarray:
    factor = member.factor(theta)
    return factor @ factor.T


@pytest.mark.parametrize("seed", range(6))
def test_covariances_move_by_what_the_step_promises(seed: int) -> None:
    rng = np.random.default_rng(seed)
    one, two = Unstructured(3), Diagonal(2)
    blocks = ((slice(0, one.size), one), (slice(one.size, one.size + 2), two))
    theta = np.concatenate([one.of_factor(np.tril(rng.normal(size=(3, 3))) + 2.0 * np.eye(3)), [1.0, 2.0], [0.7]])
    step = 0.05 * rng.normal(size=len(theta))
    found = straight(blocks, theta, step)
    assert found is not None
    for where, member in blocks:
        factor, change = member.factor(theta[where]), member.factor(step[where])
        expected = factor @ factor.T + factor @ change.T + change @ factor.T
        np.testing.assert_allclose(omega(member, found[where]), expected, rtol=1e-12, atol=1e-12)
    assert found[-1] == theta[-1] + step[-1]  # a parameter of no covariance


def test_the_path_ends_where_a_covariance_becomes_singular() -> None:
    theta, step = np.array([2.0, 1.0, 3.0]), np.array([0.4, -2.0, 1.0])
    found = straight(((slice(0, 2), Diagonal(2)),), theta, step)
    assert found is not None
    np.testing.assert_allclose(found[:2] ** 2, (theta**2 + 0.25 * 2.0 * theta * step)[:2], atol=1e-15)
    assert found[1] == 0.0
    assert found[2] == 3.25  # a parameter of no covariance goes as far


@pytest.mark.parametrize(
    ("member", "theta", "step"),
    [
        (Diagonal(2), [1.0, 0.0], [0.1, 0.1]),  # singular at the start
        (Diagonal(2), [1.0, 1.0], [0.0, -20.0]),  # short
        (Held(Unstructured(2), (1,), (0.5,)), [1.0, 1.0], [0.2, 0.3]),  # leaves the structure
        (structure("ar1", 3), [1.0, 0.5], [0.1, 0.1]),  # not linear
    ],
)
def test_there_is_no_path(member: Covariance, theta: list[float], step: list[float]) -> None:
    assert straight(((slice(0, 2), member),), np.array(theta), np.array(step)) is None
    assert straight((), np.array(theta), np.array(step)) is None


@pytest.mark.parametrize("seed", [0, 1, 3])
def test_two_variances_that_compete_are_told_apart(seed: int) -> None:
    """Far from the origin of x, an intercept and an independent slope vary alike: the likelihood is a valley along a circle. Without
    such steps the search took 239, 85 and 208 evaluations, and ended short of the variance that is zero.
    """
    rng = np.random.default_rng(seed)
    g, h = rng.integers(0, 1200, 3000), rng.integers(0, 40, 3000)
    x = 1000.0 + rng.normal(size=3000)
    y = 2.0 * rng.normal(size=1200)[g] + rng.normal(size=40)[h] + rng.normal(size=3000)
    data = pd.DataFrame({"y": y, "x": x, "g": g.astype(str), "h": h.astype(str)})
    m = ranef.lmm("y ~ x + (x || g) + (1 | h)", data)
    ends = [ranef.lmm(f"y ~ x + ({term} | g) + (1 | h)", data).deviance for term in ("1", "0 + x")]
    assert m.status == "optimum on the boundary"
    assert m.deviance <= min(ends) + 1e-5  # both ends are optima, and as good as each other to 1e-6
    assert m.optimum.evaluations < 80
