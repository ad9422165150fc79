"""What a residual structure would ask of the data: subjects, parameters, patterns of missing visits."""

from __future__ import annotations

from collections import Counter

import numpy as np

from ranef.core.residual.rows import RowCovariance
from ranef.covariance.base import Array
from ranef.design import Design
from ranef.errors import Finding
from ranef.table import Table

MOST = 12  # patterns that are shown
FREE = ("un", "cor", "corh")  # structures with a covariance of its own for each pair of visits


def structure_size(design: Design) -> int:
    """Parameters of the residual structure, its variances among them."""
    return 0 if design.residual is None or design.known_variances else RowCovariance(design.residual).size


def structure_table(design: Design, frame: str) -> Table:
    """One row, or none: structure subject subjects parameters visits min_rows max_rows."""
    term = design.residual
    if term is None or design.known_variances:
        return Table({"structure": []}, title="Residual structure", frame_kind=frame)
    sizes = np.bincount(term.subject.codes, minlength=term.subject.size)
    columns = {
        "structure": [term.label],
        "subject": [term.subject.name],
        "subjects": [term.subject.size],
        "parameters": [structure_size(design)],
        "visits": [len(term.visits) if term.visit is not None and len(term.visits) > 1 else None],
        "min_rows": [int(sizes.min())],
        "max_rows": [int(sizes.max())],
    }
    return Table(
        columns,
        title="Residual structure",
        frame_kind=frame,
        headings={"subject": "Subject", "subjects": "Subjects", "visits": "Visits"},
    )


def visit_table(design: Design, frame: str) -> Table:
    """Which visits subjects have, the most frequent pattern first: pattern subjects."""
    there, visits = _present(design)
    title = "Visits that are there (x)"
    if not len(there):
        return Table({"pattern": []}, title=title, frame_kind=frame)
    counts = Counter(map(tuple, there.tolist()))
    ordered = sorted(counts.items(), key=lambda entry: (-entry[1], [-seen for seen in entry[0]]))
    columns: dict[str, list[object]] = {
        visit: ["x" if seen[i] else "." for seen, _ in ordered[:MOST]] for i, visit in enumerate(visits)
    }
    columns["subjects"] = [count for _, count in ordered[:MOST]]
    rest = ordered[MOST:]
    notes = (f"{len(rest)} more patterns of {sum(count for _, count in rest)} subjects.",) if rest else ()
    headings = {**{visit: visit for visit in visits}, "subjects": "Subjects"}
    return Table(columns, title=title, notes=notes, frame_kind=frame, headings=headings)


def never_together(design: Design) -> list[Finding]:
    """Pairs of visits that no subject has both of, whose covariance a free structure cannot learn."""
    there, visits = _present(design)
    if design.residual is None or not len(there) or design.residual.structure.word not in FREE:
        return []
    pairs = np.argwhere(np.triu(there.T @ there == 0, 1))
    if not len(pairs):
        return []
    shown = ", ".join(f"{visits[i]} and {visits[j]}" for i, j in pairs[:5])
    message = f"No subject has both visits of: {shown}{f' and {len(pairs) - 5} pairs more' if len(pairs) > 5 else ''}."
    hint = "Their covariance is not identified; use a structure with a rule (toep, ar1h) or fewer visits."
    return [Finding("visits_never_together", "serious", message, hint, {"pairs": len(pairs)})]


def _present(design: Design) -> tuple[Array, tuple[str, ...]]:
    """(m, T) ones where a subject has a visit; empty where the structure is not over visits."""
    term = design.residual
    if term is None or design.known_variances or term.visit is None or len(term.visits) < 2 or term.subject.size == design.nobs:
        return np.zeros((0, 0)), ()
    there = np.zeros((term.subject.size, len(term.visits)))
    there[term.subject.codes, term.visit] = 1.0
    return there, term.visits
