"""F tests of the effects of factors on marginal means: every main effect and interaction of the factors, averaged over the others.

The effect of factors A and B is nil when all products of a difference in A and a difference in B are. Only estimable differences
are tested; the numerator df say how many there are.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np

from ranef.design import Array
from ranef.means.functions import Functions
from ranef.table import Table

NOTHING = 1e-12
NOT_ESTIMABLE = "NaN: no difference of this effect can be estimated, for lack of data in some cells."


def joint_tests_of(functions: Functions) -> Table:
    """See `Marginal.joint_tests`. Effects that the model does not have are left out."""
    rows: list[dict[str, Any]] = []
    for places in functions.families:
        family = functions.take(places)
        key = {name: family.labels[name][0] for name in functions.by}
        if functions.kind == "contrast":
            rows.append({**key, "effect": "all contrasts", **_row(family, np.eye(len(family)))})
            continue
        for order in range(1, len(functions.factors) + 1):
            for effect in combinations(functions.factors, order):
                C = effect_contrasts(family, effect)
                if np.abs(C @ np.nan_to_num(family.L)).max(initial=0.0) > NOTHING:
                    rows.append({**key, "effect": ":".join(effect), **_row(family, C)})
    columns = {name: [row[name] for row in rows] for name in (rows[0] if rows else {})}
    method = functions.estimates.ddf
    empty = (NOT_ESTIMABLE,) if any(not row["num_df"] for row in rows) else ()
    return Table(
        columns,
        title=f"Joint tests of {functions.what[:1].lower()}{functions.what[1:]}",
        notes=(f"F tests; {method}.", *empty),
        frame_kind=functions.estimates.frame_kind,
        headings={**{name: name for name in functions.by}, "statistic": "F"},
    )


def _row(family: Functions, C: Array) -> dict[str, Any]:
    L = C @ np.nan_to_num(family.L)
    bad = ~np.isfinite(family.L).all(axis=1)
    usable = family.estimates.estimable(L) & ~(np.abs(C) @ bad > 0) & (np.abs(L).max(axis=1, initial=0.0) > NOTHING)
    if not usable.any():
        return {"num_df": 0, "den_df": np.nan, "statistic": np.nan, "p_value": np.nan}
    found = family.estimates.test(L[usable])
    return {"num_df": found.num_df, "den_df": found.den_df, "statistic": found.statistic, "p_value": found.p_value}


def effect_contrasts(family: Functions, effect: tuple[str, ...]) -> Array:
    """(c, m) products of differences of the levels of each factor of the effect, averaged over the levels of the others.

    Differences are those from the first level, so that Satterthwaite's df, which depend on the rows, are those of type III; where
    cells are missing all pairs of levels are compared, so that every estimable one is found.
    """
    averaged = replace(family, by=())
    levels = {name: list(dict.fromkeys(averaged.labels[name])) for name in effect}
    cells = list(zip(*(averaged.labels[name] for name in effect), strict=True))
    complete = len(set(cells)) == int(np.prod([len(own) for own in levels.values()])) and bool(family.estimable.all())
    table: Array = np.ones((1, 1))
    for name in effect:
        table = np.asarray(np.kron(table, _differences(len(levels[name]), complete)), dtype=np.float64)
    shape = [len(levels[name]) for name in effect]
    codes = [[levels[name].index(level) for name, level in zip(effect, cell, strict=True)] for cell in cells]
    place = np.ravel_multi_index(tuple(np.array(codes).T), shape)
    count = np.bincount(place, minlength=table.shape[1])
    whole = np.all((np.abs(table) > 0) <= (count > 0), axis=1)
    return table[whole][:, place] / count[place]


def _differences(k: int, complete: bool) -> Array:
    pairs = [(0, j) for j in range(1, k)] if complete else list(combinations(range(k), 2))
    out = np.zeros((len(pairs), k))
    for row, (i, j) in enumerate(pairs):
        out[row, i], out[row, j] = -1.0, 1.0
    return out
