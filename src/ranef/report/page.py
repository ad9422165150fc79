"""One page about a fit that needs nothing else: no network, no script, no file beside it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import singledispatch
from html import escape
from importlib.resources import files
from typing import TYPE_CHECKING

from ranef.layouts.web import STYLE, badge, finding
from ranef.report.chapters import document
from ranef.report.charts import STYLE as CHARTS
from ranef.report.content import Answer, Block, Chapter, Code, Document, Equation, Findings, Pictures, Points, Words
from ranef.report.notation import mathml

if TYPE_CHECKING:
    from ranef.fit.fit import Fit

PAGE = f"<style>{files('ranef.report').joinpath('page.css').read_text(encoding='utf-8')}</style>"


def page(fit: Fit, *, title: str | None = None, data: str | None = None) -> str:
    """The page as text."""
    return rendered(document(fit, title=title, data=data))


def rendered(doc: Document) -> str:
    """A document as a page."""
    heading = escape(doc.title)
    chapters = "".join(map(_chapter, doc.chapters))
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{heading}</title>{STYLE}{PAGE}<style>{CHARTS}</style></head><body>{_head(doc)}"
        f"{_contents(doc.chapters)}<main>{chapters}</main>{_foot()}</body></html>\n"
    )


def _head(doc: Document) -> str:
    tiles = "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in doc.facts.items())
    source = f" · {escape(doc.source)}" if doc.source else ""
    reason = f" {escape(doc.reason)}" if doc.reason else ""
    return (
        f'<header><p class="eyebrow">ranef report{source}</p><h1>{escape(doc.title)}</h1>'
        f'<p class="formula"><code>{escape(doc.formula)}</code></p>'
        f'<div class="ranef"><p class="finding">{badge(doc.status)}{reason}</p></div><dl class="tiles">{tiles}</dl></header>'
    )


def _contents(chapters: Sequence[Chapter]) -> str:
    links = "".join(f'<li><a href="#{chapter.name}">{escape(chapter.title)}</a></li>' for chapter in chapters)
    return f'<nav aria-label="Contents"><ul>{links}</ul></nav>'


def _chapter(chapter: Chapter) -> str:
    inner = "".join(map(html, chapter.blocks))
    name = chapter.name
    return (
        f'<section id="{name}" aria-labelledby="{name}-title"><h2 id="{name}-title">{escape(chapter.title)}</h2>{inner}</section>'
    )


def _foot() -> str:
    from ranef import __version__

    return f"<footer>Made by ranef {__version__}. This page is complete in itself and loads nothing.</footer>"


@singledispatch
def html(block: Block) -> str:
    """One block of a chapter."""
    raise TypeError(type(block).__name__)


@html.register
def _(block: Words) -> str:
    return f"<p>{escape(block.text)}</p>"


@html.register
def _(block: Points) -> str:
    return f"<ul>{''.join(f'<li>{escape(item)}</li>' for item in block.items)}</ul>"


@html.register
def _(block: Answer) -> str:
    return block.table.to_html(style=False)


@html.register
def _(block: Pictures) -> str:
    figures = "".join(f"<figure>{one.svg}<figcaption>{escape(one.caption)}</figcaption></figure>" for one in block.pictures)
    return f'<div class="charts">{figures}</div>'


@html.register
def _(block: Equation) -> str:
    parts = [
        f'<div class="level"><h3>{escape(level.title)}</h3><div class="wide" role="group" tabindex="0" '
        f'aria-label="Equation: {escape(level.title, quote=True)}"><math display="block">{mathml(level.lines)}</math></div>'
        f"{f'<p>{escape(level.words)}</p>' if level.words else ''}</div>"
        for level in block.levels
    ]
    return "".join(parts)


@html.register
def _(block: Findings) -> str:
    told = "".join(map(finding, block.findings)) or '<p class="finding">Nothing to report.</p>'
    return f'<div class="ranef">{told}</div>'


@html.register
def _(block: Code) -> str:
    return f'<pre role="group" tabindex="0" aria-label="Python"><code>{escape(block.text)}</code></pre>'
