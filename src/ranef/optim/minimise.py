"""The door of the package: find the optimum, say how sure we are."""

from __future__ import annotations

import numpy as np

from ranef.errors import ModelError
from ranef.optim.newton import Descent, Trace, descend, propose
from ranef.optim.problem import Array, Certificate, Optimum, Problem, State

METHODS = ("newton",)


def minimise(problem: Problem, *, method: str = "newton", start: Array | None = None) -> Optimum:
    """The best optimum of `problem`. Raises ModelError for an unknown method or a start of the wrong length."""
    if method not in METHODS:
        raise ModelError(f"There is no optimizer {method!r}.", hint=f"Choose one of {', '.join(METHODS)}.")
    trace = Trace(problem)
    theta = problem.start() if start is None else np.array(start, dtype=float)
    found = descend(trace, trace.evaluate(theta, 2))
    return _verdict(problem, trace, found, method)


def _verdict(problem: Problem, trace: Trace, found: Descent, method: str) -> Optimum:
    at = found.at
    assert at.gradient is not None and at.hessian is not None
    theta = problem.canonical(at.theta)
    boundary = problem.boundary(theta)
    state: State = "not converged"
    if found.converged:
        state = "optimum on the boundary" if boundary else "optimum"
    unit = 1.0 / np.sqrt(np.maximum(np.abs(np.diag(at.hessian)), 1e-12))
    smallest = float(np.linalg.eigvalsh(at.hessian * unit * unit[:, None])[0])
    certificate = Certificate(found.decrement, smallest, float(np.abs(at.gradient * unit).max()), 1, 1)
    return Optimum(
        theta, at.value, state, state, certificate, trace.evaluations, method, tuple(trace.path), at.gradient, at.hessian, boundary
    )


__all__ = ["METHODS", "minimise", "propose"]
