"""Figures that examples open are closed after each test."""

import sys

import pytest


@pytest.fixture(autouse=True)
def _no_figures_stay_open(monkeypatch):
    monkeypatch.setenv("MPLBACKEND", "Agg")
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")
