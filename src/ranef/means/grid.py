"""The reference grid: every combination of the levels of the factors, numeric predictors at their means, and how often each occurs.

A factor is nested in another when each of its levels occurs with one level of the other only; combinations that cannot occur are
then no cells of the grid.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ranef.arguments import check_mapping
from ranef.design import Array
from ranef.errors import ModelError
from ranef.means.estimates import Estimates
from ranef.means.predictors import FEW, MANY, Predictor
from ranef.schema.frames import nearest
from ranef.schema.memory import refuse_beyond
from ranef.schema.values import level_text

Reduce = Callable[[Array], Any] | bool | Mapping[str, Any] | None
Nesting = Mapping[str, Sequence[str]]


@dataclass(frozen=True, eq=False)
class Grid:
    """`levels` of each predictor, the first varying fastest; `nesting` maps a factor to those that it is nested in."""

    estimates: Estimates
    levels: Mapping[str, tuple[Any, ...]]
    reduced: Mapping[str, str]  # predictor -> how its values came about: "mean", "given"
    nesting: Nesting
    slope: tuple[str, str] | None = None  # cells hold slopes in an expression of a predictor: ("log(age)", "age")

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.levels)

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(len(levels) for levels in self.levels.values())

    @property
    def size(self) -> int:
        return int(np.prod(self.shape, dtype=np.int64))

    @cached_property
    def codes(self) -> dict[str, NDArray[np.intp]]:
        """Per predictor (g,) which of its levels each cell has."""
        refuse_beyond(8.0 * self.size * (len(self.names) + len(self.estimates.names)), f"a reference grid of {self.size:,} cells")
        places = np.unravel_index(np.arange(self.size), self.shape, order="F") if self.names else ()
        return dict(zip(self.names, places, strict=True))

    def data(self, cells: NDArray[np.intp] | slice = slice(None)) -> dict[str, Any]:
        """The cells as new data."""
        predictors = self.estimates.predictors
        return {name: predictors[name].column(self.levels[name])[self.codes[name][cells]] for name in self.names}

    @cached_property
    def _basis(self) -> tuple[Array, Array]:
        if self.slope is not None:
            return self.estimates.slopes(self.data(), self.size, self.slope[0]), np.zeros(self.size)
        return self.estimates.basis(self.data(), self.size)

    @property
    def L(self) -> Array:
        """(g, p) what to multiply the coefficients with."""
        return self._basis[0]

    @property
    def offset(self) -> Array:
        return self._basis[1]

    @property
    def factors(self) -> tuple[str, ...]:
        """Predictors with several values."""
        return tuple(name for name, levels in self.levels.items() if len(levels) > 1)

    @cached_property
    def possible(self) -> NDArray[np.bool_]:
        """(g,) cells that the nesting allows."""
        out = np.ones(self.size, dtype=bool)
        for inner, outers in self.nesting.items():
            for outer in outers:
                table = self._occurs(inner, outer)
                out &= table[self.codes[inner], self.codes[outer]]
        return out

    def _occurs(self, inner: str, outer: str) -> NDArray[np.bool_]:
        a, b = (self._placed(name) for name in (inner, outer))
        table = np.zeros((len(self.levels[inner]), len(self.levels[outer])), dtype=bool)
        live = (a >= 0) & (b >= 0)
        table[a[live], b[live]] = True
        return table

    @cached_property
    def counts(self) -> Array:
        """(g,) rows of each cell; reduced predictors do not divide cells."""
        divide = [name for name in self.names if self.reduced.get(name) is None]
        cell = np.zeros(self._rows, dtype=np.int64)
        live, stride = np.ones(self._rows, dtype=bool), 1
        for name in divide:
            place = self._placed(name)
            live &= place >= 0
            cell += stride * np.maximum(place, 0)
            stride *= len(self.levels[name])
        found = np.bincount(cell[live], minlength=stride)
        index, stride = np.zeros(self.size, dtype=np.int64), 1
        for name in divide:
            index += stride * self.codes[name]
            stride *= len(self.levels[name])
        return found[index].astype(float)

    @property
    def _rows(self) -> int:
        first = next(iter(self.estimates.predictors.values()), None)
        if first is None:
            return 1
        return len(first.codes if first.codes is not None else first.values if first.values is not None else ())

    def _placed(self, name: str) -> NDArray[np.intp]:
        """(n,) the place of each row among the levels of the grid, -1 for others."""
        predictor, levels = self.estimates.predictors[name], list(self.levels[name])
        if predictor.levels is not None and predictor.codes is not None:
            position = np.array(
                [levels.index(level) if level in levels else -1 for level in predictor.levels] + [-1], dtype=np.intp
            )
            return position[predictor.codes]
        assert predictor.values is not None
        out = np.full(len(predictor.values), -1, dtype=np.intp)
        for place, level in enumerate(levels):
            out[predictor.values == level] = place
        return out


def reference_grid(
    estimates: Estimates, *, at: Mapping[str, Any] | None = None, cov_reduce: Reduce = None, nesting: Nesting | None = None,
    keep: Sequence[str] = (),
) -> Grid:  # fmt: skip
    """The grid of a model. at: values to use instead, by predictor. cov_reduce: what becomes of numeric predictors with more than
    two
    values: a function (the mean), False (all values), or one of these by name. keep: predictors that keep up to ten values.

    Raises ModelError for names and levels that the model does not have.
    """
    predictors, asked = estimates.predictors, dict(check_mapping("at", at, '{"age": 40}'))
    for name in asked:
        if name not in predictors:
            raise ModelError(
                f"at={{...}} names {name!r}, which the fixed part does not have.", hint=nearest(name, predictors, "Predictors")
            )
    levels: dict[str, tuple[Any, ...]] = {}
    reduced: dict[str, str] = {}
    for name, predictor in predictors.items():
        if name in asked:
            levels[name] = _given(predictor, asked[name])
            if not predictor.is_factor:
                reduced[name] = "given"
        elif predictor.levels is not None:
            levels[name] = predictor.levels
        else:
            named = isinstance(cov_reduce, Mapping) and name in cov_reduce
            rule = cov_reduce.get(name) if isinstance(cov_reduce, Mapping) else cov_reduce
            few = not named and len(predictor.distinct) <= (MANY if name in keep else FEW)
            levels[name], how = (predictor.distinct, None) if few else _reduced(predictor, rule)
            if how is not None:
                reduced[name] = how
    if nesting is not None:
        check_mapping("nesting", nesting, '{"school": ["region"]}')
    else:
        nesting = _nested([predictors[name] for name in predictors if predictors[name].is_factor])
    return Grid(estimates, levels, reduced, nesting)


def _given(predictor: Predictor, values: Any) -> tuple[Any, ...]:
    """Values of `at`, as levels of the predictor. Raises ModelError for levels that it does not have."""
    chosen = [values] if isinstance(values, str | bytes) or not hasattr(values, "__iter__") else list(values)
    chosen = [value.item() if isinstance(value, np.generic) else value for value in chosen]
    if predictor.levels is None:
        try:
            numbers = tuple(float(value) for value in chosen)
        except (TypeError, ValueError):
            numbers = ()
        if not numbers or not all(map(math.isfinite, numbers)):
            raise ModelError(f"at={{{predictor.name!r}: ...}} must be finite numbers, not {chosen[:3]!r}.")
        return numbers
    texts = {level_text(level): level for level in predictor.levels}
    if not chosen:
        raise ModelError(f"at={{{predictor.name!r}: ...}} names no level.", hint=f"Levels: {', '.join(list(texts)[:20])}.")
    for value in chosen:
        if level_text(value) not in texts:
            raise ModelError(f"{predictor.name!r} has no level {value!r}.", hint=f"Levels: {', '.join(list(texts)[:20])}.")
    return tuple(texts[level_text(value)] for value in chosen)


def _reduced(predictor: Predictor, asked: Any) -> tuple[tuple[float, ...], str | None]:
    """The values that stand for a numeric predictor, and how they came about unless they are all that it has."""
    assert predictor.values is not None
    values = predictor.values[~np.isnan(predictor.values)]
    if asked is False:
        return tuple(np.unique(values).tolist()), None
    if asked is None or asked is True:
        return (float(values.mean()),), "mean"
    if not callable(asked):
        raise ModelError(
            f"cov_reduce must be a function of the values or False, not {asked!r}.", hint="For example cov_reduce=np.median."
        )
    found = np.atleast_1d(np.asarray(asked(values), dtype=np.float64))
    return tuple(found.tolist()), getattr(asked, "__name__", "reduced")


def _nested(factors: Sequence[Predictor]) -> dict[str, list[str]]:
    """Which factors are nested in which: each level with one level of the other, in the rows used."""
    out: dict[str, list[str]] = {}
    live = [factor for factor in factors if factor.levels is not None and len(factor.levels) > 1]
    for inner in live:
        outers = [o.name for o in live if o is not inner and inner.name not in out.get(o.name, []) and _each_once(inner, o)]
        if outers:
            out[inner.name] = outers
    return out


def _each_once(inner: Predictor, outer: Predictor) -> bool:
    """Whether each level of `inner` occurs with one level of `outer` only."""
    assert inner.levels is not None and outer.levels is not None and inner.codes is not None and outer.codes is not None
    if len(inner.levels) < len(outer.levels):
        return False
    live = (inner.codes >= 0) & (outer.codes >= 0)
    pairs = np.unique(inner.codes[live].astype(np.int64) * len(outer.levels) + outer.codes[live])
    return len(pairs) <= len(inner.levels)
