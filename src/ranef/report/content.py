"""What a report is made of, before anyone decides how it looks: chapters of blocks. The page and the Markdown render them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ranef.errors import Finding
from ranef.report.charts import Picture
from ranef.report.equation import Level
from ranef.table import Table


@dataclass(frozen=True)
class Words:
    """A paragraph."""

    text: str


@dataclass(frozen=True)
class Points:
    """A list of sentences."""

    items: Sequence[str]


@dataclass(frozen=True)
class Answer:
    """A table."""

    table: Table


@dataclass(frozen=True)
class Pictures:
    """Pictures side by side, where there is room."""

    pictures: Sequence[Picture]


@dataclass(frozen=True)
class Equation:
    """The model, level by level."""

    levels: Sequence[Level]


@dataclass(frozen=True)
class Findings:
    """Verdicts in words, with what to do."""

    findings: Sequence[Finding]


@dataclass(frozen=True)
class Code:
    """Python."""

    text: str


Block = Words | Points | Answer | Pictures | Equation | Findings | Code


@dataclass(frozen=True)
class Chapter:
    """A heading and what stands below it; `name` is its address on the page."""

    name: str
    title: str
    blocks: Sequence[Block]


@dataclass(frozen=True)
class Document:
    """A whole report."""

    title: str
    source: str  # name of the data, where it is known
    formula: str
    status: str
    reason: str
    facts: dict[str, str]  # name to number, in words
    chapters: Sequence[Chapter]
