"""Mathematics as a tree of a few kinds of nodes, written as MathML for browsers or as LaTeX for Markdown."""

from __future__ import annotations

from dataclasses import dataclass
from functools import singledispatch
from html import escape

from ranef.layouts.latex import tex

GREEK = {"β": r"\beta", "ε": r"\varepsilon", "σ": r"\sigma", "τ": r"\tau", "ρ": r"\rho", "Σ": r"\Sigma"}
SIGNS = {"~": r"\sim", "−": "-", "′": r"\prime", "·": r"\cdot", "…": r"\ldots", "≈": r"\approx"}


class Node:
    """A piece of mathematics."""


@dataclass(frozen=True)
class Letter(Node):
    """One letter, in italics."""

    text: str


@dataclass(frozen=True)
class Number(Node):
    text: str


@dataclass(frozen=True)
class Sign(Node):
    """An operator or a bracket."""

    text: str


@dataclass(frozen=True)
class Name(Node):
    """A name of the user's, upright."""

    text: str


@dataclass(frozen=True)
class Gap(Node):
    """A space as wide as the letter m."""


@dataclass(frozen=True)
class Row(Node):
    parts: tuple[Node, ...]


@dataclass(frozen=True)
class Scripts(Node):
    base: Node
    sub: Node | None = None
    sup: Node | None = None


@dataclass(frozen=True)
class Matrix(Node):
    """Rows in brackets."""

    rows: tuple[tuple[Node, ...], ...]


@dataclass(frozen=True)
class Lines(Node):
    """Lines aligned at their second part."""

    rows: tuple[tuple[Node, Node], ...]


def row(*parts: Node) -> Row:
    return Row(parts)


def joined(parts: list[Node], sign: str) -> Row:
    """Parts with a sign between them."""
    out: list[Node] = []
    for part in parts:
        out += [Sign(sign), part] if out else [part]
    return Row(tuple(out))


@singledispatch
def mathml(node: Node) -> str:
    raise TypeError(type(node).__name__)


@mathml.register
def _(node: Letter) -> str:
    return f"<mi>{node.text}</mi>"


@mathml.register
def _(node: Number) -> str:
    return f"<mn>{node.text}</mn>"


@mathml.register
def _(node: Sign) -> str:
    if node.text in "()[]":  # as high as a letter, not as what is between them
        return f'<mo stretchy="false">{node.text}</mo>'
    if node.text == "~":  # an accent without room about it, unless told
        return '<mo lspace="0.28em" rspace="0.28em">∼</mo>'
    return f"<mo>{node.text}</mo>"


@mathml.register
def _(node: Name) -> str:
    return f"<mtext>{escape(node.text)}</mtext>"


@mathml.register
def _(node: Gap) -> str:
    return '<mspace width="1em"/>'


@mathml.register
def _(node: Row) -> str:
    return f"<mrow>{''.join(map(mathml, node.parts))}</mrow>"


@mathml.register
def _(node: Scripts) -> str:
    base, sub, sup = (None if part is None else mathml(part) for part in (node.base, node.sub, node.sup))
    if sup is None:
        return f"<msub>{base}{sub}</msub>"
    return f"<msup>{base}{sup}</msup>" if sub is None else f"<msubsup>{base}{sub}{sup}</msubsup>"


@mathml.register
def _(node: Matrix) -> str:
    rows = "".join("<mtr>" + "".join(f"<mtd>{mathml(cell)}</mtd>" for cell in cells) + "</mtr>" for cells in node.rows)
    return f'<mtable class="matrix">{rows}</mtable>'


@mathml.register
def _(node: Lines) -> str:
    rows = "".join(f"<mtr><mtd>{mathml(left)}{mathml(right)}</mtd></mtr>" for left, right in node.rows)
    return f'<mtable class="lines" displaystyle="true">{rows}</mtable>'


@singledispatch
def latex(node: Node) -> str:
    raise TypeError(type(node).__name__)


@latex.register
def _(node: Letter) -> str:
    return GREEK.get(node.text, node.text)


@latex.register
def _(node: Number) -> str:
    return node.text.replace("−", "-")


@latex.register
def _(node: Sign) -> str:
    return SIGNS.get(node.text, node.text)


@latex.register
def _(node: Name) -> str:
    return rf"\text{{{tex(node.text)}}}"


@latex.register
def _(node: Gap) -> str:
    return r"\quad"


@latex.register
def _(node: Row) -> str:
    return " ".join(map(latex, node.parts))


@latex.register
def _(node: Scripts) -> str:
    sub = "" if node.sub is None else f"_{{{latex(node.sub)}}}"
    return f"{{{latex(node.base)}}}{sub}" + ("" if node.sup is None else f"^{{{latex(node.sup)}}}")


@latex.register
def _(node: Matrix) -> str:
    rows = r" \\ ".join(" & ".join(map(latex, cells)) for cells in node.rows)
    return rf"\begin{{bmatrix}} {rows} \end{{bmatrix}}"


@latex.register
def _(node: Lines) -> str:
    rows = " \\\\\n".join(f"{latex(left)} &{latex(right)}" for left, right in node.rows)
    return "\\begin{aligned}\n" + rows + "\n\\end{aligned}"
