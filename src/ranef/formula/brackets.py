"""Which bracket closes which, and what stands directly inside: known before parsing, so that the parser looks ahead in one step."""

from __future__ import annotations

from dataclasses import dataclass, field

from ranef.formula.source import Source
from ranef.formula.tokens import Token

MAX_NESTING = 100
_CLOSES = {")": "(", "]": "["}
_LOGICAL = frozenset(("==", "!=", "<", "<=", ">", ">=", "&", "&&", "!"))


@dataclass
class Bracket:
    """Positions in the list of tokens. The formula as a whole is the bracket that opens at -1."""

    open: int
    close: int = -1
    commas: list[int] = field(default_factory=list)
    bars: list[int] = field(default_factory=list)  # `|` and `||`
    tildes: list[int] = field(default_factory=list)
    logical: int | None = None  # the first comparison, `&` or `!`

    def note(self, at: int, token: Token) -> None:
        if token.text == ",":
            self.commas.append(at)
        elif token.text in ("|", "||"):
            self.bars.append(at)
        elif token.text == "~":
            self.tildes.append(at)
        elif token.text in _LOGICAL and self.logical is None:
            self.logical = at


def match_brackets(source: Source, tokens: list[Token]) -> dict[int, Bracket]:
    """The brackets by the position of the opening one.

    Raises FormulaError at a bracket that has no partner, and where brackets are nested more than 100 deep.
    """
    whole = Bracket(-1, len(tokens) - 1)
    found, stack = {-1: whole}, [whole]
    for at, token in enumerate(tokens):
        if token.kind == "operator" or token.text == ",":
            stack[-1].note(at, token)
        elif token.kind == "bracket" and token.text in "([":
            if len(stack) > MAX_NESTING:
                raise source.error(f"Brackets are nested more than {MAX_NESTING} deep.", token.start, token.stop)
            found[at] = Bracket(at)
            stack.append(found[at])
        elif token.kind == "bracket":
            _close(source, tokens, stack, at)
    if len(stack) > 1:
        unclosed = tokens[stack[-1].open]
        raise source.error(f"`{unclosed.text}` is never closed.", unclosed.start, unclosed.stop)
    return found


def _close(source: Source, tokens: list[Token], stack: list[Bracket], at: int) -> None:
    token = tokens[at]
    if len(stack) == 1:
        raise source.error(f"`{token.text}` closes nothing.", token.start, token.stop)
    opening = tokens[stack[-1].open]
    if opening.text != _CLOSES[token.text]:
        raise source.error(f"`{token.text}` does not close `{opening.text}`.", token.start, token.stop)
    stack.pop().close = at
