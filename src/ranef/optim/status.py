"""The verdict on a search: one of three states, with the evidence."""

from __future__ import annotations

import numpy as np
from scipy.linalg import lapack

from ranef.optim.newton import Descent, units
from ranef.optim.problem import Array, Certificate, Evaluation, Optimum, State
from ranef.optim.search import Pool, reflected
from ranef.optim.trace import Trace

CURVATURE = -1e-6  # the smallest scaled eigenvalue that still counts as flat


def verdict(trace: Trace, pool: Pool, method: str) -> Optimum:
    """The best optimum of the pool; where there is none, the lowest point met, which is not one."""
    problem = trace.problem
    found = pool.optima[0] if pool.optima else min(pool.failed, key=lambda d: d.at.value)
    at = found.at if pool.optima else reflected(problem, found.at)
    theta = at.theta
    certificate = _certificate(at, found, pool)
    boundary = problem.boundary(theta)
    state: State = "not converged"
    if found.converged and certificate.smallest_curvature >= CURVATURE:
        state = "optimum on the boundary" if boundary else "optimum"
    return Optimum(
        theta, at.value, state, _message(state, boundary, certificate, pool, trace), certificate, trace.evaluations, method,
        tuple(trace.path), _array(at.gradient), at.hessian if at.exact else None, boundary,
        tuple(d.at.value for d in pool.optima[1:]), at.found,
    )  # fmt: skip


def _array(values: Array | None) -> Array:
    return np.zeros(0) if values is None else values


def _certificate(at: Evaluation, found: Descent, pool: Pool) -> Certificate:
    hits = pool.hits[0] if pool.optima else 0
    if at.hessian is None or at.gradient is None:
        return Certificate(np.inf, -np.inf, np.inf, pool.starts, hits)
    unit = units(at)
    smallest = float(lapack.dsyevd(at.hessian * unit * unit[:, None], compute_v=0)[0][0]) if len(unit) else 1.0
    return Certificate(found.decrement, smallest, float(np.abs(at.gradient * unit).max(initial=0.0)), pool.starts, hits)


def _message(state: State, boundary: tuple[str, ...], certificate: Certificate, pool: Pool, trace: Trace) -> str:
    if state == "not converged":
        return (
            f"No optimum was reached in {trace.evaluations} evaluations from {pool.starts} starts: at the lowest point "
            f"the criterion could still fall by about {certificate.decrement:.2g}; its smallest scaled curvature is "
            f"{certificate.smallest_curvature:.2g}."
        )
    where = f"On the boundary ({'; '.join(boundary)}) the" if boundary else "The"
    sentence = f"{where} gradient is zero and the criterion rises in every direction that the data identify"
    if certificate.starts > 1:
        sentence += f"; {certificate.agreeing} of {certificate.starts} starts led there"
    if len(pool.optima) > 1:
        sentence += f", others to optima that are higher by {pool.optima[1].at.value - pool.optima[0].at.value:.3g} or more"
    return sentence + "."
