"""What a model would ask of the data, before any fit: columns, levels, parameters, rank, and what is confounded."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from itertools import combinations

import numpy as np

from ranef.core.gram import Gram
from ranef.core.layout import Layout
from ranef.core.standard import standardise
from ranef.covariance.base import Array
from ranef.design import Codes, Design, Grouping
from ranef.errors import Finding, ModelError
from ranef.fit.checks import data_findings, refuse_unidentified
from ranef.fit.describe_residual import never_together, structure_size, structure_table, visit_table
from ranef.fit.overlap import overlap_findings
from ranef.fit.spanned import spanned_findings
from ranef.schema import Rows
from ranef.table import Table


@dataclass(frozen=True, eq=False)
class Description:
    """Tables about a model and its data; prints as text, shows as HTML in a notebook."""

    formula: str
    counts: Table
    fixed: Table
    random: Table
    groups: Table
    residual: Table
    visits: Table
    findings: tuple[Finding, ...]

    @property
    def _all(self) -> tuple[Table, ...]:
        return self.counts, self.fixed, self.random, self.groups, self.residual, self.visits

    @property
    def tables(self) -> tuple[Table, ...]:
        return tuple(table for table in self._all if len(table))

    def __str__(self) -> str:
        lines = [self.formula, *(str(table) for table in self.tables)]
        lines += [f"{finding.severity}: {finding}" for finding in self.findings]
        return "\n\n".join(lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        from ranef.layouts.web import STYLE, finding

        said = "".join(map(finding, self.findings))
        tables = "".join(table.to_html(style=False) for table in self.tables)
        return f'{STYLE}<div class="ranef"><div><code>{escape(self.formula)}</code></div>{said}{tables}</div>'


def describe_design(formula: str, design: Design, rows: Rows) -> Description:
    """Look at a design without fitting it; refusals of the fit become findings here."""
    standard = standardise(design, Layout.of(design.terms))
    kept = set(standard.kept)
    aliases = alias_text(design, standard.kept)
    frame = rows.frame
    theta = sum(term.covariance.size for term in design.terms) + structure_size(design)
    counts = Table(
        {
            "quantity": [
                "rows used", "rows left out", "fixed coefficients", "rank of the fixed part",
                "random effects", "covariance parameters",
            ],
            "count": [
                design.nobs, rows.n_total - design.nobs, len(design.names), len(kept),
                sum(term.group.size * term.width for term in design.terms), theta,
            ],
        },
        title="Size", frame_kind=frame,
    )  # fmt: skip
    fixed = Table(
        {
            "term": list(design.names),
            "mean": design.X.mean(axis=0),
            "std_dev": design.X.std(axis=0),
            "estimable": ["yes" if j in kept else f"no: {aliases[j]}" for j in range(len(design.names))],
        },
        title="Fixed effects", frame_kind=frame,
    )  # fmt: skip
    findings = data_findings(design, rows, tuple(name for j, name in enumerate(design.names) if j not in kept))
    findings += _refusals(design) + _constant_slopes(design) + overlap_findings(design) + never_together(design)
    if any(term.size <= standard.rank for term in design.terms):
        findings += spanned_findings(Gram.of(standard))
    residual, visits = structure_table(design, frame), visit_table(design, frame)
    random, groups = _random_table(design, frame), _group_table(design, frame)
    return Description(formula, counts, fixed, random, groups, residual, visits, tuple(findings))


def alias_text(design: Design, kept: tuple[int, ...]) -> dict[int, str]:
    """For each dropped column, the combination of kept columns that it equals, in words."""
    X = design.X[:, list(kept)]
    lengths = np.linalg.norm(X, axis=0)
    out = {}
    for j in sorted(set(range(design.X.shape[1])) - set(kept)):
        weights = np.linalg.lstsq(X / lengths, design.X[:, j], rcond=None)[0] / lengths if len(kept) else np.zeros(0)
        own = float(np.linalg.norm(design.X[:, j]))
        large = np.flatnonzero(np.abs(weights) * lengths > 1e-8 * max(own, 1e-300))
        parts = [f"{weights[i]:.4g} {design.names[kept[i]]}" for i in large[:4]]
        out[j] = ("equals " + " + ".join(parts) + (" + ..." if len(large) > 4 else "")) if parts else "zero in all rows"
    return out


def _random_table(design: Design, frame: str) -> Table:
    columns: dict[str, list[object]] = {
        name: []
        for name in ("term", "group", "levels", "columns", "structure", "parameters", "min_rows", "median_rows", "max_rows")
    }
    for term in design.terms:
        sizes = np.bincount(term.group.codes, minlength=term.group.size)
        row = (
            term.label, term.group.name, term.group.size, ", ".join(term.names), term.covariance.word, term.covariance.size,
            int(sizes.min()), float(np.median(sizes)), int(sizes.max()),
        )  # fmt: skip
        for name, value in zip(columns, row, strict=True):
            columns[name].append(value)
    return Table(columns, title="Random effects", frame_kind=frame)


def _groupings(design: Design) -> list[Grouping]:
    return list({id(term.group): term.group for term in design.terms}.values())


def relation(f: Codes, g: Codes, size_f: int, size_g: int) -> str:
    """How two grouping factors lie to each other."""
    pairs = len(np.unique(f.astype(np.int64) * size_g + g))
    if pairs == size_f == size_g:
        return "the same partition"
    if pairs == size_f:
        return "first nested in second"
    if pairs == size_g:
        return "second nested in first"
    return "fully crossed" if pairs == size_f * size_g else f"partly crossed ({pairs} of {size_f * size_g} pairs)"


def _group_table(design: Design, frame: str) -> Table:
    pairs = list(combinations(_groupings(design), 2))
    columns = {
        "first": [f.name for f, _ in pairs],
        "second": [g.name for _, g in pairs],
        "relation": [relation(f.codes, g.codes, f.size, g.size) for f, g in pairs],
    }
    return Table(columns, title="Grouping factors", frame_kind=frame)


def _refusals(design: Design) -> list[Finding]:
    try:
        refuse_unidentified(design)
    except ModelError as error:
        return [Finding("unidentifiable_random_effects", "serious", error.message, error.hint or "")]
    return []


def _constant_slopes(design: Design) -> list[Finding]:
    """Slopes of columns that do not vary within any level."""
    out = []
    for term in design.terms:
        for name, column in zip(term.names, () if term.z is None else term.z.T, strict=False):
            if np.ptp(column) and _constant_within(column, term.group):
                message = (
                    f"{name} does not vary within the levels of {term.group.name}: a random slope of it in {term.label} "
                    f"is a variance that depends on {name}, not a slope."
                )
                out.append(Finding("slope_constant_within_groups", "warning", message))
    return out


def _constant_within(column: Array, group: Grouping) -> bool:
    order = np.argsort(group.codes, kind="stable")
    codes, values = group.codes[order], column[order]
    same = codes[1:] == codes[:-1]
    return bool(np.all(values[1:][same] == values[:-1][same]))
