"""The estimated covariance of each random term, as the sections of a report need it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ranef.covariance import STRUCTURES
from ranef.covariance.held import Spanned
from ranef.fit.effects import entries_of

if TYPE_CHECKING:
    from ranef.fit.fit import Fit

WORDS = ("un", "diag", "id", "rr")  # structures whose parameters are read as standard deviations and correlations


@dataclass(frozen=True)
class Spread:
    """Standard deviations of the effects of a term, and their correlations by (later, earlier) place."""

    group: str
    structure: str  # the word of the formula
    names: tuple[str, ...]
    sd: tuple[float, ...]
    correlations: Mapping[tuple[int, int], float]

    @property
    def plain(self) -> bool:
        """Are its standard deviations and correlations its parameters?"""
        return self.structure in WORDS

    @property
    def size(self) -> int:
        return len(self.names)

    @property
    def structure_title(self) -> str:
        """In words: "unstructured", "autoregressive of order one, heterogeneous"."""
        entry = STRUCTURES.get(self.structure)
        if entry is None:
            return self.structure
        return entry.about.title + (", heterogeneous" if entry.heterogeneous else "")

    def covariance(self, i: int, j: int) -> float:
        """The entry (i, j) of the covariance matrix."""
        correlation = 1.0 if i == j else self.correlations.get((max(i, j), min(i, j)), 0.0)
        return 0.0 if self.sd[i] * self.sd[j] == 0 else correlation * self.sd[i] * self.sd[j]


def spreads(fit: Fit) -> list[Spread]:
    """One for each random term, in the order of the formula's grouping factors."""
    out = []
    for f, part in fit.criterion.layout.parts:
        term = fit.model.design.terms[part.term]
        rows = entries_of(fit, f, part)
        place = {name: i for i, name in enumerate(term.names)}
        correlations = {}
        for _, first, second, _, value in rows[term.width :]:
            pair = place[str(first)], place[str(second)]
            correlations[max(pair), min(pair)] = float(value)
        sd = tuple(float(row[-1]) for row in rows[: term.width])
        covariance = term.covariance.inner if isinstance(term.covariance, Spanned) else term.covariance
        out.append(Spread(term.group.name, covariance.word, term.names, sd, correlations))
    return out
