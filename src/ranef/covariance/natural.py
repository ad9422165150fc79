"""Natural parameters: what people read of a covariance, with standard errors and intervals by the delta method.

An interval is symmetric on a scale on which the parameter is unbounded: with low < psi < high, the scale is log((psi - low) / (high
- psi)), which for a correlation is twice Fisher's z; log psi for a positive parameter; psi itself where there is no bound.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit, ndtri

from ranef.covariance.jets import Jet, sqrt, stack

Array = NDArray[np.float64]

AT_BOUND = 1e-6  # share of the distance of two bounds

POSITIVE = (0.0, np.inf)
CORRELATION = (-1.0, 1.0)
FREE = (-np.inf, np.inf)


@dataclass(frozen=True)
class Parameter:
    """One natural parameter: what it is (`sd`, `cor`, `rho`, `range`, ...), of which columns, and between which bounds it lies."""

    kind: str
    of: str = ""
    bounds: tuple[float, float] = FREE

    @property
    def name(self) -> str:
        return f"{self.kind}__{self.of}" if self.of else self.kind


@dataclass(frozen=True, eq=False)
class Natural:
    """Natural parameters psi(theta) with their derivatives."""

    parameters: tuple[Parameter, ...]
    jet: Jet  # values (l,), first (q, l), second (q, q, l)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(parameter.name for parameter in self.parameters)

    @property
    def values(self) -> Array:
        return self.jet.value

    @property
    def jacobian(self) -> Array:
        """(l, q) dpsi/dtheta."""
        return self.jet.first.T

    def std_errors(self, spread: Array) -> Array:
        """(l,) from the covariance matrix (q, q) of theta."""
        return np.sqrt(np.clip(np.einsum("la,ab,lb->l", self.jacobian, spread, self.jacobian), 0.0, None))

    def limits(self, spread: Array, level: float) -> tuple[Array, Array]:
        """(l,), (l,) of intervals with the given coverage."""
        return limits_of(self.parameters, self.values, self.std_errors(spread), level)


def limits_of(parameters: Sequence[Parameter], values: Array, errors: Array, level: float) -> tuple[Array, Array]:
    """(l,), (l,) of intervals with the given coverage, from standard errors."""
    half = ndtri(0.5 + 0.5 * level)
    pairs = [_limits(v, half * e, p.bounds) for v, e, p in zip(values, errors, parameters, strict=True)]
    low, high = np.array(pairs).reshape(-1, 2).T
    return low, high


def _limits(value: float, half: float, bounds: tuple[float, float]) -> tuple[float, float]:
    """One interval; a value on its bound, to what an optimum is known, has none."""
    low, high = bounds
    near = AT_BOUND * (high - low if np.isfinite(high - low) else 0.0)
    if not (low + near < value < high - near and np.isfinite(half)):
        return np.nan, np.nan
    if np.isfinite(low) and np.isfinite(high):
        width = high - low
        at, step = logit((value - low) / width), half * width / ((value - low) * (high - value))
        return low + width * float(expit(at - step)), low + width * float(expit(at + step))
    if np.isfinite(low):
        with np.errstate(over="ignore"):
            factor = np.exp(half / (value - low))
        return low + (value - low) / factor, low + (value - low) * factor
    return value - half, value + half


def of_matrix(matrix: Jet, support: NDArray[np.bool_], labels: tuple[str, ...]) -> Natural:
    """Standard deviations and correlations of a matrix: the natural parameters of a structure that has no simpler ones.

    The correlation of an effect without variance is not defined.
    """
    sd = sqrt(matrix[np.diag_indices(len(labels))])
    columns, rows = np.nonzero(np.tril(support, -1).T)
    parameters = [Parameter("sd", label, POSITIVE) for label in labels]
    parameters += [Parameter("cor", f"{labels[j]}.{labels[i]}", CORRELATION) for i, j in zip(rows, columns, strict=True)]
    with np.errstate(divide="ignore", invalid="ignore"):
        cor = [matrix[i, j] / (sd[i] * sd[j]) for i, j in zip(rows, columns, strict=True)]
        return Natural(tuple(parameters), stack([*(sd[i] for i in range(len(labels))), *cor]))
