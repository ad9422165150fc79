"""Trees back to text: the labels that R gives, and canonical formulas."""

from __future__ import annotations

from ranef.formula.expression import Call, Expression, Literal, Name, Operation, Sequence
from ranef.formula.model import Bar, Formula, Term
from ranef.formula.tokens import is_plain_name
from ranef.formula.written import written_order

RESERVED = frozenset(("TRUE", "FALSE", "True", "False", "NULL", "None", "Inf"))
_POWERS = {
    "**": 14, ":": 12, "%in%": 11, "%": 11, "*": 10, "/": 10, "+": 9, "-": 9,
    "==": 8, "!=": 8, "<": 8, "<=": 8, ">": 8, ">=": 8, "&": 6, "|": 5, "||": 5,
}  # fmt: skip
_SIGNS = {"-": 13, "!": 7}
_SPELLING = {"**": "^", "%": "%%", "/": "/", ":": ":"}  # the operators that R writes without spaces
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r"}
_ATOM = 20


def expression_text(node: Expression) -> str:
    """The expression as R would print it: `I(Days^2)`, `bs(age, df = 5)`, `(a - 1)/2`. Names of coefficients are built from it."""
    return _text(node)[0]


def term_label(term: Term) -> str:
    """`log(x):I(z^2)`; `(Intercept)` for the empty term."""
    return ":".join(map(expression_text, term.factors)) or "(Intercept)"


def format(formula: Formula) -> str:
    """Canonical text: `parse(format(f)) == f`."""
    response = "" if formula.response is None else expression_text(formula.response) + " "
    if formula.dot:
        return f"{response}~ {formula.dot}"
    pieces = _terms_pieces(formula.fixed)
    pieces += [f"offset({expression_text(offset)})" for offset in formula.offsets]
    return f"{response}~ {' + '.join(pieces + [bar_text(bar) for bar in formula.bars])}"


def bar_text(bar: Bar) -> str:
    """`(x | g)`, `diag(0 + x | a:b)`."""
    word = "" if bar.structure == "un" else bar.structure
    return f"{word}({' + '.join(_terms_pieces(bar.terms))} | {_product(Term(bar.group))}{options_text(bar)})"


def options_text(bar: Bar) -> str:
    """`, d=2`."""
    return "".join(f", {name}={_number(value)}" for name, value in bar.options)


def _terms_pieces(terms: tuple[Term, ...]) -> list[str]:
    """What to add up to get these terms; without an intercept 0 comes first."""
    intercept, others = Term(()) in terms, [term for term in terms if term.factors]
    if not others:
        return ["1" if intercept else "0"]
    pieces = [_product(term) if kept else f"{_product(term)} - {_product(term)}" for term, kept in written_order(others)]
    return pieces if intercept else ["0", *pieces]


def _product(term: Term) -> str:
    """Unlike a label, it has parentheses around comparisons, and can be read again."""
    texts = map(_text, term.factors)
    return ":".join(text if power == _ATOM else f"({text})" for text, power in texts)


def _text(node: Expression) -> tuple[str, int]:
    """The text and how tightly its outermost operator binds."""
    match node:
        case Name(name):
            return quoted(name), _ATOM
        case Literal(value):
            text = _literal(value)
            return text, _SIGNS["-"] if text.startswith("-") else _ATOM
        case Sequence(items):
            return f"c({', '.join(map(expression_text, items))})", _ATOM
        case Call(function, arguments, keywords):
            parts = [*map(expression_text, arguments), *(f"{key} = {expression_text(value)}" for key, value in keywords)]
            return f"{function}({', '.join(parts)})", _ATOM
        case Operation(operator, (operand,)):
            return operator + _wrapped(operand, _SIGNS[operator]), _SIGNS[operator]
        case Operation():
            return _binary(node)
    raise TypeError(f"{node!r} is no node of a formula")


def _binary(node: Operation) -> tuple[str, int]:
    """Walks left operands in a loop, for sums of thousands of terms."""
    power = _POWERS[node.operator]
    pieces: list[str] = []
    left: Expression = node
    while isinstance(left, Operation) and len(left.operands) == 2 and _POWERS[left.operator] == power and _joins_left(left, node):
        sign = _SPELLING.get(left.operator, f" {left.operator} ")
        pieces.append(sign + _wrapped(left.operands[1], power + (power != _POWERS["**"])))
        left = left.operands[0]
    pieces.append(_wrapped(left, power + 1))
    return "".join(reversed(pieces)), power


def _joins_left(left: Operation, node: Operation) -> bool:
    """Whether `left`, a left operand, needs no parentheses: powers join to the right, and comparisons do not join."""
    return left is node or _POWERS[node.operator] not in (_POWERS["**"], _POWERS["=="])


def _wrapped(node: Expression, power: int) -> str:
    text, own = _text(node)
    return text if own >= power else f"({text})"


def quoted(name: str) -> str:
    """A column as it is written in a formula, in back-quotes where it is no plain word."""
    if is_plain_name(name) and name not in RESERVED:
        return name
    escaped = name.replace("\\", "\\\\").replace("`", "\\`")
    return f"`{escaped}`"


def _literal(value: float | int | str | bool | None) -> str:
    if isinstance(value, str):
        return '"' + "".join(_ESCAPES.get(character, character) for character in value) + '"'
    if value is None or isinstance(value, bool):
        return {None: "NULL", True: "TRUE", False: "FALSE"}[value]
    if value in (float("inf"), float("-inf")):
        return "Inf" if value > 0 else "-Inf"
    return _number(value)


def _number(value: float | int) -> str:
    """Up to 15 digits as R prints them, scientific where that is shorter; more digits only where the value needs them."""
    digits = next(count for count in range(1, 18) if float(f"{value:.{count - 1}e}") == value)
    mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
    scientific = f"{mantissa}e{int(exponent):+03d}"
    fixed = f"{value:.{max(0, digits - 1 - int(exponent))}f}"
    return fixed if len(fixed) <= len(scientific) else scientific
