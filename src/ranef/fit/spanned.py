"""Random effects that the fixed effects span, as (1 | g) beside the factor g: their variance is not in the data.

Let Z_j be the columns of a term, v a combination of its effects, and Z_j (I kron v) = X A. A contrast K'y with K'X = 0 is then free
of these effects too, so that the restricted likelihood does not depend on their variance: (30) in docs/explanation/likelihood.md.
The full likelihood does, and has its maximum where that variance is zero, whatever the response.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.linalg import qr

from ranef.core.gram import Gram
from ranef.core.layout import Part
from ranef.covariance.base import Array
from ranef.covariance.held import Held, Spanned
from ranef.design import Design, RandomTerm
from ranef.errors import Finding, ModelError

if TYPE_CHECKING:
    from ranef.fit.fit import Fit

SPANNED = 1e-10  # of the squared length of a column: what is left of one that is spanned
ZERO = 1e-8  # of a coefficient, as a share of the largest
PLAIN = ("un", "diag", "id")
SHOWN = 6
CODE = "spanned_variance"


@dataclass(frozen=True, eq=False)
class SpannedEffects:
    """The effects of one term of which nothing is known: d combinations of its columns, those in `unknown`.

    The model is the same without d columns, `columns`. `inside` says that these are the combinations, in the coordinates of the
    decorrelated columns too.
    """

    part: Part
    term: RandomTerm
    columns: tuple[int, ...]
    unknown: tuple[int, ...]
    inside: bool
    through: Array  # (d m, r) A', in the coordinates of the decorrelated fixed effects

    @property
    def whole(self) -> bool:
        return len(self.columns) == self.part.covariance.k

    @property
    def places(self) -> tuple[int, ...] | None:
        """The entries of theta that are zero without these columns; None where the structure has no place for that."""
        covariance, k = self.part.covariance, self.part.covariance.k
        covariance = covariance.inner if isinstance(covariance, Spanned) else covariance
        if covariance.word not in PLAIN or self.term.levels is not None:
            return None
        if self.whole:
            return tuple(range(covariance.size))
        if covariance.word == "diag":
            return self.columns
        entries = [(i, j) for j in range(k) for i in range(j, k)]  # the lower triangle by columns
        return tuple(place for place, (i, j) in enumerate(entries) if {i, j} & set(self.columns))


def spanned_effects(gram: Gram) -> tuple[SpannedEffects, ...]:
    """One for each term with such effects; a variance that the user has given needs no data."""
    found = []
    for f, part in gram.layout.parts:
        given = isinstance(part.covariance, Held) and not isinstance(part.covariance, Spanned)
        if gram.layout.blocks[f].levels <= gram.rank and not given:
            one = _of_part(gram, f, part)
            found += [one] if one is not None else []
    return tuple(found)


def _of_part(gram: Gram, f: int, part: Part) -> SpannedEffects | None:
    term, r, m = gram.standard.design.terms[part.term], gram.rank, gram.layout.blocks[f].levels
    zx = gram.zw[f][:, part.columns, :r]
    own = gram.zz[f][:, part.columns, part.columns].sum(axis=0)
    size = np.sqrt(own.diagonal())
    left = (own - np.einsum("mar,mbr->ab", zx, zx)) / np.outer(size, size)
    values, vectors = np.linalg.eigh(left)
    null = vectors[:, values <= SPANNED] / size[:, None]
    whole = null.shape[1] == len(size)
    if not null.size or (not whole and (term.covariance.word.split()[0] not in ("un", "diag") or term.levels is not None)):
        return None
    through = np.einsum("mar,ad->mdr", zx, null).reshape(m * null.shape[1], r)
    user = np.linalg.solve(gram.z_map(f)[part.columns, part.columns], null)
    columns = np.sort(qr((user / np.abs(user).max(axis=0)).T, mode="r", pivoting=True)[1][: null.shape[1]])
    inside = _used(null) == _used(user) == tuple(columns)
    return SpannedEffects(part, term, tuple(map(int, columns)), _used(user), inside, through)


def _used(null: Array) -> tuple[int, ...]:
    """The columns (k,) that take part in combinations (k, d)."""
    return tuple(map(int, np.flatnonzero(np.any(np.abs(null) > ZERO * np.abs(null).max(axis=0), axis=1))))


def without_spanned(design: Design, found: Sequence[SpannedEffects], reml: bool) -> Design:
    """The design with these variances held at zero, where the likelihood is the same without them."""
    terms = list(design.terms)
    for one in found:
        places = one.places
        if places is not None and (reml or one.whole):
            held = Spanned.of(one.term.covariance, places, one.columns, one.unknown, one.inside)
            terms[one.part.term] = replace(one.term, covariance=held)
    return replace(design, terms=tuple(terms))


def shortened(start: object, design: Design) -> object:
    """A start for all parameters, without those that are held since."""
    places, at = [], 0
    for term in design.terms:
        covariance = term.covariance
        inner = covariance.inner if isinstance(covariance, Spanned) else covariance
        places += [at + place for place in covariance.places] if isinstance(covariance, Spanned) else []
        at += inner.size
    full = np.ndim(start) == 1 and len(start) == at  # type: ignore[arg-type]
    return np.delete(np.asarray(start), places) if full and places else start


def spanned_findings(gram: Gram) -> list[Finding]:
    return [_finding(gram, one) for one in spanned_effects(gram)]


def refuse_spanned(fit: Fit, what: str) -> None:
    """Raises ModelError for what needs all variances of a fit of which the data do not tell one."""
    for finding in fit.findings:
        if finding.code == CODE:
            raise ModelError(f"{what} needs all variances. {finding.message}", hint=f"Leave {finding.evidence['without']}.")


def _finding(gram: Gram, one: SpannedEffects) -> Finding:
    names, group = one.term.names, one.term.group.name
    fixed = _spanning(gram, one.through)
    more = f", ... ({len(fixed)} coefficients)" if len(fixed) > SHOWN else ""
    what = one.term.label if one.term.levels is not None else " and ".join(names[i] for i in one.unknown)
    what = what if one.unknown == one.columns else f"a combination of {what}"
    if isinstance(one.part.covariance, Spanned):
        instead = "It counts as zero here, and what would depend on it has no test and no interval."
    else:
        instead = "Do not read it, nor tests of what depends on it."
    columns = tuple(names[i] for i in one.columns)
    without = f"{one.term.label} out" if one.whole else f"{' and '.join(columns)} out of {one.term.label}"
    return Finding(
        CODE, "serious",
        f"The variance of {what} in {group} is not in the data: the fixed effects {', '.join(fixed[:SHOWN])}{more} fit these "
        f"effects of all {one.term.size} levels.",
        f"{instead} Leave {without} if these levels are all that matter, or leave out the fixed effects that differ between them.",
        {"term": one.term.label, "columns": columns, "levels": one.term.size, "fixed": tuple(fixed), "without": without},
    )  # fmt: skip


def _spanning(gram: Gram, through: Array) -> list[str]:
    """The coefficients of the fixed effects that make these columns."""
    standard = gram.standard
    root = standard.to_user[standard.places]
    size = np.abs(root @ through.T) / np.linalg.norm(root, axis=1, keepdims=True)  # coefficients in units of their errors
    large = np.any(size > ZERO * size.max(axis=0), axis=1)
    return [standard.design.names[j] for j, used in zip(standard.kept, large, strict=True) if used]
