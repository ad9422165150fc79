"""Tests of equal variances against their definitions, SciPy and R."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from ranef.inference.diagnostics.spread import breusch_pagan, levene

rng = np.random.default_rng(2)
Z, E = rng.normal(size=(80, 3)), rng.normal(size=80)
CODES = rng.permutation(np.repeat(np.arange(6), [9, 12, 13, 15, 15, 16]))


def test_breusch_pagan_is_n_r_squared():
    e2 = E**2
    X = np.column_stack([np.ones(80), Z])
    explained = X @ np.linalg.lstsq(X, e2, rcond=None)[0]
    share = np.sum((explained - e2.mean()) ** 2) / np.sum((e2 - e2.mean()) ** 2)
    found = breusch_pagan(E, Z)
    assert found.statistic == pytest.approx(80 * share)
    assert found.p_value == pytest.approx(stats.chi2.sf(80 * share, 3))
    assert breusch_pagan(E, Z, studentised=False).statistic == pytest.approx(
        0.5 * np.sum((explained - e2.mean()) ** 2) / e2.mean() ** 2
    )


def test_columns_that_say_nothing_new_do_not_count():
    more = np.column_stack([np.ones(80), Z, Z @ [1.0, 2.0, 3.0]])
    assert breusch_pagan(E, more).df == (3,)
    assert breusch_pagan(E, more).statistic == pytest.approx(breusch_pagan(E, Z).statistic)
    assert breusch_pagan(7 * E, 5 * Z - 3).statistic == pytest.approx(breusch_pagan(E, Z).statistic)


def test_the_ratio_is_that_of_the_standard_deviations():
    x = np.linspace(0, 1, 4000)
    e = np.random.default_rng(1).normal(size=4000) * np.sqrt(1 + 8 * x)
    found = breusch_pagan(e, x[:, None])
    assert found.ratio == pytest.approx(np.sqrt((1 + 8 * 0.95) / (1 + 8 * 0.05)), rel=0.1)


@pytest.mark.parametrize("center", ["median", "mean"])
def test_levene_is_scipys(center):
    theirs = stats.levene(*(E[CODES == j] for j in range(6)), center=center)
    ours = levene(E, CODES, center=center)
    assert (ours.statistic, ours.p_value) == pytest.approx((theirs.statistic, theirs.pvalue))
    assert ours.df == (5, 74)


def test_levene_about_zero_is_an_analysis_of_variance_of_the_absolute_values():
    theirs = stats.f_oneway(*(np.abs(E[CODES == j]) for j in range(6)))
    assert levene(E, CODES, center="zero").statistic == pytest.approx(theirs.statistic)


def test_levene_of_the_sleep_study_is_cars():
    import ranef

    data = ranef.datasets.load("sleepstudy")
    codes = np.unique(data["Subject"].astype(str), return_inverse=True)[1]
    found = levene(data["Reaction"].to_numpy(), codes)
    assert (found.statistic, found.p_value) == pytest.approx((4.15902, 6.4507e-07), rel=1e-5)
    assert levene(data["Reaction"].to_numpy(), codes, center="mean").statistic == pytest.approx(5.45692, rel=1e-5)


def test_the_ratio_of_groups_forgets_what_chance_gives():
    r = np.random.default_rng(5)
    codes = np.repeat(np.arange(200), 20)
    same, uneven = r.normal(size=4000), r.normal(size=4000) * np.where(np.arange(200) % 2, 3.0, 1.0)[codes]
    assert levene(same, codes).ratio < 1.15
    assert levene(uneven, codes).ratio == pytest.approx(3.0, rel=0.15)
