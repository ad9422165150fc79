"""Explained variance: marginal (fixed part), conditional (fixed and random part), and the part that is a term's alone.

    R2 marginal     fixed / (fixed + random + residual)                         Nakagawa and Schielzeth (2013)
    R2 conditional  (fixed + random) / (fixed + random + residual)              with random slopes Johnson (2014)
    part R2         (fixed - fixed without the term) / (fixed + random + residual)

"Without the term" is the best that the columns of the other terms, those that contain the term left out, can do for the fitted
mean X beta over the rows. In ordinary regression this is the squared semi-partial correlation; it is never negative, needs no
second fit, and does not depend on the coding of factors.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

import numpy as np

from ranef.arguments import checked
from ranef.design import Array
from ranef.errors import ModelError
from ranef.formula import term_label
from ranef.inference.parts import Part, Parts, root_of_covariance
from ranef.inference.ratios import RULES, Estimate, share
from ranef.inference.variance import averaging
from ranef.table import Table

if TYPE_CHECKING:
    from ranef.fit.fit import Fit
    from ranef.inference.bootstrap import Bootstrap

ALIASED = 1e-9
PART = "The part of a term is what only it, and no term without it, explains of the fitted mean."


@checked
def r2(fit: Fit, *, by: Literal["term"] | None = None, level: float = 0.95, bootstrap: Bootstrap | None = None) -> Table:
    """R2: quantity [term] estimate std_error conf_low conf_high.

    Marginal and conditional; for a model without random effects the multiple R2 and the adjusted one. `by="term"` adds the part
    of each fixed term. Intervals are by the delta method, or percentiles of `ranef.bootstrap(m, 1000)` where that is given as
    `bootstrap`. A singular fit has the limit of zero variances. Raises ModelError for a saved model (which has no rows).

    Examples
    --------
    >>> import ranef
    >>> m = ranef.lmm("y ~ x + z + (1 | school / class)", ranef.datasets.load("schools"))
    >>> ranef.r2(m)
    Explained variance (R²)
    Quantity     Estimate  Std. error  Lower  Upper
    -----------------------------------------------
    marginal        0.125       0.040  0.059  0.216
    conditional     0.773       0.057  0.635  0.863
    Intervals by the delta method, on the logarithm of the ratio to what remains.
    Intervals hold with probability 0.95.
    >>> ranef.r2(m, by="term")
    Explained variance (R²)
    Quantity     Term  Estimate  Std. error  Lower  Upper
    -----------------------------------------------------
    marginal              0.125       0.040  0.059  0.216
    conditional           0.773       0.057  0.635  0.863
    part         x        0.123       0.036  0.068  0.211
    part         z        0.001       0.015  0.000  0.041
    The part of a term is what only it, and no term without it, explains of the
    fitted mean.
    Intervals by the delta method, on the logarithm of the ratio to what remains.
    Intervals hold with probability 0.95.
    """
    if by not in (None, "term"):
        raise ModelError(f"by={by!r} is not known.", hint='Use by="term" or leave it out.')
    parts = Parts.of(fit, bootstrap=bootstrap)
    rows = _whole(parts, level) + (_by_term(parts, level) if by else [])
    columns = {
        "quantity": [quantity for quantity, _, _ in rows],
        "term": [term for _, term, _ in rows],
        "estimate": np.array([estimate.value for _, _, estimate in rows]),
        "std_error": np.array([estimate.std_error for _, _, estimate in rows]),
        "conf_low": np.array([estimate.low for _, _, estimate in rows]),
        "conf_high": np.array([estimate.high for _, _, estimate in rows]),
    }
    if by is None:
        del columns["term"]
    notes = (*averaging(parts, None), *((PART,) if by else ()), parts.note)
    return Table(columns, title="Explained variance (R²)", notes=notes, level=level, frame_kind=fit.model.rows.frame, rules=RULES)


def marginal(parts: Parts, level: float = 0.95) -> Estimate:
    return share(parts.fixed, Part.stack([parts.all_random, parts.residual]), parts.spread, level)


def conditional(parts: Parts, level: float = 0.95) -> Estimate:
    return share(Part.stack([parts.fixed, parts.all_random]), parts.residual, parts.spread, level)


def _whole(parts: Parts, level: float) -> list[tuple[str, str | None, Estimate]]:
    if parts.fit.model.design.terms:
        return [("marginal", None, marginal(parts, level)), ("conditional", None, conditional(parts, level))]
    if parts.fit.criterion.residual is not None:
        return [("marginal", None, marginal(parts, level))]
    n, dof = len(parts.X), parts.fit.solution.dof
    multiple = share(parts.fixed.times(n - 1), parts.residual.times(dof), parts.spread, level)
    lost = (n - 1) / dof
    return [("multiple", None, multiple), ("adjusted", None, multiple.map(lambda q: 1.0 - (1.0 - q) * lost, lost))]


def _by_term(parts: Parts, level: float) -> list[tuple[str, str | None, Estimate]]:
    out: list[tuple[str, str | None, Estimate]] = []
    for label, part in term_parts(parts):
        left = root_without(parts, label)
        rest = Part.stack([parts.fixed_part(left), parts.all_random, parts.residual])
        out.append(("part", label, share(part, rest, parts.spread, level)))
    return out


def term_parts(parts: Parts) -> list[tuple[str, Part]]:
    """Each fixed term but the intercept, and the variance of the fitted mean that is its alone."""
    R = root_of_covariance(parts.X)
    return [(label, parts.fixed_part(basis.T @ R)) for label, basis in _own_spaces(parts.fit, R).items()]


def root_without(parts: Parts, label: str) -> Array:
    """R' with |R' beta|^2 the variance of the fitted mean but for the part of the term."""
    R = root_of_covariance(parts.X)
    basis = _own_spaces(parts.fit, R)[label]
    return R - basis @ (basis.T @ R)


def _own_spaces(fit: Fit, R: Array) -> dict[str, Array]:
    """By term, an orthonormal basis (r, c) of what its columns add to those of the terms that do not contain it."""
    schema = fit.model.schema
    variables = [frozenset(coding.variable for coding in term) for term in schema.fixed]
    widths = [math.prod(coding.width(schema.variables) for coding in term) for term in schema.fixed]
    owner = np.repeat(np.arange(len(widths)), widths)
    scale = np.linalg.norm(R, axis=0)
    unit = R / np.where(scale > 0.0, scale, 1.0)
    out = {}
    for t, (term, own) in enumerate(zip(schema.formula.fixed, variables, strict=True)):
        if own:
            others = [u for u, theirs in enumerate(variables) if not own <= theirs]
            before = _basis(unit[:, np.isin(owner, others)])
            mine = unit[:, owner == t]
            out[term_label(term)] = _basis(mine - before @ (before.T @ mine))
    return out


def _basis(columns: Array) -> Array:
    """An orthonormal basis of the space of columns of length about one, those that are rounding left out."""
    if not columns.size:
        return np.zeros((len(columns), 0))
    left, values, _ = np.linalg.svd(columns, full_matrices=False)
    return left[:, values > ALIASED * max(1.0, float(values[0]))]
