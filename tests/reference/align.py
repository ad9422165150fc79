"""Puts our answers beside those of lme4, which orders terms by their number of levels and names `a/b` as `b:a`.

Terms are matched by grouping factor (in any order of its variables) and width, repeated ones in the order written; columns within
a term have the same order in both.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import numpy as np

import ranef
from tests.reference.compare import Array, numbers

GroupKey = frozenset[str]


@dataclass(frozen=True, eq=False)
class Block:
    """One covariance block of lme4: where its theta stands, and its covariance matrix."""

    group: str
    names: tuple[str, ...]
    theta: slice
    omega: Array  # (k, k), with sigma^2


def group_key(name: str) -> GroupKey:
    """`Subject.1` (a repeated term) is Subject; `b:a` is `a:b`."""
    return frozenset(re.sub(r"\.\d+$", "", name).split(":"))


def their_blocks(results: dict[str, Any]) -> list[Block]:
    table = results["varcorr"]
    rows = list(zip(table["group"], table["var1"], table["var2"], table["vcov"], strict=True))
    names: dict[str, list[str]] = defaultdict(list)
    for group, first, second, _ in rows:
        if group != "Residual" and second is None:
            names[group].append(first)
    blocks, at = [], 0
    for group, columns in names.items():
        k = len(columns)
        omega = np.zeros((k, k))
        for g, first, second, value in rows:
            if g == group:
                i, j = columns.index(first), columns.index(second or first)
                omega[i, j] = omega[j, i] = value
        blocks.append(Block(group, tuple(columns), slice(at, at + k * (k + 1) // 2), omega))
        at += k * (k + 1) // 2
    return blocks


def matched(m: ranef.Fit, results: dict[str, Any]) -> list[tuple[int, Block]]:
    """Pairs (position of our term, block of lme4), every term once."""
    waiting: dict[tuple[GroupKey, int], list[Block]] = defaultdict(list)
    for block in their_blocks(results):
        waiting[group_key(block.group), len(block.names)].append(block)
    pairs = [(i, waiting[group_key(term.group.name), term.width].pop(0)) for i, term in enumerate(m.model.design.terms)]
    assert not any(waiting.values()), f"terms of lme4 that we do not have: {[b.group for bs in waiting.values() for b in bs]}"
    return pairs


def theta_in_our_order(m: ranef.Fit, results: dict[str, Any], theta: Any) -> Array:
    """lme4's theta, rearranged to our order of terms."""
    theirs = numbers(theta)
    return np.concatenate([theirs[block.theta] for _, block in matched(m, results)])


def our_omegas(m: ranef.Fit) -> list[Array]:
    """Per term the (k, k) covariance matrix, read from the table `varcorr`."""
    table = m.varcorr
    rows = list(zip(*(table[name] for name in ("group", "term1", "term2", "vcov")), strict=True))
    at, out = 0, []
    for term in m.model.design.terms:
        k = term.width
        count = len(m.model.design.terms[len(out)].covariance.support().nonzero()[0])
        take = rows[at : at + (count + k) // 2]
        at += len(take)
        omega = np.zeros((k, k))
        for _, first, second, value in take:
            i, j = term.names.index(first), term.names.index(second if second is not None else first)
            omega[i, j] = omega[j, i] = value
        out.append(omega)
    assert rows[at][0] in ("Residual", "residual") and at == len(rows) - 1
    return out


def level_key(level: str) -> tuple[str, ...]:
    return tuple(sorted(str(level).split(":")))


def r_name(name: str) -> str:
    """R's name of a column: `cond[T.odd]` is `condodd`, a cell mean `cond[odd]` too."""
    return re.sub(r"\[(?:T\.)?([^\]]*)\]", r"\1", name)
