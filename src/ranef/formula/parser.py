"""Tokens to a tree, with R's precedence of operators.

Outside of calls the operators are those of formulas (`+ - * / : ^ %in%`, bars); inside of calls, in the response, and in
parentheses around a comparison they are arithmetic. From tight to loose:

    ^ **   - + (sign)   :   %in% %%   * /   + -   == != < <= > >=   !   &   |
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from enum import Enum
from itertools import pairwise
from typing import NamedTuple

from ranef.errors import FormulaError
from ranef.formula.brackets import MAX_NESTING, Bracket, match_brackets
from ranef.formula.expression import Call, Expression, Literal, Name, Operation, Sequence
from ranef.formula.source import Source
from ranef.formula.structures import known_structures, structure_of
from ranef.formula.tokens import Token, tokenize


class Mode(Enum):
    TERMS = "terms"
    VALUE = "value"


class _Pending(NamedTuple):
    """An operator that waits for its right operand."""

    power: int
    token: Token
    prefix: bool = False


_POWERS = {
    "^": 14, "**": 14, ":": 12, "%in%": 11, "%%": 11, "%": 11, "*": 10, "/": 10, "+": 9, "-": 9,
    "==": 8, "!=": 8, "<": 8, "<=": 8, ">": 8, ">=": 8, "&": 6, "|": 5,
}  # fmt: skip
_COMPARISON, _RIGHT = 8, 14
_PREFIX = {"-": 13, "+": 13, "!": 7}
_SPELLING = {"^": "**", "%%": "%"}
_INFIX = {
    Mode.TERMS: frozenset(("^", "**", ":", "%in%", "*", "/", "+", "-")),
    Mode.VALUE: frozenset(_POWERS) - {":", "%in%"},
}
_CONSTANTS = {"TRUE": True, "True": True, "FALSE": False, "False": False, "NULL": None, "None": None, "Inf": float("inf")}
_WRONG_INFIX = {
    "=": "Use `~` between response and terms, `==` to compare (inside I(...)); `=` only names an argument of a function.",
    ":": "Inside a function `:` has no meaning; write an interaction outside of it, and a range as c(1, 2, 3).",
    "%in%": "Inside a function, write (g == \"a\") | (g == \"b\").",
    "~": "A formula has one `~`, outside of all brackets.",
    "::": "A package stands only in front of a function: splines::bs(x).",
    "||": "Inside a function, `or` is written `|`.",
    "&&": "Inside a function, `and` is written `&`.",
    "%/%": "Write floor(a / b).",
    "%": "Write I(a %% b).",
    "%%": "Write I(a %% b).",
}  # fmt: skip
_WORDS = {"and": "`and` is written `&`.", "or": "`or` is written `|`.", "not": "`not` is written `!`."}


class Parser:
    """Parses ranges of the tokens of one formula; `start` and `stop` are positions in the list of tokens."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.tokens = tokenize(source)
        self.brackets = match_brackets(source, self.tokens)
        self._depths: dict[int, int] = {}

    @property
    def whole(self) -> Bracket:
        return self.brackets[-1]

    def error(self, message: str, token: Token, hint: str | None = None) -> FormulaError:
        return self.source.error(message, token.start, token.stop, hint)

    def expression(self, start: int, stop: int, mode: Mode) -> Expression:
        """Operands and operators up to `stop`, by two stacks, so that a long sum takes no recursion."""
        operands: list[Expression] = []
        pending: list[_Pending] = []
        at = start
        while True:
            while at < stop and self._is_prefix(self.tokens[at], mode):
                pending.append(_Pending(_PREFIX[self.tokens[at].text], self.tokens[at], True))
                at += 1
            operand, at = self._operand(at, start, stop, mode)
            operands.append(operand)
            if at >= stop:
                break
            token = self._infix(at, mode)
            power = _POWERS[token.text]
            while pending and (pending[-1].power > power or (pending[-1].power == power != _RIGHT and power != _COMPARISON)):
                self._apply(pending.pop(), operands, mode)
            if power == _COMPARISON and pending and pending[-1].power == _COMPARISON:
                raise self.error("Comparisons cannot be chained.", token, "Write (a < b) & (b < c).")
            pending.append(_Pending(power, token))
            at += 1
        while pending:
            self._apply(pending.pop(), operands, mode)
        return operands[0]

    def _is_prefix(self, token: Token, mode: Mode) -> bool:
        if token.kind != "operator" or token.text not in _PREFIX:
            return False
        if token.text == "!" and mode is Mode.TERMS:
            raise self.error("`!` has no meaning between terms.", token, "Write I(!x).")
        return True

    def _infix(self, at: int, mode: Mode) -> Token:
        token = self.tokens[at]
        if token.kind != "operator":
            raise self._not_an_operator(token)
        if token.text in _INFIX[mode]:
            return token
        if mode is Mode.TERMS and (token.text in _POWERS or token.text == "&&") and token.text not in _WRONG_INFIX:
            raise self.error(f"`{token.text}` has no meaning between terms.", token, f"Write I(a {token.text} b).")
        raise self.error(f"`{token.text}` has no meaning here.", token, _WRONG_INFIX.get(token.text))

    def _not_an_operator(self, token: Token) -> FormulaError:
        if token.text == "[":
            return self.error("Subscripts have no place in a formula.", token, "Make a column of it in the data first.")
        if token.text == "(":
            return self.error("`(` follows something that is no function.", token, "Between terms stand + : * / or -.")
        if token.text == ",":
            return self.error("A comma only separates the arguments of a function.", token, "Terms are joined by +.")
        hint = _WORDS.get(token.text, "Terms are joined by + : * / or -; a name that holds a space stands in back-quotes.")
        return self.error(f"An operator is missing in front of `{token.text}`.", token, hint)

    def _apply(self, pending: _Pending, operands: list[Expression], mode: Mode) -> None:
        """Replaces the operands of an operator by the operation."""
        token, right = pending.token, operands.pop()
        if not pending.prefix:
            left = operands.pop()
            node: Expression = Operation(_SPELLING.get(token.text, token.text), (left, right), start=left.start, stop=right.stop)
            operands.append(self._grown(node, left, right) if mode is Mode.VALUE else node)
        elif token.text == "+":
            operands.append(right)
        elif token.text == "-" and mode is Mode.VALUE and _is_number_without_sign(right):
            operands.append(Literal(0 - right.value, start=token.start, stop=right.stop))  # type: ignore[attr-defined]
        elif mode is Mode.TERMS and isinstance(right, Operation) and len(right.operands) == 1:
            operands.append(right.operands[0])
        else:
            node = Operation(token.text, (right,), start=token.start, stop=right.stop)
            operands.append(self._grown(node, right) if mode is Mode.VALUE else node)

    def _grown(self, node: Expression, *children: Expression) -> Expression:
        """Keeps an expression from becoming deeper than what later steps can walk."""
        depth = 1 + max((self._depths.get(id(child), 0) for child in children), default=0)
        if depth > MAX_NESTING:
            hint = "Compute it as a column of the data first."
            raise self.source.error(f"This expression is more than {MAX_NESTING} operations deep.", node.start, node.stop, hint)
        self._depths[id(node)] = depth
        return node

    def _operand(self, at: int, start: int, stop: int, mode: Mode) -> tuple[Expression, int]:
        if at >= stop:
            last = self.tokens[max(at - 1, 0)]
            raise self.error(f"Nothing follows `{last.text}`." if at > start else "Something is missing here.", last)
        token = self.tokens[at]
        place = {"start": token.start, "stop": token.stop}
        if token.kind == "name":
            if at + 1 < stop and self.tokens[at + 1].text in ("(", "::"):
                return self._call(at, stop, mode)
            if mode is Mode.VALUE and token.text in _CONSTANTS:
                return Literal(_CONSTANTS[token.text], **place), at + 1
            return self._name(token, mode), at + 1
        if token.kind == "quoted":
            return Name(str(token.value), **place), at + 1
        if token.kind in ("number", "string"):
            return Literal(token.value, **place), at + 1
        if token.kind == "bracket" and token.text in "([":
            return self._bracketed(self.brackets[at], mode), self.brackets[at].close + 1
        hint = "Write (1 | g) for a random intercept." if token.text in ("|", "||") else None
        raise self.error(f"A term is missing in front of `{token.text}`.", token, hint)

    def _name(self, token: Token, mode: Mode) -> Name:
        if token.text in _CONSTANTS:
            hint = "Back-quote it if it is the name of a column; 1 and 0 stand for the intercept."
            raise self.error(f"`{token.text}` is no term.", token, hint)
        if token.text == "." and mode is Mode.VALUE:
            raise self.error("`.` stands for all other columns only as a term of its own.", token, "Name the columns here.")
        return Name(token.text, start=token.start, stop=token.stop)

    def _bracketed(self, bracket: Bracket, mode: Mode) -> Expression:
        opening, closing = self.tokens[bracket.open], self.tokens[bracket.close]
        if opening.text == "[":
            if mode is Mode.TERMS:
                raise self.error("A list only stands as an argument of a function.", opening)
            node = Sequence(tuple(self._arguments(bracket)), start=opening.start, stop=closing.stop)
            return self._grown(node, *node.items)
        if bracket.close == bracket.open + 1:
            raise self.error("There is nothing between the parentheses.", opening)
        if bracket.commas:
            raise self._not_an_operator(self.tokens[bracket.commas[0]])
        if mode is Mode.TERMS and bracket.bars:
            return self._bar(bracket, opening.start)
        if bracket.logical is not None:
            mode = Mode.VALUE
        return self.expression(bracket.open + 1, bracket.close, mode)

    def _bar(self, bracket: Bracket, start: int) -> Operation:
        """`(terms | group)`, as an Operation whose operator is the bar."""
        at, token, closing = bracket.bars[0], self.tokens[bracket.bars[0]], self.tokens[bracket.close]
        if len(bracket.bars) > 1:
            hint = "Write (x | g) + (x | h), or (x | g:h)."
            raise self.error("One pair of parentheses holds two bars.", self.tokens[bracket.bars[1]], hint)
        if at == bracket.open + 1:
            raise self.error("Nothing stands in front of the bar.", token, "Write (1 | g) for a random intercept.")
        if at == bracket.close - 1:
            raise self.error("No grouping factor follows the bar.", token, "Write (1 | g), where g is a column.")
        if bracket.logical is not None:
            hint = "Write (I(a > b) | g) for the comparison as an effect, I(a > b | c) for a logical or."
            raise self.error("A comparison cannot stand beside a bar.", self.tokens[bracket.logical], hint)
        left = self.expression(bracket.open + 1, at, Mode.TERMS)
        right = self.expression(at + 1, bracket.close, Mode.TERMS)
        return Operation(token.text, (left, right), start=start, stop=closing.stop)

    def _call(self, at: int, stop: int, mode: Mode) -> tuple[Expression, int]:
        first, token = self.tokens[at], self.tokens[at]
        if self.tokens[at + 1].text == "::":
            at += 2
            token = self.tokens[at]
            if token.kind != "name" or self.tokens[at + 1].text != "(":
                raise self.error("A package stands only in front of a function.", self.tokens[at - 1], "Write splines::bs(x).")
        bracket = self.brackets[at + 1]
        if mode is Mode.TERMS and bracket.bars and self._is_structure(token, bracket):
            end = bracket.commas[0] if bracket.commas else bracket.close
            options = tuple(self._options(bracket))
            bar = self._bar(replace(bracket, close=end), first.start)
            return Call(token.text, (bar,), options, start=first.start, stop=self.tokens[bracket.close].stop), bracket.close + 1
        return self._function(token, bracket, mode, first.start), bracket.close + 1

    def _options(self, bracket: Bracket) -> Iterator[tuple[str, Expression]]:
        """What follows the bar: `name=value`, each once."""
        found: list[tuple[str, Expression]] = []
        for start, stop in pairwise([*bracket.commas, bracket.close] if bracket.commas else []):
            if self.tokens[start + 1].kind != "name" or self.tokens[start + 2].text != "=" or start + 3 > stop:
                hint = "After the bar stand options such as `bands=3`; terms are joined by +."
                raise self.error("A covariance structure takes the bar and options by name.", self.tokens[start], hint)
            found.append((self._keyword(start + 1, stop, found), self.expression(start + 3, stop, Mode.VALUE)))
            yield found[-1]

    def _is_structure(self, token: Token, bracket: Bracket) -> bool:
        if structure_of(token.text):
            return True
        if token.text in ("I", "offset") or bracket.logical is not None:
            return False
        hint = f"Known are {known_structures()}. For a logical or, write I(a | b)."
        raise self.error(f"`{token.text}` names no covariance structure.", token, hint)

    def _function(self, token: Token, bracket: Bracket, mode: Mode, start: int) -> Expression:
        keywords: list[tuple[str, Expression]] = []
        arguments = tuple(self._arguments(bracket, keywords))
        place = {"start": start, "stop": self.tokens[bracket.close].stop}
        if token.text != "c":
            node: Expression = Call(token.text, arguments, tuple(keywords), **place)
        elif mode is Mode.TERMS:
            raise self.error("c(...) only stands as an argument of a function.", token, "Terms are joined by +.")
        elif keywords:
            raise self.error("The values of c(...) have no names here.", token)
        else:
            node = Sequence(arguments, **place)
        return self._grown(node, *arguments, *(value for _, value in keywords))

    def _arguments(self, bracket: Bracket, keywords: list[tuple[str, Expression]] | None = None) -> list[Expression]:
        """The arguments without a name; those with one are added to `keywords`."""
        values: list[Expression] = []
        if bracket.close == bracket.open + 1:
            return values
        ends = [*bracket.commas, bracket.close]
        for start, stop in zip([bracket.open, *bracket.commas], ends, strict=True):
            start += 1
            if start == stop:
                raise self.error("An argument is missing.", self.tokens[stop])
            if keywords is not None and self.tokens[start + 1].text == "=" and start + 1 < stop:
                keywords.append((self._keyword(start, stop, keywords), self.expression(start + 2, stop, Mode.VALUE)))
            else:
                values.append(self.expression(start, stop, Mode.VALUE))
        return values

    def _keyword(self, at: int, stop: int, keywords: list[tuple[str, Expression]]) -> str:
        token = self.tokens[at]
        if token.kind != "name" or token.text in _CONSTANTS or token.text == ".":
            raise self.error("An argument is named by a plain word.", token, "Use == to compare.")
        if any(token.text == name for name, _ in keywords):
            raise self.error(f"The argument `{token.text}` is given twice.", token)
        if at + 2 == stop:
            raise self.error(f"The argument `{token.text}` has no value.", self.tokens[at + 1])
        return token.text


def _is_number_without_sign(node: Expression) -> bool:
    return isinstance(node, Literal) and type(node.value) in (int, float) and node.value >= 0  # type: ignore[operator]
