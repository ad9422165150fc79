"""What holds for each structure, by its definition and not by its formula."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from tests.unit.covariance.cases import CASES, SCALES, differences, random_theta

from ranef.covariance import Covariance

EVERY = [pytest.mark.parametrize("covariance", CASES), pytest.mark.parametrize("scale", SCALES)]


def every(test):
    for mark in EVERY:
        test = mark(test)
    return test


def size_of(array: np.ndarray) -> float:
    return max(1.0, float(np.abs(array).max(initial=0.0)))


@every
def test_is_positive_definite_for_every_theta(covariance: Covariance, scale: float):
    for seed in range(5):
        omega = covariance.matrix(random_theta(covariance, scale, seed))
        sd = np.sqrt(omega.diagonal())
        assert np.linalg.eigvalsh(omega / np.outer(sd, sd))[0] > -1e-14
        np.testing.assert_array_equal(omega, omega.T)


@every
def test_gradient_is_that_of_the_matrix(covariance: Covariance, scale: float):
    theta = random_theta(covariance, scale)
    found = covariance.gradient(theta)
    assert found.shape == (covariance.size, covariance.k, covariance.k)
    np.testing.assert_allclose(found, differences(covariance.matrix, theta), atol=1e-9 * size_of(found))


@every
def test_second_is_the_derivative_of_the_gradient(covariance: Covariance, scale: float):
    theta = random_theta(covariance, scale)
    found = covariance.second(theta)
    np.testing.assert_allclose(found, differences(covariance.gradient, theta), atol=1e-9 * size_of(found))
    np.testing.assert_allclose(found, found.swapaxes(0, 1), rtol=0, atol=1e-13 * size_of(found))


@every
def test_factor_is_lower_triangular_and_a_root(covariance: Covariance, scale: float):
    theta = random_theta(covariance, scale)
    lam, omega = covariance.factor(theta), covariance.jet(theta).value
    np.testing.assert_array_equal(lam, np.tril(lam))
    np.testing.assert_allclose(lam @ lam.T, omega, atol=1e-13 * size_of(omega))


@pytest.mark.parametrize("covariance", CASES)
def test_jacobian_is_that_of_the_factor(covariance: Covariance):
    theta = random_theta(covariance, 0.5)
    found = covariance.jacobian(theta)
    np.testing.assert_allclose(found, differences(covariance.factor, theta), atol=1e-8 * size_of(found))


@every
def test_canonical_theta_has_the_same_omega(covariance: Covariance, scale: float):
    theta = random_theta(covariance, scale)
    omega = covariance.matrix(theta)
    canonical = covariance.canonical(theta)
    np.testing.assert_allclose(covariance.matrix(canonical), omega, atol=1e-13 * size_of(omega))
    np.testing.assert_allclose(covariance.canonical(canonical), canonical, atol=1e-13 * size_of(canonical))


@every
def test_a_member_gives_its_parameters_back(covariance: Covariance, scale: float):
    theta = random_theta(covariance, scale)
    omega = covariance.matrix(theta)
    np.testing.assert_allclose(covariance.matrix(covariance.of_factor(covariance.factor(theta))), omega, atol=1e-9 * size_of(omega))


@pytest.mark.parametrize("covariance", CASES)
def test_any_factor_gives_a_member(covariance: Covariance):
    rng = np.random.default_rng(3)
    for size in (1.0, 1e-3, 30.0):
        theta = covariance.of_factor(size * rng.normal(size=(covariance.k, covariance.k)))
        assert theta.shape == (covariance.size,)
        assert np.all(np.isfinite(covariance.factor(theta)))
    assert np.all(np.isfinite(covariance.of_factor(np.zeros((covariance.k, covariance.k)))))


@pytest.mark.parametrize("covariance", CASES)
def test_support_holds_all_that_is_not_zero(covariance: Covariance):
    omega = covariance.matrix(random_theta(covariance, 1.0))
    assert np.all(covariance.support() | (omega == 0.0))


@pytest.mark.parametrize("covariance", CASES)
def test_is_closed_under_the_transformations_that_it_names(covariance: Covariance):
    rng, k = np.random.default_rng(5), covariance.k
    T = {"linear": rng.normal(size=(k, k)), "diagonal": np.diag(rng.uniform(0.2, 3.0, k)), "scalar": 1.7 * np.eye(k)}
    theta = random_theta(covariance, 0.7)
    moved = covariance.transformed(theta, T[covariance.closure])
    expected = T[covariance.closure] @ covariance.matrix(theta) @ T[covariance.closure].T
    np.testing.assert_allclose(covariance.matrix(moved), expected, atol=1e-12 * size_of(expected))


@every
def test_natural_parameters_move_as_their_derivatives_say(covariance: Covariance, scale: float):
    theta, labels = (
        random_theta(covariance, scale / 2),
        tuple(f"{a}:{b}" for a, b in zip("pppqqq", "uvwuvw", strict=True))[: covariance.k],
    )
    for jet in (covariance.natural(theta, labels).jet, covariance.kr_parameters(theta)):
        assert jet.first.shape == (covariance.size, len(jet.value))
    found = covariance.natural(theta, labels)
    assert len(found.names) == len(found.values) == len(set(found.names))
    for value, parameter in zip(found.values, found.parameters, strict=True):
        assert parameter.bounds[0] <= value <= parameter.bounds[1]
    for which in (lambda t: covariance.natural(t, labels).jet, covariance.kr_parameters):
        jet = which(theta)
        numeric = differences(lambda t, which=which: which(t).value, theta, 1e-4)
        np.testing.assert_allclose(jet.first, numeric, atol=1e-7 * size_of(jet.first))
        numeric = differences(lambda t, which=which: which(t).first, theta, 1e-4)
        np.testing.assert_allclose(jet.second, numeric, atol=1e-6 * size_of(jet.second))


@pytest.mark.parametrize("covariance", CASES)
def test_kr_parameters_determine_theta(covariance: Covariance):
    jet = covariance.kr_parameters(random_theta(covariance, 0.5))
    assert len(jet.value) == covariance.size
    assert np.linalg.matrix_rank(jet.first) == covariance.size


@pytest.mark.parametrize("covariance", CASES)
def test_structures_are_values(covariance: Covariance):
    again = pickle.loads(pickle.dumps(covariance))
    assert again == covariance
    assert hash(again) == hash(covariance)
