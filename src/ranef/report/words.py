"""The model in sentences, and the code that makes it again."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from ranef.cells import number
from ranef.report import facts

if TYPE_CHECKING:
    from ranef.fit.fit import Fit

DEFAULTS = {"ddf": "satterthwaite", "optimizer": "newton", "missing": "drop"}


def in_words(fit: Fit) -> list[str]:
    """What the model says, a sentence each."""
    fixed = [name for name in fit.params.index if name != "(Intercept)"]
    about = f"depends on {_listed(fixed)}" if fixed else "has one overall mean"
    sentences = [f"The mean of {fit.model.design.response} {about}."]
    sentences += [_slope(fit, name) for name in fixed if _plain_slope(name, fixed)][:6]
    sentences += [_spread(block) for block in facts.blocks(fit.varcorr) if block[0]["term1"] is not None]
    sentences.append(f"What remains varies from row to row with a standard deviation of {number(fit.sigma)}.")
    return sentences


def _slope(fit: Fit, name: str) -> str:
    low, high = (dict(zip(limits["term"], limits[side], strict=True))[name] for limits in [fit.conf_int()] for side in ("conf_low", "conf_high"))
    estimate = float(fit.params[name])
    way = "up" if estimate > 0 else "down"
    others = ", the other predictors held," if len(fit.params) > 2 else ""
    return (
        f"With one unit more of {name}{others} the mean goes {way} by {number(abs(estimate))} "
        f"(estimate {number(estimate)}, 95 % interval {number(low)} to {number(high)})."
    )


def _plain_slope(name: str, names: list[str]) -> bool:
    """A numeric column on its own: no factor level, no transformation, no part of an interaction."""
    alone = all(name == other or name not in other.split(":") for other in names)
    return alone and re.fullmatch(r"\w[\w. ]*", name) is not None


def _spread(block: list[dict[str, Any]]) -> str:
    effects = [f"{row['term1']} ({number(row['sdcor'])})" for row in block]
    verb = "varies" if len(block) == 1 else "vary"
    tied = ""
    if len(block) == 2 and block[1]["correlations"]:
        tied = f", with a correlation of {number(next(iter(block[1]['correlations'].values())), 'fraction')}"
    return f"Between the levels of {block[0]['group']}, {_listed(effects)} {verb} (standard deviation in brackets){tied}."


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
    options += [f"{name}={_given(name, recipe[name])}" for name in ("precision_weights", "offset", "contrasts") if recipe.get(name) is not None]
    call = ", ".join([repr(fit.formula), "data", *options])
    return f"import ranef\n\n{source}\nm = ranef.lmm({call})\nprint(m.summary())"


def _source(name: str) -> str:
    from ranef.datasets import names

    return f"ranef.datasets.load({name!r})" if name in names() else repr(name)


def _given(name: str, value: Any) -> str:
    return repr(value) if isinstance(value, str) else f"...  # {name} of this fit"
