"""The model in sentences, and the code that makes it again."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from ranef.cells import number, scaled
from ranef.formula import term_label
from ranef.report.sections import blocks

if TYPE_CHECKING:
    from ranef.fit.fit import Fit

DEFAULTS = {"ddf": "satterthwaite", "optimizer": "newton", "missing": "drop"}


def in_words(fit: Fit) -> list[str]:
    """What the model says, a sentence each."""
    response = fit.model.design.response
    terms = [term_label(term) for term in fit.model.formula.fixed if term.order]
    names = [name for name in fit.params.index if name != "(Intercept)"]
    sentences = [f"The mean of {response} depends on {_listed(terms)}." if terms else f"{response} has one overall mean."]
    sentences += [_slope(fit, name) for name in names if _plain_slope(name, names)][:6]
    sentences += [_spread(block) for block in blocks(fit.varcorr) if block[0]["term1"] is not None]
    sentences.append(f"What remains varies from row to row with a standard deviation of {number(fit.sigma)}.")
    return sentences


def _slope(fit: Fit, name: str) -> str:
    limits = fit.conf_int()
    place = list(limits["term"]).index(name)
    estimate, low, high = scaled(
        [float(fit.params[name]), limits["conf_low"][place], limits["conf_high"][place]], float(fit.bse[name])
    )
    others = ", the other predictors held," if len(fit.params) > 2 else ""
    return f"With one unit more of {name}{others} it changes by {estimate} (95 % interval {low} to {high})."


def _plain_slope(name: str, names: list[str]) -> bool:
    """A numeric column on its own: no factor level, no transformation, no part of an interaction."""
    alone = all(name == other or name not in other.split(":") for other in names)
    return alone and re.fullmatch(r"\w[\w. ]*", name) is not None


def _spread(block: list[dict[str, Any]]) -> str:
    effects = [f"{_effect(row['term1'])} varies with a standard deviation of {number(row['sdcor'])}" for row in block]
    tied = ""
    if len(block) == 2 and block[1]["correlations"]:
        tied = f"; their correlation is {number(next(iter(block[1]['correlations'].values())), 'fraction')}"
    return f"Between the levels of {block[0]['group']}, {_listed(effects)}{tied}."


def _effect(name: str) -> str:
    return "the intercept" if name == "(Intercept)" else f"the effect of {name}"


def _listed(names: list[str], most: int = 8) -> str:
    shown = names if len(names) <= most else [*names[: most - 1], f"{len(names) - most + 1} more"]
    return shown[0] if len(shown) == 1 else ", ".join(shown[:-1]) + " and " + shown[-1]


def code(fit: Fit, data: str | None = None) -> str:
    """Python that fits the model again. `data` is the name of the file or data set, where it is known."""
    recipe = fit.model.recipe
    known = data or (recipe["data"] if isinstance(recipe.get("data"), str) else None)
    source = f"data = {_source(known)}" if known else "data = ...  # the data frame of this report"
    options = [] if fit.reml else ["reml=False"]
    options += [f"{name}={recipe[name]!r}" for name, usual in DEFAULTS.items() if recipe.get(name, usual) != usual]
    options += [
        f"{name}={_given(name, recipe[name])}"
        for name in ("precision_weights", "offset", "contrasts")
        if recipe.get(name) is not None
    ]
    call = ", ".join([repr(fit.formula), "data", *options])
    return f"import ranef\n\n{source}\nm = ranef.lmm({call})\nprint(m.summary())"


def _source(name: str) -> str:
    from ranef.datasets import names

    return f"ranef.datasets.load({name!r})" if name in names() else repr(name)


def _given(name: str, value: Any) -> str:
    return repr(value) if isinstance(value, str) else f"...  # {name} of this fit"
