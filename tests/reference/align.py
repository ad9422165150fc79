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
    """`Subject.1` (a repeated term) is Subject; `b:a` is `a:b`, as are lme4's `b.a` and `c:(b:a)` where bars are doubled or nested."""
    return frozenset(variables(name))


def variables(group: str) -> list[str]:
    return re.split(r"[:.]", re.sub(r"\.\d+$", "", group).replace("(", "").replace(")", ""))


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
    pairs = []
    for i, term in enumerate(m.model.design.terms):
        candidates = waiting[group_key(term.group.name), term.width]
        names = [r_name(name) for name in term.names]
        same = [k for k, block in enumerate(candidates) if [plain(name) for name in block.names] == names]
        pairs.append((i, candidates.pop(same[0] if same else 0)))
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


def level_key(group: str, level: str) -> frozenset[tuple[str, str]]:
    """A level of `a:b` as the levels of its variables, whatever their order."""
    return frozenset(zip(variables(group), str(level).split(":"), strict=True))


def our_column(m: ranef.Fit, results: dict[str, Any], group: str, name: str) -> tuple[str, str]:
    """Our names of the grouping factor and of the column that lme4 calls `name` in `group`: matched by place in the block."""
    for i, block in matched(m, results):
        if group_key(block.group) == group_key(group) and name in block.names:
            term = m.model.design.terms[i]
            return term.group.name, term.names[block.names.index(name)]
    raise AssertionError(f"no column {name} in {group}")


def column_order(m: ranef.Fit, results: dict[str, Any], group: str, names: list[str]) -> list[int]:
    """Where lme4's columns of a grouping factor stand among ours, over all its terms."""
    ours = [name for term in m.model.design.terms if term.group.name == group for name in term.names]
    return [ours.index(our_column(m, results, group, name)[1]) for name in names]


def plain(name: str) -> str:
    """A column's name without what R and Python spell differently: packages, quotes, truth, blanks."""
    name = re.sub(r"\bsplines::", "", name).replace('"', "'").replace(" ", "")
    return re.sub(r"TRUE$", "True", name)


def r_name(name: str) -> str:
    """R's name of a column: `cond[T.odd]` is `condodd`, a cell mean `cond[odd]` too."""
    return plain(re.sub(r"\[(?:T\.)?([^\]]*)\]", r"\1", name))
