"""Profiles of the 300 hard problems: intervals around the estimates, or a finding; never an error."""

from __future__ import annotations

import numpy as np
import pytest
from benchmarks.hard.generate import problems

import ranef
from ranef.inference.profile import profile

pytestmark = pytest.mark.slow


def test_no_hard_problem_fails() -> None:
    parameters = findings = 0
    for problem in problems():
        try:
            fit = ranef.lmm(problem.formula, problem.data, reml=problem.reml)
        except ranef.ModelError:
            continue  # more effects than rows
        answer = profile(fit)
        estimate, low, high = (np.asarray(answer.intervals[name]) for name in ("estimate", "conf_low", "conf_high"))
        slack = 1e-6 * np.abs(estimate) + 1e-12
        assert np.all((low <= estimate + slack) & (estimate <= high + slack)), problem.id
        parameters += len(estimate)
        findings += len(answer.findings)
    assert parameters > 2000
    assert findings <= 0.01 * parameters
