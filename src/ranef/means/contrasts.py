"""Coefficients of contrasts among k means, by name: each method gives the names of its contrasts and a matrix (c, k).

pairwise, revpairwise       all differences, the first minus the second or the other way round
trt.vs.ctrl                 each minus a reference: the first, the last (trt.vs.ctrlk), or one that is named
consec, mean_chg            each minus the one before; the mean of those after minus the mean of those before
poly                        orthogonal polynomials in the order of the levels, as whole numbers
eff, del.eff                each minus the mean of all; each minus the mean of the others
helmert                     each minus the mean of those before
identity                    the means themselves
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations
from typing import Any

import numpy as np

from ranef.design import Array
from ranef.errors import ModelError
from ranef.schema.frames import nearest

DEGREES = ("linear", "quadratic", "cubic", "quartic")
HIGHEST = 6
SPELLINGS = {
    "trt_vs_ctrl": "trt.vs.ctrl", "trt_vs_ctrl1": "trt.vs.ctrl1", "trt_vs_ctrlk": "trt.vs.ctrlk", "dunnett": "trt.vs.ctrl",
    "del_eff": "del.eff", "deviation": "del.eff", "effects": "eff", "effect": "eff", "consecutive": "consec", "polynomial": "poly",
    "tukey": "pairwise", "pairs": "pairwise", "mean.chg": "mean_chg",
}  # fmt: skip
ADJUST = {"pairwise": "tukey", "revpairwise": "tukey", "eff": "fdr", "del.eff": "fdr", "consec": "mvt", "mean_chg": "mvt"}


@dataclass(frozen=True, eq=False)
class Contrasts:
    names: list[str]
    table: Array  # (c, k)
    method: str
    adjust: str = "none"  # unless another is asked for
    pairs: bool = False  # all differences of k means

    @property
    def sums(self) -> bool:
        """Whether every row sums to zero, so that on a log scale each is a ratio."""
        return bool(np.all(np.abs(self.table.sum(axis=1)) < 1e-10 * np.maximum(np.abs(self.table).sum(axis=1), 1e-300)))


def contrasts(method: Any, names: Sequence[str], *, ref: Any = None, levels: Sequence[str] | None = None) -> Contrasts:
    """The contrasts that `method` asks for among means with these names.

    method: a name, a dict from names to coefficients (a sequence, or a dict from level to number), or a matrix, a row a contrast.
    ref: the reference of trt.vs.ctrl, "first", "last" or a level. Raises ModelError for what does not fit.
    """
    levels = list(names) if levels is None else levels
    if not isinstance(method, str):
        return _custom(method, names, levels)
    name = SPELLINGS.get(method, method)
    if name in ("trt.vs.ctrl", "trt.vs.ctrl1", "trt.vs.ctrlk"):
        return _against(name, names, levels, ref)
    if name not in METHODS:
        raise ModelError(f"There are no contrasts called {method!r}.", hint=nearest(method, [*METHODS, "trt.vs.ctrl"], "Known"))
    if ref is not None:
        raise ModelError(f"{method!r} contrasts have no reference; only trt.vs.ctrl takes one.")
    labels, table = METHODS[name](list(names))
    return Contrasts(
        labels, np.array(table, dtype=float).reshape(len(labels), len(names)), name, ADJUST.get(name, "none"), "pairwise" in name
    )


def _pairwise(names: list[str]) -> tuple[list[str], list[list[float]]]:
    pairs = list(combinations(range(len(names)), 2))
    rows = [[1.0 * (h == i) - 1.0 * (h == j) for h in range(len(names))] for i, j in pairs]
    return [f"{names[i]} - {names[j]}" for i, j in pairs], rows


def _reversed(names: list[str]) -> tuple[list[str], list[list[float]]]:
    pairs = [(i, j) for i in range(1, len(names)) for j in range(i)]
    rows = [[1.0 * (h == i) - 1.0 * (h == j) for h in range(len(names))] for i, j in pairs]
    return [f"{names[i]} - {names[j]}" for i, j in pairs], rows


def _consecutive(names: list[str]) -> tuple[list[str], list[list[float]]]:
    k = len(names)
    rows = [[1.0 * (h == i) - 1.0 * (h == i - 1) for h in range(k)] for i in range(1, k)]
    return [f"{names[i]} - {names[i - 1]}" for i in range(1, k)], rows


def _mean_change(names: list[str]) -> tuple[list[str], list[list[float]]]:
    k = len(names)
    rows = [[1.0 / (k - i) if h >= i else -1.0 / i for h in range(k)] for i in range(1, k)]
    return [f"{names[i - 1]}|{names[i]}" for i in range(1, k)], rows


def _effects(names: list[str]) -> tuple[list[str], list[list[float]]]:
    k = len(names)
    return [f"{name} effect" for name in names], [[(h == i) - 1.0 / k for h in range(k)] for i in range(k)]


def _deleted_effects(names: list[str]) -> tuple[list[str], list[list[float]]]:
    k = len(names)
    rows = [[1.0 if h == i else -1.0 / max(k - 1, 1) for h in range(k)] for i in range(k)]
    return [f"{name} effect" for name in names], rows


def _helmert(names: list[str]) -> tuple[list[str], list[list[float]]]:
    k = len(names)
    rows = [[-1.0 / i if h < i else 1.0 * (h == i) for h in range(k)] for i in range(1, k)]
    return [f"{names[i]} vs before" if i > 1 else f"{names[1]} - {names[0]}" for i in range(1, k)], rows


def _polynomial(names: list[str]) -> tuple[list[str], list[list[float]]]:
    """Exact orthogonal polynomials on 1, 2, ..., k, scaled to coprime whole numbers."""
    k = len(names)
    basis = [[Fraction(1)] * k]
    rows = []
    for degree in range(1, min(k - 1, HIGHEST) + 1):
        column: list[Fraction] = [Fraction(point**degree) for point in range(1, k + 1)]
        for other in basis:
            share = _dot(column, other) / _dot(other, other)
            column = [a - share * b for a, b in zip(column, other, strict=True)]
        basis.append(column)
        common = math.lcm(*(a.denominator for a in column))
        whole = [int(a * common) for a in column]
        rows.append([a / math.gcd(*whole) for a in whole])
    labels = [DEGREES[d] if d < len(DEGREES) else f"degree {d + 1}" for d in range(len(rows))]
    return labels, rows


def _dot(a: list[Fraction], b: list[Fraction]) -> Fraction:
    return sum((x * y for x, y in zip(a, b, strict=True)), Fraction(0))


def _identity(names: list[str]) -> tuple[list[str], list[list[float]]]:
    return list(names), np.eye(len(names)).tolist()


METHODS: dict[str, Callable[[list[str]], tuple[list[str], list[list[float]]]]] = {
    "pairwise": _pairwise, "revpairwise": _reversed, "consec": _consecutive, "mean_chg": _mean_change, "poly": _polynomial,
    "eff": _effects, "del.eff": _deleted_effects, "helmert": _helmert, "identity": _identity,
}  # fmt: skip


def _against(method: str, names: Sequence[str], levels: Sequence[str], ref: Any) -> Contrasts:
    if ref is None:
        ref = "last" if method == "trt.vs.ctrlk" else "first"
    base = _place(ref, names, levels)
    k = len(names)
    others = [i for i in range(k) if i != base]
    table = np.array([[1.0 * (h == i) - 1.0 * (h == base) for h in range(k)] for i in others]).reshape(len(others), k)
    return Contrasts([f"{names[i]} - {names[base]}" for i in others], table, method, "dunnett")


def _place(ref: Any, names: Sequence[str], levels: Sequence[str]) -> int:
    """Where a reference stands. A level that is called "first" or "last" is that level."""
    text = str(ref)
    for known in (levels, names):
        if text in known:
            return list(known).index(text)
    if ref in ("first", "last"):
        return 0 if ref == "first" else len(names) - 1
    raise ModelError(f"{ref!r} is none of the means.", hint=f'ref is "first", "last" or one of: {", ".join(levels[:20])}.')


def _custom(method: Any, names: Sequence[str], levels: Sequence[str]) -> Contrasts:
    """`{"early - late": [0.5, 0.5, -1]}`, `{"T9": 1, "T3": -0.5, "T6": -0.5}`, or a matrix."""
    labels, table = _labels_and_rows(method, names, levels)
    for place, row in enumerate(table):
        if not row.any():
            what = repr(labels[place]) if isinstance(method, Mapping) else f"{place + 1}"
            raise ModelError(f"Contrast {what} gives weight zero to every mean.", hint=_order(names))
    return Contrasts(labels, table, "custom")


def _labels_and_rows(method: Any, names: Sequence[str], levels: Sequence[str]) -> tuple[list[str], Array]:
    if isinstance(method, Mapping):
        if not method:
            raise ModelError("method={} holds no contrasts.", hint=_order(names))
        if all(isinstance(value, int | float | np.number) for value in method.values()):
            row = _row(method, levels, names)
            return [_written(row, names)], row[None]
        return [str(label) for label in method], np.array([_row(value, levels, names) for value in method.values()])
    try:
        table = np.atleast_2d(np.array(method, dtype=float))
    except (TypeError, ValueError):
        raise ModelError(f"method={method!r} is no name of contrasts, no dict and no matrix of numbers.") from None
    if not np.all(np.isfinite(table)):
        raise ModelError(f"method={method!r} has a coefficient that is not a finite number.")
    if table.ndim != 2 or not len(table):
        raise ModelError(f"The contrasts have shape {table.shape}, and not a row for each.", hint=_order(names))
    if table.shape[1] != len(names):
        raise ModelError(f"The contrast matrix has {table.shape[1]} columns, and there are {len(names)} means.", hint=_order(names))
    return [_written(row, names) for row in table], table


def _row(value: Any, levels: Sequence[str], names: Sequence[str]) -> Array:
    if isinstance(value, Mapping):
        row = np.zeros(len(names))
        for level, coefficient in value.items():
            row[_mean(level, names, levels)] = _coefficients(coefficient)[0]
        return row
    row = _coefficients(value)
    if len(row) != len(names):
        raise ModelError(f"A contrast has {len(row)} coefficients, and there are {len(names)} means.", hint=_order(names))
    return row


def _mean(level: Any, names: Sequence[str], levels: Sequence[str]) -> int:
    try:
        return _place(level, names, levels)
    except ModelError:
        raise ModelError(f"{level!r} is none of the means.", hint=_order(names)) from None


def _coefficients(value: Any) -> Array:
    try:
        out = np.asarray(value, dtype=float).ravel()
    except (TypeError, ValueError):
        out = np.full(1, np.nan)
    if not np.all(np.isfinite(out)):
        raise ModelError(f"A contrast has coefficients that are not finite numbers: {value!r}.")
    return out


def _order(names: Sequence[str]) -> str:
    return f"The means in order: {', '.join(names[:20])}{', …' if len(names) > 20 else ''}."


def _written(row: Array, names: Sequence[str]) -> str:
    """A contrast by its coefficients: `T9 - 0.5 T3 - 0.5 T6`, what is added first."""
    order = [i for i in np.argsort(-np.sign(row), kind="stable") if row[i] != 0]
    text = ""
    for i in order:
        size = abs(float(row[i]))
        part = names[i] if size == 1 else f"{size:.4g} {names[i]}"
        sign = "-" if row[i] < 0 else "+"
        text += f" {sign} {part}" if text else (f"-{part}" if row[i] < 0 else part)
    return text or "0"
