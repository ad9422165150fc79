"""The three faces of a table: plain text, HTML and LaTeX. They lay out cells and compute nothing."""

from __future__ import annotations

import textwrap
from html import escape
from typing import TYPE_CHECKING

from ranef import cells
from ranef.glossary import explain

if TYPE_CHECKING:
    from ranef.table import Table

HEAD, TAIL = 40, 10  # rows shown of a table that is longer than both
IDENTIFIERS = ("effect", "group", "level", "term", "name")  # repeated when a wide table continues below
STYLE = """<style>
.ranef{font:14px/1.45 system-ui,-apple-system,"Segoe UI",sans-serif;color:inherit;overflow-x:auto}
.ranef table{border-collapse:collapse;margin:.4em 0;font-variant-numeric:tabular-nums;border:0}
.ranef caption{text-align:left;font-weight:600;padding:.3em 0;white-space:nowrap;color:inherit}
.ranef th,.ranef td{padding:.28em .8em;text-align:left;white-space:nowrap;border:0;background:transparent;color:inherit}
.ranef thead th{font-weight:600;border-bottom:1.5px solid currentColor}
.ranef tbody td{border-bottom:1px solid color-mix(in srgb,currentColor 14%,transparent)}
.ranef .n{text-align:right}
.ranef p{margin:.2em 0;opacity:.75;font-size:12.5px;max-width:60em}
</style>"""
LATEX = {"\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
         "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"$<$", ">": r"$>$", "|": r"$|$"}  # fmt: skip


def text(table: Table, width: int = 80) -> str:
    """Plain text with aligned decimal points; columns that do not fit continue below, after the columns that name the row."""
    cut = _cut(len(table))
    shown = _shown(table, cut)
    lines = {name: _lines(table, name, shown[name]) for name in table.columns}
    blocks = [_block([lines[name] for name in names], cut, width) for names in _split(lines, width)] if len(table) else []
    notes = [textwrap.fill(note, width) for note in table.footnotes()]
    return "\n".join([*([table.title] if table.title else []), "\n\n".join(blocks) or "(no rows)", *notes])


def html(table: Table) -> str:
    """A table element in a scrollable box, to be used with STYLE; all text is escaped. Colours are those of the page."""
    cut = _cut(len(table))
    shown = _shown(table, cut)
    numeric = {name: cells.rule_of(name, table[name]) != "text" for name in table.columns}
    heads = "".join(
        f'<th class="{"n" if numeric[n] else "t"}" title="{escape(explain(n))}">{escape(cells.heading(n, table.headings))}</th>'
        for n in table.columns
    )
    rows = ["".join(_td(shown[n][i], numeric[n]) for n in table.columns) for i in range(len(next(iter(shown.values()), ())))]
    if cut is not None:
        rows.insert(cut[0], f'<td colspan="{len(table.columns)}">… {cut[1]} more rows …</td>')
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    caption = f"<caption>{escape(table.title)}</caption>" if table.title else ""
    notes = "".join(f"<p>{escape(note)}</p>" for note in table.footnotes())
    return f'<div class="ranef"><table>{caption}<thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>{notes}</div>'


def latex(table: Table) -> str:
    """All rows; numbers to the right; the rules are those of booktabs."""
    shown = cells.shown(table.columns)
    numeric = {name: cells.rule_of(name, table[name]) != "text" for name in table.columns}
    heads = " & ".join(tex(cells.heading(name, table.headings)) for name in table.columns)
    rows = [" & ".join(tex(shown[n][i], numeric[n]) for n in table.columns) + r" \\" for i in range(len(table))]
    places = "".join("r" if numeric[name] else "l" for name in table.columns)
    caption = [rf"\caption{{{tex(table.title)}}}"] if table.title else []
    notes = [r"\par\smallskip\footnotesize " + tex(note) for note in table.footnotes()]
    return "\n".join([
        r"\begin{table}", r"\centering", *caption, rf"\begin{{tabular}}{{{places}}}", r"\toprule", heads + r" \\", r"\midrule",
        *rows, r"\bottomrule", r"\end{tabular}", *notes, r"\end{table}",
    ])  # fmt: skip


def tex(text: str, number: bool = False) -> str:
    """`text` with the characters that mean something to LaTeX escaped."""
    escaped = "".join(LATEX.get(character, character) for character in text)
    return "$-$" + escaped[1:] if number and escaped.startswith("-") else escaped


def _cut(rows: int) -> tuple[int, int] | None:
    """(rows before the gap, rows left out), or None when all are shown."""
    return (HEAD, rows - HEAD - TAIL) if rows > HEAD + TAIL + 10 else None


def _shown(table: Table, cut: tuple[int, int] | None) -> dict[str, list[str]]:
    if cut is None:
        return cells.shown(table.columns)
    head, left = cut
    return cells.shown({name: [*values[:head], *values[head + left :]] for name, values in table.columns.items()})


def _lines(table: Table, name: str, texts: list[str]) -> list[str]:
    """One column, heading first, all of one width."""
    head, padded = cells.aligned(texts, cells.heading(name, table.headings), cells.rule_of(name, table[name]) != "text")
    return [head, *padded]


def _split(lines: dict[str, list[str]], width: int) -> list[list[str]]:
    """Which columns stand side by side."""
    names = list(lines)
    naming = names[: names.index("estimate")] if "estimate" in names else [name for name in names if name in IDENTIFIERS]
    blocks: list[list[str]] = [[]]
    for name in lines:
        used = sum(len(lines[other][0]) + 2 for other in blocks[-1])
        if blocks[-1] and set(blocks[-1]) - set(naming) and used + len(lines[name][0]) > width:
            blocks.append(list(naming))
        if name not in blocks[-1]:
            blocks[-1].append(name)
    return blocks


def _block(columns: list[list[str]], cut: tuple[int, int] | None, width: int) -> str:
    """The columns side by side, with a rule below the heading; a last column that is too wide is folded."""
    left = sum(len(column[0]) + 2 for column in columns[:-1])
    room = max(20, width - left) if left + len(columns[-1][0]) > width else None
    last = [[text] if room is None else textwrap.wrap(text, room) or [""] for text in columns[-1]]
    rows = []
    for place, parts in enumerate(zip(*columns[:-1], strict=True) if left else [()] * len(last)):
        start = "".join(part + "  " for part in parts)
        rows.append("\n".join(((start if i == 0 else " " * left) + piece).rstrip() for i, piece in enumerate(last[place])))
    rows.insert(1, "-" * max(len(line) for row in rows for line in row.split("\n")))
    if cut is not None:
        rows.insert(cut[0] + 2, f"... {cut[1]} more rows ...")
    return "\n".join(rows)


def _td(text: str, numeric: bool) -> str:
    pretty = text.replace("-", "\N{MINUS SIGN}") if numeric else text
    return f'<td class="{"n" if numeric else "t"}">{escape(pretty)}</td>'
