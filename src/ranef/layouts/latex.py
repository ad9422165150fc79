"""LaTeX: a tabular with the rules of booktabs, and nothing else to install.

Digits are equally wide in LaTeX's fonts, so numbers stand on their decimal point when they are set to the right and the shorter
ones are followed by a phantom of the digits that they lack.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ranef import cells
from ranef.layouts.shown import numeric, shown

if TYPE_CHECKING:
    from ranef.table import Table

SPECIAL = {"\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
           "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"$<$", ">": r"$>$", "|": r"$|$",
           '"': r"\textquotedbl{}", "\N{MINUS SIGN}": r"$-$", "²": r"\textsuperscript{2}", "³": r"\textsuperscript{3}",
           "±": r"$\pm$", "×": r"$\times$", "·": r"$\cdot$", "≥": r"$\geq$", "≤": r"$\leq$", "–": "--", "—": "---",
           "…": r"\ldots{}",
           "α": r"$\alpha$", "β": r"$\beta$", "ε": r"$\varepsilon$", "η": r"$\eta$", "θ": r"$\theta$", "ρ": r"$\rho$",
           "σ": r"$\sigma$", "τ": r"$\tau$", "χ": r"$\chi$", "ω": r"$\omega$", "Δ": r"$\Delta$", "Σ": r"$\Sigma$"}  # fmt: skip


def latex(table: Table, caption: str | None = None, label: str | None = None, notes: bool = True) -> str:
    """All rows in a table environment; `caption` in place of the title, `label` for \\ref, and the notes below unless told."""
    texts, numbers = shown(table), numeric(table)
    columns = [_column(texts[name], numbers[name]) for name in table.columns]
    heads = [tex(cells.heading(name, table.headings)) for name in table.columns]
    places = "".join("r" if numbers[name] else "l" for name in table.columns)
    rows = list(zip(*columns, strict=True))
    title = table.title if caption is None else caption
    return environment(places, [heads], [rows], title, label, table.footnotes() if notes else ())


def environment(
    places: str,
    heads: Sequence[Sequence[str]],
    parts: Sequence[Sequence[Sequence[str]]],
    caption: str = "",
    label: str | None = None,
    notes: Sequence[str] = (),
) -> str:
    """A table environment from escaped cells: rows of headings, then parts that are divided by rules."""
    bodies = [[line(row) for row in part] for part in parts if part]
    rows = [row for i, body in enumerate(bodies) for row in ([r"\midrule", *body] if i else body)]
    return "\n".join([
        r"\begin{table}[htbp]", r"\centering", *([rf"\caption{{{tex(caption)}}}"] if caption else []),
        *([rf"\label{{{label}}}"] if label else []), rf"\begin{{tabular}}{{{places}}}", r"\toprule", *map(line, heads),
        r"\midrule", *rows, r"\bottomrule", r"\end{tabular}", *_notes(notes), r"\end{table}",
    ])  # fmt: skip


def line(row: Sequence[str]) -> str:
    return guarded(" & ".join(row).rstrip()) + r" \\"


def guarded(text: str) -> str:
    """A line that the end of the line before cannot take for its option: a star or a bracket is kept from it."""
    return "{}" + text if text.startswith(("*", "[")) else text


def tex(text: str, number: bool = False) -> str:
    """`text` with the characters that mean something to LaTeX escaped."""
    escaped = "".join(SPECIAL.get(character, character) for character in text)
    return "$-$" + escaped[1:] if number and escaped.startswith("-") else escaped


def _column(texts: Sequence[str], number: bool) -> list[str]:
    """Escaped cells; numbers with phantoms for the decimals that others of the column have and they have not."""
    if not number:
        return [tex(text) for text in texts]
    padded = cells.aligned(texts, "", True)[1]
    return [tex(cell.strip(), True) + _phantom(cell) for cell in padded]


def _phantom(padded: str) -> str:
    number = padded.rstrip()
    places = len(padded) - len(number)
    if not number or not places:
        return ""
    return rf"\phantom{{{'0' * places if '.' in number else '.' + '0' * (places - 1)}}}"


def _notes(notes: Sequence[str]) -> list[str]:
    if not notes:
        return []
    lines = [guarded(tex(note)) + (r" \\" if i < len(notes) - 1 else "") for i, note in enumerate(notes)]
    return [r"\par\smallskip", r"\begin{minipage}{0.95\linewidth}\footnotesize", *lines, r"\end{minipage}"]
