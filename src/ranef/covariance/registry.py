"""All structures by their words. A new one is a class in a file of its own and a line in one of the two lists here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ranef.covariance.about import About, Names
from ranef.covariance.antedependence import Antedependence
from ranef.covariance.arma import AutoregressiveMovingAverage
from ranef.covariance.autoregressive import Autoregressive
from ranef.covariance.base import Covariance
from ranef.covariance.compound_symmetry import CompoundSymmetry
from ranef.covariance.continuous import ContinuousAutoregressive, OrnsteinUhlenbeck, Power
from ranef.covariance.correlation import Correlation, Positions, steps
from ranef.covariance.diagonal import Diagonal
from ranef.covariance.factored import Factored
from ranef.covariance.general import General
from ranef.covariance.held import Held, Spanned
from ranef.covariance.identity import Identity
from ranef.covariance.known import Known
from ranef.covariance.matern import Matern
from ranef.covariance.products import Kronecker
from ranef.covariance.radial import Exponential, Gaussian, Linear, Rational, Spherical
from ranef.covariance.reduced_rank import ReducedRank
from ranef.covariance.scaled import Scaled
from ranef.covariance.toeplitz import Toeplitz
from ranef.covariance.unstructured import Unstructured

FACTORED: tuple[type[Factored], ...] = (Unstructured, Diagonal, Identity, ReducedRank)
CORRELATIONS: tuple[type[Correlation], ...] = (
    CompoundSymmetry, General, Autoregressive, Toeplitz, Antedependence, AutoregressiveMovingAverage,
    ContinuousAutoregressive, OrnsteinUhlenbeck, Exponential, Gaussian, Spherical, Linear, Power, Rational, Matern,
)  # fmt: skip

Kind = type[Factored] | type[Correlation]


@dataclass(frozen=True)
class Entry:
    """One word of the language of structures."""

    word: str
    about: About
    names: Names  # what other programs call it
    kind: Kind
    heterogeneous: bool = False

    def make(self, positions: Positions, options: Mapping[str, Any]) -> Covariance:
        if issubclass(self.kind, Factored):
            return self.kind(len(positions), **options)
        return Scaled(self.kind(positions, **options), self.heterogeneous)


def _entries() -> Iterator[Entry]:
    kinds: tuple[Kind, ...] = (*FACTORED, *CORRELATIONS)
    for kind in kinds:
        about = kind.about
        yield Entry(about.word, about, about.names, kind)
        if about.heterogeneous is not None:
            yield Entry(about.word + "h", about, about.heterogeneous, kind, heterogeneous=True)


STRUCTURES: dict[str, Entry] = {entry.word: entry for entry in _entries()}
ALIASES: dict[str, str] = {alias: entry.word for entry in STRUCTURES.values() for alias in entry.names.aliases}


def word_of(spelling: str) -> str | None:
    """The structure that a word stands for, in any case of letters; None when there is none of that name."""
    word = spelling.lower()
    return word if word in STRUCTURES else ALIASES.get(word)


def description(covariance: Covariance) -> dict[str, Any]:
    """Plain data from which `restored` makes the structure again."""
    if isinstance(covariance, Known):
        return {"word": "known", "matrix": covariance.known.tolist()}
    if isinstance(covariance, Spanned):
        held = {name: getattr(covariance, name) for name in ("places", "columns", "unknown", "inside")}
        return {"word": "spanned", "inner": description(covariance.inner), **held}
    if isinstance(covariance, Held):
        return {"word": "held", "inner": description(covariance.inner), "places": covariance.places, "values": covariance.values}
    if isinstance(covariance, Kronecker):
        return {"word": "@", "factors": [description(covariance.first_factor), description(covariance.second_factor)]}
    own: Any = covariance.correlation if isinstance(covariance, Scaled) else covariance
    entry = STRUCTURES[covariance.word]
    options = {name: getattr(own, name) for name in entry.about.options}
    positions = [list(place) for place in own.positions] if entry.about.coordinates else None
    return {"word": covariance.word, "k": covariance.k, "positions": positions, "options": options}


def restored(saved: Mapping[str, Any]) -> Covariance:
    """The structure that `description` describes.

    Raises KeyError, TypeError or ValueError where it describes none.
    """
    if saved["word"] == "known":
        return Known.of(np.array(saved["matrix"], dtype=np.float64))
    if saved["word"] == "held":
        return Held(restored(saved["inner"]), tuple(map(int, saved["places"])), tuple(map(float, saved["values"])))
    if saved["word"] == "spanned":
        places, columns, unknown = (tuple(map(int, saved[name])) for name in ("places", "columns", "unknown"))
        return Spanned.of(restored(saved["inner"]), places, columns, unknown, bool(saved["inside"]))
    if saved["word"] == "@":
        first, second = map(restored, saved["factors"])
        return Kronecker(first, second)
    positions = None if saved["positions"] is None else tuple(tuple(map(float, place)) for place in saved["positions"])
    if positions is not None and not (len(positions) == saved["k"] and np.all(np.isfinite(np.array(positions)))):
        raise ValueError("positions that are no places")
    return structure(saved["word"], int(saved["k"]), positions, **saved["options"])


def structure(word: str, k: int, positions: Positions | None = None, **options: Any) -> Covariance:
    """The structure of that word for k columns, or between positions (k, d)."""
    return STRUCTURES[word].make(steps(k) if positions is None else positions, options)
