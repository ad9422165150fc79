"""The door of the package: find the best optimum, and say how sure we are of it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ranef.errors import ModelError
from ranef.optim.bobyqa import bobyqa
from ranef.optim.em import em
from ranef.optim.finish import judged
from ranef.optim.lbfgs import lbfgs
from ranef.optim.problem import Array, Certificate, Optimum, Problem
from ranef.optim.search import Pool, search
from ranef.optim.status import verdict
from ranef.optim.trace import Progress, Stopped, Trace

METHODS: dict[str, Callable[[Trace, Array | None], Pool]] = {"newton": search, "bobyqa": bobyqa, "lbfgs": lbfgs, "em": em}


def minimise(
    problem: Problem,
    *,
    method: str = "newton",
    start: Array | None = None,
    further: bool = False,
    progress: Progress | None = None,
) -> Optimum:
    """The best optimum of `problem`; "newton" looks for it from several starts where that is cheap, the other methods from one.

    With a `start` the search goes down from there and nowhere else, or looks `further` as without one. `progress` is called with
    each `Step` of the path and may answer False to stop. Raises ModelError for an unknown method or a start of the wrong length.
    """
    if method not in METHODS:
        raise ModelError(f"There is no optimizer {method!r}.", hint=f"Choose one of {', '.join(METHODS)}.")
    if start is not None and np.shape(start) != (problem.size,):
        raise ModelError(f"The start has shape {np.shape(start)}; this model has {problem.size} parameters.")
    if not problem.size:
        return _closed_form(problem)
    trace = Trace(problem, progress, problem.most)
    try:
        first = None if start is None else np.array(start, dtype=float)
        pool = search(trace, first, further) if method == "newton" else METHODS[method](trace, first)
    except Stopped:
        assert trace.best is not None
        pool = judged(Trace(problem), trace.best.theta)
    return verdict(trace, pool, method)


def _closed_form(problem: Problem) -> Optimum:
    """Of a problem without parameters."""
    none = np.zeros(0)
    value = problem.evaluate(none, 0).value
    return Optimum(
        none, value, "optimum", "Least squares has a closed form.", Certificate(0.0, np.inf, 0.0, 1, 1),
        1, "least squares", (), none, np.zeros((0, 0)),
    )  # fmt: skip
