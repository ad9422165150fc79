"""Linear hypotheses as text: "Days = 10", "a - b", "2 * a + b / 3 = c". Names of coefficients are read as they are printed.

A tiny grammar, read by recursive descent; nothing is executed:

    hypothesis  sum ("=" sum)*            sum     product (("+" | "-") product)*
    product     signed (("*" | "/") signed)*      signed  ("+" | "-")* (number | name | "`name`" | "(" sum ")")

The longest name that stands at a place is meant, so that names may hold operators: `(Intercept)`, `I(Days^2)`, `cond[T.odd]:Days`.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NoReturn

from ranef.errors import FormulaError

NUMBER = re.compile(r"(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
WORD = re.compile(r"[^\s+\-*/=,()`]+")
LONGEST, DEEPEST = 100_000, 100


@dataclass(frozen=True)
class Linear:
    """sum of weights times coefficients, plus a constant."""

    weights: dict[str, float] = field(default_factory=dict)
    constant: float = 0.0

    def plus(self, other: Linear, factor: float) -> Linear:
        weights = dict(self.weights)
        for name, weight in other.weights.items():
            weights[name] = weights.get(name, 0.0) + factor * weight
        return Linear(weights, self.constant + factor * other.constant)

    def times(self, factor: float) -> Linear:
        return Linear().plus(self, factor)


@dataclass(frozen=True)
class Equation:
    """`form` = 0, as it was written; `given` says whether the text had a right side."""

    text: str
    form: Linear
    given: bool


def read_hypotheses(text: str, names: Sequence[str]) -> list[Equation]:
    """The hypotheses in a text, separated by commas. Raises FormulaError at what cannot be read or is no coefficient."""
    return _Reader(text, names).all()


class _Reader:
    def __init__(self, text: str, names: Sequence[str]) -> None:
        self.text, self.at, self.depth = text, 0, 0
        self.order, self.names = list(names), sorted(names, key=len, reverse=True)
        if len(text) > LONGEST:
            self.fail(f"The text of the hypotheses has more than {LONGEST:,} characters.", 0, 1)

    def all(self) -> list[Equation]:
        found = self.chain()
        while self.next() == ",":
            self.at += 1
            found += self.chain()
        if self.next():
            self.fail(f"{self.next()!r} was not expected here.", self.at, self.at + 1)
        return found

    def chain(self) -> list[Equation]:
        """One hypothesis; `a = b = c` makes two."""
        self.next()
        start, sides = self.at, [self.sum()]
        while self.next() == "=":
            self.at += 2 if self.text.startswith("==", self.at) else 1
            sides.append(self.sum())
        text = " ".join(self.text[start : self.at].split())
        forms = [left.plus(right, -1.0) for left, right in pairwise(sides)] or sides
        for form in forms:
            if not any(form.weights.values()):
                self.fail("The hypothesis names no coefficient, or each only with weight zero.", start, self.at)
        if len(forms) == 1:
            return [Equation(text, forms[0], len(sides) > 1)]
        return [Equation(f"{text} ({i + 1})", form, True) for i, form in enumerate(forms)]

    def sum(self) -> Linear:
        out = self.product()
        while (sign := self.next()) and sign in "+-":
            self.at += 1
            out = out.plus(self.product(), 1.0 if sign == "+" else -1.0)
        return out

    def product(self) -> Linear:
        out = self.signed()
        while (sign := self.next()) and sign in "*/":
            start = self.at
            self.at += 1
            out = self.scaled(out, self.signed(), sign, start)
        return out

    def scaled(self, left: Linear, right: Linear, sign: str, start: int) -> Linear:
        if sign == "*" and left.weights and not right.weights:
            left, right = right, left
        if (left.weights and sign == "*") or (right.weights and sign == "/"):
            self.fail("A hypothesis must be linear: coefficients are multiplied by numbers only.", start, start + 1)
        if sign == "*":
            return right.times(left.constant)
        if right.constant == 0.0:
            self.fail("Division by zero.", start, start + 1)
        return left.times(1.0 / right.constant)

    def signed(self) -> Linear:
        factor = 1.0
        while self.next() in ("+", "-"):
            factor = -factor if self.next() == "-" else factor
            self.at += 1
        return self.atom().times(factor)

    def atom(self) -> Linear:
        first = self.next()
        for name in self.names:
            if self.text.startswith(name, self.at) and self.ends_word(name):
                self.at += len(name)
                return Linear({name: 1.0})
        if first == "`":
            return self.quoted()
        if number := NUMBER.match(self.text, self.at):
            self.at = number.end()
            return Linear({}, float(number.group()))
        if first == "(":
            return self.parenthesis()
        return self.unknown()

    def quoted(self) -> Linear:
        stop = self.text.find("`", self.at + 1)
        if stop < 0:
            self.fail("This back-quote is not closed.", self.at, self.at + 1)
        name = self.text[self.at + 1 : stop]
        known = name if name in self.names else f"`{name}`"
        if known not in self.names:
            self.fail(f"There is no coefficient {name!r}.", self.at, stop + 1, self.near(name))
        self.at = stop + 1
        return Linear({known: 1.0})

    def parenthesis(self) -> Linear:
        start = self.at
        self.depth += 1
        if self.depth > DEEPEST:
            self.fail("The parentheses are nested too deeply.", start, start + 1)
        self.at += 1
        out = self.sum()
        if self.next() != ")":
            self.fail("This parenthesis is not closed.", start, start + 1)
        self.at += 1
        self.depth -= 1
        return out

    def next(self) -> str:
        """The character at the place after blanks; empty at the end."""
        while self.at < len(self.text) and self.text[self.at].isspace():
            self.at += 1
        return self.text[self.at : self.at + 1]

    def ends_word(self, name: str) -> bool:
        after = self.text[self.at + len(name) : self.at + len(name) + 1]
        return not (after.isalnum() or after in ("_", ".", ":", "[")) or not after

    def unknown(self) -> NoReturn:
        word = WORD.match(self.text, self.at)
        if word is None:
            what = f"{self.next()!r} was not expected here." if self.next() else "Something is missing at the end."
            self.fail(what, self.at, self.at + 1, "A hypothesis reads like `a - b = 0`.")
        self.fail(f"There is no coefficient {word.group()!r}.", word.start(), word.end(), self.near(word.group()))

    def near(self, name: str) -> str:
        close = difflib.get_close_matches(name, self.names, n=1, cutoff=0.4)
        start = f"Did you mean {close[0]!r}? " if close else ""
        return f"{start}Coefficients: {', '.join(self.order[:20])}{', ...' if len(self.order) > 20 else ''}."

    def fail(self, message: str, start: int, stop: int, hint: str | None = None) -> NoReturn:
        raise FormulaError(message, text=self.text, start=start, stop=stop, hint=hint)
