"""A report into a file: which kind is said by the end of its name."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ranef.arguments import check_path, checked, write_text
from ranef.errors import FileError, ModelError
from ranef.report.chapters import document
from ranef.report.markdown import markdown
from ranef.report.page import rendered

if TYPE_CHECKING:
    from ranef.fit.fit import Fit

PAGES, MARKDOWN = (".html", ".htm"), (".md", ".markdown", ".qmd")


@checked
def report(fit: Fit, path: str | PathLike[str], *, title: str | None = None, data: str | None = None) -> Path:
    """Write a report about `fit` to `path` and return the path.

    It holds the question in words, the model as an equation, level by level, the data and what they lack, the estimates with
    intervals and pictures, random effects, tests, effect sizes, diagnostics, the methods paragraph for a paper with its
    references, and the code to repeat it.

    Parameters
    ----------
    path
        ``"out.html"``: one page that is complete in itself and loads nothing. ``"out.md"``: Markdown, with equations in LaTeX and
        the pictures as SVG files in the folder ``out_files`` beside it.
    title
        Of the report; the response and the kind of model unless given.
    data
        The name of the data set or file, for the code to repeat the fit.

    Raises
    ------
    ModelError
        For a file name that ends otherwise.
    FileError
        For a place where nothing can be written.

    Examples
    --------
    >>> import ranef
    >>> m = ranef.lmm("Reaction ~ Days + (Days | Subject)", ranef.datasets.load("sleepstudy"))
    >>> path = ranef.report(m, "sleep.html", data="sleepstudy")  # doctest: +SKIP
    """
    target = check_path("path", path)
    kind = kind_of(target)
    if not target.parent.is_dir():  # said before the work, not after it
        raise FileError.of(target, FileNotFoundError())
    doc = document(fit, title=None if title is None else str(title), data=data)
    if kind == "page":
        write_text(target, rendered(doc))
        return target
    folder = target.with_name(f"{target.stem}_files")
    text, pictures = markdown(doc, folder.name)
    write_text(target, text)
    if pictures:
        _make(folder)
    for name, svg in pictures.items():
        write_text(folder / name, svg)
    return target


def _make(folder: Path) -> None:
    try:
        folder.mkdir(exist_ok=True)
    except OSError as problem:
        raise FileError.of(folder, problem) from None


def kind_of(path: Path) -> Literal["page", "markdown"]:
    """What a file of this name holds. Raises ModelError for other names."""
    ending = path.suffix.lower()
    if ending not in (*PAGES, *MARKDOWN):
        raise ModelError(f"report() cannot write {path.name!r}.", hint="Use a name that ends in .html or .md.")
    return "page" if ending in PAGES else "markdown"
