"""Durbin and Watson's d, its distribution, and autocorrelations."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from ranef.inference.diagnostics import serial
from ranef.inference.diagnostics.serial import Series, autocorrelation, durbin_watson, durbin_watson_p, imhof


def ragged(rng, m=7):
    codes = rng.permutation(np.repeat(np.arange(m), rng.integers(1, 9, m)))
    return codes, rng.permutation(len(codes))


@pytest.mark.parametrize("seed", range(5))
def test_within_series_by_loops(seed):
    rng = np.random.default_rng(seed)
    codes, sequence = ragged(rng)
    e, series = rng.normal(size=len(codes)), Series.of(codes, sequence)
    runs = [e[[i for i in sequence if codes[i] == j]] for j in range(codes.max() + 1)]
    assert durbin_watson(e, series) == pytest.approx(sum(np.sum(np.diff(run) ** 2) for run in runs) / np.sum(e**2))
    for lag in (1, 2, 3):
        products = np.concatenate([run[lag:] * run[:-lag] for run in runs if len(run) > lag])
        assert autocorrelation(e, series, [lag]) == pytest.approx(products.mean() / np.mean(e**2))
        assert series.pairs(lag) == len(products)


def test_many_replicates_at_once_are_each_of_them():
    rng = np.random.default_rng(1)
    codes, sequence = ragged(rng)
    e, series = rng.normal(size=(len(codes), 3)), Series.of(codes, sequence)
    assert np.allclose(durbin_watson(e, series), [durbin_watson(column, series) for column in e.T])
    assert np.allclose(autocorrelation(e, series, [1, 2]).T, [autocorrelation(column, series, [1, 2]) for column in e.T])


def test_lags_end_where_pairs_are_few():
    codes = np.repeat(np.arange(4), [3, 3, 3, 6])
    assert Series.of(codes, np.arange(15)).lags(9, 4) == [1, 2]
    assert Series.of(codes, np.arange(15)).lags(9, 1) == [1, 2, 3, 4, 5]
    assert Series.of(codes, np.arange(15)).lags(1, 1) == [1]


def test_imhof_gives_the_f_distribution():
    """P(chi2_3 - c chi2_5 < 0) = P(F < 5c/3)."""
    for c in (0.1, 0.6, 1.0, 4.0):
        weights = np.array([1.0] * 3 + [-c] * 5)
        assert imhof(weights) == pytest.approx(stats.f.cdf(5 * c / 3, 3, 5), abs=1e-8)


@pytest.mark.parametrize("d", [1.3, 1.9, 2.4])
def test_the_distribution_of_d_by_simulation(d):
    rng = np.random.default_rng(3)
    X = np.column_stack([np.ones(20), rng.normal(size=(20, 2))])
    basis = np.linalg.qr(X)[0]
    y = rng.normal(size=(20, 200_000))
    e = y - basis @ (basis.T @ y)
    assert durbin_watson_p(d, basis) == pytest.approx(np.mean(durbin_watson(e, Series.of(None, np.arange(20))) < d), abs=0.004)


def test_the_normal_distribution_of_long_series_has_the_exact_moments():
    rng = np.random.default_rng(4)
    n, r = 130, 4
    basis = np.linalg.qr(rng.normal(size=(n, r)))[0]
    A = np.diff(np.eye(n), axis=0).T @ np.diff(np.eye(n), axis=0)
    M = np.eye(n) - basis @ basis.T
    T1, T2 = np.trace(M @ A), np.trace(M @ A @ M @ A)
    mean, variance = serial._moments(basis)
    assert mean == pytest.approx(T1 / (n - r))
    assert variance == pytest.approx(2 * (T2 - T1 * mean) / ((n - r) * (n - r + 2)))


def test_short_and_long_series_meet(monkeypatch):
    basis = np.linalg.qr(np.column_stack([np.ones(99), np.arange(99.0)]))[0]
    exact = durbin_watson_p(1.7, basis)
    monkeypatch.setattr(serial, "EXACT", 10)
    assert durbin_watson_p(1.7, basis) == pytest.approx(exact, abs=0.003)
