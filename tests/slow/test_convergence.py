"""Unstructured repeated measures converge: forty of the trials of benchmarks/convergence.py."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow


def test_no_unstructured_fit_fails(monkeypatch) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path, str(Path(__file__).parents[2] / "benchmarks")])
    from convergence import study

    found = study(40, seed=77)
    assert {outcome.status for outcome in found} <= {"optimum", "optimum on the boundary"}
    assert min(outcome.visits for outcome in found) == 4
    assert max(outcome.visits for outcome in found) == 12
