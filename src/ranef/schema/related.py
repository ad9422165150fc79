"""Levels that are not independent: `(x | gr(id, cov=A))` with a known covariance, `(1 | mm(a, b))` with several memberships a row.

Both become a term of one block whose columns are the levels. gr: an indicator for each level, with the covariance A times that of
the effects. mm: the weights of the memberships, with one variance.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ranef.covariance import Covariance
from ranef.covariance.known import Known
from ranef.covariance.labelled import LowRank, Precision
from ranef.covariance.pedigree import Pedigree
from ranef.covariance.products import Kronecker
from ranef.design import Array
from ranef.errors import DataError, FormulaError, ModelError
from ranef.formula import expression_text
from ranef.formula.expression import Call, Expression, Name, Sequence
from ranef.formula.model import Bar, Term
from ranef.schema.memory import refuse_beyond
from ranef.schema.values import Factor, Levels, Matrix, level_text, objects

if TYPE_CHECKING:
    from ranef.schema.evaluate import Evaluator

KNOWN, SEVERAL, MEMBERS = "gr", "mm", "members"
DENSE = 8  # matrices of all pairs of levels that a fit holds: A, its root, cross-products and derivatives
NOT_POSITIVE = 1e-8  # an eigenvalue of A below minus this share of the largest


def call_of(bar: Bar) -> Call | None:
    """The `gr(...)` or `mm(...)` behind a bar."""
    node = bar.group[0] if len(bar.group) == 1 else None
    return node if isinstance(node, Call) and node.function in (KNOWN, SEVERAL) else None


def with_levels(bar: Bar, text: str) -> Bar:
    """The bar with its levels as columns."""
    call = call_of(bar)
    if call is None:
        return bar
    if call.function == SEVERAL:
        return _several(bar, call, text)
    names = [key for key, _ in call.keywords]
    if len(call.arguments) != 1 or names != ["cov"] or not isinstance(call.keywords[0][1], Name):
        raise _error(
            call, text, "gr() takes a column and the name of a covariance.", 'Write gr(id, cov=A), with covariances={"A": ...}.'
        )
    levels = Call("factor", call.arguments)
    if bar.terms and all(levels in term.factors for term in bar.terms):
        return bar
    placed = replace(levels, start=-1)  # its levels vary fastest
    return replace(bar, terms=tuple(Term((placed, *term.factors)) for term in bar.terms))


def _several(bar: Bar, call: Call, text: str) -> Bar:
    if any(key != "weights" for key, _ in call.keywords) or len(call.arguments) < 2:
        raise _error(call, text, "mm() takes two columns or more, and weights.", "Write mm(a, b, weights=[wa, wb]).")
    members = Call(MEMBERS, call.arguments, call.keywords, start=call.start, stop=call.stop)
    terms = (Term((members,)),)
    if bar.terms == terms:
        return bar
    if bar.terms != (Term(()),) or bar.structure not in ("un", "id"):
        raise _error(call, text, "mm() is for random intercepts.", "Write (1 | mm(a, b)).")
    return replace(bar, terms=terms, structure="id")


def one_level(where: Evaluator, node: Call) -> Factor:
    """The grouping factor of such a term: all rows are in one block."""
    return Factor(np.zeros(where.frame.size or 0, dtype=np.intp), objects(["all"]))


def members(where: Evaluator, node: Call) -> Matrix:
    """(n, m) the weight of each level in each row; without weights the memberships of a row count equally, 1 in all."""
    factors = [where.group(argument) for argument in node.arguments]
    key = expression_text(node)
    if where.fitting and key not in where.states:
        found = {
            level_text(level): level for factor in factors for level in factor.levels[np.unique(factor.codes[factor.codes >= 0])]
        }
        where.states[key] = sorted(found, key=lambda text: (not isinstance(found[text], int | float), found[text]))
    known = {text: i for i, text in enumerate(where.states[key])}
    weights = _weights(where, node, len(factors))
    out = np.zeros((where.frame.size or 0, len(known)), order="F")
    for factor, weight in zip(factors, weights, strict=True):
        places = np.array([known.get(level_text(level), -1) for level in factor.levels] + [-2], dtype=np.intp)[factor.codes]
        if (places == -1).any():
            new = level_text(factor.levels[factor.codes[np.flatnonzero(places == -1)[0]]])
            raise DataError(f"{key} has the level {new!r}, which was not in the data of the fit.")
        out[np.arange(len(out)), places] += weight
        out[places == -2] = np.nan
    return Matrix(out, tuple(f"[{text}]" for text in known))


def _weights(where: Evaluator, node: Call, count: int) -> list[Array]:
    n = where.frame.size or 0
    given = dict(node.keywords).get("weights")
    if given is None:
        return [np.full(n, 1.0 / count)] * count
    items = given.items if isinstance(given, Sequence) else ()
    if len(items) != count:
        raise where.error(node, f"mm() needs a weight for each of its {count} columns", "Write weights=[wa, wb].")
    return [np.broadcast_to(np.asarray(where.number(item), dtype=np.float64), (n,)) for item in items]


def known_covariance(bar: Bar, own: Covariance, levels: Levels, given: Mapping[str, Any]) -> Covariance:
    """theta^2 A, or the covariance of several columns times A.

    Raises ModelError where A was not given, lacks a level, or is not positive semi-definite; MemoryEstimateError before matrices of
    all pairs of levels are made that do not fit.
    """
    call = call_of(bar)
    assert call is not None
    name = str(getattr(call.keywords[0][1], "name", ""))
    if name not in given:
        hint = f"Give it to lmm(..., covariances={{{name!r}: A}}): a labelled square frame, (matrix, levels) or a pedigree."
        raise ModelError(f"The covariance {name!r} of {expression_text(call)} was not given.", hint=hint)
    refuse_beyond(
        8.0 * DENSE * (own.k * len(levels)) ** 2,
        f"{expression_text(call)} with {own.k * len(levels):,} effects, whose covariances are dense,",
        "Use fewer levels: merge them, or sample.",
    )
    A = Known.of(_among(name, given[name], levels))
    return A if own.k == 1 else Kronecker(own, A)


def _among(name: str, given: Any, levels: Levels) -> Array:
    """(m, m) A among the levels, in their order."""
    if isinstance(given, Pedigree | Precision | LowRank):
        at = _places(name, given.levels, levels)
        return given.among(at)
    return _checked(name, given, levels)


def _places(name: str, labels: Iterable[Any], levels: Levels) -> NDArray[np.intp]:
    """(m,) where the levels stand among the labels."""
    place = {level_text(label): i for i, label in enumerate(labels)}
    lacking = [level_text(level) for level in levels if level_text(level) not in place]
    if lacking:
        raise ModelError(f"The covariance {name!r} lacks the level {lacking[0]!r} ({len(lacking)} of {len(levels)} levels in all).")
    return np.array([place[level_text(level)] for level in levels], dtype=np.intp)


def _checked(name: str, given: Any, levels: Levels) -> Array:
    """The same of a matrix that is given in full."""
    matrix, labels = given if isinstance(given, tuple) else (given, getattr(given, "index", None))
    if labels is None:
        raise ModelError(f"The covariance {name!r} has no labels.", hint="Give a pandas frame with labels, or (matrix, levels).")
    dense = np.asarray(matrix.toarray() if hasattr(matrix, "toarray") else matrix, dtype=np.float64)
    different = len({level_text(label) for label in labels})
    if dense.shape != (different, different):
        hint = "A root B of a covariance B B' is given by ranef.low_rank(B, levels)."
        found = f"The covariance {name!r} has shape {dense.shape} and {different} different labels; it must be square."
        raise ModelError(found, hint=hint if dense.ndim == 2 and dense.shape[0] == different else None)
    at = _places(name, labels, levels)
    A = dense[np.ix_(at, at)]
    if not np.all(np.isfinite(A)) or np.abs(A - A.T).max() > 1e-8 * np.abs(A).max():
        raise ModelError(f"The covariance {name!r} is not symmetric, or not finite.")
    values = np.linalg.eigvalsh(A)
    if values[0] < -NOT_POSITIVE * values[-1]:
        raise ModelError(f"The covariance {name!r} is not positive semi-definite: its smallest eigenvalue is {values[0]:.3g}.")
    return (A + A.T) / 2.0


def _error(node: Expression, text: str, message: str, hint: str) -> FormulaError:
    return FormulaError(message, text=text, start=max(node.start, 0), stop=max(node.stop, 1), hint=hint)


RELATED_FUNCTIONS = {KNOWN: one_level, SEVERAL: one_level, MEMBERS: members}
