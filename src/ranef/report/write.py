"""A report into a file: which kind is said by the end of its name."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ranef.errors import ModelError
from ranef.report.chapters import document
from ranef.report.markdown import markdown
from ranef.report.page import rendered

if TYPE_CHECKING:
    from ranef.fit.fit import Fit

PAGES, MARKDOWN = (".html", ".htm"), (".md", ".markdown", ".qmd")


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

    Examples
    --------
    >>> import ranef
    >>> m = ranef.lmm("Reaction ~ Days + (Days | Subject)", ranef.datasets.load("sleepstudy"))
    >>> path = ranef.report(m, "sleep.html", data="sleepstudy")  # doctest: +SKIP
    """
    target = Path(path)
    kind = kind_of(target)
    doc = document(fit, title=title, data=data)
    if kind == "page":
        target.write_text(rendered(doc), encoding="utf-8")
        return target
    folder = target.with_name(f"{target.stem}_files")
    text, pictures = markdown(doc, folder.name)
    target.write_text(text, encoding="utf-8")
    if pictures:
        folder.mkdir(exist_ok=True)
    for name, svg in pictures.items():
        (folder / name).write_text(svg, encoding="utf-8")
    return target


def kind_of(path: Path) -> Literal["page", "markdown"]:
    """What a file of this name holds. Raises ModelError for other names."""
    ending = path.suffix.lower()
    if ending not in (*PAGES, *MARKDOWN):
        raise ModelError(f"report() cannot write {path.name}.", hint="Use a name that ends in .html or .md.")
    return "page" if ending in PAGES else "markdown"
