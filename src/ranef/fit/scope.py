"""Which random effects a prediction uses: all, none, or those of a formula of bars."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ranef.core.layout import Part
from ranef.errors import ModelError
from ranef.fit.points import Mask
from ranef.formula import parse
from ranef.schema.coding import width
from ranef.schema.evaluate import text_of

if TYPE_CHECKING:
    from ranef.fit.fit import Fit
    from ranef.formula.model import Bar

CHOICES = 'Use "conditional" (all random effects), "population" (none), or a formula of bars such as "~ (1 | school)".'


def used_effects(fit: Fit, re: str | None) -> tuple[Mask, ...]:
    """A mask (k,) over the columns of each block.

    Raises ModelError for a bar that is not in the model; FormulaError where the text is no formula.
    """
    blocks = fit.criterion.layout.blocks
    if re in ("conditional", "population"):
        return tuple(np.full(block.width, re == "conditional") for block in blocks)
    if re is None:
        raise ModelError("re=None could mean all random effects (lme4's NULL) or none (lme4's NA).", hint=CHOICES)
    if not isinstance(re, str) or not {"|", "~"} & set(re):
        raise ModelError(f"re={re!r} is not known.", hint=CHOICES)
    asked = parse(re if "~" in re else f"~ {re}")
    out = tuple(np.zeros(block.width, dtype=bool) for block in blocks)
    for bar in asked.bars:
        _mark(fit, bar, out)
    return out


def _mark(fit: Fit, bar: Bar, out: tuple[Mask, ...]) -> None:
    """Set the columns of a bar, which may be part of a bar of the model."""
    group = {text_of(node) for node in bar.group}
    parts = [(f, part) for f, part in fit.criterion.layout.parts if set(fit.model.design.terms[part.term].group.variables) == group]
    if not parts:
        known = ", ".join(dict.fromkeys(term.group.name for term in fit.model.design.terms))
        raise ModelError(
            f"re asks for {bar.text}, and the model has no such grouping factor.", hint=f"Its grouping factors: {known or 'none'}."
        )
    for term in bar.terms:
        wanted, found = frozenset(map(text_of, term.factors)), False
        for f, part in parts:
            columns = _columns(fit, part).get(wanted)
            if columns is not None:
                out[f][columns], found = True, True
        if not found:
            names = [name for _, part in parts for name in fit.model.design.terms[part.term].names]
            raise ModelError(
                f"re asks for {':'.join(sorted(wanted)) or 'an intercept'} in {bar.text}, which the model does not have there.",
                hint=f"Random effects of {':'.join(sorted(group))}: {', '.join(names)}.",
            )


def _columns(fit: Fit, part: Part) -> dict[frozenset[str], slice]:
    """The columns, in its block, of each term of a bar of the model, by the variables of the term."""
    schema, out, at = fit.model.schema, {}, part.columns.start
    for term in schema.bars[part.term]:
        stop = at + width([term], schema.variables)
        out[frozenset(coding.variable for coding in term)] = slice(at, stop)
        at = stop
    return out
