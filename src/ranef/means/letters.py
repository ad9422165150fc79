"""Compact letter displays: means that share a letter do not differ significantly.

Insert and absorb (Piepho 2004, J. Comput. Graph. Stat. 13, 456-466): begin with one letter for all; every significant pair splits
the letters that hold both of its means in two, and letters whose means are all among those of another are dropped.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ranef.errors import ModelError
from ranef.means.contrasting import Request, contrasted
from ranef.means.functions import Functions
from ranef.means.tables import Columns, labels, notes
from ranef.table import Table

ALPHABET = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


def letter_display(functions: Functions, *, alpha: float, adjust: str, descending: bool) -> Table:
    """See `Marginal.cld`. Within each family the means are sorted; a mean that is not estimable has no letter."""
    if functions.kind == "contrast":
        raise ModelError("A letter display compares means, and these are contrasts.", hint="Ask it of the means.")
    if not 0.0 < alpha < 1.0:
        raise ModelError(f"alpha={alpha} must lie between 0 and 1, such as 0.05.")
    pairs = contrasted(replace(functions, scale=replace(functions.scale, link=None)), Request("pairwise", adjust=adjust))
    columns = Columns(pairs)
    p = columns.tests()["p_value"]
    order, letters, at = [], [""] * len(functions), 0
    for rows in functions.families:
        k = len(rows)
        size = k * (k - 1) // 2
        different = np.zeros((k, k), dtype=bool)
        for value, (i, j) in zip(p[at : at + size], combinations(range(k), 2), strict=True):
            different[i, j] = different[j, i] = value < alpha
        at += size
        eta = functions.eta[rows]
        ranks = np.argsort(-eta if descending else eta, kind="stable")
        order += [int(rows[i]) for i in ranks]
        for i, text in zip(ranks, display(different[np.ix_(ranks, ranks)]), strict=True):
            letters[int(rows[i])] = "" if np.isnan(eta[i]) else text
    return _table(functions, np.array(order, dtype=np.intp), letters, columns, alpha)


def _table(functions: Functions, order: NDArray[np.intp], letters: list[str], columns: Columns, alpha: float) -> Table:
    chosen = functions.take(order)
    found = Columns(chosen)
    made: dict[str, Any] = {**labels(chosen), **found.estimates(), **found.limits("none"), "letters": [letters[i] for i in order]}
    said = f"Means that share a letter do not differ at level {alpha:g}; that is no proof that they are equal."
    return Table(
        made, title=functions.what, notes=(*notes(functions), said), frame_kind=functions.estimates.frame_kind, level=found.level,
        adjustment=columns.adjustment, headings=found.headings,
    )  # fmt: skip


def display(different: NDArray[np.bool_]) -> list[str]:
    """The letters of each mean, from the symmetric matrix of which pairs differ; in the order of the means."""
    k = len(different)
    groups: list[set[int]] = [set(range(k))]
    for i, j in combinations(range(k), 2):
        if different[i, j]:
            split = [group - {one} for group in groups if {i, j} <= group for one in (i, j)]
            groups = _absorbed([group for group in groups if not {i, j} <= group] + split)
    groups.sort(key=lambda group: sorted(group))
    marks = [_letter(place) for place in range(len(groups))]
    width = max(map(len, marks), default=1)
    return [
        "".join(mark if i in group else " " * width for mark, group in zip(marks, groups, strict=True)).rstrip() for i in range(k)
    ]


def _absorbed(groups: list[set[int]]) -> list[set[int]]:
    """The groups that are part of no other."""
    kept: list[set[int]] = []
    for group in sorted(groups, key=len, reverse=True):
        if group and not any(group <= other for other in kept):
            kept.append(group)
    return kept


def _letter(place: int) -> str:
    """a, b, ..., Z, then a1, b1, ..."""
    turn, letter = divmod(place, len(ALPHABET))
    return ALPHABET[letter] + (str(turn) if turn else "")
