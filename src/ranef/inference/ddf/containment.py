"""Containment degrees of freedom, the rule of SAS (DDFM=CONTAIN).

A random effect is a column of a bar times its group: `(Days | Subject)` has Subject and Days*Subject. It contains a fixed effect
whose variables are all among its own. The df of a fixed effect are the smallest rank that any random effect containing it adds to
[X Z], where random effects enter after X, those with fewer variables first, else as written; without one, n - rank [X Z]. A
contrast has the smallest df of the fixed effects that it involves.

Where the sampling variances are known, every row may have its own random effect and nothing is left for a residual. Then the
df are those of metafor: the smallest m - p of the grouping factors (m levels) within which the column of X is constant, n - p
where there are none.

Ranks come from the model itself: with variances so large that random effects are as good as fixed, rank [X Z] = n - tr P.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ranef.core.criterion import Criterion
from ranef.core.information import omega_of
from ranef.covariance.base import Array
from ranef.fit.fit import Fit
from ranef.fit.residual_side import refuse_structured
from ranef.fit.rows import needs_rows
from ranef.inference.ddf.base import Denominator
from ranef.schema.coding import TermCoding
from ranef.schema.model import Schema

HUGE = 1e5  # relative standard deviation of an effect that is as good as fixed
INVOLVED = 1e-9


@dataclass(frozen=True, eq=False)
class Containment(Denominator):
    by_column: Array  # (p,) the df of the fixed effect that each column of X belongs to

    @classmethod
    def of(cls, fit: Fit) -> Containment:
        refuse_structured(fit, "The containment method", 'Use ddf="satterthwaite", "kenward-roger" or "between-within".')
        schema, criterion = fit.model.schema, fit.criterion
        if fit.model.design.known_variances:
            needs_rows(fit, 'ddf="containment"')
            return cls(fit, levels_less_coefficients(fit))
        effects = _random_effects(fit)
        entered = [np.zeros(block.width) for block in criterion.layout.blocks]
        ranks = [criterion.gram.rank]
        for effect in effects:
            entered[effect.block][effect.columns] = 1.0
            ranks.append(rank(criterion, entered))
        by_column: list[float] = []
        for term in schema.fixed:
            own = {coding.variable for coding in term}
            adds = [new - old for effect, old, new in zip(effects, ranks[:-1], ranks[1:], strict=True) if own <= effect.variables]
            by_column += [float(max(min(adds, default=fit.nobs - ranks[-1]), 1))] * _width(term, schema)
        return cls(fit, np.array(by_column))

    def df(self, L: Array) -> Array:
        involved = np.abs(L) > INVOLVED * np.abs(L).max(axis=1, keepdims=True)
        return np.where(involved, self.by_column, np.inf).min(axis=1)


def levels_less_coefficients(fit: Fit) -> Array:
    """(p,) the smallest m - p of the factors within which a column is constant."""
    design, p = fit.model.design, len(fit.params)
    out = np.full(design.X.shape[1], float(max(fit.nobs - p, 1)))
    for group in {id(term.group): term.group for term in design.terms}.values():
        first = np.zeros(group.size, dtype=np.intp)
        first[group.codes] = np.arange(design.nobs)
        constant = np.all(design.X == design.X[first[group.codes]], axis=0)
        out[constant] = np.minimum(out[constant], float(max(group.size - p, 1)))
    return out


@dataclass(frozen=True)
class RandomEffect:
    variables: set[str]
    block: int
    columns: slice  # of the block


def _random_effects(fit: Fit) -> list[RandomEffect]:
    schema, out = fit.model.schema, []
    for f, part in fit.criterion.layout.parts:
        at, group = part.columns.start, fit.model.design.terms[part.term].group
        for term in schema.bars[part.term]:
            width = _width(term, schema)
            out.append(RandomEffect({coding.variable for coding in term} | set(group.variables), f, slice(at, at + width)))
            at += width
    return sorted(out, key=lambda effect: len(effect.variables))


def _width(term: TermCoding, schema: Schema) -> int:
    return math.prod(coding.width(schema.variables) for coding in term)


def rank(criterion: Criterion, columns: list[Array]) -> int:
    """rank [X Z] with the columns of each block that are marked by one: r + sum of omega_d tr P V_d at huge omega."""
    factors = [criterion.gram.z_map(f) @ np.diag(HUGE * marked) for f, marked in enumerate(columns)]
    pieces = criterion.engine.pieces(factors, 1)
    assert pieces.t is not None and pieces.F is not None
    traces = pieces.t - np.trace(pieces.F[:, :-1, :-1], axis1=1, axis2=2)
    return criterion.gram.rank + round(float(omega_of(criterion.layout, factors) @ traces))
