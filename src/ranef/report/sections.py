"""The tables of a summary, one function each: a section takes a fit and gives a Table, or None where it has nothing to say.

To add a section, write its function and put it into SECTIONS, in the place where it is to be read; the text, the notebook and the
report follow.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ranef.errors import ModelError
from ranef.fit.effects import KNOWN
from ranef.fit.methods import DDF
from ranef.fit.structures import random_structures
from ranef.report.spreads import Spread, spreads
from ranef.table import Table

if TYPE_CHECKING:
    from ranef.fit.fit import Fit

Section = Callable[["Fit"], Table | None]

WIDE = 4  # effects of a term beyond which its correlations are a table of their own


def scaled_residuals(fit: Fit) -> Table | None:
    """Quantiles of the Pearson residuals over sigma; None for a model that was loaded without its rows."""
    try:
        scaled = np.asarray(fit.residuals("pearson"), dtype=float) / fit.sigma
    except ModelError:
        return None
    names = ("minimum", "quarter", "median", "three_quarters", "maximum")
    values = np.quantile(scaled, [0.0, 0.25, 0.5, 0.75, 1.0])
    return Table({name: [value] for name, value in zip(names, values, strict=True)}, title="Scaled residuals")


def fixed_effects(fit: Fit, level: float | None = None) -> Table:
    """Estimates and tests of the fixed effects; with `level`, confidence limits too."""
    limits = fit.conf_int(level=level) if level else None
    columns: dict[str, Any] = {"term": list(fit.params.index), "estimate": fit.params.to_numpy(), "std_error": fit.bse.to_numpy()}
    if limits is not None:
        columns |= {"conf_low": limits["conf_low"], "conf_high": limits["conf_high"]}
    finite = not np.isinf(fit.df.to_numpy()).any()
    if finite:
        columns["df"] = fit.df.to_numpy()
    columns |= {"statistic": fit.tvalues.to_numpy(), "p_value": fit.pvalues.to_numpy()}
    headings = {"statistic": "t" if finite else "z"}
    if level:
        headings |= {"conf_low": f"{100 * level:g}% from", "conf_high": "to"}
    method = DDF[fit.ddf]
    title = f"Fixed effects: {method}" if "(" in method else f"Fixed effects ({method})"
    return Table(columns, title=title, headings=headings)


def random_effects(fit: Fit) -> Table | None:
    """Variances and standard deviations, one row an effect, with the correlations to the rows above of the same term."""
    if not fit.ngroups:
        return None
    terms = [term for term in spreads(fit) if term.plain]
    shown = max((term.size for term in terms if term.correlations and term.size <= WIDE), default=1) - 1
    columns: dict[str, list[Any]] = {name: [] for name in ("group", "term", "variance", "sd")}
    for term in terms:
        columns["group"] += _first(term)
        columns["term"] += term.names
        columns["variance"] += [term.covariance(i, i) for i in range(term.size)]
        columns["sd"] += term.sd
    for row in fit.varcorr:
        if row["term1"] is None and fit.criterion.residual is None:
            for name, value in zip(columns, (row["group"], "", row["vcov"], row["sdcor"]), strict=True):
                columns[name].append(value)
    beside = [term if term.size <= WIDE else replace(term, correlations={}) for term in terms]
    columns |= _triangles(beside, shown, len(columns["sd"]))
    notes = (KNOWN,) if fit.model.design.known_variances else ()
    return Table(columns, title="Random effects", headings={f"correlation_{j}": "" for j in range(2, shown + 1)}, notes=notes)


def residual_structure(fit: Fit) -> Table | None:
    """The parameters of the residual structure, where there is one."""
    residual = fit.criterion.residual
    return fit.residual_parameters() if residual is not None and residual.size else None


def random_correlations(fit: Fit) -> Table | None:
    """The correlations of terms with so many effects that they do not fit beside the variances: a lower triangle a term."""
    wide = [term for term in spreads(fit) if term.plain and term.size > WIDE and term.correlations]
    if not wide:
        return None
    columns: dict[str, list[Any]] = {
        "group": [name for term in wide for name in _first(term)],
        "term": [f"{i + 1} {name}" for term in wide for i, name in enumerate(term.names)],
    }
    triangles = _triangles(wide, max(term.size for term in wide) - 1, len(columns["term"]))
    headings = {name: str(j + 1) for j, name in enumerate(triangles)}
    return Table(columns | triangles, title="Correlations of the random effects", headings=headings)


def _first(term: Spread) -> list[str]:
    """The group of a term beside its first effect."""
    return [term.group if i == 0 else "" for i in range(term.size)]


def _triangles(terms: list[Spread], shown: int, rows: int) -> dict[str, list[float | None]]:
    """Columns of correlations: lower triangles below each other, `rows` long."""
    places = [(term, i) for term in terms for i in range(term.size)]
    columns = [[term.correlations.get((i, j)) for term, i in places] for j in range(shown)]
    padded = [column + [None] * (rows - len(column)) for column in columns]
    return {"correlation" if j == 0 else f"correlation_{j + 1}": column for j, column in enumerate(padded)}


def correlation_of_fixed(fit: Fit) -> Table | None:
    """Correlations of the estimates of the fixed effects: the lower triangle."""
    if len(fit.params) < 2:
        return None
    cov = fit.cov_params().to_numpy()
    sd = np.sqrt(np.diag(cov))
    lower = cov / np.outer(sd, sd)
    names = list(fit.params.index)
    keys = ["correlation", *(f"correlation_{j}" for j in range(2, len(names)))]
    columns: dict[str, list[Any]] = {"term": names[1:]}
    columns |= {key: [lower[i, j] if i > j else None for i in range(1, len(names))] for j, key in enumerate(keys)}
    return Table(columns, title="Correlation of the fixed effects", headings=dict(zip(keys, names, strict=False)))


SECTIONS: tuple[Section, ...] = (
    scaled_residuals, random_effects, random_correlations, random_structures, residual_structure, fixed_effects,
)  # fmt: skip
