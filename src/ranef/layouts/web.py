"""HTML: a fragment for pages and notebooks, light or dark, or a table with its style in every cell for Word and mail."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from ranef.cells import aligned, heading
from ranef.glossary import explain
from ranef.layouts.shown import cut, numeric, pretty, shown

if TYPE_CHECKING:
    from ranef.errors import Finding
    from ranef.table import Table

# Colours are those of the text around, so that every dark theme fits; nothing outside of .ranef is touched. The class is doubled to
# win against the rules of notebooks for all tables.
STYLE = """<style>
div.ranef.ranef{font:14px/1.45 system-ui,-apple-system,"Segoe UI",sans-serif;color:inherit;text-align:left}
div.ranef.ranef .scroll{overflow-x:auto;max-width:100%}
div.ranef.ranef table{border-collapse:collapse;margin:.4em 0;font-variant-numeric:tabular-nums;border:0;
  font-size:inherit;width:auto}
div.ranef.ranef caption{text-align:left;font-weight:600;padding:.3em 0;white-space:nowrap;color:inherit;caption-side:top}
div.ranef.ranef tr,div.ranef.ranef tr:nth-child(n){background:transparent}
div.ranef.ranef th,div.ranef.ranef td{padding:.28em .8em;text-align:left;vertical-align:baseline;white-space:nowrap;border:0;
  background:transparent;color:inherit;font-weight:400}
div.ranef.ranef th:first-child,div.ranef.ranef td:first-child{padding-left:.1em}
div.ranef.ranef thead th,div.ranef.ranef thead td{font-weight:600;border-bottom:1.5px solid currentColor;vertical-align:bottom}
div.ranef.ranef tbody th,div.ranef.ranef tbody td{border-bottom:1px solid color-mix(in srgb,currentColor 16%,transparent)}
div.ranef.ranef tbody th.part{font-weight:600;padding-top:.7em}
div.ranef.ranef tr.below td{padding-top:0}
div.ranef.ranef tr.joined th,div.ranef.ranef tr.joined td{border-bottom:0;padding-bottom:.1em}
div.ranef.ranef .hang{position:absolute}
div.ranef.ranef th.hung,div.ranef.ranef td.hung{padding-right:1.9em}
div.ranef.ranef td.long{white-space:normal;min-width:15em}
div.ranef.ranef th.n,div.ranef.ranef td.n{text-align:right}
div.ranef.ranef p{margin:.2em 0;opacity:.8;font-size:12.5px;max-width:60em}
div.ranef.ranef p.finding{margin:.4em 0;opacity:1;font-size:inherit}
div.ranef.ranef .badge{display:inline-block;border-radius:.7em;padding:.05em .7em;font-weight:600;font-size:.88em;
  color:#fff;white-space:nowrap}
div.ranef.ranef .good{background:#1f7a4d}div.ranef.ranef .mind{background:#9a6200}div.ranef.ranef .bad{background:#b3261e}
div.ranef.ranef code{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;font-size:.94em;overflow-wrap:anywhere;
  color:inherit;background:transparent;padding:0}
@media (max-width:520px){div.ranef.ranef caption{white-space:normal}div.ranef.ranef th,div.ranef.ranef td{padding:.28em .5em}}
</style>"""
LONG = 28  # characters beyond which a text may be broken over several lines
NAMED = ("effect", "component", "assumption", "group", "level", "term", "term1", "name", "quantity", "contrast", "model", "code")
SPACE = {" ": "\N{FIGURE SPACE}", ".": "\N{PUNCTUATION SPACE}"}  # as wide as a digit, as wide as a point
COLOURS = {
    "optimum": "good", "optimum on the boundary": "mind", "not converged": "bad",
    "note": "good", "warning": "mind", "serious": "bad",
    "fine": "good", "look": "mind", "concern": "bad",
}  # fmt: skip
JUDGED = ("verdict", "severity")  # columns whose words have a colour
FONT = "font-family:'Times New Roman',serif;font-size:10pt"


def html(table: Table) -> str:
    """A table in a box that scrolls sideways, to be used with STYLE; all text is escaped."""
    gap = cut(len(table))
    texts, numbers = shown(table, gap), numeric(table)
    columns = {name: _stacked(texts[name]) if numbers[name] else texts[name] for name in table.columns}
    heads = "".join(_head(table, name, numbers[name]) for name in table.columns)
    first = next(iter(table.columns), "") in NAMED
    judged = [name in JUDGED for name in table.columns]
    rows = ["".join(_row(row, list(numbers.values()), first, judged)) for row in zip(*columns.values(), strict=True)]
    if gap is not None:
        rows.insert(gap[0], f'<td colspan="{len(table.columns)}">… {gap[1]:,} more rows …</td>')
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    caption = f"<caption>{escape(table.title)}</caption>" if table.title else ""
    return boxed(f"<table>{caption}<thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>", table.title, table.footnotes())


def badge(word: str) -> str:
    """A word in the colour of its meaning: a status, a severity or a verdict."""
    colour = COLOURS.get(word)
    return escape(word) if colour is None else f'<span class="badge {colour}">{escape(word)}</span>'


def finding(one: Finding) -> str:
    """A finding: how serious, what, and what to do."""
    remedy = f" <i>{_marked(one.remedy)}</i>" if one.remedy else ""
    return f'<p class="finding">{badge(one.severity)} {_marked(one.message)}{remedy}</p>'


def _marked(text: str) -> str:
    """Escaped, with what stands in backticks as code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))


def boxed(table: str, title: str, notes: Sequence[str]) -> str:
    """A table element in its box, with the notes below; the box can be reached and scrolled by keyboard."""
    below = f"<p>{escape(sentences(notes))}</p>" if notes else ""
    label = escape(title or "Table", quote=True)
    return f'<div class="ranef"><div class="scroll" role="group" tabindex="0" aria-label="{label}">{table}</div>{below}</div>'


def sentences(notes: Sequence[str]) -> str:
    """Notes as one paragraph."""
    return " ".join(note if note.endswith((".", "!", "?")) else note + "." for note in notes)


def inline(table: Table) -> str:
    """A table whose style is in its cells, in the manner of a journal: it keeps its look when pasted into Word or a mail."""
    texts, numbers = shown(table), numeric(table)
    columns = [_stacked(texts[name]) if numbers[name] else texts[name] for name in table.columns]
    heads = [heading(name, table.headings) for name in table.columns]
    rows = list(zip(*columns, strict=True))
    return inline_table(table.title, [heads], [rows], list(numbers.values()), table.footnotes())


def inline_table(
    title: str,
    heads: Sequence[Sequence[str]],
    parts: Sequence[Sequence[Sequence[str]]],
    numbers: Sequence[bool],
    notes: Sequence[str],
) -> str:
    """Rows of headings, then parts that are divided by rules; three rules as in a journal."""
    caption = f'<caption style="text-align:left;padding:0 0 4pt;{FONT}"><i>{escape(title)}</i></caption>' if title else ""
    above = "".join(
        _inline_row(row, numbers, "th", _edges(i == 0, i == len(heads) - 1, "1pt", "0.5pt")) for i, row in enumerate(heads)
    )
    body = "".join(
        _inline_row(row, numbers, "td", _edges(p > 0 and i == 0, p == len(parts) - 1 and i == len(part) - 1, "0.5pt", "1pt"))
        for p, part in enumerate(parts)
        for i, row in enumerate(part)
    )
    style = "margin:3pt 0 0;font-size:9pt;font-family:'Times New Roman',serif"
    below = f'<p style="{style}">{escape(sentences(notes))}</p>' if notes else ""
    table = f'<table style="border-collapse:collapse;{FONT}">{caption}<thead>{above}</thead><tbody>{body}</tbody></table>'
    return table + below


def _edges(top: bool, bottom: bool, above: str, below: str) -> str:
    rules = [f"border-top:{above} solid #000" if top else "border-top:none"]
    rules.append(f"border-bottom:{below} solid #000" if bottom else "border-bottom:none")
    return ";".join([*rules, "border-left:none", "border-right:none"])


def _inline_row(row: Sequence[str], numbers: Sequence[bool], tag: str, edges: str) -> str:
    return f"<tr>{''.join(_inline_cell(cell, right, tag, edges) for cell, right in zip(row, numbers, strict=True))}</tr>"


def _inline_cell(cell: str, right: bool, tag: str, edges: str) -> str:
    kind = tag if cell else "td"
    scope = ' scope="col"' if kind == "th" else ""
    side = "right" if right else "left"
    style = f"padding:2pt 6pt;white-space:nowrap;font-weight:normal;{edges};text-align:{side};{FONT}"
    return f'<{kind}{scope} style="{style}">{escape(cell)}</{kind}>'


def _stacked(texts: Sequence[str]) -> list[str]:
    """Numbers with minus signs, and with spaces in place of the decimals that others of the column have."""
    padded = aligned(texts, "", True)[1]
    return [_filled(pretty(cell.lstrip())) for cell in padded]


def _filled(text: str) -> str:
    number = text.rstrip()
    lacking = len(text) - len(number)
    if not lacking or not number:
        return number
    return number + (SPACE[" "] * lacking if "." in number else SPACE["."] + SPACE[" "] * (lacking - 1))


def _row(row: Sequence[str], numbers: Sequence[bool], first: bool, judged: Sequence[bool]) -> list[str]:
    out = []
    for j, (text, number, judgement) in enumerate(zip(row, numbers, judged, strict=True)):
        kind = "n" if number else "t long" if len(text) > LONG else "t"
        tag, scope = ("th", ' scope="row"') if first and j == 0 and text else ("td", "")
        out.append(f'<{tag}{scope} class="{kind}">{badge(text) if judgement else escape(text)}</{tag}>')
    return out


def _head(table: Table, name: str, number: bool) -> str:
    text = heading(name, table.headings)
    kind = "n" if number else "t"
    return f'<th scope="col" class="{kind}"{_hint(name)}>{escape(text)}</th>' if text else f'<td class="{kind}"></td>'


def _hint(name: str) -> str:
    help = explain(name)
    return f' title="{escape(help, quote=True)}"' if help else ""
