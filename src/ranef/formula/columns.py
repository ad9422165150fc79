"""Which columns of the data a formula needs."""

from __future__ import annotations

from collections.abc import Iterator

from ranef.formula.expression import Call, Expression, Name, Operation, Sequence
from ranef.formula.model import Bar, Formula, Term


def variables(part: Formula | Bar | Term | Expression) -> tuple[str, ...]:
    """The names of columns in order of first use: response, fixed terms, bars (terms, then group), offsets.

    `.` is not among them. The contrasts named in `C(f, contr.sum)` are no columns.
    """
    return tuple(dict.fromkeys(_names(part)))


def _names(part: Formula | Bar | Term | Expression) -> Iterator[str]:
    match part:
        case Name("."):
            return
        case Name(name):
            yield name
        case Call("C", (factor, *_), _):
            yield from _names(factor)
        case _:
            for piece in _pieces(part):
                yield from _names(piece)


def _pieces(part: Formula | Bar | Term | Expression) -> tuple[Bar | Term | Expression, ...]:
    match part:
        case Formula():
            response = () if part.response is None else (part.response,)
            return (*response, *part.fixed, *part.bars, *part.offsets)
        case Bar():
            return (*part.terms, *part.group)
        case Term():
            return part.factors
        case Call():
            return (*part.arguments, *(value for _, value in part.keywords))
        case Sequence():
            return part.items
        case Operation():
            return part.operands
    return ()
