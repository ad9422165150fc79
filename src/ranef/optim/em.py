"""EM (Laird and Ware 1982): every step lowers the criterion and stays inside the parameter space, ever more slowly near a boundary.

For teaching: the path shows linear convergence. The step itself belongs to the problem (`Problem.em_step`).
"""

from __future__ import annotations

from ranef.optim.finish import judged
from ranef.optim.problem import Array
from ranef.optim.search import Pool
from ranef.optim.trace import Trace

GAIN = 1e-12  # relative to the value
LIMIT = 5000
WAIT = 3  # steps in a row without gain


def em(trace: Trace, start: Array | None) -> Pool:
    """Where EM ends from `start`, or from the problem's own start."""
    theta = trace.problem.start() if start is None else start
    value, idle = trace.evaluate(theta, 0).value, 0
    for _ in range(LIMIT):
        theta = trace.problem.em_step(theta)
        new = trace.evaluate(theta, 0).value
        idle = idle + 1 if value - new <= GAIN * (1.0 + abs(new)) else 0
        value = new
        if idle >= WAIT:
            break
    return judged(trace, theta)
