"""Repeated-measures ANOVA is a mixed model: the same F tests, also where cells are missing."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import ranef
from ranef.inference.rm_anova import rm_anova
from ranef.inference.rm_anova.classical import sphericity
from ranef.inference.rm_anova.strata import split


def frame(seed: int = 3, n: int = 12) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    rows = []
    for i in range(n):
        a, b = rng.normal(size=3), rng.normal(size=2)
        base = 2 * rng.normal()
        for j in range(3):
            for k in range(2):
                y = base + a[j] + 0.8 * b[k] + 0.5 * j + 0.3 * k * (i % 2) + rng.normal()
                rows.append((i, "ab"[i % 2], j, k, y))
    return pd.DataFrame(rows, columns=["id", "group", "time", "task", "y"])


def test_mixed_model_has_the_f_tests_of_the_sums_of_squares() -> None:
    """All components are positive here: then REML estimates are the ANOVA estimates, and Kenward and Roger's test is the exact one."""
    answer = rm_anova(frame(), "y", "id", within=["time", "task"], between="group", correction="none")
    assert not answer.fit.is_singular
    theirs = answer.fit.anova(ddf="kenward-roger")
    ours = dict(zip(answer.table["term"], zip(answer.table["statistic"], answer.table["den_df"], strict=True), strict=True))
    for term, F, df in zip(theirs["term"], theirs["statistic"], theirs["den_df"], strict=True):
        assert (F, df) == pytest.approx(ours[term.replace("`", "")], rel=1e-5)


def test_the_road_for_missing_cells_gives_the_same_answer_on_complete_data() -> None:
    from ranef.inference.rm_anova.answer import _incomplete
    from ranef.inference.rm_anova.cells import read_cells

    data = frame()
    whole = rm_anova(data, "y", "id", within=["time", "task"], between="group", correction="none").table
    mixed = _incomplete(read_cells(data, "y", "id", ("time", "task"), ("group",)), data, 3).table
    at = [list(whole["term"]).index(term.replace("`", "")) for term in mixed["term"]]
    for name in ("statistic", "p_value", "partial_eta_sq", "generalized_eta_sq"):
        np.testing.assert_allclose(mixed[name], np.asarray(whole[name])[at], rtol=1e-5)


def test_missing_cells_use_all_rows() -> None:
    data = frame().drop(index=[4, 17])
    answer = rm_anova(data, "y", "id", within=["time", "task"], between="group")
    assert answer.sphericity is None
    assert answer.fit.nobs == len(data)
    assert "2 of 72 cells" in repr(answer)
    assert np.all(np.isfinite(np.asarray(answer.table["p_value"], dtype=float)))


def test_one_within_factor_of_two_levels_is_the_paired_t_test() -> None:
    from scipy.stats import ttest_rel

    data = frame()
    data = data[data["time"] == 0]
    table = rm_anova(data, "y", "id", within="task").table
    wide = data.pivot(index="id", columns="task", values="y")
    t = ttest_rel(wide[1], wide[0])
    assert table["statistic"][0] == pytest.approx(t.statistic**2)
    assert table["p_value"][0] == pytest.approx(t.pvalue)


def test_only_between_factors_is_the_anova_of_subject_means() -> None:
    data = frame()
    table = rm_anova(data, "y", "id", between="group").table
    means = data.groupby(["id", "group"], as_index=False)["y"].mean()
    theirs = ranef.lm("y ~ group", means)
    assert table["statistic"][0] == pytest.approx(theirs.tvalues.iloc[1] ** 2)
    assert "averaged" in repr(rm_anova(data, "y", "id", between="group"))


def test_type_two_ignores_the_interactions_that_contain_the_effect() -> None:
    data = frame(n=11)
    second = rm_anova(data, "y", "id", within="time", between="group", type=2, correction="none").table
    third = rm_anova(data, "y", "id", within="time", between="group", type=3, correction="none").table
    at = [list(t["term"]).index("time") for t in (second, third)]
    assert second["sum_sq"][at[0]] != pytest.approx(third["sum_sq"][at[1]], rel=1e-6)
    interaction = [list(t["term"]).index("group:time") for t in (second, third)]
    assert second["sum_sq"][interaction[0]] == pytest.approx(third["sum_sq"][interaction[1]])


def test_spheres_have_epsilon_one() -> None:
    gg, hf, w, p = sphericity(2.5 * np.eye(3), 20)
    assert (gg, w, p) == pytest.approx((1.0, 1.0, 1.0))
    assert hf > 1.0
    assert sphericity(np.diag([1.0, 0.0, 0.0]), 20)[0] == pytest.approx(1 / 3)


def test_error_is_found_in_a_formula() -> None:
    assert split("y ~ a * b + Error(id/(a * b))") == ("y ~ a * b ", "id/(a * b)")
    table = rm_anova("y ~ time * task + Error(id / (time * task))", frame().astype({"id": str, "time": str, "task": str}))
    whole = rm_anova(frame(), "y", "id", within=["time", "task"], correction="none").table
    ours = {row["term"]: row["statistic"] for row in table}
    for term, F in zip(whole["term"], whole["statistic"], strict=True):
        assert ours[term] == pytest.approx(F)


def test_refusals() -> None:
    data = frame()
    with pytest.raises(ranef.DataError, match="changes within a subject"):
        rm_anova(data, "y", "id", between="time")
    with pytest.raises(ranef.ModelError, match="one level"):
        rm_anova(data[data["task"] == 0], "y", "id", within="task")
    with pytest.raises(ranef.DataError, match="no column"):
        rm_anova(data, "y", "id", within="tme")
    with pytest.raises(ranef.ModelError, match="response and the subject"):
        rm_anova(data)
    with pytest.raises(ranef.FormulaError, match="no Error"):
        rm_anova("y ~ time", data)
    with pytest.raises(ranef.DataError, match="not a number"):
        rm_anova(data, "group", "id", within="time")
