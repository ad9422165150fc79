"""Text to tokens. Every token remembers its place, so that an error can point at it."""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

from ranef.formula.source import Source

Kind = Literal["name", "quoted", "number", "string", "operator", "bracket", "end"]


class Token(NamedTuple):
    """`value` is the name without back-quotes, the number, or the string without quotes; else the text itself."""

    kind: Kind
    text: str
    start: int
    stop: int
    value: str | int | float


_TOKEN = re.compile(
    r"""(?P<space>\s+)
      | (?P<number>(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?L?)
      | (?P<name>(?:[^\W\d]|\.)[\w.]*)
      | (?P<operator>%(?:in|/|o|x|\*)?%|::|\|\||\*\*|==|!=|<=|>=|&&|[-~+*/:^|=<>&!%])
      | (?P<bracket>[()\[\],])
      | (?P<quoted>`(?:[^`\\]|\\.)*`)
      | (?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
    """,
    re.VERBOSE | re.DOTALL,
)
_WHOLE = re.compile(r"[0-9]{1,15}L?")
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_STRING_ESCAPES = {"n": "\n", "t": "\t", "r": "\r"}
_ADVICE = {
    "`": "A back-quoted name ends with a back-quote: `name with spaces`.",
    '"': "A string ends with the quote it began with.",
    "'": "A string ends with the quote it began with.",
    "$": "Name the column itself: `x`, not `data$x`.",
    "@": "Name the column itself.",
    "{": "Formulas hold no code; put arithmetic into I(...).",
    "}": "Formulas hold no code; put arithmetic into I(...).",
    "#": "Back-quote a name that holds this character, as in `item #`.",
    "\\": "Back-quote a name that holds this character.",
    ";": "One formula at a time.",
    "“": "Use straight quotes.",
    "”": "Use straight quotes.",
    "‘": "Use straight quotes.",
    "’": "Use straight quotes.",
    "´": "Back-quotes look like this: `name`.",
    "–": "Use the minus sign of the keyboard: -",
    "—": "Use the minus sign of the keyboard: -",
    "−": "Use the minus sign of the keyboard: -",
    "×": "Use * for main effects and interaction, : for the interaction alone.",
    "∼": "Use the tilde of the keyboard: ~",
    "～": "Use the tilde of the keyboard: ~",
}


def tokenize(source: Source) -> list[Token]:
    """The tokens of a formula, closed by one of kind "end".

    Raises FormulaError at a character that has no meaning in a formula, or a quote that is not closed.
    """
    text, at, tokens = source.text, 0, []
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            raise _unreadable(source, at)
        kind, start, at = found.lastgroup, at, found.end()
        if kind == "space":
            continue
        if kind == "name":
            at = _name_end(text, at)
        tokens.append(Token(kind, text[start:at], start, at, _value(source, kind, start, at)))  # type: ignore[arg-type]
    tokens.append(Token("end", "", len(text), len(text), ""))
    return tokens


def is_plain_name(name: str) -> bool:
    """Whether a column can be written without back-quotes."""
    found = _TOKEN.match(name)
    return found is not None and found.lastgroup == "name" and _name_end(name, found.end()) == len(name)


def _name_end(text: str, at: int) -> int:
    """Combining marks belong to a name as in Python's identifiers, though `\\w` does not match them."""
    while at < len(text) and not text[at].isascii() and ("a" + text[at]).isidentifier():
        at += 1
        while at < len(text) and (text[at] in "._" or text[at].isalnum()):
            at += 1
    return at


def _value(source: Source, kind: str | None, start: int, stop: int) -> str | int | float:
    text = source.text[start:stop]
    if kind == "number":
        if _WHOLE.fullmatch(text):
            return int(text.rstrip("L"))
        value = float(text.rstrip("L"))
        if value == float("inf"):
            raise source.error("This number is too large.", start, stop)
        return value
    if kind == "string":
        return _ESCAPE.sub(lambda found: _STRING_ESCAPES.get(found[1], found[1]), text[1:-1])
    if kind == "quoted":
        name = _ESCAPE.sub(lambda found: found[1] if found[1] in "`\\" else found[0], text[1:-1])
        if name in ("", "."):
            raise source.error("A column must have a name; this cannot be one.", start, stop)
        return name
    return text


def _unreadable(source: Source, at: int) -> Exception:
    character = source.text[at]
    if character in "`\"'":
        return source.error(f"The quote {character} is never closed.", at, at + 1, _ADVICE[character])
    hint = _ADVICE.get(character, "A column whose name holds this character is written in back-quotes.")
    return source.error(f"{character!r} has no meaning in a formula.", at, at + 1, hint)
