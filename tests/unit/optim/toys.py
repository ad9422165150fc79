"""Small problems whose optima are known."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from ranef.core.criterion import Criterion
from ranef.covariance import Covariance, Diagonal, Unstructured
from ranef.design import Design, Grouping, RandomTerm
from ranef.optim.problem import Evaluation

Array = np.ndarray


@dataclass(eq=False)
class Toy:
    """A function with derivatives by complex step, posing as a criterion of `size` standard deviations."""

    function: Callable[[Array], complex]
    first: Array
    more: tuple[Array, ...] = ()
    noise: float = 0.0
    inflated: float = 1.0  # what the Hessian is multiplied by, as an average information differs from it
    effort: float = 0.0
    unimodal: bool = False
    rugged: bool = False
    most: int = 3000
    asked: list[int] = field(default_factory=list)

    @property
    def size(self) -> int:
        return len(self.first)

    @property
    def blocks(self) -> tuple[tuple[slice, Covariance], ...]:
        return ((slice(0, self.size), Diagonal(self.size)),)

    def settled(self, at: Evaluation, others: Sequence[Evaluation]) -> bool:
        return False

    def profile(self, at: Evaluation) -> None:
        return None

    def closed_form(self) -> None:
        return None

    def start(self) -> Array:
        return self.first

    def rivals(self) -> Iterator[Array]:
        return iter(())

    def starts(self) -> Iterator[Array]:
        yield from self.more

    def completed(self, theta: Array) -> Array:
        return theta

    def gradient(self, theta: Array) -> Array:
        return np.array([self.function(theta + 1e-30j * e).imag / 1e-30 for e in np.eye(self.size)])

    def evaluate(self, theta: Array, order: int) -> Evaluation:
        self.asked.append(order)
        wobble = self.noise * np.sin(1e9 * float(theta.sum()))
        value = float(np.real(self.function(theta))) + wobble
        if not np.isfinite(value):
            return Evaluation(theta, value)
        h = 1e-5
        hessian = np.array([(self.gradient(theta + h * e) - self.gradient(theta - h * e)) / (2 * h) for e in np.eye(self.size)])
        return (
            Evaluation(theta, value, self.gradient(theta), self.inflated * (hessian + hessian.T) / 2, self.inflated == 1.0)
            if order
            else Evaluation(theta, value)
        )

    def canonical(self, theta: Array) -> Array:
        return np.abs(theta)

    def boundary(self, theta: Array) -> tuple[str, ...]:
        return tuple(f"theta {i} is zero" for i in np.flatnonzero(np.abs(theta) < 1e-6))

    def em_step(self, theta: Array) -> Array:
        return theta - 0.1 * self.gradient(theta)


def grouping(name: str, codes: Array) -> Grouping:
    levels, codes = np.unique(codes, return_inverse=True)
    return Grouping(name, (name,), levels.astype(object), codes.astype(np.intp))


def growth(seed: int = 1, *, groups: int = 18, per: int = 10, sd: tuple[float, float] = (1.0, 0.3)) -> Design:
    """Balanced growth curves with a random intercept and slope."""
    rng = np.random.default_rng(seed)
    g, t = np.repeat(np.arange(groups), per), np.tile(np.arange(float(per)), groups)
    b = rng.normal(size=(groups, 2)) * np.array(sd)
    y = 2 + t + b[g, 0] + b[g, 1] * t + rng.normal(size=len(g))
    X = np.asfortranarray(np.column_stack([np.ones(len(g)), t]))
    term = RandomTerm("(t | g)", grouping("g", g), ("(Intercept)", "t"), X, Unstructured(2))
    return Design("y", y, X, ("(Intercept)", "t"), (term,), intercept=0)


def conflict(seed: int) -> Design:
    """The slope of x within groups contradicts that between them: often two optima."""
    rng = np.random.default_rng(seed)
    g = np.repeat(np.arange(16), 5)
    center = 8 * rng.normal(size=16)
    x = center[g] + rng.normal(size=len(g))
    y = 0.5 * x - 1.5 * (x - center[g]) + rng.normal(size=len(g))
    X = np.asfortranarray(np.column_stack([np.ones(len(g)), x]))
    term = RandomTerm("(1 | g)", grouping("g", g), ("(Intercept)",), None, Unstructured(1))
    return Design("y", y, X, ("(Intercept)", "x"), (term,), intercept=0)


def criterion(design: Design, reml: bool = True) -> Criterion:
    return Criterion.of(design, reml)
