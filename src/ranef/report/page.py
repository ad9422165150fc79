"""One page about a fit that needs nothing else: no network, no script, no file beside it."""

from __future__ import annotations

from dataclasses import replace
from html import escape
from importlib.resources import files
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ranef.fit.methods import DDF
from ranef.layouts.web import STYLE
from ranef.report import facts, sections, words
from ranef.report.charts import caterpillars, residual_charts
from ranef.report.equation import equation
from ranef.report.html import BADGES, badge, finding
from ranef.table import Table

if TYPE_CHECKING:
    from ranef.fit.fit import Fit

PAGE = f"<style>{files('ranef.report').joinpath('page.css').read_text(encoding='utf-8')}</style>"


def report(fit: Fit, path: str | PathLike[str], *, title: str | None = None, data: str | None = None) -> Path:
    """Write a page about `fit` to `path` and return the path.

    It holds the model in words and as an equation, the data, the estimates with intervals, the random effects, pictures of the
    residuals, the findings, and how to cite and repeat it. `data` is the name of the data set or file, for the code to repeat it.
    """
    target = Path(path)
    target.write_text(page(fit, title=title, data=data), encoding="utf-8")
    return target


def page(fit: Fit, *, title: str | None = None, data: str | None = None) -> str:
    """The page as text."""
    heading = escape(title or f"{fit.model.design.response}: {facts.kind(fit)[0].lower()}{facts.kind(fit)[1:]}")
    body = "".join([_head(fit, heading, data), *(_section(name, inner) for name, inner in _sections(fit, data) if inner), _foot()])
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f'<title>{heading}</title>{STYLE}{BADGES}{PAGE}</head><body><main class="ranef">{body}</main></body></html>\n'
    )


def _sections(fit: Fit, data: str | None) -> list[tuple[str, str]]:
    sentences = "".join(f"<li>{escape(sentence)}</li>" for sentence in words.in_words(fit))
    variances = sections.random_effects(fit)
    random = replace(variances, title="").to_html(style=False) if variances is not None else ""
    fixed, method = sections.fixed_effects(fit, level=0.95), DDF[fit.ddf]
    return [
        ("The model in words", f"<ul>{sentences}</ul>"),
        ("The model as an equation", f'<div class="scroll">{equation(fit)}</div>'),
        ("Fixed effects", replace(fixed, title="", notes=(f"Tests and intervals by {method}.",)).to_html(style=False)),
        ("Random effects", random + _figures(caterpillars(fit)) if fit.ngroups else ""),
        ("Residuals", _figures(residual_charts(fit))),
        ("Data", _data(fit)),
        ("Findings", "".join(finding(one) for one in fit.findings) or '<p class="finding">Nothing to report.</p>'),
        ("Repeat it", f"<pre><code>{escape(words.code(fit, data))}</code></pre>"),
        ("Cite it", _citation()),
    ]


def _head(fit: Fit, heading: str, data: str | None) -> str:
    tiles = {"rows": f"{fit.nobs:,}", **{f"levels of {group}": f"{size:,}" for group, size in fit.ngroups.items()}}
    tiles |= {name: f"{value:,.2f}".replace("-", "\N{MINUS SIGN}") for name, value in facts.criteria(fit).items()}
    tiles["residual SD"] = f"{fit.sigma:.4g}"
    cells = "".join(f"<div><b>{value}</b><span>{escape(name)}</span></div>" for name, value in tiles.items())
    source = f" · {escape(data)}" if data else ""
    return (
        f'<p class="eyebrow">ranef report{source}</p><h1>{heading}</h1><div><code>{escape(fit.formula)}</code></div>'
        f'<div class="finding">{badge(fit.status)} {escape(facts.reason(fit))}</div><div class="tiles">{cells}</div>'
    )


def _data(fit: Fit) -> str:
    rows = fit.model.rows
    used = f'<p class="finding">{escape(facts.data_line(fit))}.</p>'
    lacking = {name: count for name, count in rows.missing.items() if count}
    missing = Table({"name": list(lacking), "missing": list(lacking.values())}, title="Missing values", headings={"name": "Column"})
    whole = "" if lacking else "<p>No value is missing in the columns that the model uses.</p>"
    return used + (missing.to_html(style=False) if lacking else whole) + _groups(fit)


def _groups(fit: Fit) -> str:
    """How many rows the levels of each grouping factor have; nothing for a model that was loaded without its rows."""
    groups = {term.group.name: term.group for term in fit.model.design.terms if len(term.group.codes)}
    if not groups:
        return ""
    sizes = [np.bincount(group.codes, minlength=group.size) for group in groups.values()]
    columns: dict[str, list[Any]] = {
        "group": list(groups),
        "levels": [group.size for group in groups.values()],
        "min_rows": [int(size.min()) for size in sizes],
        "median_rows": [float(np.median(size)) for size in sizes],
        "max_rows": [int(size.max()) for size in sizes],
    }
    return Table(columns, title="Rows per level").to_html(style=False)


def _figures(charts: list[tuple[str, str]]) -> str:
    figures = "".join(f"<figure>{svg}<figcaption>{escape(caption)}</figcaption></figure>" for caption, svg in charts)
    return f'<div class="charts">{figures}</div>' if figures else ""


def _section(name: str, inner: str) -> str:
    return f"<section><h2>{escape(name)}</h2>{inner}</section>"


def _citation() -> str:
    from ranef import __version__

    return (
        f'<p class="finding">The ranef developers. ranef: mixed-effects models in Python, version {__version__}. '
        "Method: Bates, Mächler, Bolker and Walker (2015), Fitting linear mixed-effects models using lme4, "
        "Journal of Statistical Software 67(1); degrees of freedom: Fai and Cornelius (1996), "
        "Journal of Statistical Computation and Simulation 54, 363–378.</p>"
    )


def _foot() -> str:
    from ranef import __version__

    return f"<footer>Made by ranef {__version__}. This page is complete in itself and loads nothing.</footer>"
