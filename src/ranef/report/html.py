"""Pieces of HTML that stand on their own: the summary as a notebook shows it."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from ranef.layouts.web import STYLE
from ranef.report import facts
from ranef.report.sections import SECTIONS

if TYPE_CHECKING:
    from ranef.errors import Finding
    from ranef.fit.fit import Fit

COLOURS = {
    "optimum": "good",
    "optimum on the boundary": "mind",
    "not converged": "bad",
    "note": "good",
    "warning": "mind",
    "serious": "bad",
}
BADGES = """<style>
.ranef .badge{display:inline-block;border-radius:.7em;padding:.05em .7em;font-weight:600;font-size:.88em;
  color:#fff;white-space:nowrap}
.ranef .good{background:#1f7a4d}.ranef .mind{background:#9a6200}.ranef .bad{background:#b3261e}
.ranef code{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;font-size:.94em;overflow-wrap:anywhere}
.ranef .finding{margin:.4em 0;opacity:1;font-size:inherit}
</style>"""


def summary_fragment(fit: Fit) -> str:
    """The summary of a fit; fits light and dark pages."""
    tables = [table for table in (section(fit) for section in SECTIONS) if table is not None]
    criteria = " · ".join(f"{escape(name)} {value:,.2f}" for name, value in facts.criteria(fit).items()).replace(
        "-", "\N{MINUS SIGN}"
    )
    parts = [
        f"<div><b>{escape(facts.kind(fit))}</b> {badge(fit.status)}</div>",
        f"<div><code>{escape(fit.formula)}</code></div>",
        f"<div>{escape(facts.data_line(fit))} · {criteria}</div>",
        *(finding(one) for one in fit.findings),
        *(table.to_html(style=False) for table in tables),
    ]
    return f'{STYLE}{BADGES}<div class="ranef">{"".join(parts)}</div>'


def badge(word: str) -> str:
    """A word in the colour of its meaning: a status or a severity."""
    return f'<span class="badge {COLOURS.get(word, "mind")}">{escape(word)}</span>'


def finding(one: Finding) -> str:
    """A finding: how serious, what, and what to do."""
    remedy = f" <i>{escape(one.remedy)}</i>" if one.remedy else ""
    return f'<p class="finding">{badge(one.severity)} {escape(one.message)}{remedy}</p>'
