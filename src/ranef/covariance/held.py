"""A structure of which some parameters are held at given values: the same covariances as a function of the others.

All that is estimated is a function of the free parameters, so that what follows from their number (criteria, tests) and from their
information (standard errors, degrees of freedom) is right without a word. SAS calls it HOLD, glmmTMB map.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import qr

from ranef.covariance.base import Array, Closure, Covariance
from ranef.covariance.factored import Factored
from ranef.covariance.jets import Jet
from ranef.covariance.natural import Natural
from ranef.covariance.scaled import Scaled
from ranef.errors import ModelError

SAME = 1e-12  # relative change of a held value by a change of representative
ROUNDING = 1e-10  # a slope, as a share of the largest
REACH, PIECES = 40.0, 160  # of a parameter on its own scale, which is a logarithm or the like


@dataclass(frozen=True)
class Held(Covariance):
    inner: Covariance
    places: tuple[int, ...]  # in theta of `inner`
    values: tuple[float, ...]

    @property
    def k(self) -> int:  # type: ignore[override]
        return self.inner.k

    @property
    def word(self) -> str:
        return f"{self.inner.word} (held)"

    @cached_property
    def closure(self) -> Closure:
        """Scales move no correlation and leave zeros of a triangle zero; they move all else that may be held."""
        if isinstance(self.inner, Scaled) and min(self.places) >= self.inner.scales:
            return self.inner.closure
        if isinstance(self.inner, Factored) and not any(self.values):
            return "scalar" if self.inner.closure == "scalar" else "diagonal"
        return "none"

    @cached_property
    def free(self) -> NDArray[np.intp]:
        return np.setdiff1d(np.arange(self.inner.size), self.places)

    @property
    def size(self) -> int:
        return self.inner.size - len(self.places)

    @property
    def rank(self) -> int:
        return self.inner.rank

    def whole(self, theta: Array) -> Array:
        """All parameters."""
        out = np.empty(self.inner.size)
        out[self.free], out[list(self.places)] = theta, self.values
        return out

    def start(self) -> Array:
        return self.inner.start()[self.free]

    def matrix(self, theta: Array) -> Array:
        return self.inner.matrix(self.whole(theta))

    def gradient(self, theta: Array) -> Array:
        return self.inner.gradient(self.whole(theta))[self.free]

    def second(self, theta: Array) -> Array:
        return self.inner.second(self.whole(theta))[np.ix_(self.free, self.free)]

    def factor(self, theta: Array) -> Array:
        return self.inner.factor(self.whole(theta))

    def jacobian(self, theta: Array) -> Array:
        return self.inner.jacobian(self.whole(theta))[self.free]

    def of_factor(self, factor: Array) -> Array:
        return self.inner.of_factor(factor)[self.free]

    def canonical(self, theta: Array) -> Array:
        """That of the inner structure, unless it would change the sign of what is held."""
        found = self.inner.canonical(self.whole(theta))
        same = np.allclose(found[list(self.places)], self.values, rtol=SAME, atol=SAME)
        return found[self.free] if same else np.array(theta, dtype=np.float64)

    def support(self) -> NDArray[np.bool_]:
        return self.inner.support()

    def transformed(self, theta: Array, T: Array) -> Array:
        return self.inner.transformed(self.whole(theta), T)[self.free]

    def natural(self, theta: Array, labels: tuple[str, ...]) -> Natural:
        found = self.inner.natural(self.whole(theta), labels)
        return Natural(found.parameters, self._of_free(found.jet))

    def kr_parameters(self, theta: Array) -> Jet:
        """As many of the inner structure's as there are free parameters, which determine these."""
        jet = self._of_free(self.inner.kr_parameters(self.whole(theta)))
        if not self.size:
            return jet[:0]
        order = qr(jet.first, mode="r", pivoting=True)[1]
        return jet[np.sort(order[: self.size])]

    def _of_free(self, jet: Jet) -> Jet:
        return Jet(jet.value, jet.first[self.free], jet.second[np.ix_(self.free, self.free)])


@dataclass(frozen=True)
class Spanned(Held):
    """Columns that the fixed effects span: the data say nothing of their variances, which count as zero.

    `columns` are the rows of the factor that are zero, `unknown` the columns of which no variance can be told. Where `inside`, they
    are zero in all coordinates of the inner structure, which may then be transformed as it is.
    """

    columns: tuple[int, ...] = ()
    unknown: tuple[int, ...] = ()
    inside: bool = False

    @classmethod
    def of(
        cls, inner: Covariance, places: tuple[int, ...], columns: tuple[int, ...], unknown: tuple[int, ...], inside: bool
    ) -> Spanned:
        return cls(inner, places, (0.0,) * len(places), columns, unknown, inside)

    @cached_property
    def closure(self) -> Closure:
        return self.inner.closure if self.inside else super().closure

    def of_factor(self, factor: Array) -> Array:
        rest = np.array(factor)
        rest[list(self.columns)] = 0.0
        return super().of_factor(rest)

    def transformed(self, theta: Array, T: Array) -> Array:
        return self.of_factor(T @ self.factor(theta))

    def estimated(self, factor: Array, names: tuple[str, ...]) -> tuple[Array, tuple[str, ...]]:
        """The factor and the names of the other columns."""
        rest = [i for i in range(self.k) if i not in self.columns]
        return factor[np.ix_(rest, rest)], tuple(names[i] for i in rest)


def place_of(structure: Covariance, held: dict[int, float], name: str, value: float, labels: tuple[str, ...]) -> tuple[int, float]:
    """The one parameter, beside those `held` already, that gives a natural parameter its value; and its own value.

    Raises ModelError for an unknown name, for a value out of range, and where several parameters make it.
    """
    at = structure.start() + 0.1 * np.cos(np.arange(structure.size))  # a point like any other
    at[list(held)] = list(held.values())
    found = structure.natural(at, labels)
    index = _checked(structure, found, name, value)
    slopes = np.abs(found.jacobian[index])
    free = [int(j) for j in np.flatnonzero(slopes > ROUNDING * slopes.max()) if j not in held]
    if not free:
        raise ModelError(f"{name} is determined by what else is held, or held twice.")

    def miss(j: int, x: float) -> float:
        moved = at.copy()
        moved[j] = x
        with np.errstate(all="ignore"):
            return float(structure.natural(moved, labels).values[index]) - value

    if value == 0.0 and isinstance(structure, Factored):
        for j in free:
            if miss(j, 0.0) == 0.0:
                return j, 0.0
    if len(free) != 1:
        raise ModelError(
            f"{name} = {value:g} is a condition on {len(free)} parameters of {structure.word} together.",
            hint="Choose a structure in which it is a parameter, such as cs or ar1h, or one without it, such as diag.",
        )
    return free[0], _root(lambda x: miss(free[0], x), f"{structure.word} of these positions cannot have {name} = {value:g}.")


def _checked(structure: Covariance, found: Natural, name: str, value: float) -> int:
    """The place of the natural parameter. Raises ModelError where it is none that can be held."""
    if name not in found.names:
        raise ModelError(f"{structure.word} has no parameter {name!r}.", hint=f"It has: {', '.join(found.names)}.")
    index = found.names.index(name)
    parameter = found.parameters[index]
    if parameter.kind == "sd":
        raise ModelError(
            f"{name} is estimated relative to the residual standard deviation and cannot be held by name.",
            hint="Hold correlations, ranges and the like by name; of a random term also entries of theta, by their number.",
        )
    low, high = parameter.bounds
    if not low < value < high:
        raise ModelError(f"{name} = {value:g} does not lie between {low:g} and {high:g}.")
    return index


def _root(miss: Callable[[float], float], otherwise: str) -> float:
    """Where a monotone function is zero. Raises ModelError where it is nowhere."""
    from scipy.optimize import brentq  # which models without held parameters need not wait for

    edges = np.linspace(-REACH, REACH, PIECES + 1)
    values = np.array([miss(x) for x in edges])
    change = np.flatnonzero((values[:-1] * values[1:] <= 0.0) & (values[:-1] != values[1:]))
    if not len(change):
        raise ModelError(otherwise)
    nearest = change[np.argmin(np.abs(edges[change] + edges[change + 1]))]
    return float(brentq(miss, edges[nearest], edges[nearest + 1], xtol=1e-14))
