"""What an optimizer without second derivatives has reached: one evaluation with them tells."""

from __future__ import annotations

import numpy as np

from ranef.optim.newton import Descent, propose
from ranef.optim.problem import Array
from ranef.optim.search import Pool
from ranef.optim.trace import Trace

REACHED = 1e-6  # decrement, in deviance units, up to which the methods for comparison count as converged


def judged(trace: Trace, theta: Array) -> Pool:
    """A pool of one descent that ended at theta."""
    pool, at = Pool(trace.problem), trace.evaluate(theta, 2, "end")
    if at.hessian is None or not np.isfinite(at.value):
        pool.add(Descent(at, np.inf))
    else:
        model = propose(at)
        pool.add(Descent(at, model.decrement, converged=not model.saddle and model.decrement <= REACHED, saddle=model.saddle))
    return pool
