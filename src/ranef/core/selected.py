"""The selected inverse: posterior covariances (Omega^-1 + Z'Z)^-1 of a factor's effects with their neighbours only.

Given the later effects b_L of a level, b_j = Psi (D - P b_L) + noise of covariance Psi, so that with Q = Cov(b_L | y), which has
been found before,

    Cov(b_j, b_L) = -Psi P Q        Cov(b_j, b_j) = Psi + Psi (P Q P') Psi        Z_j'V^-1 Z_j = T C - T (P Q P') T'

Takahashi, Fagan and Chin (1973), restricted to the tiles that the data connect; docs/explanation/likelihood.md, eq. 26. Dense
effects are u = Lambda^-1 b, with P Lambda in place of P.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ranef.core.panel import Panel
from ranef.core.remainder import Inverse
from ranef.core.stage import Eliminated, Holder, tile_product
from ranef.covariance.base import Array


@dataclass(frozen=True, eq=False)
class Selected:
    """Tiles of one stage: of M = Z'V^-1 Z, and posterior covariances with itself, with each holder, with the dense u."""

    M: Array  # (m, k, k)
    own: Array  # (m, k, k)
    holders: tuple[Array, ...]  # (m, k, k_holder)
    dense: Array | None  # (entries, k)


def select(done: Eliminated, i: int, later: Sequence[Selected], dense: Inverse | None) -> Selected:
    """The tiles of stage i from those of the stages i + 1, i + 2, ..."""
    holders, panel = done.stage.holders, None
    after = {i + 1 + at: selected for at, selected in enumerate(later)}
    cross = np.concatenate([np.zeros((*done.C.shape[:2], 0)), *done.crosses], axis=2)
    X, Y = _with_holders(cross, holders, after), None
    inner = X @ cross.swapaxes(1, 2)
    if done.panel is not None and dense is not None:
        panel = dense.scaled(done.panel)
        Y = panel.gather(dense.lower)
        if holders:
            known = np.concatenate([_dense(after[h.stage])[h.entries] for h in holders], axis=1)  # (entries, K)
            more = panel.outer(known)
            X, inner = X + more, inner + more @ cross.swapaxes(1, 2)
            Y = Y + _by_entry(panel, cross, known)
        inner = inner + panel.outer(Y).swapaxes(1, 2)
    Psi = tile_product(done.R, done.R.swapaxes(1, 2))
    edges = np.cumsum([c.shape[2] for c in done.crosses])[:-1].astype(int)
    return Selected(
        tile_product(done.T, done.C) - tile_product(tile_product(done.T, inner), done.T.swapaxes(1, 2)),
        Psi + tile_product(tile_product(Psi, inner), Psi),
        tuple(np.split(-(Psi @ X), edges, axis=2)) if holders else (),
        None if Y is None or panel is None else -_by_entry(panel, Psi, Y),
    )


def _with_holders(cross: Array, holders: Sequence[Holder], after: dict[int, Selected]) -> Array:
    """(m, k, K) P times the posterior covariance of the effects of all holders."""
    return cross @ _around(holders, after) if holders else cross


def _around(holders: Sequence[Holder], after: dict[int, Selected]) -> Array:
    """(m, K, K) posterior covariance of the effects of all holders of a level."""
    rows = []
    for a, holder in enumerate(holders):
        row = []
        for b, other in enumerate(holders):
            if a == b:
                row.append(after[holder.stage].own[holder.level])
            elif a < b:
                row.append(after[holder.stage].holders[b - a - 1][holder.level])
            else:
                row.append(after[other.stage].holders[a - b - 1][other.level].swapaxes(1, 2))
        rows.append(np.concatenate(row, axis=2))
    return np.concatenate(rows, axis=1)


def _dense(selected: Selected) -> Array:
    assert selected.dense is not None
    return selected.dense


def _by_entry(panel: Panel, tiles: Array, values: Array) -> Array:
    """(entries, k) the tile (m, k, K) of each entry's level times its values (entries, K)."""
    return (tiles[panel.pattern.row] @ values[:, :, None])[:, :, 0]
