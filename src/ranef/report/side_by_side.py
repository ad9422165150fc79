"""Several models in one table, a column each: estimates, what is below them, random effects, and statistics of the fit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from ranef import cells
from ranef.arguments import checked
from ranef.errors import ModelError, RanefError
from ranef.fit.methods import DDF
from ranef.fit.rows import has_rows
from ranef.fit.structures import random_structures
from ranef.inference.r2 import r2
from ranef.report.spreads import spreads
from ranef.report.words import listed
from ranef.table import Table

if TYPE_CHECKING:
    from ranef.fit.fit import Fit

Below = Literal["std_error", "conf_int", "statistic", "p_value"]
BELOW = {
    "std_error": "standard errors in parentheses", "conf_int": "confidence limits in brackets",
    "statistic": "t or z in parentheses", "p_value": "p values in parentheses",
}  # fmt: skip
STARS = ((0.001, "***"), (0.01, "**"), (0.05, "*"))
STARRED = "* p < 0.05, ** p < 0.01, *** p < 0.001."


@dataclass(frozen=True)
class Row:
    """A label and a cell for each model; `below` says that it belongs to the row above."""

    label: str
    cells: tuple[str, ...]
    below: bool = False


@dataclass(frozen=True)
class Part:
    title: str
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class SideBySide:
    """Models side by side; prints as text, shows as HTML in a notebook."""

    names: tuple[str, ...]
    parts: tuple[Part, ...]
    notes: tuple[str, ...]
    title: str = ""

    @property
    def table(self) -> Table:
        """The cells as texts: component, term, and a column for each model."""
        rows = [(part.title, row) for part in self.parts for row in part.rows]
        columns: dict[str, Any] = {"component": [title for title, _ in rows], "term": [row.label for _, row in rows]}
        columns |= {name: [row.cells[j] for _, row in rows] for j, name in enumerate(self.names)}
        return Table(columns, title=self.title, notes=self.notes)

    @property
    def frame(self) -> Any:
        """The cells as a data frame."""
        return self.table.frame

    def to_text(self) -> str:
        from ranef.report.side_by_side_faces import text

        return text(self)

    def to_html(self, *, style: bool = True, inline: bool = False) -> str:
        """An HTML fragment; with `inline` its style is in the cells, for Word and mail."""
        from ranef.report import side_by_side_faces as faces

        return faces.inline(self) if inline else faces.html(self, style)

    def to_latex(self, caption: str | None = None, label: str | None = None, *, notes: bool = True) -> str:
        """A LaTeX tabular in a table environment; needs the package booktabs."""
        from ranef.report.side_by_side_faces import latex

        return latex(self, caption, label, notes)

    def to_markdown(self) -> str:
        from ranef.report.side_by_side_faces import markdown

        return markdown(self)

    def __repr__(self) -> str:
        return self.to_text()

    def _repr_html_(self) -> str:
        return self.to_html()


@checked
def side_by_side(
    *fits: Fit,
    names: Sequence[str] | None = None,
    below: Below | None = "std_error",
    stars: bool = False,
    random: bool = True,
    fit_rows: bool = True,
    level: float = 0.95,
    title: str = "",
) -> SideBySide:
    """Models side by side, as papers print them.

    Parameters
    ----------
    fits
        One or more fits, of any data.
    names
        Of the columns; (1), (2), ... unless given.
    below
        What stands below each estimate: ``"std_error"``, ``"conf_int"``, ``"statistic"``, ``"p_value"``, or None.
    stars
        Mark estimates by their p values.
    random, fit_rows
        Whether standard deviations and correlations of random effects, and statistics of the fits, follow.
    level
        Of the intervals.
    title
        Above the table; the caption in LaTeX.

    Returns
    -------
    SideBySide
        Prints as text; ``to_html()``, ``to_html(inline=True)`` for Word, ``to_latex()``, ``to_markdown()``, ``frame``.

    Raises
    ------
    ModelError
        Without a fit, for names that do not match, and for an unknown `below`.

    Examples
    --------
    >>> import ranef
    >>> data = ranef.datasets.load("sleepstudy")
    >>> m1 = ranef.lmm("Reaction ~ Days + (1 | Subject)", data)
    >>> m2 = ranef.lmm("Reaction ~ Days + (Days | Subject)", data)
    >>> ranef.side_by_side(m1, m2, names=["intercepts", "slopes"])
                                      intercepts     slopes
    -------------------------------------------------------
    (Intercept)                         251.41     251.41
                                         (9.75)     (6.82)
    Days                                 10.467     10.467
                                         (0.804)    (1.546)
    -------------------------------------------------------
    SD (Intercept) | Subject             37.12      24.74
    SD Days | Subject                                5.922
    Cor. (Intercept), Days | Subject                 0.066
    SD residual                          30.99      25.59
    -------------------------------------------------------
    Response                            Reaction   Reaction
    Rows                                180        180
    Levels of Subject                    18         18
    Estimation                              REML       REML
    logLik                             -893.23    -871.81
    AIC                                1794.47    1755.63
    BIC                                1807.24    1774.79
    R² (marginal)                         0.280      0.279
    R² (conditional)                      0.704      0.799
    -------------------------------------------------------
    Estimates with standard errors in parentheses; Satterthwaite's degrees of
    freedom.
    """
    if not fits:
        raise ModelError("side_by_side() needs a model.", hint="For example side_by_side(m1, m2).")
    if names is not None and (isinstance(names, str) or not isinstance(names, Sequence)):
        raise ModelError(f"names={names!r} must be a list, with a name for each model.")
    if names is not None and len(names) != len(fits):
        raise ModelError(f"There are {len(fits)} models and {len(names)} names.")
    if not isinstance(title, str):
        raise ModelError(f"title={title!r} must be text.")
    if below is not None and not (isinstance(below, str) and below in BELOW):
        raise ModelError(f"below={below!r} is not known.", hint=f"Use one of: {', '.join(BELOW)}, or None.")
    parts = [Part("Fixed effects", tuple(_fixed(fits, below, stars, level)))]
    if random and any(fit.ngroups for fit in fits):
        parts.append(Part("Random effects", tuple(_random(fits))))
    if fit_rows:
        parts.append(Part("Fit", tuple(_criteria(fits))))
    columns = tuple(f"({j + 1})" for j in range(len(fits))) if names is None else tuple(str(name) for name in names)
    return SideBySide(columns, tuple(parts), _notes(fits, below, stars, fit_rows, level), title)


def _fixed(fits: Sequence[Fit], below: Below | None, stars: bool, level: float) -> list[Row]:
    rows = []
    tables = [fit.tidy(effects=("fixed",), conf_int=True, level=level) for fit in fits]
    found = [{row["term"]: row for row in table} for table in tables]
    for term in _ordered([list(table["term"]) for table in tables]):
        here = [one.get(term) for one in found]
        error = 10.0 * min(float(row["std_error"]) for row in here if row is not None)  # three digits of the smallest
        rows.append(Row(term, tuple("" if row is None else _estimate(row, error, stars) for row in here)))
        if below is not None:
            rows.append(Row("", tuple("" if row is None else _below(row, error, below) for row in here), below=True))
    return rows


def _ordered(lists: Sequence[Sequence[str]]) -> list[str]:
    """All names; those that a later list adds stand after the name before them in that list."""
    out: list[str] = []
    for names in lists:
        at = 0
        for name in names:
            if name in out:
                at = out.index(name) + 1
            else:
                out.insert(at, name)
                at += 1
    return out


def _estimate(row: dict[str, Any], error: float, stars: bool) -> str:
    estimate = cells.scaled([float(row["estimate"])], error)[0]
    p = float(row["p_value"])
    return estimate + (next((mark for limit, mark in STARS if p < limit), "") if stars else "")


def _below(row: dict[str, Any], error: float, below: Below) -> str:
    if below == "conf_int":
        low, high = cells.scaled([float(row["conf_low"]), float(row["conf_high"])], error)
        return f"[{low}, {high}]"
    if below == "std_error":
        return f"({cells.scaled([float(row['std_error'])], error)[0]})"
    return f"({cells.number(float(row[below]), 'p' if below == 'p_value' else 'statistic')})"


def _random(fits: Sequence[Fit]) -> list[Row]:
    found = [_parameters(fit) for fit in fits]
    return [Row(name, tuple(one.get(name, "") for one in found)) for name in _ordered([list(one) for one in found])]


def _parameters(fit: Fit) -> dict[str, str]:
    """Standard deviations and correlations by label; the residual comes last."""
    out = {}
    for term in [term for term in spreads(fit) if term.plain]:
        for name, sd in zip(term.names, term.sd, strict=True):
            out[f"SD {name} | {term.group}"] = cells.number(sd) if sd else "0"
        for (i, j), value in sorted(term.correlations.items()):
            out[f"Cor. {term.names[j]}, {term.names[i]} | {term.group}"] = cells.number(value, "fraction")
    structures = random_structures(fit)
    for row in structures or ():
        out[f"{row['name']} ({row['structure']}) | {row['group']}"] = cells.number(float(row["estimate"]))
    return out if fit.model.design.known_variances else {**out, "SD residual": cells.number(fit.sigma)}


def _criteria(fits: Sequence[Fit]) -> list[Row]:
    groups = list(dict.fromkeys(group for fit in fits for group in fit.ngroups))
    makers: list[tuple[str, Callable[[Fit], str]]] = [
        ("Response", lambda fit: fit.model.design.response),
        ("Rows", lambda fit: f"{fit.nobs:,}"),
        *((f"Levels of {group}", lambda fit, group=group: _levels(fit, group)) for group in groups),
        ("Estimation", lambda fit: "least squares" if not fit.model.design.mixed else "REML" if fit.reml else "ML"),
        ("logLik", lambda fit: cells.number(fit.llf, "criterion")),
        ("AIC", lambda fit: cells.number(fit.aic, "criterion")),
        ("BIC", lambda fit: cells.number(fit.bic, "criterion")),
        ("R² (marginal)", lambda fit: _explained(fit, "marginal") or _explained(fit, "multiple")),
        ("R² (conditional)", lambda fit: _explained(fit, "conditional")),
    ]
    rows = [Row(name, tuple(make(fit) for fit in fits)) for name, make in makers]
    return [row for row in rows if any(row.cells)]


def _levels(fit: Fit, group: str) -> str:
    return f"{fit.ngroups[group]:,}" if group in fit.ngroups else ""


def _explained(fit: Fit, kind: str) -> str:
    """R2 of a kind; empty where the fit has none."""
    if not has_rows(fit):
        return ""
    try:
        found = {row["quantity"]: row["estimate"] for row in r2(fit)}
    except RanefError:
        return ""
    return cells.number(float(found[kind]), "fraction") if kind in found else ""


def _notes(fits: Sequence[Fit], below: Below | None, stars: bool, fit_rows: bool, level: float) -> tuple[str, ...]:
    kinds = list(dict.fromkeys(DDF[fit.ddf] for fit in fits))
    first = "Estimates" if below is None else f"Estimates with {BELOW[below].replace('confidence', f'{level:.0%} confidence')}"
    notes = [f"{first}; {listed(kinds)}."]
    if stars:
        notes.append(STARRED)
    fixed = {tuple(fit.params.index) for fit in fits}
    if fit_rows and len(fixed) > 1 and any(fit.reml and fit.model.design.mixed for fit in fits):
        notes.append(
            "Criteria of REML fits with different fixed effects cannot be compared: refit with reml=False, or use compare()."
        )
    if len({fit.nobs for fit in fits}) > 1:
        notes.append("The models have different rows.")
    return tuple(notes)
