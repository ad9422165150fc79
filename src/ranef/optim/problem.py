"""What an optimizer may ask of a problem, and what it answers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
State = Literal["optimum", "optimum on the boundary", "not converged", "moment estimate"]


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The criterion at theta; `exact` says that `hessian` is the Hessian and not the average information."""

    theta: Array
    value: float
    gradient: Array | None = None  # (q,)
    hessian: Array | None = None  # (q, q)
    exact: bool = True
    unfinished: bool = False  # the Hessian is to be had cheaply by evaluating to order 3 at once
    found: object = None  # what the problem found out on the way; it comes back with the optimum


class Structure(Protocol):
    """A k x k covariance whose parameters are a stretch of theta; see `ranef.covariance.Covariance`."""

    @property
    def k(self) -> int: ...

    def factor(self, theta: Array) -> Array:
        """(k, k) lower-triangular root."""
        ...

    def of_factor(self, factor: Array) -> Array:
        """Parameters of the member nearest to factor factor'."""
        ...


class Problem(Protocol):
    """A smooth function of q unconstrained parameters: the factors of relative covariances (Cholesky entries).

    The sign of a column of a factor is not identified; `canonical` picks the representative. A zero column is a stationary point:
    a minimum when its curvature is positive (the variance is zero), else a saddle that must be left.
    """

    @property
    def size(self) -> int: ...

    @property
    def blocks(self) -> tuple[tuple[slice, Structure], ...]:
        """The stretch of theta of each random term, and what it parametrises."""
        ...

    @property
    def effort(self) -> float:
        """Floating-point operations of an evaluation to order 2, to an order of magnitude: how generous a search may be."""
        ...

    @property
    def unimodal(self) -> bool:
        """Is it known that there is only one optimum?"""
        ...

    @property
    def rugged(self) -> bool:
        """Is there reason to look for other optima even where the first starts agree?"""
        ...

    @property
    def most(self) -> int:
        """Evaluations after which no new start is tried: a criterion that is not smooth may take thousands from each."""
        ...

    def closed_form(self) -> Array | None:
        """The optimum, where there is a formula for it."""
        ...

    def start(self) -> Array: ...

    def starts(self) -> Iterator[Array]:
        """More starting points, the most promising first, deterministic."""
        ...

    def rivals(self) -> Iterator[Array]:
        """Starts from which optima are looked for although the first ones agree, where terms compete for the same variation."""
        ...

    def settled(self, at: Evaluation, others: Sequence[Evaluation]) -> bool:
        """Is there no reason for other optima than `at`, as values at a large and a small start tell?"""
        ...

    def profile(self, at: Evaluation) -> list[Evaluation] | None:
        """Values over orders of magnitude by ascending size, with `at` among them; where theta is a single size, and cheap."""
        ...

    def evaluate(self, theta: Array, order: int) -> Evaluation:
        """order 0: value; 1: and gradient; 2: and Hessian, or average information where that is dear; 3: the Hessian if at all."""
        ...

    def completed(self, theta: Array) -> Array:
        """theta with sensible values for the parameters that belong to none of the blocks."""
        ...

    def canonical(self, theta: Array) -> Array: ...

    def boundary(self, theta: Array) -> tuple[str, ...]:
        """Names of the directions that vanished at theta, in words: "the variance of Days in Subject is zero"."""
        ...

    def em_step(self, theta: Array) -> Array:
        """One step of EM from theta, with sigma profiled (Laird and Ware, 1982). Only the method "em" asks for it."""
        ...


@dataclass(frozen=True)
class Step:
    """One line of an optimizer's path."""

    evaluation: int  # evaluations so far
    theta: tuple[float, ...]
    value: float
    gradient_norm: float | None
    note: str = ""


@dataclass(frozen=True)
class Certificate:
    """The evidence for the verdict: the Newton decrement g'H^-1 g / 2 (in deviance units), the smallest eigenvalue of the
    scaled Hessian, the largest |gradient| in standard-error units, how many starts were tried and how many agreed."""

    decrement: float
    smallest_curvature: float
    scaled_gradient: float
    starts: int
    agreeing: int


@dataclass(frozen=True, eq=False)
class Optimum:
    theta: Array  # canonical
    value: float
    state: State
    message: str  # one sentence that a student understands
    certificate: Certificate
    evaluations: int
    optimizer: str
    path: tuple[Step, ...]
    gradient: Array
    hessian: Array | None  # exact Hessian at theta, where it was computed
    boundary: tuple[str, ...] = ()
    other_optima: tuple[float, ...] = ()  # criteria of distinct local optima met on the way
    found: object = None  # of the evaluation at theta, where there was one
