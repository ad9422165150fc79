"""`hold={"ar1(visit | id)": {"rho": 0.5}}`: covariance parameters that are not estimated, of random terms and of the residuals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from ranef.covariance import Covariance
from ranef.covariance.held import Held, place_of
from ranef.design import Design, RandomTerm
from ranef.errors import ModelError

RESIDUAL = "Residual"


def with_held(design: Design, hold: Mapping[str, Mapping[str | int, float]]) -> Design:
    """The design with structures in which those parameters have the given values.

    Keys are terms as `describe` writes them, the name of a grouping factor with one term, or "Residual". What is held is a natural
    parameter by its name, or an entry of a random term's theta by its number. Raises ModelError for what is not there.
    """
    terms = list(design.terms)
    for key, wanted in hold.items():
        if not isinstance(wanted, Mapping) or not wanted:
            raise ModelError(f"hold[{key!r}] is {wanted!r}.", hint=f'Write hold={{{key!r}: {{"rho": 0.5}}}}.')
        if key == RESIDUAL:
            design = _residual(design, wanted)
            continue
        i = _index(terms, key, design)
        terms[i] = replace(terms[i], covariance=_held(terms[i].covariance, wanted, terms[i].names, theta=design.residual is None))
    return replace(design, terms=tuple(terms))


def _index(terms: list[RandomTerm], key: str, design: Design) -> int:
    def plain(text: str) -> str:
        return "".join(text.split())

    found = [i for i, term in enumerate(terms) if plain(term.label) == plain(key)]
    found = found or [i for i, term in enumerate(terms) if term.group.name == key]
    if len(found) == 1:
        return found[0]
    known = [term.label for term in terms] + ([RESIDUAL] if design.residual is not None else [])
    what = "no term" if not found else f"{len(found)} terms"
    raise ModelError(f"hold names {key!r}, and the model has {what} of that name.", hint=f"Its terms: {', '.join(known)}.")


def _residual(design: Design, wanted: Mapping[str | int, float]) -> Design:
    term = design.residual
    if term is None or design.known_variances:
        raise ModelError('hold names "Residual", and the model has no residual structure.', hint='Give residual="ar1(visit | id)".')
    if term.coordinates is not None:
        raise ModelError("Parameters of a residual structure over distances cannot be held.", hint="Make the positions a factor.")
    return replace(design, residual=replace(term, structure=_held(term.structure, wanted, term.visits, theta=False)))


def _held(structure: Covariance, wanted: Mapping[str | int, float], labels: tuple[str, ...], *, theta: bool) -> Held:
    held: dict[int, float] = {}
    for name, value in wanted.items():
        number = _number(name, value)
        if not isinstance(name, int):
            place, number = place_of(structure, held, name, number, labels)
        elif not theta:
            raise ModelError("With a residual structure theta has no scale: parameters are held by name, such as rho.")
        elif not 0 <= name < structure.size:
            raise ModelError(f"{structure.word} has {structure.size} entries of theta, numbered from 0; there is no {name}.")
        else:
            place = name
        if place in held:
            raise ModelError(f"hold gives the parameter {name!r} of {structure.word} twice.")
        held[place] = number
    places = tuple(sorted(held))
    return Held(structure, places, tuple(held[place] for place in places))


def _number(name: Any, value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = np.nan
    if not np.isfinite(number):
        raise ModelError(f"hold gives {name!r} the value {value!r}, which is no number.")
    return number
