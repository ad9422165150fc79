"""The chapters of a report, in the order in which they are read. Each is a function of the fit; one without blocks is left out."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from numpy.linalg import LinAlgError

from ranef.errors import Finding, RanefError, Severity
from ranef.fit.methods import DDF
from ranef.fit.rows import has_rows
from ranef.glossary import Rule
from ranef.inference.diagnostics import Check, check
from ranef.inference.icc import icc
from ranef.inference.r2 import r2
from ranef.inference.ranova import ranova, reductions
from ranef.inference.variance import variance_partition
from ranef.report import facts, methods, sections, variables, words
from ranef.report.charts import Picture
from ranef.report.charts.checks import check_pictures
from ranef.report.charts.effects import effect_pictures
from ranef.report.charts.random import caterpillars, shrinkage
from ranef.report.charts.shares import shares
from ranef.report.content import Answer, Block, Chapter, Code, Document, Equation, Findings, Pictures, Points, Words
from ranef.report.equation import levels
from ranef.report.references import bibliography
from ranef.table import Table

if TYPE_CHECKING:
    from ranef.fit.fit import Fit

MOST_EFFORT = 5e10  # of the refits that the tests of random effects need (see Criterion.effort)
ELSEWHERE = (sections.scaled_residuals, sections.fixed_effects)  # sections that belong to other chapters
ROW: dict[str, Rule] = dict.fromkeys(("estimate", "conf_low", "conf_high"), "row")
MOST_PROFILED = 6, 20_000  # covariance parameters and rows up to which profiles are computed unasked


def document(fit: Fit, *, title: str | None = None, data: str | None = None) -> Document:
    """All that a report says."""
    kind = facts.kind(fit)
    heading = title or f"{fit.model.design.response}: {kind[0].lower()}{kind[1:]}"
    makers: list[tuple[str, str, Callable[[Fit], Iterator[Block]]]] = [
        ("question", "The question", _question),
        ("model", "The model", _model),
        ("data", "The data", _data),
        ("estimates", "Fixed effects", _estimates),
        ("random", "Random effects" if fit.ngroups else "Residual covariance", _random),
        ("tests", "Tests", _tests),
        ("sizes", "Effect sizes", _sizes),
        ("diagnostics", "Diagnostics", _diagnostics),
        ("methods", "Methods, for a paper", _methods),
        ("code", "Code", lambda fit: _code(fit, data)),
    ]
    chapters = [Chapter(name, chapter, blocks) for name, chapter, make in makers if (blocks := list(make(fit)))]
    return Document(heading, data or "", fit.formula, fit.status, facts.reason(fit), facts.tiles(fit), chapters)


def _question(fit: Fit) -> Iterator[Block]:
    yield Words(words.question(fit))
    yield Points(words.in_words(fit))


def _model(fit: Fit) -> Iterator[Block]:
    yield Equation(levels(fit))


def _data(fit: Fit) -> Iterator[Block]:
    yield Words(words.rows_used(fit))
    yield from _answers(variables.numbers(fit), variables.factors(fit), variables.groups(fit))


def _estimates(fit: Fit) -> Iterator[Block]:
    table = sections.fixed_effects(fit, level=0.95)
    yield Answer(replace(table, title="Coefficients", notes=(f"Tests and intervals: {DDF[fit.ddf]}.",)))
    if not fit.model.design.mixed:
        yield Points([facts.residual_line(fit) + ".", *(line + "." for line in facts.explained_lines(fit))])
    yield from _pictures(effect_pictures(fit))


def _random(fit: Fit) -> Iterator[Block]:
    if not fit.model.design.mixed:
        return
    tables = [section(fit) for section in sections.SECTIONS if section not in ELSEWHERE]
    yield from _answers(*(table and _retitled(table) for table in tables), _profiled(fit))
    yield from _pictures([*caterpillars(fit), *shrinkage(fit)])


def _retitled(table: Table) -> Table:
    """The heading of the chapter is not repeated."""
    return replace(table, title="Variances") if table.title == "Random effects" else table


def _profiled(fit: Fit) -> Table | None:
    """Profile likelihood intervals of the covariance parameters, where they cost little."""
    parameters, rows = MOST_PROFILED
    if len(fit.theta) > parameters or fit.nobs > rows or not has_rows(fit):
        return None
    table = _attempted(lambda: fit.conf_int(method="profile", which="ran_pars"))
    if table is None:
        return None
    columns = {name: table[name] for name in ("group", "term", "estimate", "conf_low", "conf_high")}
    columns["term"] = [_parameter(str(name)) for name in columns["term"]]
    return replace(table, columns=columns, title="Intervals of standard deviations and correlations", rules=ROW)


def _parameter(name: str) -> str:
    """The name of a random parameter in words."""
    kind, _, rest = name.partition("__")
    if rest == "Observation":
        return "residual SD"
    return {"sd": f"SD of {rest}", "cor": f"correlation of {' and '.join(rest.split('.', 1))}"}.get(kind, name)


def _tests(fit: Fit) -> Iterator[Block]:
    random = _random_tests(fit)
    yield from _answers(_attempted(fit.anova), random)
    if random is None and _tested(fit):
        yield Words("The random effects of this model have no likelihood ratio tests.")
    if fit.ngroups and not _tested(fit):
        yield Words("Random effects are not tested here, as that takes many fits of large data: ranef.ranova(m) tests them.")


def _random_tests(fit: Fit) -> Table | None:
    if not _tested(fit):
        return None
    table = _attempted(lambda: ranova(fit))
    if table is None:
        return None
    columns = {name: values for name, values in table.columns.items() if name not in ("p_mixture", "p_naive", "llf")}
    columns["term"] = [_short_bar(str(term)) for term in columns["term"]]
    return replace(table, columns=columns, notes=_gathered([_short_bar(note) for note in table.notes]))


def _short_bar(text: str) -> str:
    """A label whose bar is not longer than a line needs: "x in (… | school)"."""
    return re.sub(r"\([^()|]{30,}\| ", "(… | ", text)


def _gathered(notes: Sequence[str]) -> tuple[str, ...]:
    """Notes such as "label: words.", those with the same words as one."""
    labels: dict[str, list[str]] = {}
    for note in notes:
        label, _, said = note.rpartition(": ")
        labels.setdefault(said, []).append(label)
    return tuple(f"{words.listed(found)}: {said}" if all(found) else said for said, found in labels.items())


def _tested(fit: Fit) -> bool:
    """Whether the report tests the random effects: where the refits cost little."""
    refits = len(list(reductions(fit.model.schema.formula)))
    return bool(fit.ngroups) and has_rows(fit) and refits * fit.criterion.effort <= MOST_EFFORT


def _sizes(fit: Fit) -> Iterator[Block]:
    if not has_rows(fit):
        return
    yield from _answers(_attempted(lambda: r2(fit, by="term" if len(fit.params) > 1 else None)))
    if fit.ngroups:
        parts = _attempted(lambda: variance_partition(fit))
        yield from _answers(_attempted(lambda: icc(fit)), parts)
        yield from _pictures([] if parts is None else [shares(parts)])


def _diagnostics(fit: Fit) -> Iterator[Block]:
    checked = _checked(fit)
    yield Findings([*fit.findings, *([] if checked is None else _flagged(checked))])
    if checked is None:
        return
    table = checked.table
    columns = {name: table[name] for name in ("assumption", "check", "statistic", "p_value", "verdict", "evidence")}
    yield Answer(replace(table, columns=columns, notes=checked.notes))
    yield from _pictures(check_pictures(checked))


def _checked(fit: Fit) -> Check | None:
    """The checks; None for a model that was loaded without its rows."""
    try:
        return check(fit)
    except RanefError:
        return None


def _flagged(checked: Check) -> list[Finding]:
    """What is not fine, one finding for each assumption."""
    out = []
    for assumption in dict.fromkeys(one.assumption for one in checked.assessments):
        own = [one for one in checked.assessments if one.assumption == assumption and one.finding is not None]
        if own:
            worst: Severity = "serious" if any(one.verdict == "concern" for one in own) else "warning"
            said = " ".join(f"{one.check}: {one.evidence}" for one in own)
            out.append(Finding("check", worst, f"{assumption}. {said}", " ".join(dict.fromkeys(one.remedy for one in own))))
    return out


def _methods(fit: Fit) -> Iterator[Block]:
    tested, sizes = _tested(fit), has_rows(fit)
    yield Words(methods.paragraph(fit, tested, sizes))
    yield Points(bibliography(methods.keys(fit, tested, sizes)))


def _code(fit: Fit, data: str | None) -> Iterator[Block]:
    yield Code(words.code(fit, data))


def _answers(*tables: Table | None) -> Iterator[Block]:
    yield from (Answer(table) for table in tables if table is not None and len(table))


def _pictures(pictures: list[Picture]) -> Iterator[Block]:
    if pictures:
        yield Pictures(pictures)


def _attempted(make: Callable[[], Table]) -> Table | None:
    """A table, or None where the question has no answer for this model (a report leaves it out)."""
    try:
        return make()
    except (RanefError, LinAlgError):
        return None
