"""The report as Markdown: tables as pipes, equations in LaTeX, pictures as SVG files in a folder beside it."""

from __future__ import annotations

from functools import singledispatch

from ranef.layouts.markdown import escaped
from ranef.report.content import Answer, Block, Chapter, Code, Document, Equation, Findings, Pictures, Points, Words
from ranef.report.notation import latex


def markdown(doc: Document, folder: str) -> tuple[str, dict[str, str]]:
    """The text, and the pictures by their file names in `folder`."""
    files: dict[str, str] = {}
    facts = " · ".join(f"{escaped(name)} {escaped(value)}" for name, value in doc.facts.items())
    status = f"**{doc.status}**" + (f": {escaped(doc.reason)}" if doc.reason else "")
    head = [f"# {escaped(doc.title)}", f"`{doc.formula}`", status, facts]
    parts = [part for chapter in doc.chapters for part in _chapter(chapter, folder, files)]
    return "\n\n".join([*head, *parts]) + "\n", files


def _chapter(chapter: Chapter, folder: str, files: dict[str, str]) -> list[str]:
    out = [f"## {escaped(chapter.title)}"]
    for block in chapter.blocks:
        if isinstance(block, Pictures):
            out += _figures(block, chapter.name, folder, files)
        else:
            out.append(text(block))
    return out


def _figures(block: Pictures, chapter: str, folder: str, files: dict[str, str]) -> list[str]:
    out = []
    for picture in block.pictures:
        name = f"{chapter}-{sum(key.startswith(chapter + '-') for key in files) + 1}.svg"
        files[name] = picture.standalone
        out.append(f"![{escaped(picture.caption)}]({folder}/{name})")
    return out


@singledispatch
def text(block: Block) -> str:
    """One block of a chapter."""
    raise TypeError(type(block).__name__)


@text.register
def _(block: Words) -> str:
    return escaped(block.text)


@text.register
def _(block: Points) -> str:
    return "\n".join(f"- {escaped(item)}" for item in block.items)


@text.register
def _(block: Answer) -> str:
    return block.table.to_markdown()


@text.register
def _(block: Equation) -> str:
    return "\n\n".join(f"**{escaped(one.title)}**\n\n$$\n{latex(one.lines)}\n$$\n\n{escaped(one.words)}" for one in block.levels)


@text.register
def _(block: Findings) -> str:
    told = [f"- **{one.severity}**: {escaped(one.message)} *{escaped(one.remedy)}*" for one in block.findings]
    return "\n".join(told) or "Nothing to report."


@text.register
def _(block: Code) -> str:
    return f"```python\n{block.text}\n```"
