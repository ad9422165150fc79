"""Grouping factors: one from the levels of a column, or from the observed combinations of several."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ranef.design import Codes, Grouping
from ranef.errors import ModelError
from ranef.schema.values import Factor, Levels, level_text, objects

MOST_KEYS = 2**62


@dataclass(frozen=True, eq=False)
class GroupLevels:
    """The levels of a grouping factor as new data need them: those of each crossed factor, and which combinations were observed.

    `keys` number the combinations, first factor slowest, in increasing order; None for a single factor.
    """

    variables: tuple[str, ...]
    parts: tuple[Levels, ...]
    keys: NDArray[np.int64] | None = None

    @property
    def name(self) -> str:
        return ":".join(self.variables)

    @property
    def labels(self) -> Levels:
        """(m,) the levels that were observed, as `Grouping.levels` has them."""
        return self.parts[0] if self.keys is None else _labels(self.keys, self.parts)

    def codes_of(self, factors: Sequence[Factor]) -> Codes:
        """(n,) codes of new rows: -1 for levels or combinations that were not in the fit, and for missing ones."""
        places = [match_levels(factor.levels, levels)[factor.codes] for factor, levels in zip(factors, self.parts, strict=True)]
        if self.keys is None:
            return places[0]
        keys = _mixed(places, [len(levels) for levels in self.parts])
        found = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        return np.where((keys >= 0) & (self.keys[found] == keys), found, -1).astype(np.intp)

    def to_json(self) -> dict[str, Any]:
        keys = None if self.keys is None else self.keys.tolist()
        return {"variables": list(self.variables), "parts": [levels.tolist() for levels in self.parts], "keys": keys}

    @classmethod
    def from_json(cls, saved: Mapping[str, Any]) -> GroupLevels:
        keys = None if saved["keys"] is None else np.array(saved["keys"], dtype=np.int64)
        return cls(tuple(saved["variables"]), tuple(objects(levels) for levels in saved["parts"]), keys)


def match_levels(new: Levels, known: Levels) -> Codes:
    """(len(new) + 1,) places of new levels among the known ones, by value or by text; -1 where unknown, and last for missing."""
    place = {level: position for position, level in enumerate(known)}
    found = [place.get(level, -1) for level in new]
    if -1 in found:
        texts = {level_text(level): position for position, level in enumerate(known)}
        found = [texts.get(level_text(level), -1) if code < 0 else code for level, code in zip(new, found, strict=True)]
    return np.array([*found, -1], dtype=np.intp)


def make_grouping(variables: Sequence[str], factors: Sequence[Factor]) -> tuple[Grouping, GroupLevels]:
    """The grouping factor of rows without missing levels; its levels are the observed ones, first factor slowest."""
    name = ":".join(variables)
    if len(factors) == 1:
        single = factors[0]
        return Grouping(name, tuple(variables), single.levels, single.codes), GroupLevels(tuple(variables), (single.levels,))
    sizes = [len(factor.levels) for factor in factors]
    if math.prod(sizes) > MOST_KEYS:
        raise ModelError(
            f"the factors of {name!r} have more combinations than can be numbered", hint="Join some of them into one column."
        )
    keys = _mixed([factor.codes for factor in factors], sizes)
    codes, observed = _observed(keys, math.prod(sizes))
    parts = tuple(factor.levels for factor in factors)
    return Grouping(name, tuple(variables), _labels(observed, parts), codes), GroupLevels(tuple(variables), parts, observed)


def row_labels(factors: Sequence[Factor]) -> Levels:
    """(n,) the label of each row's group, whether it was in the fit or not; None where it is missing."""
    if len(factors) == 1:
        return factors[0].labels()
    texts = [Factor(factor.codes, objects(list(map(level_text, factor.levels)))).labels() for factor in factors]
    return objects([None if None in row else ":".join(row) for row in zip(*texts, strict=True)])


def _mixed(codes: Sequence[Codes], sizes: Sequence[int]) -> NDArray[np.int64]:
    """One number for each combination, first factor slowest; -1 where any code is missing."""
    keys = codes[0].astype(np.int64)
    missing = codes[0] < 0
    for code, size in zip(codes[1:], sizes[1:], strict=True):
        keys = keys * size + code
        missing = missing | (code < 0)
    return np.where(missing, -1, keys)


def _observed(keys: NDArray[np.int64], combinations: int) -> tuple[Codes, NDArray[np.int64]]:
    """Codes by rank of the key, and the observed keys in order."""
    if combinations > 4 * len(keys) + 1000:
        codes, observed = pd.factorize(keys, sort=True)
        return codes.astype(np.intp, copy=False), np.asarray(observed, dtype=np.int64)
    counts = np.bincount(keys, minlength=combinations)
    observed = np.flatnonzero(counts)
    position = np.empty(combinations, dtype=np.intp)
    position[observed] = np.arange(len(observed))
    return position[keys], observed.astype(np.int64)


def _labels(observed: NDArray[np.int64], parts: Sequence[Levels]) -> Levels:
    texts = []
    rest = observed
    for levels in reversed(parts):
        rest, code = np.divmod(rest, len(levels))
        texts.append(objects([level_text(level) for level in levels])[code])
    return objects(list(map(":".join, zip(*reversed(texts), strict=True))))
