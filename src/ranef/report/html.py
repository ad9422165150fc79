"""Pieces of HTML that stand on their own: the summary as a notebook shows it."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from ranef.layouts.web import STYLE, badge, finding
from ranef.report import facts
from ranef.report.sections import SECTIONS

if TYPE_CHECKING:
    from ranef.fit.fit import Fit


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
        *(f"<div>{escape(name)}: {escape(text)}</div>" for name, text in facts.arguments(fit).items()),
        *(finding(one) for one in fit.findings),
        *(table.to_html(style=False) for table in tables),
    ]
    if not fit.model.design.mixed:
        parts += [f"<div>{escape(line)}</div>" for line in (facts.residual_line(fit), *facts.explained_lines(fit))]
    return f'{STYLE}<div class="ranef">{"".join(parts)}</div>'
