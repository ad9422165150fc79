"""Models side by side as text, HTML, LaTeX and Markdown."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from ranef.layouts import web
from ranef.layouts.latex import environment, tex
from ranef.layouts.markdown import escaped, pipes
from ranef.layouts.plain import folded
from ranef.layouts.shown import pretty

if TYPE_CHECKING:
    from ranef.report.side_by_side import Row, SideBySide

NUMBER = re.compile(r"\(?[-<>]?[\d,]+(?P<tail>(?P<decimals>\.\d+)?(?P<after>\)?\**))")
WIDTH, LABELS = 80, 32  # characters: of the whole, and of the column of labels where room is short


def text(answer: SideBySide) -> str:
    """Plain text, decimal points below each other; models that do not fit continue below."""
    columns = [pointed([row.cells[j] for part in answer.parts for row in part.rows]) for j in range(len(answer.names))]
    widths = [max(len(name), *map(len, column)) for name, column in zip(answer.names, columns, strict=True)]
    longest = max(len(row.label) for part in answer.parts for row in part.rows)
    room = longest if longest + sum(widths) + 2 * len(widths) <= WIDTH else min(longest, LABELS)
    notes = [textwrap.fill(note, WIDTH) for note in answer.notes]
    blocks = [_block(answer, columns, widths, room, which) for which in _fitting(widths, room)]
    return "\n".join([*([answer.title] if answer.title else []), "\n\n".join(blocks), *notes])


def _fitting(widths: Sequence[int], room: int) -> list[list[int]]:
    """Which models stand side by side."""
    blocks: list[list[int]] = [[]]
    for j, width in enumerate(widths):
        used = room + sum(widths[i] + 2 for i in blocks[-1])
        if blocks[-1] and used + width + 2 > WIDTH:
            blocks.append([])
        blocks[-1].append(j)
    return blocks


def _block(answer: SideBySide, columns: list[list[str]], widths: list[int], room: int, which: list[int]) -> str:
    head = " " * room + "".join("  " + answer.names[j].rjust(widths[j]) for j in which)
    rule = "-" * len(head)
    lines, at = [head.rstrip(), rule], 0
    for p, part in enumerate(answer.parts):
        lines += [rule] if p else []
        for row in part.rows:
            *above, label = folded(row.label, room)
            lines += [*above, (label.ljust(room) + "".join("  " + columns[j][at].rjust(widths[j]) for j in which)).rstrip()]
            at += 1
    return "\n".join([*lines, rule])


def pointed(texts: Sequence[str]) -> list[str]:
    """Numbers padded so that their decimal points stand below each other; intervals and words keep to the right."""
    found = [NUMBER.fullmatch(text) for text in texts]
    tails = [-1 if match is None else len(match["tail"]) for match in found]
    tail = max(tails, default=0)
    return [text if own < 0 else text + " " * (tail - own) for text, own in zip(texts, tails, strict=True)]


def html(answer: SideBySide, style: bool) -> str:
    """A table in a box that scrolls sideways; each part is a group of rows."""
    heads = "".join(f'<th scope="col" class="n hung">{escape(name)}</th>' for name in answer.names)
    columns = [_hung(_column(answer, j)) for j in range(len(answer.names))]
    bodies, at = [], 0
    for part in answer.parts:
        following = [*part.rows[1:], None]
        rows = []
        for row, after in zip(part.rows, following, strict=True):
            joined = after is not None and after.below
            rows.append(_html_row(row, [column[at] for column in columns], joined))
            at += 1
        title = f'<tr><th scope="rowgroup" colspan="{len(answer.names) + 1}" class="part">{escape(part.title)}</th></tr>'
        bodies.append(f"<tbody>{title}{''.join(rows)}</tbody>")
    caption = f"<caption>{escape(answer.title)}</caption>" if answer.title else ""
    table = f"<table>{caption}<thead><tr><td></td>{heads}</tr></thead>{''.join(bodies)}</table>"
    return (web.STYLE if style else "") + web.boxed(table, answer.title or "Models side by side", answer.notes)


def _html_row(row: Row, cells: Sequence[str], joined: bool) -> str:
    """`joined` says that the next row belongs to this one."""
    head = "<td></td>" if row.below else f'<th scope="row">{escape(row.label)}</th>'
    kind = ' class="below"' if row.below else ' class="joined"' if joined else ""
    inner = "".join(f'<td class="n hung">{cell}</td>' for cell in cells)
    return f"<tr{kind}>{head}{inner}</tr>"


def _hung(column: Sequence[str]) -> list[str]:
    """Escaped cells; brackets and stars take no room, and spaces stand for missing decimals, so that the points line up."""
    found = [NUMBER.fullmatch(cell) for cell in column]
    most = max((len(match["decimals"] or "") for match in found if match), default=0)
    pairs = zip(column, found, strict=True)
    return [escape(pretty(cell)) if match is None else _filled(cell, match, most) for cell, match in pairs]


def _filled(cell: str, match: re.Match[str], most: int) -> str:
    decimals, after = match["decimals"] or "", match["after"]
    lacking = most - len(decimals)
    spaces = web.SPACE[" "] * lacking if decimals or not lacking else web.SPACE["."] + web.SPACE[" "] * (lacking - 1)
    hung = f'<span class="hang">{after}</span>' if after else ""
    return escape(pretty(cell.removesuffix(after))) + hung + spaces


def _column(answer: SideBySide, j: int) -> list[str]:
    return [row.cells[j] for part in answer.parts for row in part.rows]


def inline(answer: SideBySide) -> str:
    """For Word and mail: a table whose style is in its cells."""
    parts = [[(row.label, *map(pretty, row.cells)) for row in part.rows] for part in answer.parts]
    return web.inline_table(answer.title, [("", *answer.names)], parts, [False, *[True] * len(answer.names)], answer.notes)


def latex(answer: SideBySide, caption: str | None, label: str | None, notes: bool) -> str:
    """A tabular with rules between the parts; brackets and stars hang over, so that decimal points stand below each other."""
    columns = [_stacked(_column(answer, j)) for j in range(len(answer.names))]
    labels = [tex(row.label) for part in answer.parts for row in part.rows]
    rows = list(zip(labels, *columns, strict=True))
    parts, at = [], 0
    for part in answer.parts:
        parts.append(rows[at : at + len(part.rows)])
        at += len(part.rows)
    heads = [("", *map(tex, answer.names))]
    title = answer.title if caption is None else caption
    return environment("l" + "r" * len(answer.names), heads, parts, title, label, answer.notes if notes else ())


def _stacked(column: Sequence[str]) -> list[str]:
    """Numbers with phantoms for the decimals that others have, and with what follows them without width."""
    found = [NUMBER.fullmatch(cell) for cell in column]
    most = max((len(match["decimals"] or "") for match in found if match), default=0)
    return [tex(cell) if match is None else _hanging(cell, match, most) for cell, match in zip(column, found, strict=True)]


def _hanging(cell: str, match: re.Match[str], most: int) -> str:
    decimals, after = match["decimals"] or "", match["after"]
    number = tex(pretty(cell.removesuffix(after)))
    lacking = most - len(decimals)
    phantom = rf"\phantom{{{'0' * lacking if decimals else '.' + '0' * (lacking - 1)}}}" if lacking else ""
    hung = rf"\rlap{{\textsuperscript{{{after}}}}}" if after.startswith("*") else rf"\rlap{{{after}}}" if after else ""
    return number + hung + phantom


def markdown(answer: SideBySide) -> str:
    """A pipe table."""
    rows: list[tuple[str, ...]] = []
    for part in answer.parts:
        rows += [(row.label, *map(pretty, row.cells)) for row in part.rows]
    above = [f"**{escaped(answer.title)}**", ""] if answer.title else []
    below = [line for note in answer.notes for line in ("", f"*{escaped(note)}*")]
    return "\n".join([*above, *pipes(("", *answer.names), rows, [False, *[True] * len(answer.names)]), *below])
