"""The tables of a summary, one function each: a section takes a fit and gives a Table, or None where it has nothing to say.

To add a section, write its function and put it into SECTIONS, in the place where it is to be read; the text, the notebook and the
report follow.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from ranef.errors import ModelError
from ranef.fit.methods import DDF
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
    finite = bool(np.isfinite(fit.df.to_numpy()).all())
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
    terms = blocks(fit.varcorr)
    shown = max((len(block) for block in terms if block[-1]["correlations"] and len(block) <= WIDE), default=1) - 1
    columns: dict[str, list[Any]] = {name: [] for name in ("group", "term", "variance", "sd")}
    correlations: list[list[float | None]] = [[] for _ in range(shown)]
    for block in terms:
        for place, row in enumerate(block):
            columns["group"].append(row["group"] if place == 0 else "")
            columns["term"].append(row["term1"] or "")
            columns["variance"].append(row["vcov"])
            columns["sd"].append(row["sdcor"])
            for j, column in enumerate(correlations):
                column.append(_correlation(block, place, j) if len(block) <= WIDE else None)
    columns |= _numbered(correlations)
    return Table(columns, title="Random effects", headings={f"correlation_{j}": "" for j in range(2, shown + 1)})


def random_correlations(fit: Fit) -> Table | None:
    """The correlations of terms with so many effects that they do not fit beside the variances: a lower triangle a term."""
    wide = [block for block in blocks(fit.varcorr) if len(block) > WIDE and block[-1]["correlations"]]
    if not wide:
        return None
    shown = max(map(len, wide)) - 1
    columns: dict[str, list[Any]] = {"group": [], "term": []}
    correlations: list[list[float | None]] = [[] for _ in range(shown)]
    for block in wide:
        for place, row in enumerate(block):
            columns["group"].append(row["group"] if place == 0 else "")
            columns["term"].append(f"{place + 1} {row['term1']}")
            for j, column in enumerate(correlations):
                column.append(_correlation(block, place, j))
    columns |= _numbered(correlations)
    headings = {name: str(j + 1) for j, name in enumerate(_numbered(correlations))}
    return Table(columns, title="Correlations of the random effects", headings=headings)


def _correlation(block: list[dict[str, Any]], place: int, j: int) -> float | None:
    """That of the effects at `place` and j of one term, in the lower triangle."""
    return block[place]["correlations"].get(block[j]["term1"]) if j < place else None


def _numbered(correlations: list[list[float | None]]) -> dict[str, list[float | None]]:
    return {"correlation" if j == 0 else f"correlation_{j + 1}": column for j, column in enumerate(correlations)}


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


def blocks(varcorr: Table) -> list[list[dict[str, Any]]]:
    """The rows of variances, term by term; each knows its correlations by the name of the other effect."""
    out: list[list[dict[str, Any]]] = []
    closed = True  # a covariance ends the variances of its term
    for row in varcorr:
        if row["term2"] is not None:
            closed = True
            names = {effect["term1"]: effect for effect in out[-1]}
            names[row["term2"]]["correlations"][row["term1"]] = row["sdcor"]
            continue
        if closed or out[-1][0]["group"] != row["group"]:
            out.append([])
            closed = False
        out[-1].append({**row, "correlations": {}})
    return out


SECTIONS: tuple[Section, ...] = (scaled_residuals, random_effects, random_correlations, fixed_effects)
