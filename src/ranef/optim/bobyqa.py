"""Powell's derivative-free trust-region methods with a bound of zero on each standard deviation, as lme4 fits by default.

BOBYQA (Powell 2009) of nlopt where that is installed, else its successor COBYQA of scipy. For comparison and teaching: the bounds
make false zeros absorbing, and each evaluation tells one number.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec

import numpy as np

from ranef.optim.finish import judged
from ranef.optim.problem import Array, Problem
from ranef.optim.search import Pool, multiple
from ranef.optim.trace import Stopped, Trace

RADIUS = 1e-7  # at the end
LIMIT = 20_000


def bobyqa(trace: Trace, start: Array | None) -> Pool:
    """Where the method ends from `start`, or from the problem's own start."""
    lower = lower_bounds(trace.problem)
    theta = np.maximum(trace.problem.canonical(trace.problem.start() if start is None else start), lower)

    def value(x: Array) -> float:
        found = trace.evaluate(np.array(x), 0).value
        return found if np.isfinite(found) else 1e300

    (_nlopt if find_spec("nlopt") else _cobyqa)(value, theta, lower)
    assert trace.best is not None
    return judged(trace, trace.best.theta)


def lower_bounds(problem: Problem) -> Array:
    """Zero for a parameter whose sign is not identified (a diagonal entry of a factor), else none."""
    one = multiple(problem, 1.0)
    bounds = np.full(problem.size, -np.inf)
    for i in range(problem.size):
        flipped = one.copy()
        flipped[i] = -1.0
        if problem.canonical(flipped)[i] >= 0.0:
            bounds[i] = 0.0
    return bounds


def _cobyqa(value: Callable[[Array], float], theta: Array, lower: Array) -> None:
    from scipy.optimize import Bounds, minimize

    options = {"initial_tr_radius": 0.5, "final_tr_radius": RADIUS, "maxfev": LIMIT}
    minimize(value, theta, method="COBYQA", bounds=Bounds(lower, np.full_like(lower, np.inf)), options=options)


def _nlopt(value: Callable[[Array], float], theta: Array, lower: Array) -> None:
    import nlopt

    stopped: list[BaseException] = []

    def objective(x: Array, _: Array) -> float:
        try:
            return value(x)
        except (Stopped, KeyboardInterrupt) as reason:
            stopped.append(reason)
            raise nlopt.ForcedStop from reason

    method = nlopt.opt(nlopt.LN_BOBYQA, len(theta))
    method.set_min_objective(objective)
    method.set_lower_bounds(lower)
    method.set_initial_step(0.5)
    method.set_xtol_abs(RADIUS)
    method.set_maxeval(LIMIT)
    try:
        method.optimize(theta)
    except nlopt.RoundoffLimited:
        return
    except nlopt.ForcedStop:
        raise stopped[0] from None
