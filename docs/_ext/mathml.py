"""Equations as MathML, converted when the site is built: no network, no JavaScript, and screen readers can read them."""

from __future__ import annotations

import re
from html import escape

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.util.math import get_node_equation_number

BOLD_UPPER, BOLD_LOWER = 0x1D468, 0x1D482  # bold italic A, a
BOLD_GREEK_UPPER, BOLD_GREEK_LOWER = 0x1D71C, 0x1D736  # bold italic Alpha, alpha
STYLED = re.compile(r'<mi mathvariant="bold(?:-italic)?">(.*?)</mi>')
NAMED = re.compile(r"<mo>([A-Z][A-Za-z]+)</mo>")


def mathml(latex: str, *, block: bool) -> str:
    """What browsers show of `latex`. Raises ValueError for environments that the converter would garble."""
    if "&" in latex and not re.search(r"\\begin\{(?:[pb]?matrix|cases|array)\}", latex):
        raise ValueError(f"alignment outside of a matrix: {latex}")
    markup = convert(latex, display="block" if block else "inline")
    markup = markup.replace("<mi>&#x0007E;</mi>", "<mo>&#x0223C;</mo>")  # "is distributed as" is a relation
    markup = STYLED.sub(lambda found: f"<mi>{bold(found[1])}</mi>", markup)
    return NAMED.sub(r"<mi>\1</mi>", markup)


def bold(entity: str) -> str:
    """The bold italic letter: browsers follow `mathvariant` no longer."""
    code = int(entity[3:-1], 16) if entity.startswith("&#x") else ord(entity)
    for first, last, there in (
        (0x41, 0x5A, BOLD_UPPER),
        (0x61, 0x7A, BOLD_LOWER),
        (0x391, 0x3A9, BOLD_GREEK_UPPER),
        (0x3B1, 0x3C9, BOLD_GREEK_LOWER),
    ):
        if first <= code <= last:
            return f"&#x{there + code - first:X};"
    return entity


def visit_inline(self, node: nodes.math) -> None:
    self.body.append(mathml(node.astext(), block=False))
    raise nodes.SkipNode


def visit_block(self, node: nodes.math_block) -> None:
    number = get_node_equation_number(self, node) if node["number"] else ""
    label = f'<span class="eqno">({escape(number)})</span>' if number else ""
    target = f' id="{escape(node["ids"][0])}"' if node.get("ids") else ""
    self.body.append(f'<div class="equation"{target}>{mathml(node.astext(), block=True)}{label}</div>\n')
    raise nodes.SkipNode


def setup(app):
    app.add_html_math_renderer("mathml", (visit_inline, None), (visit_block, None))
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
