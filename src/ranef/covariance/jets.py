"""Values that carry their first and second derivatives: a structure writes its formula once, and its derivatives are exact.

A jet of c parameters is the truncated Taylor series f + f_a h_a + f_ab h_a h_b / 2. Sums, products and functions of jets follow
from the rules of Leibniz and Faa di Bruno,

    (fg)_ab = f_ab g + f_a g_b + f_b g_a + f g_ab,      phi(f)_ab = phi'(f) f_ab + phi''(f) f_a f_b.

Griewank and Walther (2008), Evaluating Derivatives, chapter 13.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Jet:
    """An array of values of any shape with its derivatives by the c parameters."""

    value: Array  # (...)
    first: Array  # (c, ...)
    second: Array  # (c, c, ...)

    __array_ufunc__ = None  # arrays leave the arithmetic to us

    @classmethod
    def variables(cls, theta: Array) -> Jet:
        """The parameters themselves, shape (c,)."""
        theta = np.asarray(theta, dtype=np.float64)
        c = len(theta)
        return cls(theta, np.eye(c), np.zeros((c, c, c)))

    def constant(self, value: Any) -> Jet:
        """A value that does not depend on the parameters of this jet."""
        value = np.asarray(value, dtype=np.float64)
        c = len(self.first)
        return Jet(value, np.zeros((c, *value.shape)), np.zeros((c, c, *value.shape)))

    @property
    def shape(self) -> tuple[int, ...]:
        return self.value.shape

    def __len__(self) -> int:
        return len(self.value)

    def __getitem__(self, place: Any) -> Jet:
        place = place if isinstance(place, tuple) else (place,)
        every = slice(None)
        return Jet(np.asarray(self.value[place]), self.first[(every, *place)], self.second[(every, every, *place)])

    def reshape(self, *shape: int) -> Jet:
        c = len(self.first)
        return Jet(self.value.reshape(shape), self.first.reshape(c, *shape), self.second.reshape(c, c, *shape))

    def embedded(self, c: int, at: int) -> Jet:
        """The same among c parameters, of which its own begin at `at`."""
        own = slice(at, at + len(self.first))
        first, second = np.zeros((c, *self.shape)), np.zeros((c, c, *self.shape))
        first[own], second[own, own] = self.first, self.second
        return Jet(self.value, first, second)

    def _with(self, other: Any) -> tuple[Jet, Jet]:
        """Both as jets of equally many axes, so that their arrays broadcast."""
        other = other if isinstance(other, Jet) else self.constant(other)
        axes = max(self.value.ndim, other.value.ndim)
        return self._padded(axes), other._padded(axes)

    def _padded(self, axes: int) -> Jet:
        return self if self.value.ndim == axes else self.reshape(*(1,) * (axes - self.value.ndim), *self.shape)

    def __add__(self, other: Any) -> Jet:
        f, g = self._with(other)
        return Jet(f.value + g.value, f.first + g.first, f.second + g.second)

    def __neg__(self) -> Jet:
        return Jet(-self.value, -self.first, -self.second)

    def __sub__(self, other: Any) -> Jet:
        return self + (-other)

    def __rsub__(self, other: Any) -> Jet:
        return (-self) + other

    def __mul__(self, other: Any) -> Jet:
        if not isinstance(other, Jet):
            other = np.asarray(other, dtype=np.float64)
            f = self._padded(max(self.value.ndim, other.ndim))
            return Jet(f.value * other, f.first * other, f.second * other)
        f, g = self._with(other)
        cross = f.first[:, None] * g.first[None]
        second = f.second * g.value + f.value * g.second + cross + cross.swapaxes(0, 1)
        return Jet(f.value * g.value, f.first * g.value + f.value * g.first, second)

    __radd__, __rmul__ = __add__, __mul__

    def __truediv__(self, other: Any) -> Jet:
        return self * (other.function(_reciprocal) if isinstance(other, Jet) else 1.0 / np.asarray(other))

    def __rtruediv__(self, other: Any) -> Jet:
        return self.function(_reciprocal) * other

    def function(self, of: Callable[[Array], tuple[Array, Array, Array]]) -> Jet:
        """phi(self), from the function that gives phi, phi' and phi'' of a value."""
        value, slope, bend = of(self.value)
        return Jet(value, slope * self.first, slope * self.second + bend * (self.first[:, None] * self.first[None]))

    def power(self, exponent: Any) -> Jet:
        """self ** exponent for a constant exponent; whole exponents >= 0 are right at zero and for negative values too."""
        p = np.asarray(exponent, dtype=np.float64)
        x = self._padded(max(self.value.ndim, p.ndim))
        return x.function(lambda v: (v**p, _multiple(p, v, p - 1.0), _multiple(p * (p - 1.0), v, p - 2.0)))

    def sum(self, axis: int = -1) -> Jet:
        axis = axis - self.value.ndim if axis >= 0 else axis
        return Jet(self.value.sum(axis), self.first.sum(axis), self.second.sum(axis))


def exp(x: Jet) -> Jet:
    return x.function(lambda v: (np.exp(v),) * 3)


def log(x: Jet) -> Jet:
    return x.function(lambda v: (np.log(v), 1.0 / v, -1.0 / v**2))


def tanh(x: Jet) -> Jet:
    return x.function(_tanh)


def sqrt(x: Jet) -> Jet:
    return x.power(0.5)


def concatenate(jets: Sequence[Jet]) -> Jet:
    """Vectors one after the other."""
    return Jet(*(np.concatenate([getattr(jet, name) for jet in jets], axis=-1) for name in ("value", "first", "second")))


def stack(jets: Sequence[Jet]) -> Jet:
    """Jets of one shape along a new last axis."""
    return Jet(*(np.stack([getattr(jet, name) for jet in jets], axis=-1) for name in ("value", "first", "second")))


def where(condition: NDArray[np.bool_], yes: Jet, no: Jet) -> Jet:
    yes, no = yes._with(no)
    return Jet(*(np.where(condition, getattr(yes, name), getattr(no, name)) for name in ("value", "first", "second")))


def _reciprocal(v: Array) -> tuple[Array, Array, Array]:
    return 1.0 / v, -1.0 / v**2, 2.0 / v**3


def _tanh(v: Array) -> tuple[Array, Array, Array]:
    t, slope = np.tanh(v), np.cosh(np.clip(v, -350.0, 350.0)) ** -2.0
    return t, slope, -2.0 * t * slope


def _multiple(factor: Array, v: Array, exponent: Array) -> Array:
    """factor v^exponent, zero where the factor is zero."""
    zero = factor == 0.0
    return np.where(zero, 0.0, factor * np.where(zero, 1.0, v) ** np.where(zero, 0.0, exponent))
