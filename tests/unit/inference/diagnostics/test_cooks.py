"""Cook's distances all at once, one by one, and of those that pull most."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from tests.unit.inference.examples import crossed

import ranef
from ranef.inference.diagnostics import cooks
from ranef.inference.influence import influence


@pytest.mark.parametrize("formula", ["y ~ x + a + (x | g)", "y ~ x + b + (1 | g)", "y ~ x + (1 | g/h)"])
def test_held_is_deletion_with_theta_held(formula):
    m = ranef.lmm(formula, crossed(4), precision_weights="w")
    codes = (
        m.model.design.terms[0].group.codes
        if "/" not in formula
        else next(t.group.codes for t in m.model.design.terms if t.group.name == "g")
    )
    assert np.allclose(cooks.apart(m, codes), influence(m, "g", "fixed").cooks, rtol=1e-7, equal_nan=True)


def test_a_cluster_that_alone_determines_a_coefficient():
    data = crossed(4)
    data["only"] = (data.g == "3").astype(float)
    m = ranef.lmm("y ~ x + only + (1 | g)", data)
    found = cooks.apart(m, m.model.design.terms[0].group.codes)
    levels = m.model.design.terms[0].group.levels.tolist()
    assert np.flatnonzero(np.isnan(found)).tolist() == [levels.index("3")]


def test_few_of_a_dear_model_are_those_of_deletion(monkeypatch):
    m = ranef.lmm("y ~ x + a + (1 | g) + (1 | h)", crossed(4))
    every = influence(m, "g", "fixed").cooks
    monkeypatch.setattr(cooks, "AFFORDABLE", 0.0)
    found = {one.name: one for one in cooks.cooks_distances(m)}["g"]
    levels = m.model.design.terms[0].group.levels.tolist()
    assert len(found.levels) == cooks.FEW and found.total == len(levels)
    assert np.allclose(found.cooks, [every[levels.index(level)] for level in found.levels], rtol=1e-6)


def test_regressions_have_the_distances_of_rows():
    m = ranef.lm("y ~ x + a", crossed(4))
    (found,) = cooks.cooks_distances(m)
    h, r = np.asarray(m.hat_values()), np.asarray(m.residuals("standardised"))
    assert found.name == "row" and np.allclose(found.cooks, r**2 * h / (1 - h) / 4)


def test_nothing_without_fixed_effects():
    assert cooks.cooks_distances(ranef.lmm("y ~ 0 + (1 | g)", crossed(4))) == []


@pytest.mark.parametrize("rows", [1, 2, 5, 40])
def test_clusters_of_fewer_rows_than_columns_and_of_more(rows):
    rng = np.random.default_rng(rows)
    g = np.sort(np.append(np.repeat(np.arange(40), rows), rng.integers(0, 40, 60)))
    data = pd.DataFrame(rng.normal(size=(len(g), 8)), columns=list("abcdefgh"))
    data["y"], data["group"] = data.sum(axis=1) + rng.normal(size=40)[g] + rng.normal(size=len(g)), g
    m = ranef.lmm("y ~ a + b + c + d + e + f + g + h + (1 | group)", data)
    codes = m.model.design.terms[0].group.codes
    assert np.allclose(cooks.apart(m, codes), influence(m, "group", "fixed").cooks, rtol=1e-7)


def test_where_no_cluster_can_be_left_out_nothing_is_judged():
    data = ranef.datasets.load("sleepstudy").assign(driver=lambda d: d["Subject"].astype(str))
    found = ranef.check(ranef.lmm("Reaction ~ Days + driver + (1 | driver)", data))
    line = found.table.frame.set_index("check").loc["Cook's distance, driver"]
    assert (line["verdict"], line["evidence"]) == ("not tested", "without any of these levels the model is not determined.")
    assert np.isnan(line["statistic"])
    assert "influence" not in found.panels
