"""What can go wrong, and how it is said.

Errors stop a call; findings travel with its result. Both say what was found, where, and what to do.

    RanefError
    ├── FormulaError          the text of a formula; points at the token
    ├── DataError             a column, a level or a row of the data
    ├── ModelError            the question cannot be answered with these data
    ├── MemoryEstimateError   the answer would need more memory than there is
    ├── SavedModelError       a file that is not a model saved by this package
    └── FileError             a file that cannot be written
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

Severity = Literal["note", "warning", "serious"]


class RanefError(Exception):
    """Base of every error that this package raises on purpose.

    Examples
    --------
    >>> import ranef
    >>> try:
    ...     ranef.lmm("Reaction ~ Dayz + (1 | Subject)", ranef.datasets.load("sleepstudy"))
    ... except ranef.RanefError as error:
    ...     print(error)
    the data have no column 'Dayz'
      Reaction ~ Dayz + (1 | Subject)
                 ^^^^
    Did you mean 'Days'? Columns: Reaction, Days, Subject.
    """

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        self.message, self.hint = message, hint
        super().__init__(message if hint is None else f"{message}\n{hint}")

    def __reduce__(self) -> tuple[Any, ...]:
        """Errors come back whole from other processes."""
        return _again, (type(self), self.args, self.__dict__)


def _again(kind: type[RanefError], args: tuple[Any, ...], state: dict[str, Any]) -> RanefError:
    error = kind.__new__(kind, *args)
    error.args = args
    error.__dict__.update(state)
    return error


class FormulaError(RanefError, ValueError):
    """The formula cannot be read; `start` and `stop` delimit the offending token in `text`.

    Examples
    --------
    >>> import ranef
    >>> ranef.lmm("Reaction ~ Days + (Days | Subject", ranef.datasets.load("sleepstudy"))
    Traceback (most recent call last):
    ranef.errors.FormulaError: `(` is never closed.
      Reaction ~ Days + (Days | Subject
                        ^
    """

    def __init__(self, message: str, *, text: str, start: int, stop: int, hint: str | None = None) -> None:
        self.text, self.start, self.stop = text, start, stop
        caret = " " * (2 + start) + "^" * max(1, stop - start)
        super().__init__(f"{message}\n  {text}\n{caret}", hint=hint)


class DataError(RanefError, ValueError):
    """The data do not hold what the formula asks for; names the column, the level or the row.

    Examples
    --------
    >>> import ranef
    >>> ranef.datasets.load("sleep")
    Traceback (most recent call last):
    ranef.errors.DataError: There is no embedded data set called `sleep`.
    Did you mean `sleepstudy`?
    """


class ModelError(RanefError, ValueError):
    """The model is not identified by these data, or an option contradicts another.

    Examples
    --------
    >>> import ranef
    >>> ranef.lmm("Yield ~ 1 + (1 | Batch)", ranef.datasets.load("Dyestuff"), optimizer="adam")
    Traceback (most recent call last):
    ranef.errors.ModelError: optimizer='adam' is not known.
    Use one of: newton, bobyqa, lbfgs, em.
    """


class MemoryEstimateError(RanefError, MemoryError):
    """A block that the model needs is larger than the memory that may be used.

    Examples
    --------
    >>> import ranef
    >>> pairs = {"y": [float(i % 7) for i in range(9000)], "pair": [i // 2 for i in range(9000)]}
    >>> m = ranef.lmm("y ~ 1 + (1 | pair)", pairs)
    >>> ranef.henderson(m).covariance()
    Traceback (most recent call last):
    ranef.errors.MemoryEstimateError: The joint covariance of 4501 effects is a dense matrix of 0.2 GB.
    Use conditional_covariance() or predict(interval=...), which never form it.
    """


class SavedModelError(RanefError, ValueError):
    """The file is not a model that this version can read safely.

    Examples
    --------
    >>> import ranef
    >>> _ = open("notes.txt", "w").write("no model")
    >>> ranef.load("notes.txt")
    Traceback (most recent call last):
    ranef.errors.SavedModelError: This is not a saved model: it is no archive of ours.
    Save models with fit.save(path).
    """


class FileError(RanefError, OSError):
    """A report or a table cannot be written where it was asked for.

    Examples
    --------
    >>> import ranef
    >>> m = ranef.lmm("Yield ~ 1 + (1 | Batch)", ranef.datasets.load("Dyestuff"))
    >>> ranef.report(m, "no such folder/dyes.html")
    Traceback (most recent call last):
    ranef.errors.FileError: 'no such folder/dyes.html' cannot be written: there is no folder 'no such folder'.
    Make the folder first, or give another one.
    """

    @classmethod
    def of(cls, path: Path, problem: OSError) -> FileError:
        """What stands in the way of writing `path`."""
        if not path.parent.is_dir():
            return cls(
                f"{str(path)!r} cannot be written: there is no folder {str(path.parent)!r}.",
                hint="Make the folder first, or give another one.",
            )
        return cls(f"{str(path)!r} cannot be written: {problem.strerror or problem}.")


@dataclass(frozen=True)
class Finding:
    """Something worth knowing about a fit: what, how serious, the evidence in numbers, and what to do.

    Examples
    --------
    >>> import ranef
    >>> m = ranef.lmm("Yield ~ 1 + (1 | Batch)", ranef.datasets.load("Dyestuff2"))
    >>> finding = m.findings[0]
    >>> finding.code, finding.severity
    ('singular_fit', 'warning')
    >>> print(finding.message)
    The best fit is on the boundary: the variance of (Intercept) in Batch is zero.
    """

    code: str
    severity: Severity
    message: str
    remedy: str = ""
    evidence: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.message} {self.remedy}".rstrip()
