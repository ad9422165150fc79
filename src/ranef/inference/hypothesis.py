"""Linear hypotheses L beta = value, from whatever a user writes: text, weights by name, or a matrix."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ranef.arguments import as_numbers
from ranef.covariance.base import Array
from ranef.errors import ModelError
from ranef.inference.linear_text import Linear, read_hypotheses

if TYPE_CHECKING:
    from ranef.fit.fit import Fit


@dataclass(frozen=True, eq=False)
class Hypothesis:
    """Rows over all columns of X, with zeros for dropped ones; estimable."""

    labels: tuple[str, ...]
    L: Array  # (c, p)
    value: Array  # (c,)


def hypothesis(fit: Fit, L: Any, value: float | Sequence[float] = 0.0) -> Hypothesis:
    """Read a hypothesis.

    L: text ("Days = 10, a - b"), a list of texts, `{"a": 1, "b": -1}`, a list of such, `{"label": {...}, ...}`, a vector or matrix
    with a column for each coefficient, or a data frame with columns named so (its index are the labels) or a Series of such names.
    value: of each row, where the text gives none.

    Raises FormulaError for text that cannot be read, and ModelError for a hypothesis that does not fit the model.
    """
    names = list(fit.params.index)
    labels, matrix, given = _rows(L, names)
    asked = as_numbers("value", value)
    if asked.ndim > 1 or (asked.ndim == 1 and len(asked) != len(matrix)):
        hint = "Give one number, or one for each."
        raise ModelError(f"value has {asked.size} numbers, and there are {len(matrix)} hypotheses.", hint=hint)
    if np.any(asked != 0) and not np.all(np.isnan(given)):
        raise ModelError("The hypotheses say what they are equal to, and value says it too.", hint="Leave out one of them.")
    _refuse_senseless(labels, matrix, asked, names)
    full = np.zeros((len(matrix), len(fit.model.design.names)))
    full[:, list(fit.criterion.gram.standard.kept)] = matrix
    return Hypothesis(tuple(labels), full, np.where(np.isnan(given), np.broadcast_to(asked, given.shape), given))


def _refuse_senseless(labels: Sequence[str], matrix: Array, asked: Array, names: list[str]) -> None:
    """Raises ModelError for weights and values that are not finite, and for rows that weigh nothing."""
    bad = np.argwhere(~np.isfinite(matrix))
    if len(bad):
        row, column = bad[0]
        weight = f"{names[column]} the weight {matrix[row, column]:g}"
        raise ModelError(f"Hypothesis {row + 1} gives {weight}, which is not finite.", hint=_order(names))
    if not np.all(np.isfinite(asked)):
        raise ModelError(f"value={asked[~np.isfinite(asked)][0]:g}: a hypothesis has a value that is not finite.")
    empty = np.flatnonzero(~matrix.any(axis=1))
    if len(empty):
        what = repr(labels[empty[0]]) if labels[empty[0]] else f"{empty[0] + 1}"
        raise ModelError(f"Hypothesis {what} gives weight zero to every coefficient.", hint=_order(names))


def _order(names: list[str]) -> str:
    """The coefficients, for the hints of errors."""
    return f"There are {len(names)} coefficients: {', '.join(names[:20])}{', ...' if len(names) > 20 else ''}."


def _rows(L: Any, names: list[str]) -> tuple[list[str], Array, Array]:
    """Labels, (c, r) weights and (c,) values (NaN where none is given)."""
    if isinstance(L, str):
        return _of_text([L], names)
    if hasattr(L, "to_dict") and any(isinstance(label, str) for label in getattr(L, "index", ())) and not hasattr(L, "columns"):
        L = L.to_dict()  # a pandas Series with names: they count, not the order
    if isinstance(L, Mapping):
        nested = bool(L) and all(isinstance(value, Mapping) for value in L.values())
        return _of_weights(list(L.values()), names, list(map(str, L))) if nested else _of_weights([L], names)
    if hasattr(L, "columns") and hasattr(L, "to_numpy"):
        records = [dict(zip(map(str, L.columns), row, strict=True)) for row in L.to_numpy()]
        return _of_weights(records, names, [str(label) for label in getattr(L, "index", range(len(records)))])
    if isinstance(L, Sequence) and L and all(isinstance(one, str) for one in L):
        return _of_text(list(L), names)
    if isinstance(L, Sequence) and L and all(isinstance(one, Mapping) for one in L):
        return _of_weights(list(L), names)
    return _of_matrix(L, names)


def _of_text(texts: Sequence[str], names: list[str]) -> tuple[list[str], Array, Array]:
    found = [equation for text in texts for equation in read_hypotheses(text, names)]
    rows = [[equation.form.weights.get(name, 0.0) for name in names] for equation in found]
    given = [-equation.form.constant if equation.given or equation.form.constant else np.nan for equation in found]
    return [equation.text for equation in found], np.array(rows), np.array(given)


def _of_weights(
    rows: Sequence[Mapping[str, float]], names: list[str], labels: list[str] | None = None
) -> tuple[list[str], Array, Array]:
    if not rows:
        raise ModelError("L has no rows: there is no hypothesis.", hint=_order(names))
    known = set(names)
    for row in rows:
        for name in row:
            if name not in known:
                read_hypotheses(f"`{name}`", names)
    try:
        matrix = np.array([[float(row.get(name, 0.0)) for name in names] for row in rows])
    except (TypeError, ValueError):
        raise ModelError(
            "The weights of a hypothesis must be numbers.", hint=f'For example {{"{names[-1]}": 1}}. {_order(names)}'
        ) from None
    return labels or [_label(row, names) for row in matrix], matrix, np.full(len(matrix), np.nan)


def _of_matrix(L: Any, names: list[str]) -> tuple[list[str], Array, Array]:
    try:
        matrix = np.asarray(L, dtype=float)
    except (TypeError, ValueError):
        raise ModelError(
            f"A hypothesis cannot be read from {L!r:.60}.",
            hint=f'Use text such as "a - b", weights by name, or a matrix with a column for each coefficient. {_order(names)}',
        ) from None
    matrix = matrix[None] if matrix.ndim == 1 else matrix
    if matrix.ndim != 2 or matrix.shape[1] != len(names) or not len(matrix):
        what = f"has shape {np.shape(L)}" if np.ndim(L) else f"is {L!r}"
        raise ModelError(
            f"L {what}; it needs a column for each of the {len(names)} coefficients, and at least one row.", hint=_order(names)
        )
    return [_label(row, names) for row in matrix], matrix, np.full(len(matrix), np.nan)


def _label(row: Array, names: list[str]) -> str:
    """`a - 0.5 b` from weights."""
    form = Linear({name: float(weight) for name, weight in zip(names, row, strict=True) if weight})
    out = ""
    for name, weight in form.weights.items():
        sign = ("-" if weight < 0 else "") if not out else (" - " if weight < 0 else " + ")
        out += f"{sign}{'' if abs(weight) == 1 else f'{abs(weight):.4g} '}{name}"
    return out
