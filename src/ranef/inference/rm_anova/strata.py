"""R's aov with Error(): each stratum of the error model has its own orthonormal space, in which terms are fitted in order."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.special import fdtrc

from ranef.covariance.base import Array
from ranef.errors import FormulaError, ModelError
from ranef.formula import parse, term_label
from ranef.schema import Intake, ingest
from ranef.table import Table

ERROR = re.compile(r"\+?\s*Error\s*\(")
NULL = 1e-7


def strata(formula: str, data: Any) -> Table:
    """stratum term df sum_sq mean_sq statistic p_value eta_sq, a line for each term in each stratum and one for its residual.

    Raises FormulaError where Error() cannot be read, and ModelError where it leaves nothing.
    """
    fixed, error = split(formula)
    response = fixed.split("~")[0].strip()
    main, outer = ingest(parse(fixed), data), ingest(parse(f"{response} ~ {error}"), data)
    rows = _common(main, outer)
    y, X, Z = main.design.y[rows[0]], main.design.X[rows[0]], outer.design.X[rows[1]]
    spaces = _spaces(Z, _widths(outer))
    labels = [term_label(term) for term in outer.schema.formula.fixed]
    columns: dict[str, list[Any]] = {
        name: [] for name in ("stratum", "term", "df", "sum_sq", "mean_sq", "statistic", "p_value", "eta_sq")
    }
    used = np.hstack([space for space in spaces if space.shape[1]])
    for label, space in zip(labels, spaces, strict=True):
        if label != "(Intercept)":
            _add(columns, label, space.T @ y, space.T @ X, main, space.shape[1])
    rest = [v - used @ (used.T @ v) for v in (y, X)]
    _add(columns, "Within", rest[0], rest[1], main, len(y) - used.shape[1])
    note = "Sequential sums of squares in each stratum; eta_sq is SS / (SS + residual SS of the stratum)."
    return Table(columns, title="Analysis of variance by strata", notes=(note,), frame_kind=main.rows.frame)


def split(formula: str) -> tuple[str, str]:
    """The formula without Error(...), and what is inside."""
    found = ERROR.search(formula)
    if found is None:
        raise FormulaError("There is no Error() in the formula.", text=formula, start=0, stop=len(formula))
    depth = 1
    for stop in range(found.end(), len(formula)):
        depth += {"(": 1, ")": -1}.get(formula[stop], 0)
        if depth == 0:
            return formula[: found.start()] + formula[stop + 1 :], formula[found.end() : stop]
    raise FormulaError("The parenthesis of Error( is not closed.", text=formula, start=found.start(), stop=len(formula))


def _common(a: Intake, b: Intake) -> tuple[Any, Any]:
    """The rows that both parts can use, among those of each."""
    n = a.rows.n_total
    kept = [np.ones(n, dtype=bool) if part.rows.kept is None else part.rows.kept for part in (a, b)]
    both = kept[0] & kept[1]
    return both[kept[0]], both[kept[1]]


def _widths(intake: Intake) -> list[int]:
    schema = intake.schema
    return [math.prod(coding.width(schema.variables) for coding in term) for term in schema.fixed]


def _spaces(Z: Array, widths: Sequence[int]) -> list[Array]:
    """Per term an orthonormal basis of what its columns add to those before."""
    out: list[Array] = []
    before = np.zeros((len(Z), 0))
    for start, stop in itertools.pairwise([0, *itertools.accumulate(widths)]):
        own = Z[:, start:stop]
        for _ in range(2):
            own = own - before @ (before.T @ own)
        U, values, _ = np.linalg.svd(own, full_matrices=False)
        size = np.linalg.norm(Z[:, start:stop]) if stop > start else 1.0
        new = U[:, values > NULL * size]
        out.append(new)
        before = np.hstack([before, new])
    return out


def _add(columns: dict[str, list[Any]], label: str, y: Array, X: Array, intake: Intake, total: int) -> None:
    """The lines of one stratum: y and X in it, `total` its dimension."""
    names = [term_label(term) for term in intake.schema.formula.fixed]
    scale = np.linalg.norm(intake.design.X, axis=0)
    X = np.where(np.linalg.norm(X, axis=0) > NULL * np.where(scale > 0, scale, 1.0), X, 0.0)
    lines, fitted = [], 0
    residual = float(y @ y)
    for name, space in zip(names, _spaces(X, _widths(intake)), strict=True):
        along = space.T @ y
        if space.shape[1] and name != "(Intercept)":
            lines.append((name, space.shape[1], float(along @ along)))
        fitted += space.shape[1]
        residual -= float(along @ along)
    rest = total - fitted
    if rest < 0:
        raise ModelError(f"The stratum {label} has fewer dimensions than terms.")
    mean = max(residual, 0.0) / rest if rest else np.nan
    for name, df, sum_sq in lines:
        F = sum_sq / df / mean if rest else np.nan
        p = float(fdtrc(df, rest, F)) if rest else np.nan
        _append(columns, (label, name, df, sum_sq, sum_sq / df, F, p, sum_sq / (sum_sq + residual)))
    if rest:
        _append(columns, (label, "Residuals", rest, residual, mean, np.nan, np.nan, np.nan))


def _append(columns: dict[str, list[Any]], row: Sequence[Any]) -> None:
    for name, value in zip(columns, row, strict=True):
        columns[name].append(value)
