"""Indented blocks are formulas in plain text: their numbers, far to the right in the source, become a column of their own."""

from __future__ import annotations

import re
from html import escape

from docutils import nodes

NUMBERED = re.compile(r"^(.*?\S)\s{2,}(\(\d+\w?\)(?:[,–-]\s?\(\d+\w?\))?)$")


def as_html(text: str) -> str:
    """Lines with their numbers; spaces and line breaks stay."""
    lines = [NUMBERED.match(line) for line in text.splitlines()]
    rows = "".join(
        f"<div><span>{escape(found[1] if found else line) or '&nbsp;'}</span>"
        + (f'<span class="eqno">{escape(found[2])}</span>' if found else "")
        + "</div>"
        for line, found in zip(text.splitlines(), lines, strict=True)
    )
    return f'<div class="formulas" tabindex="0">{rows}</div>'


def replace(app, doctree, docname) -> None:
    if app.builder.format != "html":
        return
    for block in list(doctree.findall(nodes.literal_block)):
        if block.get("language", "none") in ("none", "default") and not block.astext().startswith(">>>"):
            block.replace_self(nodes.raw("", as_html(block.astext()), format="html"))


def setup(app):
    app.connect("doctree-resolved", replace)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
