"""L-BFGS (Liu and Nocedal 1989) on values and gradients, without bounds: for comparison, or where second derivatives cost much."""

from __future__ import annotations

import numpy as np

from ranef.optim.finish import judged
from ranef.optim.problem import Array
from ranef.optim.search import Pool
from ranef.optim.trace import Trace

GRADIENT = 1e-6
MEMORY = 20
LIMIT = 5000


def lbfgs(trace: Trace, start: Array | None) -> Pool:
    """Where L-BFGS ends from `start`, or from the problem's own start."""

    from scipy.optimize import minimize

    def value_and_gradient(theta: Array) -> tuple[float, Array]:
        at = trace.evaluate(np.array(theta), 1)
        return (at.value, at.gradient) if at.gradient is not None else (1e300, np.zeros_like(theta))

    theta = trace.problem.start() if start is None else start
    options = {"maxcor": MEMORY, "maxiter": LIMIT, "maxfun": LIMIT, "ftol": 0.0, "gtol": GRADIENT}
    minimize(value_and_gradient, theta, jac=True, method="L-BFGS-B", options=options)
    assert trace.best is not None
    return judged(trace, trace.best.theta)
