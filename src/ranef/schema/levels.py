"""The closed table of functions that make or change factors: `factor ordered C relevel dummy position`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ranef.errors import ModelError
from ranef.formula import expression_text
from ranef.formula.expression import Call, Expression, Literal, Name
from ranef.schema.contrasts import Contrast, contrast_named, custom_contrast
from ranef.schema.values import Factor, Matrix, Numeric, Value, as_factor, level_text, objects

if TYPE_CHECKING:
    from ranef.schema.evaluate import Evaluator


def _argument(where: Evaluator, node: Call) -> Factor:
    """The first argument as a factor; a bare column of integers keeps its exact values."""
    if not node.arguments:
        raise where.error(node, f"{node.function}() needs a column")
    first = node.arguments[0]
    value = where.group(first) if isinstance(first, Name) else where.variable(first)
    if isinstance(value, Matrix):
        raise where.error(first, f"{node.function}() needs a single column")
    return as_factor(value)


def _factor(where: Evaluator, node: Call) -> Factor:
    """`factor(x, levels=[...], ordered=False)`; values that are not among the given levels become missing, as in R."""
    given = where.bind(node, {"levels": None, "ordered": None})
    found = _relevelled(_argument(where, node), given["levels"])
    return found if given["ordered"] is None else Factor(found.codes, found.levels, bool(given["ordered"]))


def _ordered(where: Evaluator, node: Call) -> Factor:
    given = where.bind(node, {"levels": None})
    found = _relevelled(_argument(where, node), given["levels"])
    return Factor(found.codes, found.levels, ordered=True)


def _relevelled(factor: Factor, levels: Any) -> Factor:
    if levels is None:
        return factor
    wanted = levels if isinstance(levels, list) else [levels]
    texts = [level_text(level) for level in wanted]
    places = [texts.index(level_text(level)) if level_text(level) in texts else -1 for level in factor.levels] + [-1]
    return Factor(np.array(places, dtype=np.intp)[factor.codes], objects(wanted), factor.ordered, factor.contrast)


def _relevel(where: Evaluator, node: Call) -> Factor:
    """`relevel(x, ref="b")`: the same levels, one of them first."""
    reference = where.bind(node, {"ref": None})["ref"]
    factor = _argument(where, node)
    texts = [level_text(level) for level in factor.levels]
    state = where.states.setdefault(expression_text(node), texts) if where.fitting else where.states[expression_text(node)]
    if level_text(reference) not in state:
        raise where.error(
            node, f"{reference!r} is no level of {expression_text(node.arguments[0])}", f"Levels: {', '.join(state[:20])}."
        )
    if level_text(reference) not in texts:
        return factor
    first = texts.index(level_text(reference))
    return _relevelled(factor, [factor.levels[first], *factor.levels[:first], *factor.levels[first + 1 :]])


def _coded(where: Evaluator, node: Call) -> Factor:
    """`C(x, contrast, base=..., levels=[...])`: a factor with contrasts of its own."""
    keywords = dict(node.keywords)
    extra = list(node.arguments[1:])
    asked = keywords.pop("contr", keywords.pop("contrast", extra.pop(0) if extra else None))
    base = keywords.pop("base", keywords.pop("reference", extra.pop(0) if extra else None))
    levels = keywords.pop("levels", None)
    if keywords or extra:
        raise where.error(node, "C() takes a column, contrasts, and the arguments base and levels")
    factor = _argument(where, node)
    if levels is not None:
        factor = _relevelled(factor, where.constant(levels))
    if asked is None and base is None:
        return factor
    reference = None if base is None else where.constant(base)
    return Factor(factor.codes, factor.levels, factor.ordered, _contrast(where, node, asked, reference, factor))


def _contrast(where: Evaluator, node: Call, asked: Expression | None, base: Any, factor: Factor) -> Contrast:
    """The contrasts as written: a name (`sum`, `Sum`, `contr.sum`), a text, `Treatment("b")`, or rows of numbers."""
    try:
        if asked is None:
            return _based(contrast_named("treatment"), base, factor)
        if isinstance(asked, Name):
            return _based(contrast_named(asked.name), base, factor)
        if isinstance(asked, Call):
            inner = [*asked.arguments, *(value for key, value in asked.keywords if key in ("base", "reference", "ref"))]
            return _based(contrast_named(asked.function), where.constant(inner[-1]) if inner else base, factor)
        value = asked.value if isinstance(asked, Literal) else where.constant(asked)
        return (
            _based(contrast_named(value), base, factor) if isinstance(value, str) else custom_contrast(value, expression_text(node))
        )
    except ModelError as problem:
        raise where.error(asked or node, problem.message, problem.hint) from None


def _based(contrast: Contrast, base: Any, factor: Factor) -> Contrast:
    """R's `base` is a position counted from 1 unless it is the name of a level."""
    if base is None:
        return contrast
    texts = [level_text(level) for level in factor.levels]
    if level_text(base) not in texts and isinstance(base, int | float) and 1 <= base <= len(texts):
        base = factor.levels[int(base) - 1]
    return contrast_named(contrast.kind, base)


def _dummy(where: Evaluator, node: Call) -> Value:
    """lme4's `dummy(f, "level")`: 0/1 numbers for one level, several, or all but the first."""
    wanted = where.bind(node, {"levels": None})["levels"]
    factor = _argument(where, node)
    texts = [level_text(level) for level in factor.levels]
    text = expression_text(node)
    if where.fitting:
        named = texts[1:] if wanted is None else [level_text(level) for level in (wanted if isinstance(wanted, list) else [wanted])]
        absent = [level for level in named if level not in texts]
        if absent:
            raise where.error(
                node, f"{absent[0]!r} is no level of {expression_text(node.arguments[0])}", f"Levels: {', '.join(texts[:20])}."
            )
        where.states[text] = named
    named = where.states[text]
    columns = np.empty((len(factor.codes), len(named)), order="F")
    for j, level in enumerate(named):
        place = texts.index(level) if level in texts else -2
        columns[:, j] = np.where(factor.codes < 0, np.nan, factor.codes == place)
    return Numeric(columns[:, 0]) if len(named) == 1 else Matrix(columns, tuple(named))


def _position(where: Evaluator, node: Call) -> Factor:
    """`position(x, y)`: a level for each distinct place, as `numFactor` of glmmTMB; one coordinate gives numbers as levels."""
    if not node.arguments or node.keywords:
        raise where.error(node, f"{node.function}() takes the columns that are coordinates")
    columns = [where.number(argument) for argument in node.arguments]
    x = np.column_stack([np.broadcast_to(column, (where.frame.size or 0,)) for column in columns]).astype(np.float64)
    missing = np.isnan(x).any(axis=1)
    distinct, places = np.unique(x[~missing], axis=0, return_inverse=True)
    codes = np.full(len(x), -1, dtype=np.intp)
    codes[~missing] = places.ravel()
    return Factor(codes, objects([position_level(row) for row in distinct.tolist()]))


def position_level(row: list[float]) -> float | str:
    """A place as a level: its number, or its numbers in parentheses."""
    return row[0] if len(row) == 1 else f"({', '.join(map(repr, row))})"


def position_of(level: Any) -> tuple[float, ...]:
    """The coordinates of a level that `position_level` made."""
    return tuple(float(part) for part in level.strip("()").split(",")) if isinstance(level, str) else (float(level),)


FACTOR_FUNCTIONS: Mapping[str, Callable[[Evaluator, Call], Value]] = {
    "factor": _factor, "as.factor": _factor, "as_factor": _factor, "ordered": _ordered,
    "C": _coded, "relevel": _relevel, "dummy": _dummy, "position": _position, "numFactor": _position,
}  # fmt: skip


def alphabetical(levels: Sequence[str]) -> bool:
    """Do the levels stand in alphabetical order where their numbers ask for another: w12 before w4?"""
    return len(levels) > 1 and list(levels) == sorted(levels) and list(levels) != sorted(levels, key=_by_numbers)


def shown(levels: Sequence[str], most: int = 6) -> str:
    return ", ".join(levels[:most]) + (", …" if len(levels) > most else "")


def _by_numbers(level: str) -> list[tuple[str, float]]:
    """Its stretches of text, and the number after each."""
    return [(text, float(digits or -1)) for text, digits in re.findall(r"(\D*)(\d*)", level)]
