"""Plain text with aligned decimal points.

Names that are too long for the screen are folded; columns that still do not fit continue below, after the columns that name
the row.
"""

from __future__ import annotations

import re
import textwrap
from itertools import zip_longest
from typing import TYPE_CHECKING

from ranef import cells
from ranef.layouts.shown import Cut, cut, numeric, shown

if TYPE_CHECKING:
    from ranef.table import Table

IDENTIFIERS = ("effect", "group", "level", "term", "name", "model")  # repeated when a wide table continues below
NARROWEST = 22  # characters to which a column of names may be folded
BREAKS = re.compile(r"(?<=[\s:,+*/|_])|(?=[\[(])")

Lines = list[str]  # one cell
Columns = dict[str, list[Lines]]  # heading first


def text(table: Table, width: int = 80) -> str:
    """The title, the columns below their headings, and the notes; at most `width` wide where the columns allow it."""
    gap = cut(len(table))
    blocks = [_block(block, gap, width) for block in _blocks(table, gap, width)] if len(table) else []
    notes = [textwrap.fill(note, width) for note in table.footnotes()]
    return "\n".join([*([table.title] if table.title else []), "\n\n".join(blocks) or "(no rows)", *notes])


def folded(name: str, room: int) -> Lines:
    """A name on lines of at most `room` characters, broken where its parts end; those after the first are indented."""
    lines = [""]
    for piece in BREAKS.split(name):
        left = room - len(lines[-1])
        if len(piece.rstrip()) > left:
            lines.append("  ")
            piece, left = piece.lstrip(), room - 2
        while len(piece.rstrip()) > left > 0:
            lines[-1] += piece[:left]
            piece, left = piece[left:], room - 2
            lines.append("  ")
        lines[-1] += piece
    return [line.rstrip() for line in lines if line.strip()] or [""]


def _blocks(table: Table, gap: Cut | None, width: int) -> list[Columns]:
    """The columns that stand side by side, block below block."""
    texts, numbers = shown(table, gap), numeric(table)
    heads = {name: cells.heading(name, table.headings) for name in table.columns}
    for name, room in _rooms(texts, heads, numbers, width).items():
        texts[name] = ["\n".join(folded(cell, room)) for cell in texts[name]]
    lines = {name: _column(texts[name], heads[name], numbers[name]) for name in table.columns}
    return [{name: lines[name] for name in names} for names in _split(lines, width)]


def _rooms(texts: dict[str, Lines], heads: dict[str, str], numbers: dict[str, bool], width: int) -> dict[str, int]:
    """How wide the columns of names may be, where folding them lets all columns stand side by side."""
    wide = {name: max([len(heads[name]), *map(len, texts[name])]) for name in texts}
    excess = sum(wide.values()) + 2 * (len(wide) - 1) - width
    rooms: dict[str, int] = {}
    foldable = [name for name in list(texts)[:-1] if not numbers[name] and wide[name] > NARROWEST]
    for name in sorted(foldable, key=lambda name: -wide[name]):
        if excess > 0:
            rooms[name] = max(NARROWEST, len(heads[name]), wide[name] - excess)
            excess -= wide[name] - rooms[name]
    return rooms if excess <= 0 else {}


def _column(texts: Lines, head: str, number: bool) -> list[Lines]:
    """One column, heading first, each cell a list of lines of one width."""
    if number:
        first, rest = cells.aligned(texts, head, True)
        return [[first], *([cell] for cell in rest)]
    parts = [[head], *(cell.split("\n") for cell in texts)]
    width = max(len(line) for cell in parts for line in cell)
    return [[line.ljust(width) for line in cell] for cell in parts]


def _split(lines: Columns, width: int) -> list[list[str]]:
    """Which columns stand side by side."""
    names = list(lines)
    naming = names[: names.index("estimate")] if "estimate" in names else [name for name in names if name in IDENTIFIERS]
    blocks: list[list[str]] = [[]]
    for name in lines:
        used = sum(len(lines[other][0][0]) + 2 for other in blocks[-1])
        if blocks[-1] and set(blocks[-1]) - set(naming) and used + len(lines[name][0][0]) > width:
            blocks.append(list(naming))
        if name not in blocks[-1]:
            blocks[-1].append(name)
    return blocks


def _block(columns: Columns, gap: Cut | None, width: int) -> str:
    """The columns side by side, with a rule below the heading; a last column that is too wide is folded."""
    *others, last = columns.values()
    left = sum(len(column[0][0]) + 2 for column in others)
    room = max(20, width - left) if left + len(last[0][0]) > width else None
    last = last if room is None else [textwrap.wrap(" ".join(cell).strip(), room) or [""] for cell in last]
    blanks = [" " * len(column[0][0]) for column in others]
    rows = [_row(row, blanks) for row in zip(*others, last, strict=True)]
    rows.insert(1, "-" * max(len(line) for row in rows for line in row.split("\n")))
    if gap is not None:
        rows.insert(gap[0] + 2, f"... {gap[1]} more rows ...")
    return "\n".join(rows)


def _row(row: tuple[Lines, ...], blanks: Lines) -> str:
    """The cells of one row, each of one line or more, side by side; the first lines stand on a level."""
    lines = zip_longest(*row)
    return "\n".join(
        "  ".join(blank if part is None else part for part, blank in zip(parts, [*blanks, ""], strict=True)).rstrip()
        for parts in lines
    )
