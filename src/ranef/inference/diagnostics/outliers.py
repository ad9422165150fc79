"""Outliers: rows that the model cannot have made."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from ranef.covariance.base import Array
from ranef.fit.rows import row_labels
from ranef.fit.tails import t_tail
from ranef.inference.diagnostics.answer import Assessment, judge, untested
from ranef.inference.diagnostics.evidence import Evidence
from ranef.table import Table

ASSUMPTION = "Outliers"
SHOWN = 10
SMALL, LARGE = 3.5, 5.0  # studentised residual
REMEDY = "Look at these rows: correct a mistake of recording; leave a true value in, and give the results with and without it."


def outliers(evidence: Evidence) -> Iterator[Assessment]:
    """The largest studentised residual, by t with one degree of freedom less than sigma and Bonferroni's correction.

    Cook and Weisberg (1982), Residuals and Influence in Regression, section 2.2.2; as `outlierTest` of car.
    """
    code, check = "outliers", "Studentised residual"
    values, p = studentised(evidence)
    if not len(values):
        return (yield untested(code, ASSUMPTION, check, "No row has a residual without it."))
    worst = int(np.argmax(np.abs(values)))
    found = int(np.count_nonzero(p < 0.05))
    name, labels = next(iter(row_labels(evidence.fit).items()))
    words = f"{found} of {evidence.fit.nobs} rows are too far out; the farthest is {name} {labels[_rows(evidence)[worst]]}."
    if not found:
        words = f"no row is too far out; the farthest is {name} {labels[_rows(evidence)[worst]]}."
    size = abs(float(values[worst]))
    verdict = judge(float(p[worst]), size, small=SMALL, large=LARGE)
    yield Assessment(code, ASSUMPTION, check, float(values[worst]), float(p[worst]), verdict, words, REMEDY, "outliers")


def studentised(evidence: Evidence) -> tuple[Array, Array]:
    """Studentised residuals of the rows that have one, and their p values after Bonferroni."""
    values, known = evidence.studentised[_rows(evidence)], evidence.fit.model.design.known_variances
    tail = t_tail(np.abs(values), np.full(len(values), np.inf if known else evidence.fit.solution.dof - 1.0))
    return values, np.minimum(2.0 * len(values) * tail, 1.0)


def _rows(evidence: Evidence) -> NDArray[np.intp]:
    return np.flatnonzero(np.isfinite(evidence.studentised))


def outlier_panels(evidence: Evidence) -> Iterator[tuple[str, Table]]:
    values, p = studentised(evidence)
    order = np.argsort(-np.abs(values), kind="stable")[:SHOWN]
    labels = next(iter(row_labels(evidence.fit).values()))[_rows(evidence)[order]]
    yield "outliers", evidence.table({"row": labels, "studentised": values[order], "p_value": p[order]}, "The farthest rows")
