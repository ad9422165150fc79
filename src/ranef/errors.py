"""What can go wrong, and how it is said.

Errors stop a call; findings travel with its result. Both say what was found, where, and what to do.

    RanefError
    ├── FormulaError          the text of a formula; points at the token
    ├── DataError             a column, a level or a row of the data
    ├── ModelError            the question cannot be answered with these data
    ├── MemoryEstimateError   the answer would need more memory than there is
    └── SavedModelError       a file that is not a model saved by this package
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Severity = Literal["note", "warning", "serious"]


class RanefError(Exception):
    """Base of every error that this package raises on purpose."""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        self.message, self.hint = message, hint
        super().__init__(message if hint is None else f"{message}\n{hint}")


class FormulaError(RanefError, ValueError):
    """The formula cannot be read; `start` and `stop` delimit the offending token in `text`."""

    def __init__(self, message: str, *, text: str, start: int, stop: int, hint: str | None = None) -> None:
        self.text, self.start, self.stop = text, start, stop
        caret = " " * (2 + start) + "^" * max(1, stop - start)
        super().__init__(f"{message}\n  {text}\n{caret}", hint=hint)


class DataError(RanefError, ValueError):
    """The data do not hold what the formula asks for; names the column, the level or the row."""


class ModelError(RanefError, ValueError):
    """The model is not identified by these data, or an option contradicts another."""


class MemoryEstimateError(RanefError, MemoryError):
    """A block that the model needs is larger than the memory that may be used."""


class SavedModelError(RanefError, ValueError):
    """The file is not a model that this version can read safely."""


@dataclass(frozen=True)
class Finding:
    """Something worth knowing about a fit: what, how serious, the evidence in numbers, and what to do."""

    code: str
    severity: Severity
    message: str
    remedy: str = ""
    evidence: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.message} {self.remedy}".rstrip()
