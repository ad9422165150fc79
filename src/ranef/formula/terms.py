"""The algebra of terms: what `+ - * : / ^ %in%` make of factors.

A term is a set of factors, held as the bits of an integer; bits are numbered by the first appearance of the factor in the formula,
and a term lists its factors in that order (as R does). Terms are sorted by the number of their factors, else stay as written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from math import comb
from typing import NoReturn

from ranef.formula.expression import Call, Expression, Literal, Name, Operation, Sequence
from ranef.formula.model import Term
from ranef.formula.source import Source
from ranef.formula.structures import structure_of

MAX_TERMS = 5_000
MAX_PAIRS = 100_000
MAX_FACTORS = 50_000
BARS = frozenset(("|", "||"))

Terms = dict[int, None]  # an ordered set of bit patterns


@dataclass
class Algebra:
    """One right side (or one side of a bar) on its way to terms; `expand` fills the fields."""

    source: Source
    columns: tuple[str, ...] | None = None  # what `.` stands for
    additions: bool = True  # whether bars and offsets may be added here
    factors: list[Expression] = field(default_factory=list)
    intercept: bool = True
    intercept_given: bool = False
    dot: bool = False
    bars: list[Expression] = field(default_factory=list)
    offsets: list[Expression] = field(default_factory=list)
    _bits: dict[Expression, int] = field(default_factory=dict)

    def terms(self, node: Expression) -> tuple[Term, ...]:
        """The terms of a tree, the intercept (the empty term) first.

        Raises FormulaError at what is no term, and at operators that would make more than 5,000 terms.
        """
        found = sorted(self.expand(node, True, self.additions), key=int.bit_count)
        if sum(map(int.bit_count, found)) > MAX_FACTORS:
            self._fail(f"The terms hold more than {MAX_FACTORS:,} factors in all.", node, "Leave out interactions of high order.")
        return ((Term(()),) if self.intercept else ()) + tuple(Term(self._factors_of(bits)) for bits in found)

    def expand(self, node: Expression, positive: bool, outer: bool) -> Terms:
        """`positive` is False behind a minus; `outer` says that only + and - stand around the node, so that bars may be added.

        The left operands are walked in a loop: a sum of thousands of terms takes no recursion.
        """
        spine: list[tuple[Operation, bool]] = []
        while isinstance(node, Operation) and len(node.operands) == 2 and node.operator in _OPERATORS:
            spine.append((node, outer))
            outer = outer and node.operator in "+-"
            node = node.operands[0]
        terms = self._leaf(node, positive, outer)
        for operation, outside in reversed(spine):
            right = operation.operands[1]
            if operation.operator == "+":
                terms.update(self.expand(right, positive, outside))
            elif operation.operator == "-":
                for term in self.expand(right, not positive, False):
                    terms.pop(term, None)
            elif operation.operator == "**":
                terms = self._power(terms, operation)
            else:
                self._refuse_numbers(operation)
                terms = _JOINS[operation.operator](self, terms, self.expand(right, positive, False), operation)
            self._check(len(terms), operation)
        return terms

    def _leaf(self, node: Expression, positive: bool, outer: bool) -> Terms:
        match node:
            case Name("."):
                return self._all_columns(node)
            case Literal():
                self._set_intercept(node, positive)
                return {}
            case Operation("-", (operand,)):
                self.expand(operand, not positive, False)
                return {}
            case Operation(operator, _) if operator in BARS:
                return self._add(self.bars, node, outer, "A bar")
            case Call(word, (Operation(operator, _),), _) if operator in BARS and structure_of(word):
                return self._add(self.bars, node, outer, "A bar")
            case Call("offset"):
                if len(node.arguments) != 1 or node.keywords:
                    self._fail("offset(...) takes one expression.", node)
                return self._add(self.offsets, node.arguments[0], outer, "An offset", node)
            case Sequence():
                self._fail("A list is no term.", node)
        return {self._bit(node): None}

    def _add(self, found: list[Expression], node: Expression, outer: bool, what: str, place: Expression | None = None) -> Terms:
        if not outer:
            hint = "Join it to the other terms by +; leave it out instead of subtracting it."
            self._fail(f"{what} can only be added to the other terms.", place or node, hint)
        found.append(node)
        return {}

    def _set_intercept(self, node: Literal, positive: bool) -> None:
        if isinstance(node.value, str):
            self._fail("A string is no term.", node, f"Write the column without quotes, or in back-quotes: `{node.value}`.")
        if node.value not in (0, 1):
            hint = "1 stands for the intercept and 0 for its absence; arithmetic goes into I(...)."
            self._fail(f"{node.value} is no term.", node, hint)
        self.intercept, self.intercept_given = (node.value == 1) == positive, True

    def _all_columns(self, node: Name) -> Terms:
        if not self.additions:
            self._fail("`.` only stands among the fixed terms.", node, "Name the columns here.")
        self.dot = True
        if self.columns is None:
            return {self._bit(node): None}
        return {self._bit(Name(column, start=node.start, stop=node.stop)): None for column in self.columns}

    def _bit(self, factor: Expression) -> int:
        bit = self._bits.get(factor)
        if bit is None:
            bit = self._bits[factor] = 1 << len(self.factors)
            self.factors.append(factor)
        return bit

    def _factors_of(self, bits: int) -> tuple[Expression, ...]:
        found = []
        while bits:
            lowest = bits & -bits
            found.append(self.factors[lowest.bit_length() - 1])
            bits ^= lowest
        return tuple(found)

    def _interact(self, left: Terms, right: Terms, node: Operation) -> Terms:
        self._check(min(len(left) * len(right), _subsets((*left, *right))), node, len(left) * len(right))
        return _products(left, right)

    def _cross(self, left: Terms, right: Terms, node: Operation) -> Terms:
        return left | right | self._interact(left, right, node)

    def _nest(self, left: Terms, right: Terms, node: Operation) -> Terms:
        return left | self._interact({_union(left): None}, right, node) if left else {}

    def _within(self, left: Terms, right: Terms, node: Operation) -> Terms:
        return self._interact(left, {_union(right): None}, node)

    def _power(self, terms: Terms, node: Operation) -> Terms:
        exponent = node.operands[1]
        if not (isinstance(exponent, Literal) and type(exponent.value) is int and exponent.value >= 1):
            self._fail("The power of terms is a whole number from 1 on.", exponent, "Write (a + b)^2, or I(x^p) for arithmetic.")
        if len(terms) < 2 and not self.dot:
            hint = "Write I(x^2) for the square, poly(x, 2) for a polynomial; (a + b)^2 gives a + b + a:b."
            self._fail("A single term to a power is the term itself.", node, hint)
        count, times = len(terms), min(exponent.value, len(terms))
        subsets = _subsets(terms)
        self._check(min(subsets, sum(comb(count, size) for size in range(1, times + 1))) if times < 20 else subsets, node)
        result = terms
        for _ in range(times - 1):  # in R's order; a term times itself is itself, so none is lost
            self._check(0, node, len(result) * len(terms))
            grown = _products(result, terms)
            if list(grown) == list(result):
                break
            result = grown
        return result

    def _refuse_numbers(self, node: Operation) -> None:
        for operand in node.operands:
            if isinstance(operand, Literal):
                self._fail(f"A number cannot stand beside `{node.operator}`.", operand, "Arithmetic goes into I(...): I(2 * x).")

    def _check(self, count: int, node: Expression, pairs: int = 0) -> None:
        if count > MAX_TERMS or pairs > MAX_PAIRS:
            self._fail(f"This makes more than {MAX_TERMS:,} terms.", node, "Leave out interactions of high order.")

    def _fail(self, message: str, node: Expression, hint: str | None = None) -> NoReturn:
        raise self.source.error(message, node.start, node.stop, hint)


_JOINS: dict[str, Callable[[Algebra, Terms, Terms, Operation], Terms]] = {
    ":": Algebra._interact,
    "*": Algebra._cross,
    "/": Algebra._nest,
    "%in%": Algebra._within,
}
_OPERATORS = frozenset(("+", "-", "**", *_JOINS))


def _products(left: Terms, right: Terms) -> Terms:
    return {a | b: None for a in left for b in right}


def _union(terms: Iterable[int]) -> int:
    union = 0
    for term in terms:
        union |= term
    return union


def _subsets(terms: Iterable[int]) -> int:
    """How many terms can be made of the factors of these (more than the limit when there are many)."""
    return (1 << min(_union(terms).bit_count(), 64)) - 1
