"""The residual structure on data: which rows belong together, and where each stands in the structure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ranef.covariance import Scaled, structure
from ranef.covariance.base import Covariance
from ranef.covariance.correlation import Kernel, Positions
from ranef.covariance.products import ByGroup, Kronecker
from ranef.covariance.registry import STRUCTURES
from ranef.covariance.variance_functions import VARIANCE_FUNCTIONS, Ident, VarianceFunction
from ranef.design import MOST_VISITS, Array, Codes, Grouping, ResidualTerm
from ranef.errors import DataError, ModelError
from ranef.formula.residual import FITTED, Ordering, ResidualFormula, Scaling
from ranef.schema.evaluate import first_rows, text_of
from ranef.schema.grouping import make_grouping
from ranef.schema.levels import alphabetical, shown
from ranef.schema.reading import Reading
from ranef.schema.values import Factor, Numeric, Value, as_factor, level_text, objects

LAGGED = ("ar1", "ar1h", "arma11", "arma11h", "toep", "toeph")  # structures in which the number of steps counts
INDEPENDENT = ("id", "diag")  # structures in which rows of one subject are not related
TYPICAL = 200  # positions that tell a typical distance
ROWS = "row"  # the name of the grouping factor that has a level for each row


def residual_term(formula: ResidualFormula, reading: Reading) -> ResidualTerm:
    """Raises DataError where two rows of a subject have one position, and ModelError for what a structure cannot take."""
    n = len(reading.response)
    subject = _subject(formula, reading)
    functions = tuple(_function(scaling, reading) for scaling in formula.scalings)
    of_mean = tuple(i for i, scaling in enumerate(formula.scalings) if scaling.covariate is None)
    if not formula.orderings:
        own, every = structure("id", 1), np.zeros(n, dtype=np.intp)
        return ResidualTerm(formula.text, _by_row(n), own, every, None, ("",), functions, of_mean=of_mean)
    made = _placed(formula, reading, subject)
    independent = all(ordering.word in INDEPENDENT for ordering in formula.orderings)
    if not independent:
        _refuse_single_rows(formula, subject)
        _refuse_ties(subject, made, formula.nugget)
    owner = _by_row(n) if independent else subject
    return ResidualTerm(formula.text, owner, *made, functions, formula.nugget, of_mean)


def _by_row(n: int) -> Grouping:
    return Grouping(ROWS, (), objects(list(range(n))), np.arange(n))


def _subject(formula: ResidualFormula, reading: Reading) -> Grouping:
    texts = tuple(map(text_of, formula.subject))
    if not texts:
        return _by_row(len(reading.response))
    return make_grouping(texts, [reading.groups[text] for text in texts])[0]


Made = tuple[Covariance, Codes | None, Array | None, tuple[str, ...]]


def _placed(formula: ResidualFormula, reading: Reading, subject: Grouping) -> Made:
    """The structure, the visit of each row or its coordinates, and the names of the visits."""
    if len(formula.orderings) == 2:
        made = _kronecker(formula.orderings, reading, subject)
    else:
        made = _one(formula.orderings[0], reading, subject)
    return made if formula.by is None else _by_arm(formula, made, reading, subject)


def _one(ordering: Ordering, reading: Reading, subject: Grouping) -> Made:
    values = [reading.extras[text_of(node)] for node in ordering.positions]
    entry = STRUCTURES[ordering.word]
    if entry.about.coordinates:
        return _by_distance(ordering, values, subject)
    if len(values) > 1:
        raise ModelError(
            f"{ordering.word} is ordered by one column, not by {len(values)}.", hint="Spatial structures take several."
        )
    visit, labels = _visits(ordering, values, subject)
    made = _made(ordering, len(labels), None)
    if len(labels) > MOST_VISITS and isinstance(made, Scaled) and isinstance(made.correlation, Kernel) and not made.heterogeneous:
        return made, None, visit[:, None].astype(float), ()
    return made, visit, None, labels


def _by_distance(ordering: Ordering, values: Sequence[Value], subject: Grouping) -> Made:
    if not values:
        raise ModelError(f"{ordering.word} needs coordinates.", hint=f"Write {ordering.word}(time | subject).")
    x = np.column_stack([_coordinate(text_of(node), value) for node, value in zip(ordering.positions, values, strict=True)])
    made = _made(ordering, 0, _typical(x, subject))
    if isinstance(made, Scaled) and made.heterogeneous:
        raise ModelError(f"{ordering.word} has a standard deviation for each position; by distance there is one.")
    return made, None, x, ()


def _made(ordering: Ordering, k: int, positions: Positions | None) -> Covariance:
    options: dict[str, Any] = dict(ordering.options)
    try:
        made = structure(ordering.word, k, positions, **options)
    except ValueError as problem:
        raise ModelError(f"{problem}.") from None
    if made.rank < made.k:
        raise ModelError(f"{ordering.word} is no covariance of residuals: it has no full rank.", hint="Use it for random effects.")
    return made


def _coordinate(name: str, value: Value) -> Array:
    """Numbers, the numbers that levels spell, or the order of levels."""
    if isinstance(value, Numeric):
        return value.values
    if not isinstance(value, Factor):
        raise DataError(f"{name} has several columns; a coordinate is one number for each row.")
    try:
        return np.array([float(level) for level in value.levels])[value.codes]
    except (TypeError, ValueError):
        levels = [level_text(level) for level in value.used().levels]
        if alphabetical(levels):
            raise DataError(
                f"{name} is text, and its levels in alphabetical order are no positions: {shown(levels)}.",
                hint=f"Make {name} a number, or a categorical whose levels stand in their order, one step apart.",
            ) from None
        return value.codes.astype(float)


def _typical(x: Array, subject: Grouping) -> Positions:
    """The positions of the subject with most of them, which tell how far apart positions are."""
    counts = np.bincount(subject.codes)
    mine = np.unique(x[subject.codes == counts.argmax()], axis=0)[:TYPICAL]
    return tuple(map(tuple, mine.tolist()))


def _visits(ordering: Ordering, values: Sequence[Value], subject: Grouping) -> tuple[Codes, tuple[str, ...]]:
    """The position of each row, and what the positions are called."""
    if not values:
        place = _order_of_rows(subject.codes)
        return place, tuple(str(i + 1) for i in range(int(place.max(initial=0)) + 1))
    value = values[0]
    if isinstance(value, Numeric) and not value.logical:
        return _numbered(ordering, text_of(ordering.positions[0]), value.values)
    return _levelled(ordering, as_factor(value))


def _levelled(ordering: Ordering, factor: Factor) -> tuple[Codes, tuple[str, ...]]:
    """The levels that occur, in their order; where the lag counts, those between them too."""
    used = np.unique(factor.codes)
    kept = np.arange(used[0], used[-1] + 1) if ordering.word in LAGGED else used
    return np.searchsorted(kept, factor.codes), tuple(level_text(factor.levels[i]) for i in kept)


def _order_of_rows(codes: Codes) -> Codes:
    """(n,) how many rows of the same subject stand before each row."""
    order = np.argsort(codes, kind="stable")
    starts = np.concatenate([[0], np.cumsum(np.bincount(codes))[:-1]])
    out = np.empty(len(codes), dtype=np.intp)
    out[order] = np.arange(len(codes)) - starts[codes[order]]
    return out


def _numbered(ordering: Ordering, name: str, x: Array) -> tuple[Codes, tuple[str, ...]]:
    """Distinct numbers in order; where the lag counts, missing times between them are positions too."""
    distinct, codes = np.unique(x, return_inverse=True)
    if ordering.word in LAGGED and len(distinct) > 2:
        steps = np.diff(distinct)
        unit = steps.min()
        places = (distinct - distinct[0]) / unit
        if np.abs(places - np.round(places)).max() > 1e-6 * places[-1]:
            raise ModelError(
                f"{ordering.word} counts steps, and the values of {name} are not equally spaced.",
                hint=f"Use car1({name} | ...) or sp_exp({name} | ...), which take any times, or make {name} a factor.",
            )
        whole = np.round(places).astype(np.intp)
        labels = tuple(f"{distinct[0] + unit * i:g}" for i in range(whole[-1] + 1))
        return whole[codes], labels
    return codes.astype(np.intp), tuple(f"{value:g}" for value in distinct)


def _refuse_single_rows(formula: ResidualFormula, subject: Grouping) -> None:
    if np.bincount(subject.codes).max(initial=0) < 2:
        raise ModelError(
            f"Each level of {subject.name} has one row: {formula.orderings[0].word} relates rows of the same subject.",
            hint="Behind the bar stands the subject that the rows belong to, not the row.",
        )


def _refuse_ties(subject: Grouping, made: Made, nugget: bool) -> None:
    """Two rows of a subject at one position would have the correlation one."""
    _, visit, x, labels = made
    if x is not None and nugget:
        return
    place: Any = visit if x is None else x
    keys = np.column_stack([subject.codes, place])
    order = np.lexsort(keys.T[::-1])
    same = np.all(keys[order][1:] == keys[order][:-1], axis=1)
    if same.any():
        first, second = order[np.flatnonzero(same)[0]], order[np.flatnonzero(same)[0] + 1]
        where = f"visit {labels[int(keys[first, 1])]}" if x is None else f"position {', '.join(f'{v:g}' for v in x[first])}"
        raise DataError(
            f"{subject.name} {subject.levels[subject.codes[first]]} has two rows for {where} (rows {min(first, second)} "
            f"and {max(first, second)} of those used).",
            hint="A residual structure has one row for each subject and position; aggregate them, add a finer position to the "
            "order, or, for distances, add `+ nugget`.",
        )


def _kronecker(orderings: Sequence[Ordering], reading: Reading, subject: Grouping) -> Made:
    (outer, a, x, first), (inner, b, y, second) = (_one(ordering, reading, subject) for ordering in orderings)
    if a is None or b is None or x is not None or y is not None:
        raise ModelError("A Kronecker product needs two structures over visits.", hint="For example un(endpoint) @ ar1(time | id).")
    names = tuple(f"{one}:{two}" for one in first for two in second)
    return Kronecker(outer, inner), a * len(second) + b, None, names


def _by_arm(formula: ResidualFormula, made: Made, reading: Reading, subject: Grouping) -> Made:
    own, visit, x, labels = made
    assert formula.by is not None
    name = text_of(formula.by)
    if visit is None or x is not None:
        raise ModelError("by= makes a separate structure over visits; by distance there is one for all.")
    arm = reading.groups[name]
    highest, lowest = np.full(subject.size, -1), np.full(subject.size, len(arm.levels))
    np.maximum.at(highest, subject.codes, arm.codes)
    np.minimum.at(lowest, subject.codes, arm.codes)
    if (highest != lowest).any():
        who = subject.levels[int(np.flatnonzero(highest != lowest)[0])]
        raise DataError(f"{subject.name} {who} has rows in several levels of {name}; by={name} needs subjects within its levels.")
    names = tuple(f"{level_text(level)}:{label}" for level in arm.levels for label in labels)
    return ByGroup(own, len(arm.levels)), arm.codes * len(labels) + visit, None, names


def _function(scaling: Scaling, reading: Reading) -> tuple[VarianceFunction, Array]:
    kind: Any = VARIANCE_FUNCTIONS[scaling.word]
    n = len(reading.response)
    if scaling.covariate is None:
        if kind is Ident:
            raise ModelError("ident() takes a factor, not the fitted values.", hint="Write power(fitted) or exponential(fitted).")
        return kind(FITTED), np.ones(n)  # until the fit knows them
    name = text_of(scaling.covariate)
    value = reading.extras[name]
    if kind is Ident:
        strata = as_factor(value).used()
        if len(strata.levels) < 2:
            raise ModelError(f"ident({name}) has one level only: there is nothing to tell apart.")
        return Ident(name, tuple(map(level_text, strata.levels))), strata.codes.astype(float)
    if not isinstance(value, Numeric):
        raise DataError(f"{scaling.word}({name}) needs numbers, and {name} has levels.", hint=f"Write ident({name}).")
    if scaling.word != "exponential" and (value.values == 0).any():
        raise DataError(
            f"{scaling.word}({name}) is zero where {name} is, in row {first_rows(value.values == 0)}.",
            hint="Use exponential(), or shift the covariate.",
        )
    return kind(name), value.values
