"""The model in sentences, and the code that makes it again."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from ranef.cells import number, scaled
from ranef.errors import RanefError
from ranef.formula import term_label
from ranef.layouts.shown import pretty
from ranef.report import facts
from ranef.report.spreads import Spread, spreads

if TYPE_CHECKING:
    from ranef.fit.fit import Fit

MOST_SENTENCES = 6  # about fixed effects
LEVEL = re.compile(r"(?P<factor>\w[\w. ]*)\[T\.(?P<level>.*)\]")
NUMBER = re.compile(r"\w[\w. ]*")
LONGEST_CALL = 100  # characters
DEFAULTS = {"ddf": "satterthwaite", "optimizer": "newton", "missing": "drop"}


def question(fit: Fit) -> str:
    """What the model asks, in a sentence."""
    response = fit.model.design.response
    terms = [term_label(term) for term in fit.model.formula.fixed if term.order]
    about = f"How does {response} depend on {listed(terms)}" if terms else f"What is the mean of {response}"
    if not fit.ngroups:
        return f"{about}?"
    groups = listed([counted(size, f"level of {group}", f"levels of {group}") for group, size in fit.ngroups.items()])
    slopes = list(dict.fromkeys(name for term in spreads(fit) for name in term.names if name != "(Intercept)"))
    differ = f"which differ in their means and in the effects of {listed(slopes, 4)}" if slopes else "which differ in their means"
    return f"{about}, when {counted(fit.nobs, 'row belongs', 'rows belong')} to {groups}, {differ}?"


def rows_used(fit: Fit) -> str:
    """How many rows the model uses, and why others were left out."""
    rows = fit.model.rows
    used = f"{facts.data_line(fit)}."
    lacking = [
        counted(count, f"value of {name} is missing", f"values of {name} are missing")
        for name, count in rows.missing.items()
        if count
    ]
    lacking += [f"{text} is undefined in {counted(count, 'row', 'rows')}" for text, count in rows.created.items() if count]
    lacking += [counted(rows.zero_weights, "row has weight zero", "rows have weight zero")] if rows.zero_weights else []
    left = rows.n_total - fit.nobs
    if not lacking or left <= 0:
        return f"{used} No value is missing in the columns that the model uses."
    return f"{used} {counted(left, 'row was', 'rows were')} left out: {listed(lacking)}."


def in_words(fit: Fit) -> list[str]:
    """What the model found, a sentence each."""
    names = [name for name in fit.params.index if name != "(Intercept)"]
    told = [sentence for name in names if _alone(name, names) and (sentence := _effect_of(fit, name))]
    sentences = (told[:MOST_SENTENCES] or _tested(fit)) if names else [_mean(fit)]
    sentences += [_spread(term) for term in spreads(fit)]
    if not fit.model.design.known_variances:
        sentences.append(f"What remains varies from row to row with a standard deviation of {size(fit.sigma)}.")
    else:
        sentences.append(f"The rows have known sampling variances, typically {size(fit.sigma**2)}.")
    return [sentence[0].upper() + sentence[1:] for sentence in sentences]


def _tested(fit: Fit) -> list[str]:
    """The F tests of the terms, where no coefficient says it alone."""
    try:
        table = fit.anova()
    except RanefError:
        return []
    if "den_df" not in table:
        return []
    rows = [row for row in table if row["den_df"] is not None]
    return [
        f"for {row['term']} F({row['num_df']}, {number(row['den_df'], 'df')}) is {number(row['statistic'], 'statistic')} "
        f"(p {facts.equals(row['p_value'])})."
        for row in rows[:MOST_SENTENCES]
    ]


def size(value: float) -> str:
    """A standard deviation in words."""
    return number(value) if value else "0"


def _mean(fit: Fit) -> str:
    estimate, limits = _estimated(fit, fit.params.index[0])
    return f"the mean of {fit.model.design.response} is {estimate} ({limits})."


def _estimated(fit: Fit, name: str) -> tuple[str, str]:
    """An estimate and its interval, with the decimals that the standard error supports."""
    limits = fit.conf_int()
    place = list(limits["term"]).index(name)
    values = [float(fit.params[name]), float(limits["conf_low"][place]), float(limits["conf_high"][place])]
    estimate, low, high = (pretty(text) for text in scaled(values, float(fit.bse[name])))
    return estimate, f"95 % interval {low} to {high}"


def _effect_of(fit: Fit, name: str) -> str:
    """The coefficient of a number or of a factor level in a sentence; empty for others."""
    estimate, limits = _estimated(fit, name)
    response, others = fit.model.design.response, ", the other predictors held," if len(fit.params) > 2 else ","
    much, up = estimate.lstrip("\N{MINUS SIGN}"), not estimate.startswith("\N{MINUS SIGN}")
    level = LEVEL.fullmatch(name)
    if level is not None:
        factor, side = level["factor"], "higher" if up else "lower"
        return (
            f"for {factor} {level['level']}, {response} is on average {much} {side} than for {_reference(fit, factor)} ({limits})."
        )
    if NUMBER.fullmatch(name) is None:
        return ""
    return f"with one unit more of {name}{others} {response} {'rises' if up else 'falls'} on average by {much} ({limits})."


def _reference(fit: Fit, factor: str) -> str:
    """The level of a factor that has no coefficient."""
    variable = fit.model.schema.variables.get(factor)
    levels = () if variable is None else variable.levels
    return next((str(level) for level in levels if f"{factor}[T.{level}]" not in fit.params.index), "the reference level")


def _alone(name: str, names: list[str]) -> bool:
    """Whether a coefficient is no part of an interaction, and its column of no other term."""
    column = re.compile(rf"(?<![\w.]){re.escape(name)}(?![\w.])")
    return ":" not in name and all(name == other or column.search(other) is None for other in names)


def _spread(term: Spread) -> str:
    effects = [
        f"{_effect(name)} varies with a standard deviation of {size(sd)}" for name, sd in zip(term.names, term.sd, strict=True)
    ]
    tied = ""
    if term.size == 2 and term.correlations:
        tied = f"; their correlation is {number(next(iter(term.correlations.values())), 'fraction')}"
    return f"Between the levels of {term.group}, {listed(effects)}{tied}."


def _effect(name: str) -> str:
    return "the intercept" if name == "(Intercept)" else f"the effect of {name}"


def counted(number: int, one: str, many: str) -> str:
    """A number with its noun in the right number: "1 row", "1,234 rows"."""
    return f"{number:,} {one if number == 1 else many}"


def listed(names: list[str], most: int = 8) -> str:
    """Names as an English list: "a", "a and b", "a, b and c", the last ones counted where there are more than `most`."""
    shown = names if len(names) <= most else [*names[: most - 1], f"{len(names) - most + 1} more"]
    return shown[0] if len(shown) == 1 else ", ".join(shown[:-1]) + " and " + shown[-1]


def code(fit: Fit, data: str | None = None) -> str:
    """Python that fits the model again. `data` is the name of the file or data set, where it is known."""
    recipe = fit.model.recipe
    known = data or (recipe["data"] if isinstance(recipe.get("data"), str) else None)
    lines = [f"data = {_source(known)}" if known else "data = ...  # the data frame of this report"]
    options = [] if fit.reml else ["reml=False"]
    for name, value in recipe.items():
        if name == "data" or value is None or (_written(value) and value == DEFAULTS.get(name)):
            continue
        if not _written(value):
            lines.append(f"{name} = ...  # the {name} of this fit")
        options.append(f"{name}={value!r}" if _written(value) else f"{name}={name}")
    call = f"m = ranef.lmm({', '.join([repr(fit.formula), 'data', *options])})"
    if len(call) > LONGEST_CALL:
        call = "\n".join(["m = ranef.lmm(", *(f"    {part}," for part in (repr(fit.formula), "data", *options)), ")"])
    if fit.status == "moment estimate":
        lines.append(f"# the variance between groups is a moment estimate: ranef.meta(..., method={fit.optimum.optimizer!r})")
    return "\n".join(["import ranef", "", *lines, call, "print(m.summary())"])


def _written(value: Any) -> bool:
    """Whether the text of a value is Python that makes it again."""
    if isinstance(value, dict):
        return all(_written(key) and _written(inner) for key, inner in value.items())
    return isinstance(value, str | int | float | bool)


def _source(name: str) -> str:
    from ranef.datasets import names

    return f"ranef.datasets.load({name!r})" if name in names() else repr(name)
