"""What all public functions ask of their arguments alike: a fit is a fit, a level lies between 0 and 1, a seed is a number."""

from __future__ import annotations

import difflib
import functools
import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from pathlib import Path
from typing import Any, Literal, ParamSpec, TypeVar, get_origin

import numpy as np
from numpy.typing import NDArray

from ranef.errors import FileError, ModelError

P = ParamSpec("P")
R = TypeVar("R")
Array = NDArray[np.float64]
Rule = Callable[[str, str, Any], object]
WORDS = frozenset(("str", "bool", "int", "float"))
ANSWERS = {
    "Fit": "a fitted model",
    "Table": "a table",
    "Bootstrap": "the answer of bootstrap()",
    "Check": "the answer of check()",
    "Influence": "the answer of influence()",
    "Profile": "the answer of profile()",
}


def checked(function: Callable[P, R]) -> Callable[P, R]:
    """The function, its arguments checked by their names and annotations before it runs.

    An argument annotated `Fit` must be one, `level: float` a probability, `seed` a seed. A keyword that the function does not
    have is a TypeError, as ever, with the name that was meant.
    """
    parameters = inspect.signature(function).parameters
    aliases = {name for name, kind in function.__globals__.items() if get_origin(kind) is Literal}
    rules = [
        (name, _places(place, one), rule)
        for place, (name, one) in enumerate(parameters.items())
        if (rule := _rule(one, WORDS | aliases))
    ]
    takes_any = any(one.kind is one.VAR_KEYWORD for one in parameters.values())

    @functools.wraps(function)
    def asked(*args: P.args, **kwargs: P.kwargs) -> R:
        if not takes_any:
            for name in kwargs:
                if name not in parameters:
                    raise TypeError(unexpected(function.__name__, name, parameters))
        for name, places, rule in rules:
            if name in kwargs:
                rule(function.__name__, name, kwargs[name])
            for value in args[places]:
                rule(function.__name__, name, value)
        return function(*args, **kwargs)

    return asked


def _places(place: int, parameter: inspect.Parameter) -> slice:
    """Where the values of a parameter stand among positional arguments."""
    if parameter.kind is parameter.KEYWORD_ONLY:
        return slice(0)
    return slice(place, None if parameter.kind is parameter.VAR_POSITIONAL else place + 1)


def _rule(parameter: inspect.Parameter, words: Set[str]) -> Rule | None:
    written = str(parameter.annotation)
    kinds = [kind for kind in written.split(" | ") if kind != "None"]
    if all(kind in ANSWERS for kind in kinds):
        optional = "None" in written
        return lambda function, _, value: check_kind(function, value, kinds, optional)
    if parameter.name == "level" and written == "float":
        return lambda _, name, value: check_level(value, name)
    if parameter.name == "seed":
        return lambda _, name, value: check_seed(value, optional="None" in written)
    if kinds and all(kind in words or kind.startswith("Literal[") for kind in kinds):
        return lambda _, name, value: check_single(name, value)
    return None


def unexpected(function: str, name: str, known: Iterable[str]) -> str:
    """What to say of a keyword that a function does not have: the names most like it, or all of them."""
    names = list(known)
    near = [other for other in names if name.casefold() in other or other in name.casefold()]
    near += [other for other in difflib.get_close_matches(name.casefold(), names, n=2, cutoff=0.6) if other not in near]
    hint = f"Did you mean {' or '.join(near)}?" if near else f"Its arguments: {', '.join(names)}."
    return f"{function}() has no argument {name!r}. {hint}"


def check_kind(function: str, value: Any, kinds: Sequence[str], optional: bool = False) -> None:
    """Raises ModelError for what is none of these answers."""
    if not (value is None and optional) and not any(one.__name__ in kinds for one in type(value).__mro__):
        raise ModelError(
            f"{function}() needs {' or '.join(ANSWERS[kind] for kind in kinds)}, not {type(value).__name__}.",
            hint='A fitted model is the answer of lmm("y ~ x + (1 | g)", data).' if "Fit" in kinds else None,
        )


def check_single(name: str, value: Any) -> None:
    """Raises ModelError for arrays, series and frames where one word or number is asked for."""
    if hasattr(value, "shape") and not isinstance(value, np.generic):
        raise ModelError(f"{name} must be one word or number, not {type(value).__name__}.")


def check_level(level: Any, name: str = "level") -> float:
    """The level of intervals. Raises ModelError for what is no number between 0 and 1."""
    if not isinstance(level, int | float | np.floating) or not 0.0 < level < 1.0:
        raise ModelError(f"{name}={level!r} must lie between 0 and 1, such as 0.95.")
    return float(level)


def check_seed(seed: Any, optional: bool = True) -> None:
    """Raises ModelError for what cannot start a stream of random numbers."""
    if isinstance(seed, np.random.Generator) or (seed is None and optional):
        return
    if not isinstance(seed, int | np.integer) or seed < 0:
        raise ModelError(f"seed={seed!r} must be a whole number that is not negative.")


def check_count(name: str, value: Any, least: int, what: str) -> int:
    """A whole number of at least `least`. Raises ModelError for anything else; `what` says what it counts."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise ModelError(f"{name}={value!r} must be a whole number of {what}, at least {least}.")
    return int(value)


def check_mapping(name: str, value: Any, example: str) -> Mapping[str, Any]:
    """An argument by name; None is empty. Raises ModelError for what is no mapping."""
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise ModelError(f"{name} must be a dict, not {type(value).__name__}.", hint=f"For example {name}={example}.")
    return value


def check_flag(name: str, value: Any) -> bool:
    """True or False. Raises ModelError for anything else, which Python would take for one of them."""
    if not isinstance(value, bool | np.bool_):
        raise ModelError(f"{name}={value!r} must be True or False.")
    return bool(value)


def as_numbers(name: str, values: Any) -> Array:
    """The values as an array of floats. Raises ModelError for what is no number."""
    try:
        return np.asarray(values, dtype=float)
    except (TypeError, ValueError):
        raise ModelError(f"{name} must hold numbers, not {values!r:.60}.") from None


def check_path(name: str, path: Any) -> Path:
    """A file name. Raises FileError for what is none."""
    try:
        return Path(path)
    except TypeError:
        raise FileError(f"{name} must be the name of a file, not {type(path).__name__}.") from None


def write_text(path: Path, text: str) -> None:
    """Write a file. Raises FileError, which says what stands in the way."""
    try:
        path.write_text(text, encoding="utf-8", newline="")
    except OSError as problem:
        raise FileError.of(path, problem) from None
