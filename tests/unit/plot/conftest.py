"""Fits that pictures are drawn of, each made once; pictures are drawn without a screen and closed after each test."""

from __future__ import annotations

from functools import cache

import pytest

import ranef

MODELS = {
    "sleepstudy": ("lmm", "Reaction ~ Days + (Days | Subject)", "sleepstudy"),
    "intercepts": ("lmm", "Reaction ~ Days + (1 | Subject)", "sleepstudy"),
    "regression": ("lm", "Reaction ~ Days", "sleepstudy"),
    "machines": ("lmm", "score ~ Machine + (Machine | Worker)", "Machines"),
    "nested": ("lmm", "score ~ Machine + (1 | Worker) + (1 | Worker:Machine)", "Machines"),
    "oats": ("lmm", "yield ~ nitroF * Variety + (1 | Block / Variety)", "Oats"),
    "oats_numeric": ("lmm", "yield ~ nitro * Variety + (1 | Block / Variety)", "Oats"),
    "cake": ("lmm", "angle ~ recipe * temperature + (1 | recipe:replicate)", "cake"),
    "growth": ("lmm", "distance ~ age * Sex + (age | Subject)", "Orthodont"),
    "schools": ("lmm", "y ~ x + z + (1 | school / class)", "schools"),
    "dyestuff": ("lmm", "Yield ~ 1 + (1 | Batch)", "Dyestuff"),
    "singular": ("lmm", "Yield ~ 1 + (1 | Batch)", "Dyestuff2"),
    "ratings": ("lmm", "y ~ service + (1 | s) + (1 | d) + (1 | dept:service)", "InstEval"),
}


@cache
def model(name: str):
    """A fit by its name here."""
    kind, formula, data = MODELS[name]
    return getattr(ranef, kind)(formula, ranef.datasets.load(data))


@pytest.fixture(autouse=True)
def _no_screen():
    matplotlib = pytest.importorskip("matplotlib", reason="the tests of pictures need matplotlib")
    matplotlib.use("Agg")
    yield
    from matplotlib import pyplot

    pyplot.close("all")
