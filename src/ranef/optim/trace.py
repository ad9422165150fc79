"""What all searches of one call share: the count of evaluations, the path, and a caller who may want to watch or stop."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from ranef.optim.problem import Array, Evaluation, Problem, Step

Progress = Callable[[Step], object]


def largest(values: Array) -> float:
    """The largest absolute value of a short vector; NaN where one is."""
    return float(max(values.max(initial=0.0), -values.min(initial=0.0)))


class Stopped(Exception):
    """The caller's `progress` answered False."""


@dataclass
class Trace:
    """Evaluates the problem and writes down each evaluation; `best` is the lowest one met."""

    problem: Problem
    progress: Progress | None = None
    most: int = 100_000  # evaluations after which a search begins nothing new
    evaluations: int = 0
    path: list[Step] = field(default_factory=list)
    best: Evaluation | None = None

    def evaluate(self, theta: Array, order: int, note: str = "") -> Evaluation:
        """Raises Stopped when the caller wants no more."""
        return self.write(self.problem.evaluate(theta, order), note)

    def write(self, at: Evaluation, note: str) -> Evaluation:
        """The same for an evaluation that has been made."""
        self.evaluations += 1
        gradient = None if at.gradient is None else largest(at.gradient)
        step = Step(self.evaluations, tuple(at.theta.tolist()), at.value, gradient, note)
        self.path.append(step)
        if self.best is None or at.value < self.best.value:
            self.best = at
        if self.progress is not None and self.progress(step) is False:
            raise Stopped
        return at
