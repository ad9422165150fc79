"""The estimated covariance of each random term, as the sections of a report need it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ranef.covariance import STRUCTURES

if TYPE_CHECKING:
    from ranef.fit.fit import Fit


@dataclass(frozen=True)
class Spread:
    """Standard deviations of the effects of a term, and their correlations by (later, earlier) place."""

    group: str
    structure: str  # the word of the formula
    names: tuple[str, ...]
    sd: tuple[float, ...]
    correlations: Mapping[tuple[int, int], float]

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
        return correlation * self.sd[i] * self.sd[j] if self.sd[i] * self.sd[j] > 0 else 0.0


def spreads(fit: Fit) -> list[Spread]:
    """One for each random term, in the order of the formula's grouping factors."""
    terms = [fit.model.design.terms[part.term] for _, part in fit.criterion.layout.parts]
    rows = [row for row in fit.varcorr if row["term1"] is not None]
    out, at = [], 0
    for term in terms:
        own = rows[at : at + term.width]
        at += term.width
        place = {name: i for i, name in enumerate(term.names)}
        correlations = {}
        while at < len(rows) and rows[at]["term2"] is not None:
            pair = place[rows[at]["term1"]], place[rows[at]["term2"]]
            correlations[max(pair), min(pair)] = float(rows[at]["sdcor"])
            at += 1
        sd = tuple(float(row["sdcor"]) for row in own)
        out.append(Spread(term.group.name, term.covariance.word, term.names, sd, correlations))
    return out
