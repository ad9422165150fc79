"""The language of `residual=`: a structure over the rows of a subject, its scales, a nugget.

ar1h(visit | subject)                     a word, what orders the rows, and the subject
toep(visit | subject, bands=3)            options of the structure
un(visit | subject, by=arm)               a separate structure for each arm
un(endpoint) @ ar1(time | subject)        a Kronecker product
sp_exp(x + y | site) + nugget             coordinates, and independent measurement error
car1(day | id) * power(day)               times variance functions: power, exponential, constpower, ident
power(fitted), ident(sex)                 independent residuals of unequal variance
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field

from ranef.errors import FormulaError
from ranef.formula.expression import Expression, Literal, Name, Operation
from ranef.formula.parser import Mode, Parser
from ranef.formula.source import Source
from ranef.formula.terms import Algebra

FITTED = "fitted"  # the covariate that stands for the mean
ABSORBING = ("id", "diag", "un", "cs", "toep", "cor")  # whose variances are free, so that a nugget is a part of them
OPENING = {")": "(", "]": "["}
WHOLE = ("bands", "d")  # options that count


@dataclass(frozen=True)
class Vocabulary:
    """The words of structures, by any of their spellings, and what may stand in them, and those of variance functions."""

    structure: Callable[[str], str | None]
    functions: Collection[str]
    options: Mapping[str, Collection[str]]  # of each structure, by its word


@dataclass(frozen=True)
class Ordering:
    """A word and what tells the position of a row in it: coordinates, a factor, or nothing (the order of the rows)."""

    word: str
    positions: tuple[Expression, ...]
    options: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True)
class Scaling:
    """A variance function and its covariate; None stands for the fitted values."""

    word: str
    covariate: Expression | None


@dataclass(frozen=True)
class ResidualFormula:
    text: str = field(compare=False)
    orderings: tuple[Ordering, ...]  # one, two for a Kronecker product, none for independent residuals
    subject: tuple[Expression, ...]
    by: Expression | None = None
    scalings: tuple[Scaling, ...] = ()
    nugget: bool = False

    def groups(self) -> Iterator[Expression]:
        """The expressions that tell rows apart: the subject and the arm."""
        yield from self.subject
        if self.by is not None:
            yield self.by

    def values(self) -> Iterator[Expression]:
        """Those that order rows or scale them."""
        for ordering in self.orderings:
            yield from ordering.positions
        yield from (scaling.covariate for scaling in self.scalings if scaling.covariate is not None)


def parse_residual(text: object, known: Vocabulary) -> ResidualFormula:
    """What `residual=` says. Raises FormulaError that points at the place where it cannot be read."""
    if not isinstance(text, str) or not text.strip():
        shown = repr(text)[:80]
        raise FormulaError(
            "residual= is a text such as 'ar1(visit | subject)'.", text=shown, start=0, stop=len(shown), hint="None: independent."
        )
    whole = _Piece(text, 0, len(text))
    whole.check_brackets()
    factors = list(whole.split("*"))
    factors[-1], nugget = _without_nugget(factors[-1])
    orderings: tuple[Ordering, ...] = ()
    subject: tuple[Expression, ...] = ()
    by, scalings = None, []
    for factor in factors:
        word, inside = factor.call()
        if word.lower() in known.functions:
            scalings.append(_scaling(word.lower(), inside))
        elif orderings:
            raise factor.error("There is a second structure.", "Structures over two factors are joined by @: un(a) @ ar1(b | id).")
        else:
            orderings, subject, by = _structure(factor, known)
    if nugget is not None:
        _check_nugget(nugget, orderings)
    return ResidualFormula(text, orderings, subject, by, tuple(scalings), nugget is not None)


@dataclass(frozen=True)
class _Piece:
    """text[start:stop]."""

    text: str
    start: int
    stop: int

    @property
    def own(self) -> str:
        return self.text[self.start : self.stop]

    def error(self, message: str, hint: str | None = None) -> FormulaError:
        lead = len(self.own) - len(self.own.lstrip())
        stop = self.start + max(len(self.own.rstrip()), lead + 1)
        return Source(self.text).error(message, self.start + lead, stop, hint)

    def first(self, word: str) -> _Piece:
        """The word with which the piece begins."""
        begin = self.start + len(self.own) - len(self.own.lstrip())
        return _Piece(self.text, begin, begin + len(word))

    def split(self, mark: str) -> Iterator[_Piece]:
        """The pieces between marks outside of brackets and back-quotes."""
        depth, quoted, begin = 0, False, self.start
        for at in range(self.start, self.stop):
            letter = self.text[at]
            quoted ^= letter == "`"
            if quoted:
                continue
            depth += (letter in "([") - (letter in ")]")
            if depth == 0 and letter == mark and self.text[at - 1 : at] != "*" and self.text[at + 1 : at + 2] != "*":
                yield _Piece(self.text, begin, at)
                begin = at + 1
        yield _Piece(self.text, begin, self.stop)

    def call(self) -> tuple[str, _Piece]:
        """`word(inside)`."""
        own = self.own.rstrip()
        at = _last_opening(own)
        word = own[:at].strip() if at >= 0 else ""
        if not word or not own.endswith(")"):
            raise self.error("This is no structure.", "Write word(order | subject), such as ar1(visit | subject).")
        return word, _Piece(self.text, self.start + at + 1, self.start + len(own) - 1)

    def check_brackets(self) -> None:
        """Raises FormulaError for a bracket or a back-quote without its partner."""
        opened: list[int] = []
        quote: int | None = None
        for at in range(self.start, self.stop):
            letter = self.text[at]
            if letter == "`":
                quote = at if quote is None else None
            elif quote is not None:
                continue
            elif letter in "([":
                opened.append(at)
            elif letter in ")]":
                if not opened or self.text[opened[-1]] != OPENING[letter]:
                    raise _Piece(self.text, at, at + 1).error(f"`{letter}` closes nothing.")
                opened.pop()
        if quote is not None:
            raise _Piece(self.text, quote, quote + 1).error("A back-quote is never closed.")
        if opened:
            at = opened[-1]
            raise _Piece(self.text, at, at + 1).error(f"`{self.text[at]}` is never closed.")

    def expression(self, mode: Mode = Mode.VALUE) -> Expression:
        if not self.own.strip():
            raise self.error("Something is missing here.", "Write word(order | subject), such as ar1(visit | subject).")
        parser = Parser(_Within(" " * self.start + self.own, self.text))
        return parser.expression(0, parser.whole.close, mode)


@dataclass(frozen=True)
class _Within(Source):
    """A piece with blanks before it, so that positions are those of the whole text, which errors show."""

    whole: str = ""

    def error(self, message: str, start: int, stop: int, hint: str | None = None) -> FormulaError:
        return Source(self.whole).error(message, start, stop, hint)


def _without_nugget(piece: _Piece) -> tuple[_Piece, _Piece | None]:
    parts = list(piece.split("+"))
    if len(parts) == 1:
        return piece, None
    if len(parts) > 2 or parts[1].own.strip().lower() != "nugget":
        raise parts[1].error(
            "Only `nugget` can be added to a structure.", "Structures are multiplied by variance functions with *."
        )
    return parts[0], parts[1]


def _check_nugget(nugget: _Piece, orderings: tuple[Ordering, ...]) -> None:
    if not orderings:
        raise nugget.error("A nugget is added to a correlated structure.", "Independent residuals are their own nugget.")
    word = orderings[0].word
    if len(orderings) == 1 and word in ABSORBING:
        raise nugget.error(
            f"A nugget cannot be told from the variances and covariances of {word}, which take any value.",
            "Leave it out, or use a structure whose correlations follow a rule: ar1, sp_exp, ...",
        )


def _structure(piece: _Piece, known: Vocabulary) -> tuple[tuple[Ordering, ...], tuple[Expression, ...], Expression | None]:
    parts = list(piece.split("@"))
    if len(parts) > 2:
        raise parts[2].error("A Kronecker product has two structures.")
    subject: tuple[Expression, ...] = ()
    by: Expression | None = None
    orderings = []
    for part in parts:
        word, inside = part.call()
        name, number = _spelled(word, known)
        if name is None:
            raise part.first(word).error(f"The structure {word!r} is not known.", _suggestion(word, known))
        body, *rest = inside.split(",")
        order, *owner = body.split("|")
        if len(owner) > 1 or (owner and subject):
            raise (owner[-1]).error("A subject is named once, behind one bar.")
        if owner:
            subject = _subject(owner[0])
        allowed = (*known.options[name], "by")
        options = {**number, **dict(_option(entry, name, allowed) for entry in rest)}
        by = _grouping(options.pop("by", None)) or by
        numbers = tuple((key, value) for key, value in options.items() if isinstance(value, int | float))
        orderings.append(Ordering(name, _positions(order), numbers))
    if not subject:
        raise piece.error("The structure names no subject.", "Rows of different subjects are independent: ar1(visit | subject).")
    return tuple(orderings), subject, by


def _positions(piece: _Piece) -> tuple[Expression, ...]:
    found = [part.expression() for part in piece.split("+")]
    if len(found) == 1 and isinstance(found[0], Literal):
        return ()
    return tuple(found)


def _subject(piece: _Piece) -> tuple[Expression, ...]:
    """The factors crossed to make the subject; `a/b` is b within a, as in nlme."""
    groups = Algebra(Source(piece.text), additions=False).terms(piece.expression(Mode.TERMS))
    if not groups or not groups[-1].factors:
        raise piece.error("A subject is a column of the data.", "Write ar1(visit | subject).")
    return groups[-1].factors


def _spelled(word: str, known: Vocabulary) -> tuple[str | None, dict[str, Expression | float]]:
    """The structure that a word stands for, also as SAS writes it: AR(1), SP(EXP), TOEP(3)."""
    found = known.structure(word)
    if found is not None or "(" not in word:
        return found, {}
    stem, _, inside = word.lower().replace(" ", "").rstrip(")").partition("(")
    if stem in ("toep", "toeph") and inside.isdecimal() and int(inside) > 0:
        return stem, {"bands": int(inside)}
    if (stem, inside) == ("un", "1"):
        return known.structure("diag"), {}
    return known.structure(f"sp_{inside}" if stem == "sp" else stem + inside.replace(",", "")), {}


def _suggestion(word: str, known: Vocabulary) -> str:
    close = difflib.get_close_matches(word.lower(), [*known.options, *known.functions], n=1)
    guess = f"Did you mean {close[0]}? " if close else ""
    return f"{guess}See the table of structures; for example un, cs, ar1, toep."


def _last_opening(text: str) -> int:
    """Where the bracket opens that ends last; -1 if there is none."""
    depth, at = 0, -1
    for place, letter in enumerate(text):
        if letter == "(":
            at = place if depth == 0 else at
        depth += (letter in "([") - (letter in ")]")
    return at


def _option(piece: _Piece, word: str, allowed: Collection[str]) -> tuple[str, Expression | float]:
    name, equals, _ = piece.own.partition("=")
    if not equals:
        raise piece.error("An option is written name=value.", "For example toep(visit | id, bands=3), un(visit | id, by=arm).")
    if name.strip() not in allowed:
        raise piece.error(f"{word} has no option {name.strip()!r}.", f"It has: {', '.join(allowed)}.")
    at = piece.start + len(name) + 1
    node = _Piece(piece.text, at, piece.stop).expression()
    if name.strip() == "by":
        return "by", node
    if not isinstance(node, Literal) or not isinstance(node.value, int | float):
        raise piece.error("The value of this option is a number.")
    if name.strip() in WHOLE and (node.value != int(node.value) or node.value < 1):
        raise piece.error(f"{name.strip()} is a whole number from 1 on.")
    return name.strip(), int(node.value) if name.strip() in WHOLE else node.value


def _grouping(value: Expression | float | None) -> Expression | None:
    return None if value is None or isinstance(value, int | float) else value


def _scaling(word: str, piece: _Piece) -> Scaling:
    node = piece.expression()
    if isinstance(node, Operation) and node.operator == "|":
        raise piece.error("A variance function takes a covariate only.", "Write power(age) or ident(sex).")
    return Scaling(word, None if isinstance(node, Name) and node.name == FITTED else node)
