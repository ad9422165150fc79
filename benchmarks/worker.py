"""Times one package on one problem, in a process of its own, and prints one JSON line.

    python worker.py PACKAGE PROBLEM REPEATS

CPU seconds are user + system of the whole call, from data frame to fit, warm (one call before, unless a call takes over a second).
Peak memory is that of the process: interpreter, libraries and data included.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from problems import GROUPS, Problem, data_path, find

Answer = tuple[float | None, dict[str, Any]]  # criterion (REML deviance), further facts
Fitter = Callable[[], Answer]


def other_response(frame: pd.DataFrame) -> np.ndarray:
    """What every package is to refit: the reaction times and a sawtooth."""
    return frame["Reaction"].to_numpy() + np.arange(len(frame)) % 7


def ranef_fit(problem: Problem, frame: pd.DataFrame) -> Fitter:
    import ranef

    def fit() -> Answer:
        m = ranef.lmm(problem.formula, frame)
        p_values = m.pvalues
        return m.deviance, {"status": m.status, "evaluations": m.optimum.evaluations, "p": [float(p) for p in p_values][:10]}

    def refit() -> Answer:
        m = start.refit(response)
        return m.deviance, {"p": [float(p) for p in m.pvalues]}

    if problem.name != "refit":
        return fit
    start, response = ranef.lmm(problem.formula, frame), other_response(frame)
    return refit


def mixedlm_fit(problem: Problem, frame: pd.DataFrame) -> Fitter:
    import mixedlm

    def fit() -> Answer:
        m = mixedlm.lmer(problem.peer_formula, frame)
        return -2 * float(m.logLik().value), {}

    def refit() -> Answer:
        m = start.refit(response)
        return -2 * float(m.logLik().value), {}

    if problem.name != "refit":
        return fit
    start, response = mixedlm.lmer(problem.peer_formula, frame), other_response(frame)
    return refit


def mixedlm_rs_fit(problem: Problem, frame: pd.DataFrame) -> Fitter:
    import mixedlm_rs

    fixed, group, random = problem.one_factor or ("", "", "")

    def fit() -> Answer:
        m = mixedlm_rs.mixedlm(fixed, frame, groups=group, re_formula=random).fit()
        return -2 * float(m.llf), {"converged": bool(m.converged)}

    return fit


def lme_python_fit(problem: Problem, frame: pd.DataFrame) -> Fitter:
    import lme_python
    import polars

    text = {name: str for name in GROUPS if name in frame}
    data = polars.from_pandas(frame.astype(text))

    def fit() -> Answer:
        m = lme_python.lmer(problem.peer_formula, data=data, reml=True)
        return float(m.reml_criterion if hasattr(m, "reml_criterion") else m.deviance), {"converged": bool(m.converged)}

    return fit


def statsmodels_fit(problem: Problem, frame: pd.DataFrame) -> Fitter:
    import statsmodels.formula.api as smf

    fixed, group, random = problem.one_factor or ("", "", "")

    def fit() -> Answer:
        m = smf.mixedlm(fixed, frame, groups=frame[group], re_formula=random).fit(reml=True)
        return -2 * float(m.llf), {"converged": bool(m.converged)}

    return fit


def gpboost_fit(problem: Problem, frame: pd.DataFrame) -> Fitter:
    """Maximum likelihood, its only criterion for fixed effects: timed, not compared."""
    import gpboost

    fixed, groups = problem.gpboost or ("", ())

    def fit() -> Answer:
        columns = [np.ones(len(frame))]
        if fixed != "1":
            columns.append(
                pd.get_dummies(frame[fixed], drop_first=True).to_numpy(float)[:, 0] if fixed == "service" else frame[fixed]
            )
        m = gpboost.GPModel(group_data=frame[list(groups)].to_numpy(), likelihood="gaussian", num_parallel_threads=1)
        m.fit(y=frame["y"].to_numpy(float), X=np.column_stack(columns))
        return None, {"minus2_loglik": 2 * float(m.get_current_neg_log_likelihood())}

    return fit


PACKAGES: dict[str, tuple[str, Callable[[Problem, pd.DataFrame], Fitter]]] = {
    "ranef": ("ranef", ranef_fit),
    "mixedlm": ("mixedlm", mixedlm_fit),
    "mixedlm-rs": ("mixedlm-rs", mixedlm_rs_fit),
    "lme-python": ("lme-python", lme_python_fit),
    "statsmodels": ("statsmodels", statsmodels_fit),
    "gpboost": ("gpboost", gpboost_fit),
}


def peak_megabytes() -> float:
    """VmHWM of this process; unlike ru_maxrss it does not remember the parent."""
    with open("/proc/self/status", encoding="ascii") as status:
        return next(float(line.split()[1]) / 1024 for line in status if line.startswith("VmHWM"))


def measure(fit: Fitter, repeats: int) -> dict[str, Any]:
    """Median over batches of the CPU and wall seconds of one call; a single call where one takes over a second."""

    def batch(calls: int) -> tuple[float, float, Answer]:
        cpu, wall = time.process_time(), time.perf_counter()
        for _ in range(calls):
            answer = fit()
        return (time.process_time() - cpu) / calls, (time.perf_counter() - wall) / calls, answer

    first = batch(1)
    runs = [batch(max(1, repeats // 5)) for _ in range(min(5, repeats))] if first[0] < 20 and repeats > 1 else [first]
    runs.sort(key=lambda run: run[0])
    cpu, wall, (criterion, facts) = runs[len(runs) // 2]
    return {"cpu": cpu, "wall": wall, "first_cpu": first[0], "criterion": criterion, "facts": facts}


def main(package: str, problem_name: str, repeats: int) -> None:
    warnings.simplefilter("ignore")
    problem = find(problem_name)
    frame = pd.read_feather(data_path(problem, ".feather"))
    baseline = peak_megabytes()
    distribution, make = PACKAGES[package]
    try:
        version = importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        version = "source"
    result = measure(make(problem, frame), repeats)
    print(
        json.dumps(
            result
            | {"peak_mb": peak_megabytes(), "before_mb": baseline, "version": version, "threads": os.environ.get("OMP_NUM_THREADS")}
        )
    )


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
