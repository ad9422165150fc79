"""The data of a model in tables: numbers, factors, and how many rows the levels of the grouping factors have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ranef.errors import RanefError
from ranef.fit.describe import relation
from ranef.fit.rows import data_used, has_rows
from ranef.schema.collect import columns_of, needed_by
from ranef.table import Table

if TYPE_CHECKING:
    from ranef.fit.fit import Fit

MOST_LEVELS = 6  # of a factor, listed by name


def numbers(fit: Fit) -> Table | None:
    """Mean, spread and range of the columns that are numbers, in the rows used."""
    found = {name: values for name, values in _columns(fit).items() if values.dtype.kind in "fiu" and not _grouping(fit, name)}
    if not found:
        return None
    columns: dict[str, list[Any]] = {
        "name": list(found),
        "role": [_role(fit, name) for name in found],
        "missing": [fit.model.rows.missing.get(name, 0) for name in found],
        "mean": [float(np.mean(values)) for values in found.values()],
        "std_dev": [float(np.std(values, ddof=1)) for values in found.values()],
        "lowest": [float(np.min(values)) for values in found.values()],
        "highest": [float(np.max(values)) for values in found.values()],
    }
    return Table(columns, title="Numbers", headings={"name": "Column"}, rules={"mean": "own", "std_dev": "own"})


def factors(fit: Fit) -> Table | None:
    """The levels of the columns that are factors, in the rows used."""
    found = {name: values for name, values in _columns(fit).items() if values.dtype.kind not in "fiu" or _grouping(fit, name)}
    if not found:
        return None
    counts = {name: dict(zip(*np.unique(values.astype(str), return_counts=True), strict=True)) for name, values in found.items()}
    columns: dict[str, list[Any]] = {
        "name": list(found),
        "role": [_role(fit, name) for name in found],
        "missing": [fit.model.rows.missing.get(name, 0) for name in found],
        "levels": [len(count) for count in counts.values()],
        "rows_by_level": [_listed_levels(count) for count in counts.values()],
    }
    return Table(columns, title="Factors", headings={"name": "Column"})


def groups(fit: Fit) -> Table | None:
    """How many rows the levels of each grouping factor have; None for a model that was loaded without its rows."""
    found = {term.group.name: term.group for term in fit.model.design.terms if len(term.group.codes)}
    if not found:
        return None
    sizes = [np.bincount(group.codes, minlength=group.size) for group in found.values()]
    columns: dict[str, list[Any]] = {
        "group": list(found),
        "levels": [group.size for group in found.values()],
        "min_rows": [int(size.min()) for size in sizes],
        "median_rows": [float(np.median(size)) for size in sizes],
        "max_rows": [int(size.max()) for size in sizes],
    }
    return Table(columns, title="Rows per level", notes=_relations(list(found.values())))


def _relations(found: list[Any]) -> tuple[str, ...]:
    """How the grouping factors lie to each other, a sentence each."""
    out = []
    for i, f in enumerate(found):
        for g in found[i + 1 :]:
            said = relation(f.codes, g.codes, f.size, g.size)
            named = said.replace("first", f.name).replace("second", g.name)
            out.append(f"{named}." if named != said else f"{f.name} and {g.name}: {said}.")
    return tuple(out)


def _columns(fit: Fit) -> dict[str, NDArray[Any]]:
    if not has_rows(fit):
        return {}
    try:
        return {name: np.asarray(values) for name, values in data_used(fit).items()}
    except RanefError:
        return {}


def _grouping(fit: Fit, name: str) -> bool:
    """Whether a column only makes groups, so that its numbers are labels."""
    return _role(fit, name) == "group"


def _role(fit: Fit, name: str) -> str:
    """What a column is in the model: response, predictor, random effect, group, offset."""
    formula, needed = fit.model.schema.formula, needed_by(fit.model.schema.formula)
    parts = {
        "response": [formula.response] if formula.response is not None else [],
        "predictor": needed.fixed.values(),
        "random effect": needed.random.values(),
        "group": needed.groups.values(),
        "offset": needed.offsets.values(),
    }
    return ", ".join(role for role, nodes in parts.items() if columns_of(nodes, [name]))


def _listed_levels(counts: dict[str, int]) -> str:
    """ "A 18, B 20, ...": the first levels with their rows."""
    shown = [f"{level}: {count:,}" for level, count in list(counts.items())[:MOST_LEVELS]]
    return ", ".join(shown) + (", …" if len(counts) > MOST_LEVELS else "")
