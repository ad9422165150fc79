"""The summary of a fit: what a reader of lme4 and lmerTest looks for, in that order, with the verdict on the optimum first."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from ranef.report import facts
from ranef.report.sections import SECTIONS, correlation_of_fixed
from ranef.table import Table

if TYPE_CHECKING:
    from ranef.fit.fit import Fit

WIDTH = 80


@dataclass(frozen=True)
class Summary:
    """Prints as text, shows as HTML in a notebook; its tables are attributes."""

    fit: Fit
    correlation: bool = False

    @cached_property
    def tables(self) -> tuple[Table, ...]:
        wanted = (*SECTIONS, correlation_of_fixed) if self.correlation else SECTIONS
        return tuple(table for table in (section(self.fit) for section in wanted) if table is not None)

    def __str__(self) -> str:
        return "\n\n".join([_header(self.fit), *(table.to_text(WIDTH) for table in self.tables), *_footer(self.fit)])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        from ranef.report.html import summary_fragment

        return summary_fragment(self.fit)


def summary(fit: Fit, *, correlation: bool = False) -> Summary:
    """All that a reader wants first. `correlation` adds the correlations of the fixed effects."""
    return Summary(fit, correlation)


def _header(fit: Fit) -> str:
    lines = [
        facts.kind(fit),
        _folded("Formula:", fit.formula),
        _folded("Data:", facts.data_line(fit)),
        *(_folded(f"{name}:", text) for name, text in facts.arguments(fit).items()),
        _folded("Status:", facts.verdict(fit)),
        *(_folded(f"{finding.severity.capitalize()}:", str(finding)) for finding in fit.findings),
        "",
        "   ".join(f"{name} {value:.2f}" for name, value in facts.criteria(fit).items()),
    ]
    return "\n".join(lines)


def _footer(fit: Fit) -> list[str]:
    return [] if fit.model.design.mixed else ["\n".join([facts.residual_line(fit), *facts.explained_lines(fit)])]


def _folded(label: str, text: str) -> str:
    """`label` and text, with the lines after the first indented to the text."""
    start = label.ljust(9)
    return textwrap.fill(text, WIDTH, initial_indent=start, subsequent_indent=" " * len(start), break_long_words=False)
