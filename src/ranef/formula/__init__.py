"""The language of formulas: `parse` reads them, `format` writes them. Nothing is ever executed, and no data are needed."""

from ranef.formula.columns import variables
from ranef.formula.expression import Call, Expression, Literal, Name, Operation, Sequence
from ranef.formula.model import Bar, Formula, Term
from ranef.formula.reading import expand_dot, parse
from ranef.formula.text import bar_text, expression_text, format, quoted, term_label

__all__ = [
    "Bar",
    "Call",
    "Expression",
    "Formula",
    "Literal",
    "Name",
    "Operation",
    "Sequence",
    "Term",
    "bar_text",
    "expand_dot",
    "expression_text",
    "format",
    "parse",
    "quoted",
    "term_label",
    "variables",
]
