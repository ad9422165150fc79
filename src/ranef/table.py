"""Tables: what every question to a model answers with.

A `Table` is columns with names from one glossary, and the words that say how they were made. It does nothing when it is made:
numbers are put into words (`ranef.cells`) and frames are built only when someone looks.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from os import PathLike
from typing import Any

import numpy as np

from ranef import cells
from ranef.arguments import check_path, write_text
from ranef.cells import Values
from ranef.errors import DataError
from ranef.glossary import Rule

SPREADSHEET_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True, eq=False, repr=False)
class Table:
    """Tidy columns and how they were made.

    `columns` maps a name of the glossary to a sequence; all are equally long. `headings` replaces the heading of a column where the
    table knows better (`{"statistic": "t"}`), `rules` how its numbers are shown (`{"estimate": "fraction"}`; see the glossary).
    `level` is the confidence level of its intervals, `adjustment` the correction for multiple comparisons. `frame_kind` is the kind
    of frame that `.frame` gives: the user's.

    Examples
    --------
    >>> import ranef
    >>> m = ranef.lmm("Reaction ~ Days + (Days | Subject)", ranef.datasets.load("sleepstudy"))
    >>> table = m.conf_int()
    >>> table.frame.round(2)
              term  estimate  conf_low  conf_high
    0  (Intercept)    251.41    237.01     265.80
    1         Days     10.47      7.21      13.73
    >>> table["conf_low"].round(2)
    array([237.01,   7.21])
    >>> table.to_csv("intervals.csv")
    """

    columns: Mapping[str, Any]  # of sequences or arrays
    title: str = ""
    notes: tuple[str, ...] = ()
    frame_kind: str = "pandas"
    level: float | None = None
    adjustment: str | None = None
    headings: Mapping[str, str] = field(default_factory=dict)
    rules: Mapping[str, Rule] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), ()))

    def __getitem__(self, column: str) -> Values:
        try:
            return self.columns[column]
        except (KeyError, TypeError):
            known = ", ".join(self.columns)
            raise DataError(f"This table has no column `{column}`.", hint=f"Its columns are: {known}.") from None

    def __contains__(self, column: str) -> bool:
        return column in self.columns

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """The rows, each a dictionary from column to value."""
        for values in zip(*self.columns.values(), strict=True):
            yield dict(zip(self.columns, values, strict=True))

    @property
    def frame(self) -> Any:
        """The columns as a data frame of the kind that the user passed in (pandas where there is no such kind)."""
        columns = {name: _plain(values) for name, values in self.columns.items()}
        if self.frame_kind == "polars":
            import polars

            return polars.DataFrame(columns, strict=False)
        if self.frame_kind in ("pyarrow", "arrow"):
            import pyarrow

            return pyarrow.table(columns)
        import pandas

        return pandas.DataFrame(columns)

    @property
    def metadata(self) -> dict[str, Any]:
        """How the table was made: title, confidence level, adjustment and notes."""
        return {"title": self.title, "level": self.level, "adjustment": self.adjustment, "notes": list(self.notes)}

    def footnotes(self) -> tuple[str, ...]:
        """The notes below the table, with those that follow from its level and adjustment."""
        intervals = any(name in self.columns for name in ("conf_low", "pred_low"))
        level = (f"Intervals hold with probability {self.level:.4g}.",) if self.level and intervals else ()
        adjusted = (f"Adjusted for multiple comparisons: {self.adjustment}.",) if self.adjustment else ()
        return (*self.notes, *level, *adjusted)

    def to_text(self, width: int = 80) -> str:
        """Plain text, at most `width` characters wide where the columns allow it."""
        from ranef.layouts.plain import text

        return text(self, width)

    def to_latex(self, caption: str | None = None, label: str | None = None, *, notes: bool = True) -> str:
        """A LaTeX tabular in a table environment; needs the package booktabs.

        `caption` replaces the title (an empty one leaves it out), `label` is for ``\\ref``; `notes=False` leaves the notes out.
        """
        from ranef.layouts.latex import latex

        return latex(self, caption, label, notes)

    def to_markdown(self) -> str:
        """A pipe table, as GitHub, Pandoc and Quarto read it."""
        from ranef.layouts.markdown import markdown

        return markdown(self)

    def to_html(self, *, style: bool = True, inline: bool = False) -> str:
        """An HTML fragment, with its own style unless told; fits light and dark pages.

        With `inline` the style is in the cells, so that the table keeps its look when it is pasted into Word or a mail.
        """
        from ranef.layouts import web

        return web.inline(self) if inline else (web.STYLE if style else "") + web.html(self)

    def to_dict(self) -> dict[str, list[Any]]:
        """Column to list of plain Python values, as JSON has them (a value that is not a number becomes None)."""
        return {name: [cells.jsonable(value) for value in values] for name, values in self.columns.items()}

    def to_csv(self, path: str | PathLike[str] | None = None) -> str | None:
        """Write full-precision CSV to `path`; without a path return it as text.

        A text that a spreadsheet would run as a formula (it begins with `=`, `+`, `-` or `@`) gets an apostrophe in front.
        """
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow([_guarded(name) for name in self.columns])
        writer.writerows([_guarded(value) for value in row.values()] for row in self)
        if path is None:
            return out.getvalue()
        write_text(check_path("path", path), out.getvalue())
        return None

    def __repr__(self) -> str:
        return self.to_text()

    def _repr_html_(self) -> str:
        return self.to_html()


def _plain(values: Values) -> Any:
    """A list or array that every frame library takes: numbers as arrays, the rest as lists."""
    if isinstance(values, np.ndarray) and values.dtype != object:
        return values
    plain = [value.item() if isinstance(value, np.generic) else value for value in values]
    numbers = plain and all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in plain)
    return np.asarray(plain) if numbers else plain


def _guarded(value: Any) -> Any:
    plain = value.item() if isinstance(value, np.generic) else value
    if plain is None or (isinstance(plain, float) and plain != plain):
        return ""
    return "'" + plain if isinstance(plain, str) and plain.startswith(SPREADSHEET_FORMULA) else plain
