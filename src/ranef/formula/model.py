"""What a formula says, without data: response, fixed terms, random bars, offsets."""

from __future__ import annotations

from dataclasses import dataclass, field

from ranef.formula.expression import Expression

Options = tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class Term:
    """An interaction of factors, in the order in which they were written; the empty term is the intercept."""

    factors: tuple[Expression, ...]

    @property
    def order(self) -> int:
        return len(self.factors)


@dataclass(frozen=True)
class Bar:
    """`(terms | group)`. Double bars and nested groups are already expanded: one Bar is one covariance block.

    `structure` is the word in front of the bar (`un` where there is none); `group` holds the factors crossed to make the grouping
    factor, `(batch, cask)` for `batch:cask`.
    """

    terms: tuple[Term, ...]  # the intercept is Term(()) and stands first when present
    group: tuple[Expression, ...]
    structure: str = "un"
    options: Options = ()  # of the structure, such as (("d", 2),)
    text: str = field(default="", compare=False)  # as written, for messages


@dataclass(frozen=True)
class Formula:
    """Formulas are equal when they say the same, however they were written.

    With `.` on the right side the terms depend on the data: `fixed` then holds the factor `Name(".")` and `dot` the right side in
    canonical spelling, until `expand_dot(formula, columns)` puts the columns in.
    """

    text: str = field(compare=False)
    response: Expression | None
    fixed: tuple[Term, ...]  # ordered as R orders them: by degree, then as written; the intercept is Term(())
    bars: tuple[Bar, ...] = ()
    offsets: tuple[Expression, ...] = ()
    dot: str = ""
