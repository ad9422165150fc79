"""Markdown: a pipe table, as GitHub, Pandoc and Quarto read it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ranef import cells
from ranef.layouts.shown import numeric, pretty, shown

if TYPE_CHECKING:
    from ranef.table import Table

SPECIAL = "\\`*_{}[]<>|~$#"


def markdown(table: Table, title: bool = True) -> str:
    """All rows; the title in bold above, the notes below."""
    texts, numbers = shown(table), numeric(table)
    heads = [cells.heading(name, table.headings) for name in table.columns]
    columns = [[pretty(cell) for cell in texts[name]] if numbers[name] else texts[name] for name in table.columns]
    above = [f"**{escaped(table.title)}**", ""] if title and table.title else []
    below = [line for note in table.footnotes() for line in ("", f"*{escaped(note)}*")]
    return "\n".join([*above, *pipes(heads, list(zip(*columns, strict=True)), list(numbers.values())), *below])


def pipes(heads: Sequence[str], rows: Sequence[Sequence[str]], numbers: Sequence[bool]) -> list[str]:
    """The lines of a pipe table from cells that are not yet escaped, padded so that the source is a table, too."""
    grid = [[escaped(cell) for cell in row] for row in (heads, *rows)]
    widths = [max(3, *(len(row[j]) for row in grid)) for j in range(len(heads))]
    places = list(zip(widths, numbers, strict=True))
    rule = ["-" * (w - 1) + ":" if right else ":" + "-" * (w - 1) for w, right in places]
    padded = [[cell.rjust(w) if right else cell.ljust(w) for cell, (w, right) in zip(row, places, strict=True)] for row in grid]
    return ["| " + " | ".join(row) + " |" for row in (padded[0], rule, *padded[1:])]


def escaped(text: str) -> str:
    """`text` with the characters that mean something to Markdown escaped; on one line."""
    return "".join("\\" + character if character in SPECIAL else character for character in " ".join(text.split()))
