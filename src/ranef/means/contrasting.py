"""Contrasts of linear functions, family by family: plain ones, simple ones (within all other factors), interactions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ranef.design import Array
from ranef.errors import ModelError
from ranef.means.adjust import check_adjust
from ranef.means.contrasts import Contrasts, contrasts
from ranef.means.functions import Functions, Scale
from ranef.schema.frames import nearest
from ranef.schema.values import level_text

KEEP = "keep"  # the families stay as they are
ROUNDING = 1e-12  # a sum below this share of its terms is rounding


@dataclass(frozen=True)
class Request:
    """What contrasts are asked for."""

    method: Any = "pairwise"
    by: Any = KEEP
    adjust: str | None = None
    ref: Any = None
    interaction: Any = None
    simple: str | Sequence[str] | None = None


def contrasted(functions: Functions, request: Request) -> Functions:
    """The contrasts as functions. Raises ModelError for names and methods that do not fit."""
    functions = replace(functions, by=_families(functions, request))
    if request.interaction is not None and request.interaction is not False:
        parts, method = [_interaction(functions, rows, request) for rows in functions.families], "interaction"
    else:
        parts = [_plain(functions, rows, request) for rows in functions.families]
        method = parts[0][0].method if parts else "custom"
    first = parts[0][0]
    labels = {name: [value for _, own in parts for value in own[name]] for name in parts[0][1]}
    C, by_rows = _stacked(functions, [part.table for part, _ in parts])
    labels |= {name: [functions.labels[name][i] for i in by_rows] for name in functions.by}
    scale, link, notes = _scale(functions, all(part.sums for part, _ in parts))
    if scale.ratio:
        labels = {name: [_as_ratio(v) if name not in functions.by else v for v in values] for name, values in labels.items()}
    out = replace(
        functions,
        L=_product(C, functions.L), offset=C @ functions.offset, labels=labels, kind="contrast", link=link, scale=scale,
        what=f"{_title(method)} of {_of(functions)}", warnings=(*functions.warnings, *notes), means=None,
        adjust=check_adjust(request.adjust or (first.adjust if len(first.names) > 1 else "none")),
    )  # fmt: skip
    return replace(out, means=_compared(C, out)) if first.pairs else out


def _product(C: Array, L: Array) -> Array:
    """C L, where a row of L that is not known spoils only the contrasts that use it, and what cancels is zero, not its rounding."""
    bad = np.asarray(np.isnan(L).any(axis=1))
    known = np.where(bad[:, None], 0.0, L)
    out = C @ known
    out[np.abs(out) <= ROUNDING * (np.abs(C) @ np.abs(known))] = 0.0
    out[(np.abs(C) @ bad) > 0] = np.nan
    return out


def _compared(C: Array, pairs: Functions) -> tuple[int, ...]:
    """For each family how many means have an estimable difference."""
    estimable = np.asarray(pairs.estimable)
    live = [C[rows[estimable[rows]]] for rows in pairs.families]
    return tuple(int(np.count_nonzero(np.abs(part).sum(axis=0))) for part in live)


def _families(functions: Functions, request: Request) -> tuple[str, ...]:
    if request.simple is not None:
        inner = (request.simple,) if isinstance(request.simple, str) else tuple(request.simple)
        _known(functions, inner)
        return tuple(name for name in functions.labels if name not in inner)
    if isinstance(request.by, str) and request.by == KEEP:
        return functions.by
    by = () if request.by is None else (request.by,) if isinstance(request.by, str) else tuple(request.by)
    _known(functions, by)
    return by


def _known(functions: Functions, names: Sequence[str]) -> None:
    for name in names:
        if name not in functions.labels:
            raise ModelError(f"{name!r} is no factor of these estimates.", hint=nearest(name, functions.labels, "Factors"))


def _plain(functions: Functions, rows: NDArray[np.intp], request: Request) -> tuple[Contrasts, dict[str, list[str]]]:
    levels = None
    if len(functions.factors) == 1:
        levels = [level_text(functions.labels[functions.factors[0]][i]) for i in rows]
    found = contrasts(request.method, functions.names(rows), ref=request.ref, levels=levels)
    return found, {"contrast": found.names}


def _interaction(functions: Functions, rows: NDArray[np.intp], request: Request) -> tuple[Contrasts, dict[str, list[str]]]:
    """Products of the contrasts of each factor: differences of differences, slopes of differences, and so on."""
    factors = functions.factors
    asked = request.interaction
    methods = (
        [request.method] if asked is True else [asked] if isinstance(asked, str) or not isinstance(asked, Sequence) else list(asked)
    )
    methods = [methods[i % len(methods)] for i in range(len(factors))]
    levels = {name: list(dict.fromkeys(functions.labels[name][i] for i in rows)) for name in factors}
    cells = {tuple(functions.labels[name][i] for name in factors): place for place, i in enumerate(rows)}
    grid = [tuple(reversed(cell)) for cell in product(*(levels[name] for name in reversed(factors)))]
    if len(cells) != len(grid) or any(cell not in cells for cell in grid):
        raise ModelError(
            "Interaction contrasts need every combination of the levels, and some do not occur.",
            hint="Use simple contrasts: simple=...",
        )
    parts = [
        contrasts(method, [level_text(level) for level in levels[name]]) for name, method in zip(factors, methods, strict=True)
    ]
    table: Array = np.ones((1, 1))
    for part in parts:  # the first factor varies fastest
        table = np.asarray(np.kron(part.table, table), dtype=np.float64)
    order = [cells[cell] for cell in grid]
    placed = np.zeros_like(table)
    placed[:, order] = table
    rows_of = [tuple(reversed(names)) for names in product(*(part.names for part in reversed(parts)))]
    heads = [f"{name}_{method if isinstance(method, str) else 'custom'}" for name, method in zip(factors, methods, strict=True)]
    labels = {head: [names[j] for names in rows_of] for j, head in enumerate(heads)}
    return Contrasts([" x ".join(names) for names in rows_of], placed, "interaction", "none"), labels


def _stacked(functions: Functions, tables: Sequence[Array]) -> tuple[Array, list[int]]:
    """(c, m) all contrasts over all functions, and for each one of its functions."""
    out = np.zeros((sum(len(table) for table in tables), len(functions)))
    at, firsts = 0, []
    for table, rows in zip(tables, functions.families, strict=True):
        out[at : at + len(table), rows] = table
        firsts += [int(rows[0])] * len(table)
        at += len(table)
    return out, firsts


def _scale(functions: Functions, sums: bool) -> tuple[Scale, Any, tuple[str, ...]]:
    """The scale of contrasts: ratios where a back-transformed difference has a meaning, else that of the model."""
    shown = functions.scale.link
    if shown is None:
        return Scale(), functions.link if sums else None, ()
    if shown.ratios and sums:
        return Scale(shown, ratio=True), shown, ()
    return Scale(), None, (f"Contrasts are on the {shown.name} scale; regrid() gives those of back-transformed means.",)


def _as_ratio(label: str) -> str:
    return label.replace(" - ", " / ")


def _title(method: str) -> str:
    words = {"pairwise": "Pairwise differences", "revpairwise": "Pairwise differences", "eff": "Effects (from the mean)",
             "del.eff": "Deviations from the others", "consec": "Consecutive differences", "mean_chg": "Changes of the mean",
             "poly": "Polynomial contrasts", "helmert": "Helmert contrasts", "interaction": "Interaction contrasts",
             "custom": "Contrasts", "identity": "Values"}  # fmt: skip
    return words.get(method, "Differences from the reference")


def _of(functions: Functions) -> str:
    """What the contrasts are of, for the title."""
    base = functions.what.removeprefix("Marginal means of ")
    return base[:1].lower() + base[1:] if functions.kind != "mean" else base
