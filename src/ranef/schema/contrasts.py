"""How the levels of a factor become columns: treatment, sum, Helmert, polynomial, SAS, custom, or one column a level.

The matrices are those of R's `contr.*`. Columns are named by level: `cond[T.odd]` (treatment, SAS), `cond[S.a]` (sum), `cond[H.b]`
(Helmert), `cond.L cond.Q cond.C cond^4` (polynomial), `cond[C.1]` (custom), and `cond[odd]` for an indicator of the level itself.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ranef.design import Array
from ranef.errors import ModelError
from ranef.schema.polynomials import apply_polynomial, fit_polynomial
from ranef.schema.values import level_text

KINDS = ("treatment", "sum", "helmert", "poly", "sas", "custom", "full")
SPELLINGS = {"polynomial": "poly", "deviation": "sum", "dummy": "treatment"}
POWERS = (".L", ".Q", ".C")


@dataclass(frozen=True)
class Contrast:
    """A coding that waits for its levels. `base` is the reference level of `treatment`; `rows` and `labels` belong to `custom`."""

    kind: str = "treatment"
    base: Any = None
    rows: tuple[tuple[float, ...], ...] = ()
    labels: tuple[str, ...] = ()
    levels: tuple[Any, ...] = ()  # of the rows, where they were named

    def width(self, count: int) -> int:
        """Number of columns for so many levels."""
        if self.kind == "custom":
            return len(self.rows[0])
        return count if self.kind == "full" else count - 1

    def table(self, levels: Sequence[Any], name: str) -> tuple[Array, tuple[str, ...]]:
        """(m, c) values of the columns for each level, and what follows the factor's name in theirs.

        Raises ModelError when the levels do not fit the coding.
        """
        if self.kind == "custom":
            return self._custom(levels, name)
        texts = [level_text(level) for level in levels]
        if self.kind == "full":
            return np.eye(len(levels)), tuple(f"[{text}]" for text in texts)
        if len(levels) < 2:
            only = f"level {texts[0]!r}" if texts else "no level"
            raise ModelError(
                f"the factor {name!r} has only {only} in the rows that are used, so it has nothing to contrast",
                hint=f"Drop {name!r} from the formula, or check whether missing values removed its other levels.",
            )
        return self._standard(texts, name)

    def _standard(self, texts: list[str], name: str) -> tuple[Array, tuple[str, ...]]:
        m = len(texts)
        if self.kind == "sum":
            return np.vstack([np.eye(m - 1), -np.ones(m - 1)]), tuple(f"[S.{text}]" for text in texts[:-1])
        if self.kind == "helmert":
            columns = np.arange(1.0, m)
            rows = np.arange(m)[:, None]
            return np.where(rows < columns, -1.0, np.where(rows == columns, columns, 0.0)), tuple(
                f"[H.{text}]" for text in texts[1:]
            )
        if self.kind == "poly":
            points = np.arange(1.0, m + 1)
            labels = tuple(POWERS[j] if j < 3 else f"^{j + 1}" for j in range(m - 1))
            return apply_polynomial(points, fit_polynomial(points, m - 1)), labels
        base = m - 1 if self.kind == "sas" else self._base(texts, name)
        kept = [j for j in range(m) if j != base]
        return np.eye(m)[:, kept], tuple(f"[T.{texts[j]}]" for j in kept)

    def _base(self, texts: list[str], name: str) -> int:
        if self.base is None:
            return 0
        if level_text(self.base) in texts:
            return texts.index(level_text(self.base))
        raise ModelError(f"the reference level {self.base!r} is no level of {name!r}", hint=f"Levels: {', '.join(texts[:20])}.")

    def _custom(self, levels: Sequence[Any], name: str) -> tuple[Array, tuple[str, ...]]:
        table = np.array(self.rows)
        if self.levels:
            place = {level_text(level): row for row, level in enumerate(self.levels)}
            absent = [level_text(level) for level in levels if level_text(level) not in place]
            if absent:
                raise ModelError(f"the contrasts for {name!r} have no row for the level(s) {', '.join(absent[:5])}")
            table = table[[place[level_text(level)] for level in levels]]
        if len(table) != len(levels):
            raise ModelError(
                f"the contrast matrix for {name!r} has {len(table)} rows; the factor has {len(levels)} levels in the rows used",
                hint=f"Levels in order: {', '.join(level_text(level) for level in levels[:20])}.",
            )
        return table, tuple(f"[C.{label}]" for label in self.labels)

    def to_json(self) -> dict[str, Any]:
        out: dict[str, Any] = {"kind": self.kind}
        if self.base is not None:
            out["base"] = self.base
        if self.kind == "custom":
            out |= {"rows": [list(row) for row in self.rows], "labels": list(self.labels), "levels": list(self.levels)}
        return out

    @classmethod
    def from_json(cls, saved: Mapping[str, Any]) -> Contrast:
        rows = tuple(tuple(row) for row in saved.get("rows", ()))
        return cls(saved["kind"], saved.get("base"), rows, tuple(saved.get("labels", ())), tuple(saved.get("levels", ())))


FULL = Contrast("full")


def contrast_named(name: str, base: Any = None) -> Contrast:
    """The coding by any of its spellings: `sum`, `Sum`, `contr.sum`.

    Raises ModelError with the nearest known name.
    """
    kind = name.lower().removeprefix("contr.")
    kind = SPELLINGS.get(kind, kind)
    if kind not in KINDS[:5]:
        close = difflib.get_close_matches(kind, KINDS[:5], n=1)
        raise ModelError(
            f"unknown contrasts {name!r}", hint=f"{f'Did you mean {close[0]!r}? ' if close else ''}Known: {', '.join(KINDS[:5])}."
        )
    if base is not None and kind != "treatment":
        raise ModelError(f"{kind!r} contrasts have no reference level; only 'treatment' takes one")
    return Contrast(kind, base)


def contrast_of(asked: Any, name: str) -> Contrast:
    """The coding that an entry of `contrasts={...}` asks for: a word, `{"treatment": level}`, or a matrix, a row a level."""
    if isinstance(asked, Contrast):
        return asked
    if isinstance(asked, str):
        return contrast_named(asked)
    if isinstance(asked, Mapping):
        if len(asked) == 1:
            ((word, base),) = asked.items()
            return contrast_named(str(word), base.item() if isinstance(base, np.generic) else base)
        raise ModelError(f"contrasts for {name!r}: expected one entry such as {{'treatment': 'a'}}, found {len(asked)}")
    return custom_contrast(asked, name)


def custom_contrast(asked: Any, name: str) -> Contrast:
    """A matrix of contrasts; a data frame names its columns, and its rows when the index holds the levels."""
    labels: tuple[str, ...] | None = None
    levels: tuple[Any, ...] = ()
    if isinstance(asked, pd.DataFrame):
        labels = tuple(str(label) for label in asked.columns)
        levels = () if isinstance(asked.index, pd.RangeIndex) else tuple(asked.index.tolist())
    try:
        table = np.array(asked, dtype=np.float64)
    except (TypeError, ValueError):
        raise ModelError(f"contrasts for {name!r} must be a word or a matrix of numbers, not {type(asked).__name__}") from None
    table = table[:, None] if table.ndim == 1 else table
    if table.ndim != 2 or not np.isfinite(table).all() or not 1 <= table.shape[1] < max(2, len(table)):
        raise ModelError(f"contrasts for {name!r} must be a finite matrix with a row for each level and fewer columns than rows")
    labels = labels or tuple(str(j + 1) for j in range(table.shape[1]))
    return Contrast("custom", None, tuple(map(tuple, table.tolist())), labels, levels)
