"""Problems on which others stop at a wrong optimum: the best known criterion is reached (benchmarks/hard/run.py fits all of them)."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import pytest

import ranef

HARD = Path(__file__).parents[3] / "benchmarks" / "hard"
BEST = json.loads((HARD / "best.json").read_text())
spec = importlib.util.spec_from_file_location("hard_problems", HARD / "generate.py")
assert spec is not None
assert spec.loader is not None
generate = importlib.util.module_from_spec(spec)
sys.modules[spec.name] = generate
spec.loader.exec_module(generate)
SAMPLE = [*generate.problems(each=4), *generate.real_problems()]


@pytest.mark.parametrize("problem", SAMPLE, ids=lambda problem: problem.id)
def test_the_best_known_optimum_is_reached(problem) -> None:
    fit = ranef.lmm(problem.formula, problem.data, reml=problem.reml, ddf="asymptotic")
    assert fit.status != "not converged"
    assert fit.deviance == pytest.approx(BEST[problem.id]["criterion"], abs=1e-5)


def test_the_generator_repeats_itself() -> None:
    first, second = (next(iter(generate.problems())) for _ in range(2))
    assert first.data.equals(second.data)
    assert sum(1 for _ in generate.problems()) >= 300


def test_several_optima_are_told() -> None:
    problem = next(p for p in SAMPLE if p.id == "r03-qt-oddset03-REML")
    fit = ranef.lmm(problem.formula, problem.data, reml=True)
    assert fit.optimum.other_optima[0] - fit.deviance == pytest.approx(8.027, abs=1e-3)
    assert any(finding.code == "multiple_optima" for finding in fit.findings)
