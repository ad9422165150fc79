"""What the data do not tell of a residual structure over visits, by counting: pairs never seen, visits that are fitted exactly."""

from __future__ import annotations

import numpy as np

from ranef.covariance import Scaled
from ranef.covariance.base import Array, Covariance
from ranef.covariance.diagonal import Diagonal
from ranef.covariance.general import General
from ranef.covariance.unstructured import Unstructured
from ranef.design import Design
from ranef.errors import Finding, ModelError
from ranef.optim.problem import Optimum
from ranef.schema.levels import alphabetical, shown

SHOWN = 5
STEPS = ("ar1", "ar1h", "arma11", "arma11h", "toep", "toeph", "ad", "adh")  # in which neighbours are no other pairs
SINGULAR = 1e-10  # an eigenvalue of a correlation matrix that only rounding, or no maximum of the likelihood, leaves


def visit_findings(design: Design, optimum: Optimum) -> list[Finding]:
    """At most one: of what is not identified the first."""
    term = design.residual
    if term is None or term.visit is None or design.terms:
        return []
    found = _too_few_subjects(design) or _no_maximum(design, optimum) or _never_together(design)
    return [found] if found else []


def order_findings(design: Design) -> list[Finding]:
    """Visits in alphabetical order, w12 before w4, where a structure counts steps between them."""
    term = design.residual
    if term is None or not term.visits or term.structure.word not in STEPS or not alphabetical(term.visits):
        return []
    return [
        Finding(
            "visits_in_alphabetical_order", "warning",
            f"{term.label} takes the visits in alphabetical order: {shown(term.visits)}.",
            "Make the visit a number, or a categorical whose levels stand in their order.",
            {"visits": term.visits},
        )
    ]  # fmt: skip


def _finding(text: str, remedy: str, **evidence: object) -> Finding:
    return Finding("not_identified", "warning", text, remedy, evidence)


def _too_few_subjects(design: Design) -> Finding | None:
    term = design.residual
    assert term is not None
    subjects, visits = len(term.subject.levels), len(term.visits)
    if not _general(term.structure) or subjects > visits:
        return None
    return _finding(
        f"{subjects} levels of {term.subject.name} with {visits} visits: a covariance matrix without structure needs more subjects "
        f"than visits, and {term.label} has {term.structure.size} parameters for {design.nobs} rows.",
        "Take a structure with fewer parameters, such as toeph, ar1h, csh or cs.",
        subjects=subjects, visits=visits,
    )  # fmt: skip


def _no_maximum(design: Design, optimum: Optimum) -> Finding | None:
    """The search ran into a singular matrix: the fixed effects fit a combination of visits exactly, and log|V| falls without end.

    How many subjects that takes depends on the fixed effects and on who has which visits; the search finds it out.
    """
    term = design.residual
    assert term is not None
    if optimum.state != "not converged":
        return None
    covariance = term.structure.matrix(optimum.theta[: term.structure.size])
    size = np.sqrt(np.diag(covariance))
    alone = np.flatnonzero(size <= SINGULAR**0.5 * size.max())
    if len(alone):
        return _finding(
            f"The fixed effects fit the rows of visit {term.visits[alone[0]]} exactly, so that its variance falls without end and "
            "the likelihood has no maximum.",
            "Leave the visit out if its responses are constant or copied, or take a structure with one variance, such as cs.",
            visit=term.visits[alone[0]],
        )  # fmt: skip
    smallest = float(np.linalg.eigvalsh(covariance / np.outer(size, size))[0])
    if smallest > SINGULAR:
        return None
    subjects, visits = len(term.subject.levels), int(np.bincount(term.subject.codes).max())
    return _finding(
        f"{subjects} levels of {term.subject.name} with up to {visits} visits are too few for {term.label} beside these fixed "
        "effects: together they fit a combination of visits exactly, so that the likelihood has no maximum.",
        "Take a structure with fewer parameters, such as toeph, ar1h, csh or cs; see too that no visit repeats another.",
        subjects=subjects, visits=visits, smallest_eigenvalue=smallest,
    )  # fmt: skip


def refuse_exact_visits(design: Design) -> None:
    """Raises ModelError for visits whose rows the fixed effects fit whatever the responses: nothing is left for their variance."""
    term = design.residual
    if term is None or term.visit is None or design.terms:
        return
    if not (_general(term.structure) or isinstance(term.structure, Diagonal) or _heterogeneous(term.structure)):
        return
    counts, rank = np.bincount(term.visit, minlength=len(term.visits)), None
    for place in np.flatnonzero((counts > 0) & (counts <= design.X.shape[1])):
        rank = _rank(design.X) if rank is None else rank
        if rank - _rank(design.X[term.visit != place]) == counts[place]:
            rows = "the only row" if counts[place] == 1 else f"all {counts[place]} rows"
            raise ModelError(
                f"The fixed effects fit {rows} of visit {term.visits[place]} exactly; {term.label} gives it a variance of its own.",
                hint="Leave the visit out, or take a structure with one variance, such as cs, ar1 or toep.",
            )


def _never_together(design: Design) -> Finding | None:
    """Pairs of visits that no subject has both of."""
    term = design.residual
    assert term is not None and term.visit is not None
    if not _general(term.structure):
        return None
    seen = np.zeros((len(term.subject.levels), len(term.visits)))
    seen[term.subject.codes, term.visit] = 1.0
    pairs = [(term.visits[i], term.visits[j]) for i, j in np.argwhere(np.triu(seen.T @ seen == 0.0))]
    if not pairs:
        return None
    more = f", and {len(pairs) - SHOWN} more pairs" if len(pairs) > SHOWN else ""
    return _finding(
        f"No level of {term.subject.name} has rows at both {', '.join(f'{a} and {b}' for a, b in pairs[:SHOWN])}{more}: "
        "their covariance is not in the data.",
        "The fixed effects and their tests stand; do not read these covariances, or take a structure with fewer parameters.",
        pairs=len(pairs),
    )  # fmt: skip


def _general(structure: Covariance) -> bool:
    """Has it a parameter for each pair of visits?"""
    return isinstance(structure.correlation if isinstance(structure, Scaled) else structure, Unstructured | General)


def _heterogeneous(structure: Covariance) -> bool:
    return isinstance(structure, Scaled) and structure.heterogeneous


def _rank(X: Array) -> int:
    """Of columns scaled to length one, so that units do not matter."""
    size = np.linalg.norm(X, axis=0)
    return int(np.linalg.matrix_rank(X / np.where(size > 0, size, 1.0))) if X.size else 0
